/** What the gateway found wrong with a document: a summary, and each fault beside its field. */

import { h, problemBox, replace } from "../dom.js";

/** Faults on a form; `show` replaces those that were there. */
export class Faults {
  #failed = [];

  /**
   * @param {{form: Object, openForm: function(): void}} page `openForm` makes the form visible
   */
  constructor({ form, openForm }) {
    this.form = form;
    this.openForm = openForm;
    this.node = h("div", { class: "faults" });
  }

  clear() {
    for (const control of this.#failed) control.clear();
    this.#failed = [];
    replace(this.node);
  }

  /**
   * @param {ApiError} error
   * @param {boolean} focusField whether the focus goes to the first field, or to the summary
   */
  show(error, focusField) {
    this.clear();
    const { problem } = error;
    const faults = (problem?.errors ?? []).filter(({ pointer }) => pointer);
    if (faults.length === 0) {
      replace(this.node, problemBox(error));
      this.#reveal(this.node.firstChild);
      return;
    }
    const items = faults.map((fault) => this.#place(fault));
    const box = h(
      "div",
      { class: "problem", role: "alert", tabindex: "-1" },
      h("p", { class: "problem-title" }, titled(faults.length)),
      h("ul", {}, items.map(({ line }) => line)),
      problem.hint && h("p", { class: "hint" }, problem.hint),
    );
    replace(this.node, box);
    if (focusField) items[0].go();
    else this.#reveal(box);
  }

  #place({ pointer, detail }) {
    const control = this.form.control(pointer);
    control.fail(detail);
    this.#failed.push(control);
    const go = () => {
      this.openForm();
      reveal(control.node);
      control.focus();
    };
    const link = h("button", { type: "button", class: "link", onclick: go }, wordsOf(pointer));
    return { go, line: h("li", {}, link, ": ", detail) };
  }

  #reveal(box) {
    box.tabIndex = -1;
    box.focus();
    box.scrollIntoView({ block: "nearest" });
  }
}

function titled(count) {
  return count === 1 ? "One thing has to be put right" : `${count} things have to be put right`;
}

function wordsOf(pointer) {
  return pointer
    .split("/")
    .slice(1)
    .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"))
    .map((part) => (/^\d+$/.test(part) ? String(Number(part) + 1) : part.replaceAll("_", " ")))
    .join(" › ");
}

/** Unfolds everything around a field. */
function reveal(node) {
  for (let part = node.closest("details"); part; part = part.parentElement.closest("details")) {
    part.open = true;
  }
  node.scrollIntoView({ block: "center" });
}
