/** A new experiment or audit: a form made from the gateway's own schema, and the same as JSON. */

import { post } from "../api.js";
import { announce, busy, h, replace, stateBadge } from "../dom.js";
import { makeForm } from "../form/form.js";
import { Draft } from "../submit/draft.js";
import { Faults } from "../submit/faults.js";
import { planBox } from "../submit/plan.js";
import { GROUPS, TASK_IDS, setupOf, tasksIn, withRules } from "../submit/setup.js";
import { tabs } from "../submit/tabs.js";

/**
 * Shows the form.
 *
 * @param {HTMLElement} main
 * @param {{kind: "experiment"|"audit", task?: string}} params `task` is added to the draft
 * @param {AbortSignal} signal
 */
export async function show(main, params, signal) {
  const setup = await setupOf(params.kind, signal);
  const page = new SubmitPage(main, params.kind, setup, signal);
  page.draw();
  page.restore();
  if (params.task) page.addTask(params.task);
}

const ABOUT_JSON =
  "Paste a specification here, or take this one along. What equals its default is left out.";

class SubmitPage {
  constructor(main, kind, setup, signal) {
    Object.assign(this, { main, kind, setup, signal });
    this.draft = new Draft(kind);
    this.form = makeForm(setup.schema, setup.options);
    this.faults = new Faults({ form: this.form, openForm: () => this.openForm() });
    this.json = h("textarea", { id: "json", class: "code", rows: "24", spellcheck: "false" });
    this.jsonError = h("p", { class: "error", id: "json-error", hidden: true });
    this.answer = h("div", { class: "answer" });
    this.said = h("p", { class: "small soft" });
    this.lists = [TASK_IDS, GROUPS].map((id) => h("datalist", { id }));
    this.sending = false;
  }

  draw() {
    this.tabs = tabs(
      [
        { label: "Form", panel: h("div", {}, this.form.node) },
        { label: "As JSON", panel: this.jsonPanel() },
      ],
      (n) => this.switchTo(n),
    );
    if (this.kind === "audit") this.form.control("/policy/tasks").node.append(this.rulesButton());
    const form = h(
      "form",
      { class: "submit", novalidate: true, "aria-label": `New ${this.kind}` },
      h("div", {}, this.presets(), this.faults.node, this.tabs.node),
      this.side(),
      this.lists,
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.check();
    });
    form.addEventListener("change", () => this.changed());
    const article = this.kind === "audit" ? "Audit a model" : "Submit an experiment";
    replace(this.main, h("h1", {}, article), kinds(this.kind), form);
  }

  presets() {
    const buttons = this.setup.presets.map(({ name, document }) => {
      const onclick = () => this.fill(document, `Filled in: ${name}.`);
      return h("button", { type: "button", class: "small button", onclick }, name);
    });
    return h("p", { class: "presets" }, h("span", { class: "soft" }, "Start from"), buttons);
  }

  jsonPanel() {
    this.json.setAttribute("aria-describedby", "json-help json-error");
    this.json.addEventListener("input", () => this.jsonFails(""));
    return h(
      "div",
      { class: "card" },
      h("label", { for: "json" }, "The document that is sent"),
      h("p", { class: "help", id: "json-help" }, ABOUT_JSON),
      this.json,
      this.jsonError,
    );
  }

  rulesButton() {
    const onclick = () => {
      this.fill(withRules(this.form.get(), this.setup.tasks), "Each task has a rule now.");
    };
    return h("button", { type: "button", class: "small button", onclick }, "Add a rule for each task");
  }

  side() {
    this.checkButton = h("button", { type: "submit", class: "button" }, "Check (dry run)");
    this.submitButton = h(
      "button",
      { type: "button", class: "button primary", onclick: () => this.submit() },
      "Submit",
    );
    return h(
      "section",
      { class: "card side", "aria-labelledby": "side-title" },
      h("h2", { id: "side-title" }, "Check and submit"),
      h("p", { class: "small soft" }, "A check plans everything and records nothing."),
      h("p", { class: "actions" }, this.checkButton, this.submitButton),
      this.said,
      this.answer,
    );
  }

  // The document: in the form, or in the text while that is shown.

  restore() {
    const { text } = this.draft;
    const document = text === undefined ? this.setup.start : parsed(text).value;
    if (document === undefined) {
      this.tabs.select(1);
      this.json.value = text;
    } else this.form.set(document);
    this.refreshLists();
  }

  /** Puts a document into both; what was there can be brought back. */
  fill(document, words) {
    const before = this.read();
    this.faults.clear();
    this.form.set(document);
    this.json.value = JSON.stringify(this.form.get(), null, 2);
    this.jsonFails("");
    this.changed();
    replace(this.said, words, before && [" ", this.undo(before)]);
    announce(words);
  }

  undo(before) {
    const onclick = () => {
      this.fill(before, "Brought back.");
      this.checkButton.focus();
    };
    return h("button", { type: "button", class: "link", onclick }, "Undo");
  }

  addTask(name) {
    const document = this.form.get();
    if (!tasksIn(document).some((task) => task.name === name)) {
      const written = (document.tasks ?? []).filter((task) => task?.name || typeof task === "string");
      this.fill({ ...document, tasks: [...written, name] }, `The task ${name} was added.`);
    }
    history.replaceState(null, "", this.kind === "audit" ? "#/submit/audit" : "#/submit");
  }

  /** The document, or undefined while the text is no JSON; says so beside it. */
  read() {
    if (this.tabs.selected() === 0) return this.form.get();
    const { value, error } = parsed(this.json.value);
    this.jsonFails(error ?? "");
    return value;
  }

  /** Takes over what the other tab says. Returns whether it could. */
  switchTo(n) {
    if (n === 1) {
      this.json.value = JSON.stringify(this.form.get(), null, 2);
      return true;
    }
    const document = this.read();
    if (document === undefined) {
      this.json.focus();
      return false;
    }
    this.form.set(document);
    return true;
  }

  openForm() {
    if (this.tabs.selected() === 1) this.tabs.select(0);
  }

  jsonFails(words) {
    this.jsonError.textContent = words;
    this.jsonError.hidden = !words;
    if (words) this.json.setAttribute("aria-invalid", "true");
    else this.json.removeAttribute("aria-invalid");
  }

  changed() {
    const inForm = this.tabs.selected() === 0;
    this.draft.save(inForm ? JSON.stringify(this.form.get()) : this.json.value);
    if (this.answer.firstChild) this.answer.classList.add("stale");
    this.refreshLists();
  }

  refreshLists() {
    const used = tasksIn(this.form.get());
    const groups = used.flatMap(({ name }) => this.setup.tasks.get(name)?.groups ?? []);
    const values = [used.map(({ id }) => id), [...new Set(groups)]];
    this.lists.forEach((list, n) => {
      replace(list, values[n].map((value) => h("option", { value })));
    });
  }

  // To the gateway.

  check() {
    return this.send("Checking", async (document) => {
      const plan = await post(`/v1/${this.kind}s?dry_run=true`, document, { signal: this.signal });
      this.answer.classList.remove("stale");
      replace(this.answer, h("p", {}, stateBadge("pass", "It can run")), planBox(plan));
      announce(`It can run: ${plan.to_run} stages.`);
    });
  }

  submit() {
    return this.send("Submitting", async (document) => {
      const idempotencyKey = this.draft.keyOf(document);
      const { id } = await post(`/v1/${this.kind}s`, document, { idempotencyKey });
      this.draft.clear();
      location.hash = `#/${this.kind}s/${id}`;
    });
  }

  /** One request at a time: a second click while one is under way does nothing. */
  async send(words, request) {
    if (this.sending) return;
    const given = this.read();
    if (given === undefined) {
      this.json.focus();
      return;
    }
    if (this.tabs.selected() === 1) this.form.set(given);
    const document = this.form.get(); // one way to write it, so that its key stays the same
    this.draft.save(JSON.stringify(document));
    this.lock(true);
    this.faults.clear();
    replace(this.said);
    replace(this.answer, busy(words));
    try {
      await request(document);
    } catch (error) {
      if (this.signal.aborted) return;
      replace(this.answer);
      this.faults.show(error, this.tabs.selected() === 0);
      if (error.unreachable) replace(this.said, "Press the button again: nothing is run twice.");
    } finally {
      this.lock(false);
    }
  }

  lock(sending) {
    this.sending = sending;
    for (const button of [this.checkButton, this.submitButton]) {
      button.setAttribute("aria-disabled", String(sending));
    }
  }
}

function kinds(kind) {
  const link = (of, href, label) =>
    h("a", { href, "aria-current": of === kind ? "page" : null }, label);
  return h(
    "nav",
    { class: "tabs", "aria-label": "What is submitted" },
    link("experiment", "#/submit", "Experiment"),
    link("audit", "#/submit/audit", "Audit"),
  );
}

function parsed(text) {
  try {
    const value = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return { value };
    return { error: "This is JSON, but not an object with fields." };
  } catch (error) {
    return { error: `This is not JSON yet: ${error.message}` };
  }
}
