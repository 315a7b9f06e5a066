/** One experiment or audit: how it stands, its stages live, and what it found. */

import { del, post } from "../api.js";
import { announce, busy, fmtDuration, fmtTime, h, problemBox, replace, stateBadge } from "../dom.js";
import { auditOutcome } from "../run/audit.js";
import { ask } from "../run/ask.js";
import { Detail, failureBox } from "../run/detail.js";
import { experimentOutcome } from "../run/experiment.js";
import { Graph } from "../run/graph.js";
import { Run } from "../run/live.js";
import { StageTable } from "../run/stages.js";
import { KINDS } from "../runs/list.js";

/**
 * Shows a run.
 *
 * @param {HTMLElement} main
 * @param {{kind: "experiment"|"audit", id: string, stage?: string}} params
 * @param {AbortSignal} signal
 */
export async function show(main, params, signal) {
  const run = new Run(params.kind, params.id, signal);
  await run.open();
  const page = new RunPage(main, run);
  page.draw();
  if (params.stage && run.stages.has(params.stage)) page.choose(params.stage);
}

class RunPage {
  constructor(main, run) {
    Object.assign(this, { main, run });
    this.head = h("div");
    this.connection = h("div");
    this.said = h("div");
    this.outcome = h("div");
    this.detail = new Detail(run, (key) => this.choose(key));
    this.graph = new Graph((node) => this.chooseNode(node));
    this.table = new StageTable((key) => this.choose(key));
    this.tableFold = h("details", {}, h("summary", {}, "Stages as a table"), this.table.node);
    run.onChange = (keys) => this.update(keys);
    run.onConnection = (state) => this.connected(state);
    run.onGone = (error) => replace(this.connection, problemBox(error));
    const timer = setInterval(() => this.tick(), 1000);
    run.signal.addEventListener("abort", () => clearInterval(timer));
  }

  draw() {
    this.title = h("h1", {}, this.run.view.name);
    this.badge = h("span");
    this.buttons = h("div", { class: "end actions flush" });
    this.bar = h("progress", { "aria-label": "Stages that have succeeded" });
    this.count = h("span", { class: "nowrap" });
    this.left = h("span", { class: "soft", dataset: { part: "eta" } });
    replace(
      this.head,
      h("p", { class: "small crumbs" }, h("a", { href: `#/?kind=${this.run.kind}` }, KINDS[this.run.kind]), " / ", h("code", {}, this.run.view.id)),
      h("div", { class: "title-row" }, this.title, this.badge, this.buttons),
      h("div", { class: "run-progress" }, this.bar, this.count, this.left),
    );
    replace(
      this.main,
      this.head, this.connection, this.said, this.outcome,
      h("section", { class: "card", "aria-labelledby": "stages-title" }, h("h2", { id: "stages-title" }, "Stages"), this.graph.node),
      this.detail.node,
      h("div", { class: "card" }, this.tableFold),
      this.about(),
    );
    this.graph.draw(this.run.stages);
    this.table.draw(this.run.stages, this.run.total);
    this.update([]);
  }

  about() {
    const { view } = this.run;
    const rows = [
      ["Submitted", fmtTime(view.created_at)],
      ["Engine", view.engine_reason || view.engine],
      view.notes.length > 0 && ["Notes", h("ul", {}, view.notes.map((note) => h("li", {}, note)))],
    ].filter(Boolean);
    return h(
      "section",
      { class: "card", "aria-labelledby": "about-title" },
      h("h2", { id: "about-title" }, `About this ${this.run.kind}`),
      h("dl", { class: "facts" }, rows.map(([name, said]) => [h("dt", {}, name), h("dd", {}, said)])),
      h("details", {}, h("summary", {}, "Specification"), h("pre", { tabindex: 0, "aria-label": "Specification" }, JSON.stringify(view.spec, null, 2))),
    );
  }

  update(keys) {
    const { view } = this.run;
    if (view.state !== this.state) this.entered(view.state);
    const done = view.stages.succeeded ?? 0;
    Object.assign(this.bar, { max: this.run.total || 1, value: done });
    this.count.textContent = `${done} of ${this.run.total} stages`;
    this.tick();
    this.graph.update(keys, this.run.stages);
    this.table.update(keys);
    this.detail.update(keys);
    this.trouble();
  }

  /** The run has come into another state. */
  entered(state) {
    const first = this.state === undefined;
    this.state = state;
    replace(this.badge, stateBadge(state));
    replace(this.buttons, this.actions());
    if (!first) announce(`${this.run.kind} ${this.run.view.name}: ${state}`);
    if (this.run.over) replace(this.connection);
    if (state === "succeeded") this.showOutcome();
    else replace(this.outcome);
  }

  async showOutcome() {
    replace(this.outcome, busy("Loading the results"));
    try {
      const shown = this.run.kind === "audit" ? auditOutcome : experimentOutcome;
      replace(this.outcome, await shown(this.run));
    } catch (error) {
      if (this.run.signal.aborted) return;
      if (!error.problem) console.error(error);
      replace(this.outcome, problemBox(error));
    }
  }

  trouble() {
    const { view, breaches } = this.run;
    const drawn = JSON.stringify([view.failures, breaches.length]);
    if (drawn === this.troubleDrawn) return;
    this.troubleDrawn = drawn;
    const link = (key) =>
      h("p", {}, h("button", { type: "button", class: "link", onclick: () => this.choose(key) }, this.run.stages.get(key)?.label.title ?? key));
    replace(
      this.said,
      Object.entries(view.failures).map(([key, failure]) => {
        const box = failureBox(failure);
        box.append(link(key));
        return box;
      }),
      breaches.map(({ stage, group, action }) =>
        h("p", { class: "note warn" }, `The monitor of “${stage?.label.title ?? "a stage"}” called the group ${group}: ${action}.`),
      ),
    );
  }

  tick() {
    const { view, viewedAt, over } = this.run;
    if (over) {
      const took = view.finished_at && fmtDuration(Math.round(view.finished_at - view.created_at));
      this.left.textContent = took ? `took ${took}` : "";
    } else if (view.eta_seconds === null) this.left.textContent = `Time left: ${view.eta_basis}`;
    else {
      const left = Math.max(1, view.eta_seconds - (Date.now() - viewedAt) / 1000);
      this.left.textContent = `about ${fmtDuration(Math.ceil(left))} left (${view.eta_basis})`;
    }
  }

  connected(state) {
    if (state === "connected") {
      if (this.connection.childElementCount) announce("Connected again");
      replace(this.connection);
    } else if (!this.connection.childElementCount) {
      replace(
        this.connection,
        h("p", { class: "note warn", role: "alert" }, stateBadge("reconnecting"), " The gateway does not answer. The run goes on without this page; it is taken up again by itself."),
      );
    }
  }

  chooseNode(node) {
    if (node.keys.length === 1) return this.choose(node.keys[0]);
    this.tableFold.open = true;
    this.table.filter({ kind: node.kind, state: "" });
    this.tableFold.scrollIntoView({ block: "start" });
  }

  choose(key) {
    const address = `#/${this.run.kind}s/${this.run.view.id}`;
    history.replaceState(null, "", key ? `${address}?stage=${key}` : address);
    this.graph.mark(key);
    if (key) return this.detail.open(key);
    this.detail.close();
    this.graph.focus();
  }

  actions() {
    const { run } = this;
    const { state } = run.view;
    const button = (word, look, what) =>
      h("button", { type: "button", class: `button ${look}`, onclick: () => this.act(what) }, word);
    if (!run.over) {
      return state === "cancelling" ? [] : [button("Cancel", "danger", "cancel")];
    }
    return [
      state !== "succeeded" && button("Retry", "primary", "retry"),
      button("Delete", "danger", "delete"),
    ];
  }

  async act(what) {
    const { run } = this;
    if (what !== "retry" && !(await ask(QUESTIONS[what](run)))) return;
    try {
      if (what === "delete") {
        run.stop();
        await del(run.path, { signal: run.signal });
        announce(`${run.view.name} is deleted`);
        location.hash = "#/";
        return;
      }
      await post(`${run.path}/${what}`, undefined, { signal: run.signal });
      await run.open();
      this.graph.draw(run.stages);
      this.table.draw(run.stages, run.total);
      this.update([...run.stages.keys()]);
    } catch (error) {
      if (!run.signal.aborted) replace(this.connection, problemBox(error));
    }
  }
}

const QUESTIONS = {
  cancel: (run) => ({
    title: `Cancel this ${run.kind}?`,
    text: "Waiting stages stop at once, running ones within seconds. What has succeeded stays, and it can be retried.",
    yes: `Cancel the ${run.kind}`,
  }),
  delete: (run) => ({
    title: `Delete this ${run.kind}?`,
    text: `“${run.view.name}” goes for good, with its results and every stage that nothing else uses.`,
    yes: `Delete the ${run.kind}`,
  }),
};
