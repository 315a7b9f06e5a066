/**
 * A look at a task's data: counts, doubts and a few examples. The text of an example is offensive
 * in many tasks, so it is not on the page before a reader asks for just that one.
 */

import { get } from "../api.js";
import { busy, fmtNumber, h, replace, stateBadge } from "../dom.js";
import { makeForm } from "../form/form.js";
import { Faults } from "../submit/faults.js";

const LOOKS = { error: "breach", warning: "underpowered", note: "queued" };

/** The part of a task's page with its parameters and, once asked for, its preview. */
export class Preview {
  /**
   * @param {Object} task a TaskView
   * @param {AbortSignal} signal
   */
  constructor(task, signal) {
    Object.assign(this, { task, signal, asking: false });
    this.form = makeForm(task.params_schema);
    this.faults = new Faults({ form: this.form, openForm: () => {} });
    this.count = h("input", { id: "how-many", type: "number", min: 0, max: 50, value: "3" });
    this.answer = h("div", { "aria-live": "polite" });
    const form = h(
      "form",
      { novalidate: true, "aria-label": "Preview" },
      this.faults.node,
      h(
        "details",
        { class: "section", hidden: this.form.node.querySelector("input, select") === null },
        h("summary", {}, "Parameters"),
        this.form.node,
      ),
      h(
        "div",
        { class: "filters" },
        h("div", {}, h("label", { for: "how-many" }, "Examples of each split"), this.count),
        h("div", {}, h("button", { type: "submit", class: "button primary" }, "Look at the data")),
      ),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.ask();
    });
    this.node = h(
      "section",
      { class: "card", "aria-labelledby": "preview-title" },
      h("h2", { id: "preview-title" }, "Preview"),
      h("p", { class: "soft" }, "Nothing is recorded. Texts stay hidden until you open one."),
      form,
      this.answer,
    );
  }

  async ask() {
    if (this.asking) return;
    this.asking = true;
    this.faults.clear();
    replace(this.answer, busy("Reading the data"));
    const parameters = JSON.stringify(this.form.get());
    const path = `/v1/tasks/${encodeURIComponent(this.task.name)}/preview`;
    try {
      const asked = { parameters, examples: this.count.value };
      const preview = await get(path, asked, { signal: this.signal });
      replace(this.answer, flags(preview.flags), preview.splits.map(split));
    } catch (error) {
      if (this.signal.aborted) return;
      replace(this.answer);
      this.faults.show(withoutPrefix(error), true);
    } finally {
      this.asking = false;
    }
  }
}

/** Pointers start at the use of the task; the form holds its parameters alone. */
function withoutPrefix(error) {
  for (const fault of error.problem?.errors ?? []) {
    fault.pointer = fault.pointer.replace(/^.*\/params(?=\/|$)/, "");
  }
  return error;
}

function flags(found) {
  if (found.length === 0) return h("p", { class: "badge good" }, "✓ Nothing doubtful was found");
  return [
    h("h3", {}, "Doubts"),
    h(
      "ul",
      { class: "flags" },
      found.map((flag) =>
        h(
          "li",
          {},
          stateBadge(LOOKS[flag.severity], flag.severity),
          h(
            "span",
            {},
            `${fmtNumber(flag.count)} ${flag.detail}`,
            flag.split && h("span", { class: "soft" }, ` (${flag.split})`),
            flag.rows.length > 0 && h("span", { class: "help" }, flag.rows.join("; ")),
          ),
        ),
      ),
    ),
  ];
}

function split(found) {
  const name = found.split.charAt(0).toUpperCase() + found.split.slice(1);
  const classes = Object.entries(found.classes).map(([word, count]) => `${word} ${fmtNumber(count)}`);
  const facts = [
    ["Examples", fmtNumber(found.examples)],
    ["Clusters", fmtNumber(found.clusters)],
    ["Right answers", classes.join(", ") || "free text"],
    ["Without a group", fmtNumber(found.without_group)],
    ["Longest", `about ${fmtNumber(found.longest_tokens)} tokens`],
  ];
  return h(
    "section",
    { "aria-label": name },
    h("h3", {}, name),
    h("dl", { class: "facts" }, facts.map(([word, said]) => [h("dt", {}, word), h("dd", {}, said)])),
    Object.keys(found.groups).length > 0 && groups(found.groups),
    found.first.map(example),
  );
}

function groups(sizes) {
  const rows = Object.entries(sizes).map(([group, { items, clusters }]) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, group),
      [items, clusters].map((count) => h("td", { class: "number" }, fmtNumber(count))),
    ),
  );
  const heads = ["Items", "Clusters"].map((word) => h("th", { scope: "col", class: "number" }, word));
  return h(
    "details",
    {},
    h("summary", {}, `${rows.length} groups`),
    h(
      "table",
      {},
      h("caption", { class: "unseen" }, "Items and clusters of each group"),
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Group"), heads)),
      h("tbody", {}, rows),
    ),
  );
}

/** One example: what it is about, and a button for its text. */
function example(found) {
  const body = h("div", { hidden: true });
  const button = h(
    "button",
    { type: "button", class: "small button", "aria-expanded": "false" },
    "Show the text",
    h("span", { class: "unseen" }, ` of ${found.id}`),
  );
  button.addEventListener("click", () => {
    const open = body.hidden;
    body.hidden = !open;
    replace(body, open && text(found));
    button.setAttribute("aria-expanded", String(open));
    button.firstChild.textContent = open ? "Hide the text" : "Show the text";
  });
  const about = [found.groups.join(", "), found.stratum, found.row].filter(Boolean).join(" · ");
  return h(
    "article",
    { class: "example" },
    h(
      "div",
      { class: "row-head" },
      h("span", {}, h("code", {}, found.id), h("span", { class: "help" }, about)),
      button,
    ),
    h("p", { class: "help" }, "The text may be offensive."),
    body,
  );
}

function text(found) {
  const options = found.options.map((option) =>
    h("li", {}, option, option === found.target && h("strong", {}, " ← right")),
  );
  return [
    h("pre", { class: "prompt", tabindex: "0" }, found.prompt),
    options.length > 0 ? h("ul", { class: "plain" }, options) : h("p", {}, "Answer: ", found.target),
    h("p", { class: "help" }, `Scored by: ${found.score.replaceAll("_", " ")}`),
  ];
}
