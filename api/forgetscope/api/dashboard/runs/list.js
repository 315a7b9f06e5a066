/** The rows of the list: portions, updates in place, what stands there when it is empty. */

import { pages } from "../api.js";
import { announce, h, problemBox, replace } from "../dom.js";
import { Row } from "./row.js";

/** The kinds of runs with their headings. */
export const KINDS = { experiment: "Experiments", audit: "Audits" };

const PORTION = 25;
const LIVE_SECONDS = 2;
const IDLE_SECONDS = 10;

/** The list: rows, paging and updates. */
export class List {
  /** @param {AbortSignal} signal ends the updates */
  constructor(signal) {
    this.signal = signal;
    this.rows = new Map();
    this.body = h("tbody");
    this.status = h("p", { class: "soft small", role: "status" });
    this.trouble = h("div");
    this.more = h(
      "button",
      { type: "button", class: "button", hidden: true, onclick: () => this.showMore() },
      "Show more",
    );
    this.table = h(
      "table",
      { class: "cards runs" },
      h("caption", { class: "unseen" }, "Experiments and audits, newest first"),
      h(
        "thead",
        {},
        h("tr", {}, ["Name", "Kind", "State", "Progress", "Submitted", "Took"].map((title) =>
          h("th", { scope: "col" }, title),
        )),
      ),
      this.body,
    );
    this.empty = h("div");
    this.node = h(
      "div",
      {},
      this.trouble, this.table, this.empty,
      h("div", { class: "actions" }, this.more, this.status),
    );
  }

  /** Takes the first portion for other filters. */
  async restart(asked) {
    this.asked = { ...asked };
    this.wanted = PORTION;
    await this.load();
    announce(this.status.textContent);
  }

  async showMore() {
    this.wanted += PORTION;
    const before = this.rows.size;
    await this.load();
    [...this.body.rows].at(before)?.querySelector("a")?.focus();
    announce(this.status.textContent);
  }

  async load() {
    const asked = this.asked;
    try {
      const { runs, more } = await newest(asked, this.wanted, this.signal);
      if (this.asked !== asked || this.signal.aborted) return; // filters have changed meanwhile
      this.draw(runs, more);
      replace(this.trouble);
    } catch (error) {
      if (this.signal.aborted) return;
      replace(this.trouble, problemBox(error));
    }
  }

  draw(runs, more) {
    const known = this.rows;
    this.rows = new Map(runs.map((run) => [run.id, known.get(run.id) ?? new Row(run)]));
    for (const run of runs) this.rows.get(run.id).update(run);
    const nodes = [...this.rows.values()].map((row) => row.node);
    if (nodes.length !== this.body.rows.length || nodes.some((n, i) => n !== this.body.rows[i])) {
      const focused = this.body.contains(document.activeElement) ? document.activeElement : null;
      this.body.replaceChildren(...nodes);
      focused?.focus({ preventScroll: true });
    }
    const filtered = Object.values(this.asked).some(Boolean);
    this.table.hidden = runs.length === 0;
    replace(this.empty, runs.length === 0 && (filtered ? nothingMatches() : welcome()));
    this.more.hidden = !more;
    this.status.textContent = runs.length === 0 ? "" : `${runs.length}${more ? " newest" : ""} shown`;
  }

  /** Loads again in a rhythm, sooner while something runs, until the view is left. */
  keepCurrent() {
    const tick = async () => {
      if (this.signal.aborted) return;
      if (!document.hidden) await this.load();
      plan();
    };
    const plan = () => {
      const live = [...this.rows.values()].some((row) => !row.over);
      const troubled = this.trouble.childElementCount > 0;
      const seconds = live || troubled ? LIVE_SECONDS : IDLE_SECONDS;
      this.timer = setTimeout(tick, seconds * 1000);
    };
    this.signal.addEventListener("abort", () => clearTimeout(this.timer));
    plan();
  }
}

/** The newest runs over both kinds, and whether there are more. */
async function newest(asked, wanted, signal) {
  const kinds = asked.kind ? [asked.kind] : Object.keys(KINDS);
  const query = { state: asked.state, name: asked.name, limit: Math.min(200, wanted + 1) };
  const heads = await Promise.all(
    kinds.map(async (kind) => {
      const items = pages(`/v1/${kind}s`, query, { signal });
      return { kind, items, next: await items.next() };
    }),
  );
  const runs = [];
  for (;;) {
    const open = heads.filter((head) => !head.next.done);
    if (open.length === 0) return { runs, more: false };
    if (runs.length === wanted) return { runs, more: true };
    const first = open.reduce((a, b) => (b.next.value.created_at > a.next.value.created_at ? b : a));
    runs.push({ kind: first.kind, ...first.next.value });
    first.next = await first.items.next();
  }
}

function nothingMatches() {
  return h("p", { class: "empty" }, "No run matches these filters.");
}

function welcome() {
  return h(
    "div",
    { class: "empty" },
    h("h2", {}, "Nothing has been run here yet"),
    h(
      "p",
      {},
      "An experiment fine-tunes a model along chains of tasks and measures what it forgets, and about whom. An audit compares a fine-tuned model with its reference and trains nothing.",
    ),
    h("p", {}, "To see one at work on made-up tasks, run ", h("code", {}, "forgetscope submit examples/demo.yaml"), ", or begin here:"),
    h(
      "p",
      { class: "actions" },
      h("a", { class: "button primary", href: "#/submit" }, "Submit an experiment"),
      h("a", { class: "button", href: "#/tasks" }, "Look at the tasks"),
    ),
  );
}
