/**
 * Controls for single values. Every control, these and those for objects and lists, is
 * `{node, get, set, locate, fail, clear, focus, rename}`: `get` gives the value, or undefined where
 * there is none; `set(undefined)` brings back the default; `locate` finds the control at the parts
 * of a JSON pointer, or the one nearest to it; `fail` says what is wrong with its value.
 */

import { h } from "../dom.js";
import { helpOf } from "./schema.js";

let made = 0;

/** An id that no other element has. */
export function freshId() {
  made += 1;
  return `field-${made}`;
}

/**
 * The control for a value that one input holds.
 *
 * @param {Object} shape as of `shapeOf`
 * @param {{label: string, usual: *, names?: ?Object[], hints?: ?string, help?: string}} options
 *   `usual` is the default, `names` what can be chosen, `hints` the id of a datalist
 */
export function single(shape, options) {
  const make = options.names ? chosen : (MAKERS[shape.kind] ?? jsonText);
  return make(shape, { help: helpOf(shape.schema), ...options });
}

const MAKERS = {
  text: (shape, options) => text(shape, options, (typed) => typed, String, datedAs(shape.schema)),
  number: (shape, options) => text(shape, options, asNumber, shownJson, { inputmode: "decimal" }),
  scalars: (shape, options) => text(shape, listed(options), asScalars, shownScalars),
  boolean: (shape, options) =>
    shape.nullable ? chosen(shape, { ...options, names: TRUTHS }) : checked(shape, options),
  enum: (shape, options) =>
    chosen(shape, { ...options, names: shape.schema.enum.map((value) => ({ value })) }),
  choices: checkboxes,
};

const TRUTHS = [
  { value: true, label: "yes" },
  { value: false, label: "no" },
];

/** Any JSON in one line; what is not JSON is taken as text. */
export function jsonText(shape, options) {
  return text(shape, options, asJson, shownJson, { class: "mono" });
}

function text(shape, options, parse, show, attributes = {}) {
  const { usual, hints } = options;
  const input = h("input", {
    type: "text",
    autocomplete: "off",
    spellcheck: "false",
    list: hints,
    ...attributes,
  });
  const empty = shape.nullable && usual !== undefined && usual !== null ? null : undefined;
  const set = (value) => {
    const shown = value === undefined ? usual : value;
    input.value = shown === undefined || shown === null ? "" : show(shown);
  };
  set(undefined);
  return { ...framed(input, options), get: () => (input.value === "" ? empty : parse(input.value)), set };
}

function datedAs(schema) {
  return schema.format === "date" ? { placeholder: "YYYY-MM-DD", inputmode: "numeric" } : {};
}

function listed(options) {
  return { ...options, help: [options.help, "separated by commas"].filter(Boolean).join("; ") };
}

function checked(shape, options) {
  const input = h("input", { type: "checkbox" });
  const set = (value) => {
    input.checked = Boolean(value === undefined ? options.usual : value);
  };
  set(undefined);
  return { ...framed(input, { ...options, beside: true }), get: () => input.checked, set };
}

function chosen(shape, options) {
  const { names, usual, empty = "not set" } = options;
  const values = names.map(({ value }) => value);
  const needed = usual !== undefined && usual !== null;
  const input = h("select", {}, !needed && h("option", { value: "" }, empty));
  input.append(...grouped(names));
  const set = (value) => {
    const shown = value === undefined ? usual : value;
    if (shown === undefined || shown === null) input.value = "";
    else {
      if (!values.includes(shown)) {
        values.push(shown); // what only the document knows
        input.append(option({ value: shown }, values.length - 1));
      }
      input.value = String(values.indexOf(shown));
    }
  };
  const get = () => (input.value === "" ? undefined : values[Number(input.value)]);
  set(undefined);
  return { ...framed(input, options), get, set };
}

function grouped(names) {
  const groups = new Map();
  names.forEach((name, n) => {
    groups.set(name.group, [...(groups.get(name.group) ?? []), option(name, n)]);
  });
  return [...groups].flatMap(([label, options]) =>
    label ? [h("optgroup", { label }, options)] : options,
  );
}

function option({ value, label }, n) {
  return h("option", { value: String(n) }, label ?? String(value));
}

function checkboxes(shape, options) {
  const boxes = shape.items.enum.map((value) => [value, h("input", { type: "checkbox" })]);
  const lines = boxes.map(([value, box]) => h("label", { class: "check" }, box, String(value)));
  const group = h("div", { class: "choices", role: "group", tabindex: "-1" }, lines);
  const set = (value) => {
    const shown = (value === undefined ? options.usual : value) ?? [];
    for (const [one, box] of boxes) box.checked = shown.includes(one);
  };
  set(undefined);
  const frame = framed(group, { ...options, plain: true });
  return {
    ...frame,
    get: () => boxes.filter(([, box]) => box.checked).map(([value]) => value),
    set,
    focus: () => boxes[0][1].focus(),
  };
}

function framed(input, { label, help, beside = false, plain = false }) {
  const id = freshId();
  input.id = id;
  const name = h(plain ? "span" : "label", { class: plain && "label", for: plain ? null : id }, label);
  if (plain) {
    name.id = `${id}-name`;
    input.setAttribute("aria-labelledby", name.id);
  }
  const error = h("p", { class: "error", id: `${id}-error`, hidden: true });
  const helped = help ? h("p", { class: "help", id: `${id}-help` }, help) : null;
  const described = (failed) =>
    [failed && `${id}-error`, helped && `${id}-help`].filter(Boolean).join(" ");
  if (helped) input.setAttribute("aria-describedby", described(false));
  const head = beside ? h("div", { class: "check" }, input, name) : [name, input];
  const control = {
    node: h("div", { class: "field" }, head, error, helped),
    locate: () => control,
    rename: (words) => {
      name.textContent = words;
    },
    fail: (words) => {
      error.textContent = [error.textContent, words].filter(Boolean).join(" · ");
      error.hidden = false;
      input.setAttribute("aria-invalid", "true");
      input.setAttribute("aria-describedby", described(true));
    },
    clear: () => {
      error.textContent = "";
      error.hidden = true;
      input.removeAttribute("aria-invalid");
      if (helped) input.setAttribute("aria-describedby", described(false));
      else input.removeAttribute("aria-describedby");
    },
    focus: () => input.focus(),
  };
  return control;
}

const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?$/;

function asNumber(typed) {
  return NUMBER.test(typed.trim()) ? Number(typed) : typed;
}

function asJson(typed) {
  try {
    return JSON.parse(typed);
  } catch {
    return typed;
  }
}

/** Shows a value so that `asJson` reads it back. */
function shownJson(value) {
  const bare = typeof value === "string" && value !== "" && asJson(value) === value;
  return bare ? value : JSON.stringify(value);
}

function asScalars(typed) {
  if (typed.trim().startsWith("[")) return asJson(typed);
  return typed
    .split(",")
    .map((part) => part.trim())
    .filter(Boolean)
    .map(asJson);
}

function shownScalars(values) {
  if (!Array.isArray(values)) return JSON.stringify(values);
  const line = values.map(shownJson).join(", ");
  const read = asScalars(line);
  const same = JSON.stringify(read) === JSON.stringify(values);
  return same ? line : JSON.stringify(values);
}
