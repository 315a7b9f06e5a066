/** The tables of a comparison: verdicts, forgetting, groups, order effects, settings. */

import { h, stateBadge } from "../dom.js";
import { chainText, measuredText, percent } from "../run/words.js";

const NUMBERS = ["First, points", "Second, points", "Difference, points"];
const JUDGED = ["Verdict, first", "Verdict, second"];
const VERDICTS = ["pass", "breach", "underpowered"];

/**
 * A table whose rows become cards on narrow screens.
 *
 * @param {string} caption
 * @param {string[]} heads
 * @param {Array[]} rows of cells; the first of each names the row
 */
function table(caption, heads, rows) {
  return h(
    "table",
    { class: "cards" },
    h("caption", {}, caption),
    h("thead", {}, h("tr", {}, heads.map((word) => h("th", { scope: "col" }, word)))),
    h(
      "tbody",
      {},
      rows.map(([first, ...cells]) =>
        h(
          "tr",
          {},
          h("th", { scope: "row" }, first),
          cells.map((cell, n) => h("td", { dataset: { label: heads[n + 1] } }, h("div", {}, cell))),
        ),
      ),
    ),
  );
}

function word(said) {
  return VERDICTS.includes(said) ? stateBadge(said) : said;
}

/** What is no longer as it was. */
export function changedTable(compared) {
  const { changed_verdicts: changed, same_verdicts: same } = compared;
  const all = changed.length + same;
  if (all === 0) return h("p", {}, "There is no verdict that both have.");
  if (changed.length === 0) return h("p", {}, `None of ${all} verdicts differs.`);
  const rows = changed.map((one) => [
    [one.about, one.group && h("span", { class: "help" }, one.group)],
    one.task ? `${one.task} after ${chainText(one.chain)}` : one.chain.join(" and "),
    word(one.one),
    word(one.other),
    one.caution ?? "–",
  ]);
  const heads = ["About", "Where", "First", "Second", "Keep in mind"];
  return table(`${changed.length} of ${all} verdicts differ`, heads, rows);
}

/** Forgetting of each task at the end of each chain that both have. */
export function forgettingTable(rows) {
  const heads = ["Task", "Chain", ...NUMBERS, ...JUDGED];
  return table(
    "Forgetting in percentage points, with intervals in brackets",
    heads,
    rows.map((row) => [
      [row.task, row.chain.length > 2 && h("span", { class: "help" }, `stage ${row.position}`)],
      chainText(row.chain),
      ...numbers(row.forgetting),
      ...verdicts(row.verdict),
    ]),
  );
}

/** Biased forgetting of the groups of one row. */
export function groupsTable(row) {
  const name = `${row.task} after ${chainText(row.chain)}`;
  const heads = ["Group", ...NUMBERS, ...JUDGED, "Items"];
  return h(
    "details",
    {},
    h("summary", {}, `Groups of ${name}`),
    table(
      "Biased forgetting: what a group lost beyond its task",
      heads,
      row.groups.map((group) => [
        [group.group, tooSmall(group.too_small)],
        ...numbers(group.biased),
        ...verdicts(group.verdict),
        `${group.one_items} and ${group.other_items}`,
      ]),
    ),
  );
}

function tooSmall(sides) {
  if (sides.length === 0) return null;
  const which = { one: "the first", other: "the second" };
  const where = sides.length === 2 ? "both" : which[sides[0]];
  return h("span", { class: "help" }, `too small to judge in ${where}`);
}

/** What the order of two tasks did. */
export function orderTable(orders) {
  const heads = ["Safety task", "Capability task", ...NUMBERS, "Shown, first", "Shown, second"];
  return table(
    "Forgetting when safety came first, less that when it came second",
    heads,
    orders.map((order) => [
      order.safety,
      order.capability,
      ...numbers(order.effect),
      order.one_shown,
      order.other_shown,
    ]),
  );
}

/** Fields of the specifications that differ. */
export function settingsTable(settings) {
  if (settings.length === 0) return h("p", {}, "None, apart from names and chains.");
  const code = (value) => h("code", {}, JSON.stringify(value));
  return table(
    "Fields of the two specifications",
    ["Setting", "First", "Second"],
    settings.map(({ pointer, one, other }) => [h("code", {}, pointer), code(one), code(other)]),
  );
}

function numbers({ one, other, difference }) {
  const apart =
    difference.value === null
      ? ["–", h("span", { class: "help" }, difference.reason)]
      : percent(difference.value);
  return [measuredText(one), measuredText(other), apart];
}

function verdicts({ one, other, changed, caution }) {
  const said = changed && h("span", { class: "help" }, h("b", {}, "changed"), caution && `: ${caution}`);
  return [
    h("span", { title: one.reason }, stateBadge(one.verdict)),
    [h("span", { title: other.reason }, stateBadge(other.verdict)), said],
  ];
}
