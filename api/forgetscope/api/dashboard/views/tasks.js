/** The catalogue of tasks, and one of its tasks with a look at its data. */

import { get } from "../api.js";
import { fmtNumber, h, replace } from "../dom.js";
import { Preview } from "../tasks/preview.js";

const ABOUT =
  "What a model can be trained on and scored by. Safety tasks hold offensive texts; none is shown " +
  "here unasked.";

/**
 * Shows the catalogue, or the task that `params` names.
 *
 * @param {HTMLElement} main
 * @param {{name?: string}} params
 * @param {AbortSignal} signal
 */
export async function show(main, params, signal) {
  if (params.name) {
    const path = `/v1/tasks/${encodeURIComponent(params.name)}`;
    showTask(main, await get(path, {}, { signal }), signal);
    return;
  }
  const { items } = await get("/v1/tasks", {}, { signal });
  showList(main, items);
}

function showList(main, tasks) {
  const asked = { kind: "", words: "" };
  const found = h("p", { class: "soft small", role: "status" });
  const body = h("tbody", {});
  const draw = () => {
    const shown = tasks.filter((task) => matches(task, asked));
    replace(found, `${shown.length} of ${tasks.length} tasks`);
    replace(body, shown.map(row));
  };
  const heads = ["Task", "Kind", "Groups", "Train", "Evaluation", "Chance", "Licence"];
  replace(
    main,
    h("h1", {}, "Tasks"),
    h("p", { class: "soft" }, ABOUT),
    h(
      "section",
      { class: "card", "aria-label": "Catalogue" },
      filters(asked, draw),
      found,
      h(
        "table",
        { class: "cards" },
        h("caption", { class: "unseen" }, "Tasks of the catalogue"),
        h("thead", {}, h("tr", {}, heads.map(head))),
        body,
      ),
    ),
  );
  draw();

  function head(title, n) {
    return h("th", { scope: "col", class: numeric(n) }, title);
  }

  function cell(said, n) {
    return h("td", { dataset: { label: heads[n + 1] }, class: numeric(n + 1) }, said);
  }

  function row(task) {
    const cells = [
      task.kind,
      task.groups.length || "none",
      fmtNumber(task.sizes.train),
      fmtNumber(task.sizes.evaluation),
      chance(task.chance),
      task.licence,
    ];
    return h(
      "tr",
      {},
      h(
        "th",
        { scope: "row" },
        h("a", { href: `#/tasks/${encodeURIComponent(task.name)}` }, task.name),
        h("span", { class: "help" }, task.summary),
      ),
      cells.map(cell),
    );
  }
}

function numeric(column) {
  return column >= 2 && column <= 5 ? "number" : null;
}

function matches(task, { kind, words }) {
  const text = [task.name, task.summary, task.citation, ...task.groups].join(" ").toLowerCase();
  return (!kind || task.kind === kind) && text.includes(words);
}

function filters(asked, draw) {
  const kinds = [["", "All"], ["safety", "Safety"], ["capability", "Capability"]];
  const options = kinds.map(([value, label]) => h("option", { value }, label));
  const onkind = (event) => {
    asked.kind = event.target.value;
    draw();
  };
  const onwords = (event) => {
    asked.words = event.target.value.trim().toLowerCase();
    draw();
  };
  return h(
    "form",
    { class: "filters", role: "search", onsubmit: (event) => event.preventDefault() },
    h(
      "div",
      {},
      h("label", { for: "task-kind" }, "Kind"),
      h("select", { id: "task-kind", onchange: onkind }, options),
    ),
    h(
      "div",
      {},
      h("label", { for: "task-words" }, "Name, group or words"),
      h("input", { id: "task-words", type: "search", oninput: onwords }),
    ),
  );
}

function chance(value) {
  return value === null ? "none" : `${fmtNumber(100 * value, 1)} %`;
}

function showTask(main, task, signal) {
  const asked = new URLSearchParams({ task: task.name });
  const sizes = Object.entries(task.sizes).map(([split, count]) => `${fmtNumber(count)} ${split}`);
  const facts = [
    ["Kind", task.kind],
    ["Examples", sizes.join(", ") || "not known"],
    ["Chance", task.chance === null ? "none: answers are written" : chance(task.chance)],
    ["Groups", task.groups.length ? groupList(task.groups) : "none"],
    ["Licence", task.licence],
    ["Source", task.citation],
    task.registered && ["Registered", "here, by its definition"],
  ].filter(Boolean);
  replace(
    main,
    h(
      "p",
      { class: "small crumbs" },
      h("a", { href: "#/tasks" }, "tasks"),
      " / ",
      h("code", {}, task.name),
    ),
    h(
      "div",
      { class: "title-row" },
      h("h1", {}, task.name),
      h("span", { class: "badge" }, task.kind),
      h("a", { class: "button end", href: `#/submit?${asked}` }, "Use in an experiment"),
    ),
    h("p", {}, task.summary),
    h(
      "section",
      { class: "card", "aria-label": "About the task" },
      h("dl", { class: "facts" }, facts.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])),
      task.notes.length > 0 && [
        h("h2", { class: "after" }, "Know before you read its numbers"),
        h("ul", { class: "plain" }, task.notes.map((note) => h("li", {}, note))),
      ],
      task.definition && [
        h("h2", { class: "after" }, "Definition"),
        h("pre", { tabindex: "0" }, JSON.stringify(task.definition, null, 2)),
      ],
    ),
    new Preview(task, signal).node,
  );
}

function groupList(groups) {
  return [
    `${groups.length}: `,
    h("span", { class: "mono" }, groups.join(", ")),
  ];
}
