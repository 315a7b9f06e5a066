/** What stands around a control that holds others: its name, its help, its error. */

import { h } from "../dom.js";
import { freshId } from "./fields.js";

/**
 * A group of controls, without `get` and `set`.
 *
 * @param {{label: string, help?: string, bare?: boolean}} options `bare`: the name stands around it
 *   already, as of a section or a row
 * @param {...Node} children
 */
export function frame({ label, help, bare = false }, ...children) {
  const id = freshId();
  const error = h("p", { class: "error", id: `${id}-error`, hidden: true });
  const helped = help ? h("p", { class: "help", id: `${id}-help` }, help) : null;
  const legend = bare ? null : h("legend", {}, label);
  const node = h(
    bare ? "div" : "fieldset",
    {
      class: "group",
      role: bare && "group",
      "aria-label": (bare && label) || null,
      "aria-describedby": helped && helped.id,
      tabindex: "-1",
    },
    legend,
    helped,
    error,
    children,
  );
  const group = {
    node,
    wide: true,
    locate: () => group,
    rename: (words) => {
      if (legend) legend.textContent = words;
      else node.setAttribute("aria-label", words);
    },
    fail: (words) => {
      error.textContent = [error.textContent, words].filter(Boolean).join(" · ");
      error.hidden = false;
    },
    clear: () => {
      error.textContent = "";
      error.hidden = true;
    },
    focus: () => (node.querySelector("input, select, textarea, button") ?? node).focus(),
  };
  return group;
}

/**
 * A part that is folded away until it is asked for. Its summary tells how many of its settings
 * differ from their defaults.
 *
 * @param {string} label
 * @param {Node} body
 * @param {function(): number} count of settings that differ
 * @param {Object} ctx as of `makeForm`
 * @returns {HTMLElement}
 */
export function section(label, body, count, ctx) {
  const told = h("span", { class: "count" });
  ctx.counted.push(() => {
    const changed = count();
    told.textContent = changed ? `${changed} set` : "";
  });
  return h("details", { class: "section" }, h("summary", {}, label, " ", told), body);
}
