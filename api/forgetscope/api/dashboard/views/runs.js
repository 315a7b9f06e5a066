/** The list of experiments and audits: newest first, with filters, kept up to date. */

import { h, replace } from "../dom.js";
import { KINDS, List } from "../runs/list.js";

const STATES = ["queued", "running", "cancelling", "succeeded", "failed", "cancelled"];

/**
 * Shows the list.
 *
 * @param {HTMLElement} main
 * @param {{kind?: string, state?: string, name?: string}} params the filters
 * @param {AbortSignal} signal
 */
export async function show(main, params, signal) {
  const asked = {
    kind: params.kind in KINDS ? params.kind : "",
    state: STATES.includes(params.state) ? params.state : "",
    name: params.name ?? "",
  };
  const list = new List(signal);
  const filters = filterForm(asked, () => {
    remember(asked);
    list.restart(asked);
  });
  replace(
    main,
    h(
      "div",
      { class: "title-row" },
      h("h1", {}, "Runs"),
      h(
        "div",
        { class: "end actions flush" },
        h("a", { class: "button", href: "#/submit/audit" }, "New audit"),
        h("a", { class: "button primary", href: "#/submit" }, "New experiment"),
      ),
    ),
    h("section", { class: "card", "aria-label": "Experiments and audits" }, filters, list.node),
  );
  await list.restart(asked);
  list.keepCurrent();
}

function filterForm(asked, onChange) {
  const set = (name) => (event) => {
    asked[name] = event.target.value.trim();
    onChange();
  };
  let pause = 0;
  const typed = (event) => {
    clearTimeout(pause);
    pause = setTimeout(() => set("name")(event), 250);
  };
  return h(
    "form",
    { class: "filters", role: "search", onsubmit: (event) => event.preventDefault() },
    field("Kind", "kind", (id) =>
      select(id, asked.kind, { "": "All", ...KINDS }, set("kind")),
    ),
    field("State", "state", (id) =>
      select(
        id,
        asked.state,
        { "": "Any", ...Object.fromEntries(STATES.map((s) => [s, s])) },
        set("state"),
      ),
    ),
    field("Name contains", "name", (id) =>
      h("input", { id, type: "search", value: asked.name, maxlength: 200, oninput: typed }),
    ),
  );
}

function field(label, name, control) {
  const id = `filter-${name}`;
  return h("div", {}, h("label", { for: id }, label), control(id));
}

function select(id, value, options, onchange) {
  return h(
    "select",
    { id, value, onchange },
    Object.entries(options).map(([key, text]) => h("option", { value: key }, text)),
  );
}

function remember(asked) {
  const query = new URLSearchParams(Object.entries(asked).filter(([, value]) => value));
  history.replaceState(null, "", query.size ? `#/?${query}` : "#/");
}
