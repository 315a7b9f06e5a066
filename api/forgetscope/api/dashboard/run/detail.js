/** One stage: how it goes, its attempts with the end of their logs, parameters, files. */

import { get } from "../api.js";
import { busy, fmtBytes, fmtDuration, fmtTime, h, problemBox, replace, stateBadge } from "../dom.js";
import { stageProgress } from "./stages.js";
import { kindWord } from "./words.js";

const REFRESH_SECONDS = 1;

/** The panel of the chosen stage. */
export class Detail {
  /**
   * @param {Object} run of live.js
   * @param {function(?string): void} onChoose gets the key of a stage to go to, or null to close
   */
  constructor(run, onChoose) {
    Object.assign(this, { run, onChoose, key: null });
    this.node = h("section", { class: "card", hidden: true, "aria-label": "Stage" });
    run.signal.addEventListener("abort", () => clearTimeout(this.timer));
  }

  /** Shows a stage and moves the focus to its heading. */
  async open(key) {
    this.key = key;
    this.node.hidden = false;
    replace(this.node, busy("Loading the stage"));
    await this.load();
    this.node.scrollIntoView({ block: "nearest" });
    this.node.querySelector("h2")?.focus({ preventScroll: true });
  }

  close() {
    this.key = null;
    this.node.hidden = true;
  }

  async load() {
    const key = this.key;
    try {
      const stage = await get(`${this.run.path}/stages/${key}`, {}, { signal: this.run.signal });
      if (this.key === key) this.draw(stage);
    } catch (error) {
      if (!this.run.signal.aborted && this.key === key) replace(this.node, problemBox(error));
    }
  }

  /** Shows how far the stage is now, if it is one of these. */
  update(keys) {
    if (!this.key || !keys.includes(this.key) || !this.head) return;
    const stage = this.run.stages.get(this.key);
    replace(this.state, stateBadge(stage.state));
    replace(this.progress, stage.state === "running" && stageProgress(stage));
    if (stamp(stage) === this.drawn) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.key && this.load(), REFRESH_SECONDS * 1000);
  }

  draw(stage) {
    this.drawn = stamp(stage);
    // What a reader has opened stays open.
    const open = new Set([...this.node.querySelectorAll("details[open]")].map((d) => d.dataset.part));
    const focused = this.node.contains(document.activeElement) && document.activeElement.tagName === "H2";
    this.state = h("span", {}, stateBadge(stage.state));
    this.progress = h("div", {}, stage.state === "running" && stageProgress(stage));
    this.head = h("h2", { tabindex: -1 }, stage.label.title);
    const close = h(
      "button",
      { type: "button", class: "button small", onclick: () => this.onChoose(null) },
      "Close",
    );
    replace(
      this.node,
      h("div", { class: "title-row" }, this.head, this.state, h("div", { class: "end" }, close)),
      this.progress,
      stage.failure && failureBox(stage.failure),
      facts(stage),
      this.inputs(stage),
      attemptList(stage.attempts),
      files(stage, this.run.path),
      folded("params", "Parameters", h("pre", { tabindex: 0, "aria-label": "Parameters" }, JSON.stringify(stage.params, null, 2))),
    );
    for (const part of this.node.querySelectorAll("details")) {
      if (open.has(part.dataset.part)) part.open = true;
    }
    if (focused) this.head.focus({ preventScroll: true });
  }

  inputs(stage) {
    const keys = [...new Set(Object.values(stage.inputs))].filter((key) => this.run.stages.has(key));
    if (keys.length === 0) return null;
    const link = (key) =>
      h(
        "li",
        {},
        h(
          "button",
          { type: "button", class: "link", onclick: () => this.onChoose(key) },
          this.run.stages.get(key).label.title,
        ),
      );
    return folded("inputs", `Needs ${keys.length} ${keys.length === 1 ? "stage" : "stages"}`, h("ul", {}, keys.map(link)));
  }
}

/** Differs when there is something new to read: a quick retry can end as the first try did. */
function stamp(stage) {
  return [stage.state, stage.attempt, stage.finished_at].join(" ");
}

/**
 * A failure with its hint.
 *
 * @param {{code: string, detail: string, where: ?string, hint: ?string, permanent: boolean}} failure
 * @returns {HTMLElement}
 */
export function failureBox(failure) {
  return h(
    "div",
    { class: "problem" },
    h("p", { class: "problem-title" }, failure.code.replaceAll("-", " ")),
    h("p", {}, failure.detail),
    failure.where && h("p", {}, "At ", h("code", {}, failure.where)),
    failure.hint && h("p", { class: "hint" }, failure.hint),
  );
}

function facts(stage) {
  const rows = [
    ["Kind", kindWord(stage.kind)],
    ["Queue", stage.queue],
    ["Started", fmtTime(stage.started_at)],
    ["Ended", fmtTime(stage.finished_at)],
    ["Key", h("code", {}, stage.key)],
  ];
  return h("dl", { class: "facts small" }, rows.map(([name, said]) => [h("dt", {}, name), h("dd", {}, said)]));
}

function folded(part, title, ...content) {
  return h("details", { dataset: { part } }, h("summary", {}, title), content);
}

function attemptList(attempts) {
  if (attempts.length === 0) return null;
  return [
    h("h3", {}, attempts.length === 1 ? "One attempt" : `${attempts.length} attempts`),
    attempts.map((attempt) =>
      h(
        "div",
        { class: "attempt" },
        h(
          "p",
          {},
          stateBadge(attempt.outcome), " ",
          `attempt ${attempt.attempt} on ${attempt.worker}`,
          attempt.finished_at && `, ${fmtDuration(attempt.finished_at - attempt.started_at)}`,
        ),
        attempt.failure && h("p", {}, attempt.failure.detail),
        attempt.log_tail &&
          folded(
            `log-${attempt.attempt}`,
            "End of the log",
            h("pre", { tabindex: 0, "aria-label": `Log of attempt ${attempt.attempt}` }, attempt.log_tail),
          ),
      ),
    ),
  ];
}

function files(stage, root) {
  const entries = Object.entries(stage.manifest?.files ?? {});
  if (entries.length === 0) return null;
  return folded(
    "files",
    `${entries.length} ${entries.length === 1 ? "file" : "files"}`,
    h("ul", { class: "files" }, entries.map(([path, blob]) =>
      h(
        "li",
        {},
        h("a", { href: fileAddress(root, stage.key, path), download: true }, path),
        " ", h("span", { class: "soft small nowrap" }, fmtBytes(blob.size)),
      ),
    )),
  );
}

/**
 * Where a file of a stage is found.
 *
 * @param {string} root path of the run
 * @param {string} key of the stage
 * @param {string} path of the file within the stage
 * @returns {string}
 */
export function fileAddress(root, key, path) {
  return `${root}/artifacts/${key}/${path.split("/").map(encodeURIComponent).join("/")}`;
}
