/** The answer to a dry run, in words and figures. */

import { fmtDuration, fmtNumber, h } from "../dom.js";
import { inWords } from "../form/schema.js";

/**
 * A plan.
 *
 * @param {Object} plan a PlanView
 * @returns {HTMLElement}
 */
export function planBox(plan) {
  const many = (count, word) => `${fmtNumber(count, 0)} ${word}${count === 1 ? "" : "s"}`;
  return h(
    "div",
    { class: "plan" },
    h("p", { class: "plan-head" }, h("strong", {}, many(plan.to_run, "stage")), " to run"),
    h(
      "dl",
      { class: "facts" },
      fact("Done already", many(plan.existing, "stage"), "in earlier runs, taken from there"),
      fact("Shared", many(plan.shared, "stage"), "used by more than one chain, run once"),
      plan.trainings > 0 && fact("Trainings", trainings(plan)),
      fact("Time", fmtDuration(plan.time.seconds), plan.time.basis),
      fact("Compute", hours(plan.compute.gpu_hours), plan.compute.basis),
      fact("Tokens", fmtNumber(plan.tokens, 0), "through the model, an estimate"),
      fact("Engine", plan.engine, plan.engine_reason),
    ),
    plan.notes.length > 0 && [
      h("h3", {}, "Notes"),
      h("ul", { class: "plain small" }, plan.notes.map((note) => h("li", {}, note))),
    ],
    plan.memory.length > 0 && memoryTable(plan.memory),
    stagesFold(plan),
  );
}

function fact(name, value, basis) {
  const reason = basis && h("span", { class: "help" }, basis);
  return [h("dt", {}, name), h("dd", {}, value, reason)];
}

function trainings({ trainings: count, naive_trainings: naive }) {
  return count < naive ? `${count} instead of ${naive}, as chains share their first stages` : count;
}

function hours(value) {
  if (value === null) return "not known";
  if (value < 0.001) return "under 0.001 GPU-hours";
  return `${fmtNumber(value)} GPU-hours`;
}

function memoryTable(memory) {
  const rows = memory.map((one) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, inWords(one.kind), h("span", { class: "help" }, one.stage)),
      h("td", {}, one.way.replaceAll("_", " "), h("span", { class: "help" }, one.use)),
      h("td", { class: "number" }, `${fmtNumber(one.total, 2)} GiB`),
    ),
  );
  const heads = ["Stage", "How"].map((word) => h("th", { scope: "col" }, word));
  const last = h("th", { scope: "col", class: "number" }, "Memory");
  return [
    h("h3", {}, "Memory at its peak"),
    h(
      "div",
      { class: "scroll", tabindex: "0", role: "group", "aria-label": "Memory at its peak" },
      h(
        "table",
        {},
        h("caption", { class: "unseen" }, "Memory of the stages that need most"),
        h("thead", {}, h("tr", {}, heads, last)),
        h("tbody", {}, rows),
      ),
    ),
  ];
}

function stagesFold(plan) {
  const kinds = Object.entries(plan.by_kind).map(([kind, count]) =>
    h("li", {}, `${count} × ${kind.replaceAll("_", " ")}`),
  );
  const titles = plan.stages.map((stage) => h("li", {}, stage.label.title));
  return h(
    "details",
    {},
    h("summary", {}, `All ${plan.stages.length} stages`),
    h("p", { class: "help" }, "Of each kind, to run and done already:"),
    h("ul", { class: "inline-list small" }, kinds),
    h("ol", { class: "small" }, titles),
  );
}
