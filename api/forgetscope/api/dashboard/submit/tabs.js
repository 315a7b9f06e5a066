/** Tabs as the ARIA practices have them: arrows move between them, each shows its panel. */

import { h } from "../dom.js";

/**
 * A row of tabs with their panels.
 *
 * @param {{label: string, panel: HTMLElement}[]} parts
 * @param {function(number): boolean} onLeave is asked before the tab with this number is shown;
 *   false keeps what is shown
 * @returns {{node: HTMLElement, select: function(number): void, selected: function(): number}}
 */
export function tabs(parts, onLeave) {
  let shown = 0;
  const buttons = parts.map(({ label, panel }, n) => {
    const id = `tab-${n}`;
    Object.assign(panel, { id: `${id}-panel` });
    panel.setAttribute("role", "tabpanel");
    panel.setAttribute("aria-labelledby", id);
    const attributes = { type: "button", role: "tab", id, "aria-controls": panel.id };
    return h("button", { ...attributes, onclick: () => select(n), onkeydown: moved }, label);
  });

  const paint = () => {
    parts.forEach(({ panel }, n) => {
      panel.hidden = n !== shown;
      buttons[n].setAttribute("aria-selected", String(n === shown));
      buttons[n].tabIndex = n === shown ? 0 : -1;
    });
  };

  const select = (n) => {
    if (n === shown || onLeave(n) === false) return;
    shown = n;
    paint();
  };

  function moved(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    select((shown + step + parts.length) % parts.length);
    buttons[shown].focus();
  }

  paint();
  const row = h("div", { class: "tabs", role: "tablist", "aria-label": "Ways to fill it in" }, buttons);
  return { node: h("div", {}, row, parts.map(({ panel }) => panel)), select, selected: () => shown };
}
