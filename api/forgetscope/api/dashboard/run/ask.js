/** A question before something that cannot be taken back. */

import { h } from "../dom.js";

/**
 * Asks, and waits for the answer. Escape is a no.
 *
 * @param {{title: string, text: string, yes: string}} question
 * @returns {Promise<boolean>}
 */
export function ask({ title, text, yes }) {
  return new Promise((answer) => {
    const dialog = h(
      "dialog",
      { "aria-labelledby": "ask-title", "aria-describedby": "ask-text" },
      h("h2", { id: "ask-title" }, title),
      h("p", { id: "ask-text" }, text),
      h(
        "div",
        { class: "actions" },
        h("button", { type: "button", class: "button", autofocus: true, onclick: () => dialog.close("") }, "Keep it"),
        h("button", { type: "button", class: "button danger", onclick: () => dialog.close("yes") }, yes),
      ),
    );
    dialog.addEventListener("close", () => {
      answer(dialog.returnValue === "yes");
      dialog.remove();
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
