/** What an audit found: the outcome in words, a verdict on every task and group, the policy. */

import { get } from "../api.js";
import { fmtNumber, h, stateBadge } from "../dom.js";
import { doors, figures, filesOf, tables } from "./files.js";
import { given, measuredText, percent } from "./words.js";

const LOOKS = { pass: "good", breach: "bad", underpowered: "warn" };
const URGENCY = ["breach", "underpowered", "pass"];
const FIRST_SENTENCES = 3;

/**
 * The results of an audit that has succeeded.
 *
 * @param {Object} run of live.js
 * @returns {Promise<HTMLElement[]>}
 * @throws {ApiError}
 */
export async function auditOutcome(run) {
  const [results, files] = await Promise.all([
    get(`${run.path}/results`, {}, { signal: run.signal }),
    filesOf(run, "audit"),
  ]);
  return [
    h(
      "section",
      { class: `note ${LOOKS[results.outcome]}`, "aria-labelledby": "outcome-title" },
      h("h2", { id: "outcome-title" }, "Outcome ", stateBadge(results.outcome)),
      summary(results.summary),
      doors(run),
    ),
    h(
      "section",
      { class: "card", "aria-labelledby": "rows-title" },
      h("h2", { id: "rows-title" }, "Tasks and groups"),
      rowTable(results.rows),
      results.missing.length > 0 && h("p", {}, `Required tasks that are missing: ${results.missing.join(", ")}.`),
      figures(files),
      tables(files),
    ),
    policy(results),
  ];
}

function summary(sentences) {
  const [first, ...others] = sentences;
  const list = (items) => h("ul", {}, items.map((text) => h("li", {}, text)));
  return [
    h("p", { class: "lead" }, first),
    others.length > 0 && list(others.slice(0, FIRST_SENTENCES)),
    others.length > FIRST_SENTENCES &&
      h("details", {}, h("summary", {}, `${others.length - FIRST_SENTENCES} more sentences`), list(others.slice(FIRST_SENTENCES))),
  ];
}

function rowTable(rows) {
  const columns = ["Task and group", "What", "Items", "Reference, %", "Candidate, %", "Lost, points", "Margin", "Verdict"];
  const sorted = [...rows].sort((a, b) => URGENCY.indexOf(a.verdict) - URGENCY.indexOf(b.verdict));
  return h(
    "table",
    { class: "cards results" },
    h("caption", {}, "Each judged number with its simultaneous interval; what is worst stands first"),
    h("thead", {}, h("tr", {}, columns.map((title) => h("th", { scope: "col" }, title)))),
    h("tbody", {}, sorted.map((row) =>
      h(
        "tr",
        {},
        h("th", { scope: "row" }, row.task, h("br"), h("span", { class: "soft" }, row.group ?? "all items")),
        [
          row.what === "loss" ? "loss" : "beyond the task",
          [fmtNumber(row.items), row.unscored > 0 && ` (${row.unscored} unscored)`],
          percent(row.reference.value),
          percent(row.candidate.value),
          measuredText(row.estimate),
          [given(row.margin), row.guarded && " (relative)"],
          verdict(row),
        ].map((said, i) => h("td", { dataset: { label: columns[i + 1] } }, said)),
      ),
    )),
  );
}

function verdict(row) {
  const need = row.need?.items && `about ${fmtNumber(row.need.items)} items would decide it`;
  const tier = row.tier !== "block" && `tier ${row.tier}`;
  return h(
    "span",
    { title: row.reason },
    stateBadge(row.verdict),
    row.waived && [" ", stateBadge("waived")],
    [tier, need, row.waived].filter(Boolean).map((text) => h("span", { class: "small soft under" }, text)),
  );
}

function policy(results) {
  const { policy: rules } = results;
  const facts = [
    ["Policy", rules.name],
    ["Confidence", `${given(rules.confidence)} %`],
    ["Judged on", results.judged_on],
    ["Engine", results.engine],
    ["Digest", h("code", {}, results.policy_digest)],
  ];
  return h(
    "section",
    { class: "card", "aria-labelledby": "policy-title" },
    h("h2", { id: "policy-title" }, "Policy"),
    h("dl", { class: "facts" }, facts.map(([name, said]) => [h("dt", {}, name), h("dd", {}, said)])),
    h("ul", {}, rules.tasks.map((rule) => h("li", {}, ruleText(rule)))),
    rules.waivers.length > 0 && [
      h("h3", {}, "Waivers"),
      h("ul", {}, rules.waivers.map((w) =>
        h("li", {}, `${w.task}${w.group ? `, group ${w.group}` : ""}: ${w.reason} (${w.approved_by}, until ${w.expires})`),
      )),
    ],
  );
}

function ruleText(rule) {
  const parts = [
    [rule.margin, "as a whole"],
    [rule.group_margin, "in each group"],
    [rule.biased_margin, "in a group beyond the task"],
  ]
    .filter(([margin]) => margin !== null)
    .map(([margin, where]) => `${given(margin)} points ${where}`);
  return [h("strong", {}, rule.task), ` (tier ${rule.tier}) may lose at most ${parts.join(", ") || "nothing that is judged"}.`];
}
