/** One run in the list. */

import { fmtDuration, fmtTime, h, replace, stateBadge, timeAgo } from "../dom.js";

/** One run; updates keep its link, and with it the focus. */
export class Row {
  /** @param {Object} run an ExperimentSummary with its `kind` */
  constructor(run) {
    const address = `#/${run.kind}s/${run.id}`;
    this.cells = Object.fromEntries(
      ["Kind", "State", "Progress", "Submitted", "Took"].map((label) => [
        label,
        h("td", { dataset: { label } }),
      ]),
    );
    this.node = h(
      "tr",
      {},
      h("th", { scope: "row" }, h("a", { href: address }, run.name)),
      Object.values(this.cells),
    );
    this.cells.Kind.textContent = run.kind;
  }

  /** @param {Object} run as it is now */
  update(run) {
    const counts = run.stages;
    const total = Object.values(counts).reduce((sum, n) => sum + n, 0);
    const done = counts.succeeded ?? 0;
    this.over = run.finished_at !== null;
    const words = `${done} of ${total} stages`;
    const drawn = JSON.stringify([run.state, counts]);
    if (drawn !== this.drawn) {
      replace(this.cells.State, stateBadge(run.state));
      replace(
        this.cells.Progress,
        h(
          "div",
          { class: "meter" },
          !this.over && h("progress", { max: total || 1, value: done, "aria-label": words }),
          h("span", { class: "small soft nowrap" }, words),
        ),
      );
      this.drawn = drawn;
    }
    replace(this.cells.Submitted, timeAgo(run.created_at));
    const until = run.finished_at ?? Date.now() / 1000;
    replace(
      this.cells.Took,
      h(
        "span",
        { title: run.finished_at === null ? "so far" : `ended ${fmtTime(run.finished_at)}` },
        fmtDuration(Math.round(Math.max(0, until - run.created_at))),
      ),
    );
  }
}
