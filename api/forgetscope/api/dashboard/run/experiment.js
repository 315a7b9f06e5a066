/** What an experiment found: forgetting with its verdicts, groups, the report's figures. */

import { get } from "../api.js";
import { fmtNumber, h, stateBadge } from "../dom.js";
import { doors, figures, filesOf, tables } from "./files.js";
import { chainText, measuredText, percent } from "./words.js";

const MOST_SENTENCES = 4;
const VERDICTS = ["breach", "underpowered", "pass"];

/**
 * The results of an experiment that has succeeded.
 *
 * @param {Object} run of live.js
 * @returns {Promise<HTMLElement>}
 * @throws {ApiError}
 */
export async function experimentOutcome(run) {
  const options = { signal: run.signal };
  const [results, report, analysis] = await Promise.all([
    get(`${run.path}/results`, {}, options),
    filesOf(run, "report"),
    filesOf(run, "analyse"),
  ]);
  const rows = results.forgetting;
  const compare = h("a", { class: "button", href: `#/compare?first=${run.view.id}` }, "Compare with another");
  return h(
    "section",
    { class: "card", "aria-labelledby": "results-title" },
    h("div", { class: "title-row" }, h("h2", { id: "results-title" }, "Results"), h("div", { class: "end" }, doors(run, compare))),
    rows.length === 0
      ? h("p", {}, "No chain of this experiment goes on after a task, so nothing could be forgotten. The report has the accuracies.")
      : [h("ul", { class: "sentences" }, worstFirst(rows).map(sentence)), forgettingTable(rows), rows.map(groupTable)],
    results.notes.length > 0 &&
      h("ul", { class: "soft small" }, results.notes.map((note) => h("li", {}, note))),
    figures(report),
    tables(analysis),
  );
}

/** What is said in words: the rows that lost most. The table has all of them. */
function worstFirst(rows) {
  const lost = ({ forgetting }) => forgetting.value ?? -Infinity;
  return [...rows].sort((a, b) => lost(b) - lost(a)).slice(0, MOST_SENTENCES);
}

function sentence(row) {
  const { forgetting } = row;
  const after = ` after ${chainText(row.chain)}${row.chain.length > 2 ? ` (its stage ${row.position})` : ""}`;
  const range = forgetting.value !== null && forgetting.low !== null
    ? ` (between ${percent(forgetting.low)} and ${percent(forgetting.high)})`
    : "";
  const said = forgetting.value === null
    ? [`What ${row.task} lost`, after, ` is undefined: ${forgetting.reason}`]
    : [
        h("strong", {}, row.task),
        forgetting.value < 0 ? " gained " : " lost ",
        h("strong", {}, `${fmtNumber(Math.abs(100 * forgetting.value), 1)} points`),
        forgetting.value < 0 ? "" : range, after, ".",
      ];
  const worst = mostBiased(row);
  return h(
    "li",
    {},
    h("span", {}, said, worst && [
      " The group that lost most beyond the task is ", h("strong", {}, worst.group),
      ` (${percent(worst.biased.value)} points more).`,
    ]),
    stateBadge(row.verdict.verdict),
  );
}

function mostBiased(row) {
  const judged = row.groups.filter((group) => !group.too_small && group.biased.value > 0);
  return judged.reduce((a, b) => (a && a.biased.value >= b.biased.value ? a : b), null);
}

function forgettingTable(rows) {
  const columns = ["Task", "Chain", "Before, %", "After, %", "Forgotten, points", "Verdict", "Groups"];
  return h(
    "table",
    { class: "cards results" },
    h("caption", {}, "Forgetting of each task at the end of each chain; intervals in brackets"),
    h("thead", {}, h("tr", {}, columns.map((title) => h("th", { scope: "col" }, title)))),
    h("tbody", {}, rows.map((row) =>
      h(
        "tr",
        {},
        h("th", { scope: "row" }, row.task),
        [
          chainText(row.chain),
          percent(row.before.value),
          percent(row.after.value),
          measuredText(row.forgetting),
          h("span", { title: row.verdict.reason }, stateBadge(row.verdict.verdict)),
          verdictCounts(row.groups),
        ].map((said, i) => h("td", { dataset: { label: columns[i + 1] } }, said)),
      ),
    )),
  );
}

function verdictCounts(groups) {
  const judged = groups.filter((group) => !group.too_small);
  if (judged.length === 0) return groups.length ? "all too small" : "none";
  const counts = VERDICTS.map((verdict) => [verdict, judged.filter((g) => g.verdict.verdict === verdict).length]);
  return h(
    "span",
    { class: "badges" },
    counts.filter(([, n]) => n).map(([verdict, n]) => stateBadge(verdict, `${n} ${verdict}`)),
  );
}

function groupTable(row) {
  if (row.groups.length === 0) return null;
  const columns = ["Group", "Items", "Forgotten, points", "Beyond the task, points", "Verdict"];
  return h(
    "details",
    {},
    h("summary", {}, `Groups of ${row.task} after ${chainText(row.chain)}`),
    h(
      "table",
      { class: "cards results" },
      h("caption", {}, "Forgetting of each group, and beyond what the task lost; the intervals of the latter hold together"),
      h("thead", {}, h("tr", {}, columns.map((title) => h("th", { scope: "col" }, title)))),
      h("tbody", {}, row.groups.map((group) =>
        h(
          "tr",
          {},
          h("th", { scope: "row" }, group.group),
          [
            group.items,
            measuredText(group.forgetting),
            measuredText(group.simultaneous),
            group.too_small ? "too small" : h("span", { title: group.verdict.reason }, stateBadge(group.verdict.verdict)),
          ].map((said, i) => h("td", { dataset: { label: columns[i + 1] } }, said)),
        ),
      )),
    ),
  );
}
