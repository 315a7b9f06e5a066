/**
 * Building blocks of every view: elements, words for numbers and times, states, problems.
 *
 * Data reach the page as text nodes and attributes only; nothing here parses HTML, and the page's
 * policy forbids it.
 */

const SVG = "http://www.w3.org/2000/svg";

/**
 * An HTML element.
 *
 * @param {string} tag
 * @param {Object<string, *>} [attrs] `class`, `on…` (listeners), `dataset` and `style` (objects),
 *   `value`, `checked`, `disabled`, …; false, null and undefined leave an attribute out, true
 *   writes it empty
 * @param {...(Node|string|number|Array|null|undefined|false)} children
 * @returns {HTMLElement}
 */
export function h(tag, attrs = {}, ...children) {
  return filled(document.createElement(tag), attrs, children);
}

/**
 * An SVG element; as `h`.
 *
 * @param {string} tag
 * @param {Object<string, *>} [attrs]
 * @param {...*} children
 * @returns {SVGElement}
 */
export function svg(tag, attrs = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attrs, children);
}

function filled(node, attrs, children) {
  let value;
  for (const [name, given] of Object.entries(attrs ?? {})) {
    if (given === false || given === null || given === undefined) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2).toLowerCase(), given);
    else if (name === "dataset") Object.assign(node.dataset, given);
    else if (name === "style") {
      for (const [key, said] of Object.entries(given)) node.style.setProperty(key, said);
    } else if (name === "value") value = given;
    else node.setAttribute(name, given === true ? "" : String(given));
  }
  node.append(...flat(children));
  if (value !== undefined) {
    if ("value" in node) node.value = value; // of a select, only once its options are there
    else node.setAttribute("value", String(value));
  }
  return node;
}

function flat(children) {
  return children
    .flat(Infinity)
    .filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (child instanceof Node ? child : String(child)));
}

/**
 * Puts `children` in the place of what `node` holds.
 *
 * @param {Element} node
 * @param {...*} children as of `h`
 * @returns {Element} `node`
 */
export function replace(node, ...children) {
  node.replaceChildren(...flat(children));
  return node;
}

/**
 * Tells users of screen readers, once, without moving the focus.
 *
 * @param {string} text
 */
export function announce(text) {
  const region = document.getElementById("live");
  if (region) region.textContent = region.textContent === text ? `${text}\u00a0` : text;
}

/**
 * A point in time in the reader's own zone.
 *
 * @param {?number} seconds since 1970, UTC
 * @returns {string}
 */
export function fmtTime(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  return new Date(seconds * 1000).toLocaleString("en-GB", {
    dateStyle: "medium",
    timeStyle: "medium",
  });
}

/**
 * How long ago, with the point in time as its title.
 *
 * @param {?number} seconds since 1970, UTC
 * @returns {HTMLElement}
 */
export function timeAgo(seconds) {
  if (seconds === null || seconds === undefined) return h("span", {}, "–");
  const past = Date.now() / 1000 - seconds;
  const said = past < 5 ? "just now" : `${roughly(past)} ago`;
  const datetime = new Date(seconds * 1000).toISOString();
  return h("time", { datetime, title: fmtTime(seconds) }, said);
}

function roughly(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 129600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} days`;
}

/**
 * A length of time: "0.4 s", "12 s", "3 min 5 s", "2 h 10 min", "3 d 4 h".
 *
 * @param {?number} seconds
 * @returns {string}
 */
export function fmtDuration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 10) return `${Math.round(seconds * 10) / 10} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return twoUnits(whole, 60, "min", 1, "s");
  if (whole < 86400) return twoUnits(whole, 3600, "h", 60, "min");
  return twoUnits(whole, 86400, "d", 3600, "h");
}

function twoUnits(whole, size, word, part, partWord) {
  const rest = Math.floor((whole % size) / part);
  return `${Math.floor(whole / size)} ${word}${rest ? ` ${rest} ${partWord}` : ""}`;
}

/**
 * A number with thin separators.
 *
 * @param {?number} value
 * @param {number} [digits] after the point, at most
 * @returns {string}
 */
export function fmtNumber(value, digits = 3) {
  if (value === null || value === undefined) return "–";
  return value.toLocaleString("en-GB", { maximumFractionDigits: digits }).replace(/^-/, "−");
}

/**
 * A size in bytes: "812 B", "1.4 MB".
 *
 * @param {number} bytes
 * @returns {string}
 */
export function fmtBytes(bytes) {
  let [size, unit] = [bytes, "B"];
  for (const next of ["kB", "MB", "GB", "TB"]) {
    if (size < 1000) break;
    [size, unit] = [size / 1000, next];
  }
  return `${fmtNumber(size, size < 10 && unit !== "B" ? 1 : 0)} ${unit}`;
}

// Colour family and symbol of every state, verdict and outcome; the word stands beside them.
const STATES = {
  queued: ["quiet", "○"],
  pending: ["quiet", "○"],
  ready: ["quiet", "◔"],
  running: ["active", "▶"],
  cancelling: ["warn", "⊘"],
  cancelled: ["quiet", "⊘"],
  skipped: ["quiet", "↷"],
  succeeded: ["good", "✓"],
  failed: ["bad", "✕"],
  pass: ["good", "✓"],
  breach: ["bad", "✕"],
  underpowered: ["warn", "?"],
  waived: ["quiet", "~"],
  connected: ["good", "●"],
  reconnecting: ["warn", "↻"],
};

/**
 * Colour family ("good", "bad", "warn", "active", "quiet") and symbol of a state.
 *
 * @param {string} state
 * @returns {[string, string]}
 */
export function stateLook(state) {
  return STATES[state] ?? ["quiet", "•"];
}

/**
 * A state or verdict as symbol and word.
 *
 * @param {string} state
 * @param {string} [word] where it is not the state itself
 * @returns {HTMLElement}
 */
export function stateBadge(state, word = state) {
  const [look, symbol] = stateLook(state);
  return h(
    "span",
    { class: `badge ${look}`, dataset: { state } },
    h("span", { "aria-hidden": "true", class: "symbol" }, symbol),
    word,
  );
}

/**
 * An error as a readable alert: RFC 9457 problems with their hint and every fault.
 *
 * @param {Error & {problem?: Object}} error
 * @returns {HTMLElement}
 */
export function problemBox(error) {
  const problem = error.problem ?? { title: "The page failed", detail: String(error), errors: [] };
  return h(
    "div",
    { class: "problem", role: "alert" },
    h("p", { class: "problem-title" }, problem.title),
    problem.detail && problem.detail !== problem.title && h("p", {}, problem.detail),
    problem.errors?.length > 0 &&
      h(
        "ul",
        {},
        problem.errors.map((fault) =>
          h("li", {}, fault.pointer && [h("code", {}, fault.pointer), " "], fault.detail),
        ),
      ),
    problem.hint && h("p", { class: "hint" }, problem.hint),
    problem.instance && h("p", { class: "hint" }, "Id for the log: ", h("code", {}, problem.instance)),
  );
}

/**
 * What stands where data will be.
 *
 * @param {string} [label]
 * @returns {HTMLElement}
 */
export function busy(label = "Loading") {
  return h("p", { class: "busy", role: "status" }, `${label} …`);
}
