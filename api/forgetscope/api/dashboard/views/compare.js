/** Two finished experiments side by side. */

import { get, pages } from "../api.js";
import { busy, fmtTime, h, problemBox, replace } from "../dom.js";
import { figure } from "../compare/figure.js";
import {
  changedTable, forgettingTable, groupsTable, orderTable, settingsTable,
} from "../compare/tables.js";

const MOST = 200;

/**
 * Shows the choice of two experiments and, once both are chosen, their comparison.
 *
 * @param {HTMLElement} main
 * @param {{first?: string, second?: string}} params
 * @param {AbortSignal} signal
 */
export async function show(main, params, signal) {
  const experiments = [];
  for await (const one of pages("/v1/experiments", { state: "succeeded", limit: 100 }, { signal })) {
    experiments.push(one);
    if (experiments.length === MOST) break;
  }
  const answer = h("div", {});
  replace(
    main,
    h("h1", {}, "Compare"),
    experiments.length ? choice(experiments, params) : nothing(),
    answer,
  );
  if (!params.first || !params.second) return;
  replace(answer, busy("Comparing"));
  const path = pathOf(params);
  try {
    const compared = await get(path, {}, { signal });
    replace(answer, page(compared, path));
  } catch (error) {
    if (signal.aborted) throw error;
    replace(answer, problemBox(error));
  }
}

function pathOf({ first, second }) {
  const [one, other] = [first, second].map(encodeURIComponent);
  return `/v1/experiments/${one}/compare/${other}`;
}

function nothing() {
  return h(
    "div",
    { class: "card empty" },
    h("p", {}, "No experiment has finished yet."),
    h("p", { class: "actions" }, h("a", { class: "button primary", href: "#/submit" }, "New experiment")),
  );
}

function choice(experiments, params) {
  const chosen = { first: params.first ?? "", second: params.second ?? "" };
  const side = (name, label) => {
    const listed = experiments.map(({ id, name: title, created_at: at }) =>
      h("option", { value: id }, `${title} · ${fmtTime(at)} · ${id.slice(0, 8)}`),
    );
    const known = experiments.some(({ id }) => id === chosen[name]);
    const other = chosen[name] && !known && h("option", { value: chosen[name] }, chosen[name]);
    const empty = h("option", { value: "" }, "choose");
    const onchange = (event) => {
      chosen[name] = event.target.value;
    };
    return h(
      "div",
      { class: "field" },
      h("label", { for: name }, label),
      h("select", { id: name, value: chosen[name], onchange }, empty, other, listed),
    );
  };
  const onsubmit = (event) => {
    event.preventDefault();
    const missing = ["first", "second"].find((name) => !chosen[name]);
    if (missing) document.getElementById(missing).focus();
    else location.hash = `#/compare?${new URLSearchParams(chosen)}`;
  };
  return h(
    "form",
    { class: "card", onsubmit, "aria-label": "Experiments to compare" },
    h(
      "div",
      { class: "field-row halves" },
      side("first", "First experiment"),
      side("second", "Second experiment"),
    ),
    h("button", { type: "submit", class: "button primary" }, "Compare"),
  );
}

function page(compared, path) {
  const rows = compared.rows;
  return [
    h(
      "section",
      { class: "card", "aria-labelledby": "sides" },
      h(
        "div",
        { class: "title-row" },
        h("h2", { id: "sides" }, "The two"),
        h("div", { class: "end actions flush" }, doors(path)),
      ),
      h("dl", { class: "facts" }, sideOf("First", compared.one), sideOf("Second", compared.other)),
      compared.notes.length > 0 &&
        h("ul", { class: "plain after" }, compared.notes.map((note) => h("li", {}, note))),
    ),
    rows.length > 0 && part("What changed", changedTable(compared)),
    rows.length > 0 &&
      part(
        "Forgetting",
        h("p", { class: "soft" }, "To the right of 0: forgotten. ", key("one"), ", ", key("other"), "."),
        figure(rows),
        forgettingTable(rows),
        rows.filter((row) => row.groups.length).map(groupsTable),
      ),
    compared.order_effects.length > 0 && part("Order effect", orderTable(compared.order_effects)),
    part("Settings that differ", settingsTable(compared.settings)),
    part("What only one of them has", leftovers(compared)),
    compared.curvature.length > 0 &&
      part("Curvature", h("p", {}, "Both have curvature; the printable page compares it.")),
  ];
}

function part(title, ...children) {
  const id = title.toLowerCase().replaceAll(" ", "-");
  return h("section", { class: "card", "aria-labelledby": id }, h("h2", { id }, title), children);
}

function doors(path) {
  return [
    h("a", { class: "button", href: `${path}/report`, target: "_blank", rel: "noopener" }, "Printable page"),
    h("a", { class: "button", href: `${path}/csv`, download: "comparison.csv" }, "CSV"),
  ];
}

function sideOf(word, side) {
  return [
    h("dt", {}, word),
    h(
      "dd",
      {},
      h("a", { href: `#/experiments/${side.id}` }, side.name),
      h("span", { class: "help" }, `seeds ${side.seeds.join(", ")}; intervals at ${100 * side.confidence} %`),
    ),
  ];
}

function key(side) {
  const said = { one: "■ first experiment", other: "◇ second experiment" }[side];
  return h("strong", { class: `key ${side}` }, said);
}

function leftovers({ only_one: one, only_other: other }) {
  const said = ({ tasks, chains, curvature }) =>
    [
      tasks.length && `tasks ${tasks.join(", ")}`,
      chains.length && `chains ${chains.map((chain) => chain.join(" → ")).join("; ")}`,
      curvature.length && `curvature of ${curvature.join("; ")}`,
    ]
      .filter(Boolean)
      .join("; ") || "nothing";
  const sides = [
    ["Only the first", one],
    ["Only the second", other],
  ];
  return h(
    "dl",
    { class: "facts" },
    sides.map(([word, left]) => [h("dt", {}, word), h("dd", {}, said(left))]),
  );
}
