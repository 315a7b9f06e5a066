/** The stages as a table: the same as the graph, for readers who prefer rows. */

import { fmtDuration, h, replace, stateBadge } from "../dom.js";
import { kindWord } from "./words.js";

const PORTION = 50;

/** The table of a run's stages, with filters of its own. */
export class StageTable {
  /** @param {function(string): void} onChoose gets the key of a stage */
  constructor(onChoose) {
    this.onChoose = onChoose;
    this.asked = { kind: "", state: "" };
    this.most = PORTION;
    this.rows = new Map();
    this.filters = h("div", { class: "filters" });
    this.body = h("tbody");
    this.note = h("p", { class: "soft small", role: "status" });
    this.more = h(
      "button",
      { type: "button", class: "button small", hidden: true, onclick: () => this.showMore() },
      "Show more",
    );
    this.node = h(
      "div",
      {},
      this.filters,
      h(
        "table",
        { class: "cards stages" },
        h("caption", { class: "unseen" }, "Stages in the order of the plan"),
        h(
          "thead",
          {},
          h("tr", {}, ["Stage", "Kind", "State", "Progress", "Took"].map((title) =>
            h("th", { scope: "col" }, title),
          )),
        ),
        this.body,
      ),
      h("div", { class: "actions" }, this.more, this.note),
    );
  }

  /** Draws everything anew. `total` is the number of stages of the run. */
  draw(stages, total) {
    Object.assign(this, { stages, total });
    this.rows.clear();
    replace(this.filters, this.select("Kind", "kind", kindWord), this.select("State", "state"));
    this.fill();
  }

  select(label, name, word = (value) => value) {
    const values = [...new Set([...this.stages.values()].map((stage) => stage[name]))];
    const id = `stages-${name}`;
    const set = (event) => this.filter({ [name]: event.target.value });
    return h(
      "div",
      {},
      h("label", { for: id }, label),
      h(
        "select",
        { id, value: this.asked[name], onchange: set },
        h("option", { value: "" }, "Any"),
        values.map((value) => h("option", { value }, word(value))),
      ),
    );
  }

  /** Shows only stages of a kind, or in a state. */
  filter(asked) {
    Object.assign(this.asked, asked);
    for (const [name, value] of Object.entries(this.asked)) {
      this.filters.querySelector(`#stages-${name}`).value = value;
    }
    this.most = PORTION;
    this.fill();
  }

  showMore() {
    const before = this.body.rows.length;
    this.most += PORTION;
    this.fill();
    this.body.rows[before]?.querySelector("button").focus();
  }

  fill() {
    const { kind, state } = this.asked;
    const fits = [...this.stages.values()].filter(
      (stage) => (!kind || stage.kind === kind) && (!state || stage.state === state),
    );
    const shown = fits.slice(0, this.most);
    this.body.replaceChildren(...shown.map((stage) => this.row(stage)));
    this.more.hidden = fits.length === shown.length;
    const held = this.stages.size < this.total ? `; the first ${this.stages.size} of ${this.total} are looked at` : "";
    this.note.textContent = `${shown.length} of ${fits.length} stages shown${held}`;
  }

  row(stage) {
    const known = this.rows.get(stage.key);
    if (known) return known.node;
    const cells = ["State", "Progress", "Took"].map((label) => h("td", { dataset: { label } }));
    const node = h(
      "tr",
      {},
      h(
        "th",
        { scope: "row" },
        h(
          "button",
          { type: "button", class: "link", onclick: () => this.onChoose(stage.key) },
          stage.label.title,
        ),
      ),
      h("td", { dataset: { label: "Kind" } }, kindWord(stage.kind)),
      cells,
    );
    const row = { node, cells };
    this.rows.set(stage.key, row);
    fillCells(row, stage);
    return node;
  }

  /** Shows how far these stages are now. */
  update(keys) {
    for (const key of keys) {
      const row = this.rows.get(key);
      if (row) fillCells(row, this.stages.get(key));
    }
  }
}

function fillCells({ cells: [state, progress, took] }, stage) {
  if (state.dataset.said !== stage.state) replace(state, stateBadge(stage.state));
  state.dataset.said = stage.state;
  replace(progress, stageProgress(stage));
  const { started_at: from, finished_at: until } = stage;
  took.textContent = from && until ? fmtDuration(Math.max(0, until - from)) : "–";
}

/**
 * A running stage's bar with the time that it still needs.
 *
 * @param {Object} stage
 * @returns {HTMLElement|string}
 */
export function stageProgress(stage) {
  if (stage.state !== "running") return stage.attempt > 1 ? `attempt ${stage.attempt}` : "–";
  if (!stage.progress) return "begins";
  const { done, total, unit, eta_seconds: left } = stage.progress;
  const part = Math.min(1, done / total);
  return h(
    "div",
    { class: "meter" },
    h("progress", { max: 1, value: part, "aria-label": stage.label.title }),
    h(
      "span",
      { class: "small soft nowrap" },
      `${Math.round(100 * part)} %, ${Math.round(done)} of ${Math.round(total)} ${unit.endsWith("s") ? unit : `${unit}s`}`,
      left ? `, ${fmtDuration(Math.ceil(left))} left` : "",
    ),
  );
}
