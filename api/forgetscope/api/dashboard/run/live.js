/** One run as the page holds it: read once, then kept current by its events. */

import { events, get, pages } from "../api.js";

/** More stages are not drawn: the table says so, and the API has them all. */
export const MOST_STAGES = 2000;

const REFRESH_SECONDS = 2;
const OVER = ["succeeded", "failed", "cancelled"];
const OWN_EVENTS = ["submitted", "running", "succeeded", "failed", "cancelling", "cancelled", "retried"];
const STAGE_EVENTS = ["ready", "running", "progress", "breach", "succeeded", "retrying", "failed", "skipped", "cancelled"];

/** A run with its stages. Calls `onChange(keys)` with the keys of the stages that have moved. */
export class Run {
  /**
   * @param {"experiment"|"audit"} kind
   * @param {string} id
   * @param {AbortSignal} signal ends everything
   */
  constructor(kind, id, signal) {
    Object.assign(this, { kind, signal, path: `/v1/${kind}s/${encodeURIComponent(id)}` });
    this.stages = new Map();
    this.breaches = [];
    this.changed = new Set();
    this.onChange = () => {};
    this.onConnection = () => {};
    signal.addEventListener("abort", () => this.stop());
  }

  get over() {
    return OVER.includes(this.view.state);
  }

  /** How many stages there are, whether held here or not. */
  get total() {
    return Object.values(this.view.stages).reduce((sum, n) => sum + n, 0);
  }

  /** Reads everything, and follows what comes after, if anything can. */
  async open() {
    this.stop();
    this.view = await get(this.path, {}, { signal: this.signal });
    this.viewedAt = Date.now();
    const from = this.view.last_event;
    this.stages.clear();
    const options = { signal: this.signal };
    for await (const stage of pages(`${this.path}/stages`, { limit: 200 }, options)) {
      this.stages.set(stage.key, stage);
      if (this.stages.size === MOST_STAGES) break;
    }
    if (!this.over) this.follow(from);
  }

  follow(after) {
    this.close = events(`${this.path}/events`, {
      after,
      types: [
        ...[...new Set([this.kind, "experiment"])].flatMap((kind) => OWN_EVENTS.map((e) => `${kind}.${e}`)),
        ...STAGE_EVENTS.map((e) => `stage.${e}`),
      ],
      onEvent: (event) => this.take(event),
      onState: (state) => {
        this.onConnection(state);
        // A run that was deleted meanwhile never answers again: its page has to say so.
        if (state === "reconnecting") this.refreshSoon();
      },
    });
  }

  stop() {
    this.close?.();
    this.close = null;
    clearTimeout(this.timer);
    this.timer = null;
  }

  take(event) {
    const [subject, what] = event.type.split(".");
    const stage = this.stages.get(event.stage);
    if (subject === "stage" && stage) {
      this.stages.set(stage.key, moved(stage, what, event));
      this.tell(stage.key);
    }
    if (what === "breach") this.breaches.push({ stage, ...event.data });
    if (subject !== "stage") {
      this.view = { ...this.view, state: STATE_AFTER[what] ?? what };
      if (OVER.includes(what)) this.stop();
      this.tell();
    }
    if (what !== "progress" || !this.timer) this.refreshSoon();
  }

  /** Says, at most once for each frame, what has moved. */
  tell(key) {
    if (key) this.changed.add(key);
    if (this.telling) return;
    this.telling = true;
    requestAnimationFrame(() => {
      this.telling = false;
      const keys = [...this.changed];
      this.changed.clear();
      if (!this.signal.aborted) this.onChange(keys);
    });
  }

  /** Reads the run itself again: counts, time left, failures. */
  refreshSoon() {
    if (this.timer) return;
    this.timer = setTimeout(() => this.refresh(), this.over ? 0 : REFRESH_SECONDS * 1000);
  }

  async refresh() {
    this.timer = null;
    try {
      const view = await get(this.path, {}, { signal: this.signal });
      if (OVER.includes(view.state) && this.close) {
        // Over before the events have said so, as after a break: they would not be waited for.
        await this.open();
        for (const key of this.stages.keys()) this.tell(key);
        return;
      }
      this.view = view;
      this.viewedAt = Date.now();
      if (!this.over && !this.close) this.follow(view.last_event);
      this.tell();
    } catch (error) {
      if (this.signal.aborted) return;
      if (error.problem?.status === 404) {
        this.stop();
        this.onGone(error);
      } else this.refreshSoon();
    }
  }
}

const STATE_AFTER = { submitted: "queued", retried: "queued" };

function moved(stage, what, event) {
  const { at, data } = event;
  switch (what) {
    case "progress":
      return { ...stage, state: "running", progress: data };
    case "breach":
      return stage;
    case "running":
      return { ...stage, state: "running", attempt: data.attempt, started_at: at, progress: null, failure: null };
    case "retrying":
      return { ...stage, state: "ready" };
    case "ready":
      return { ...stage, state: "ready" };
    default:
      return { ...stage, state: what, finished_at: at, failure: data.failure ?? null };
  }
}
