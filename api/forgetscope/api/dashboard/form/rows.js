/** Controls for lists and for maps: a row for each item, which can be added and removed. */

import { announce, h } from "../dom.js";
import { frame } from "./frame.js";
import { helpOf, inWords, shapeOf, singular } from "./schema.js";

/**
 * A list: one row for each item.
 *
 * @param {Object} shape of kind list
 * @param {Object} ctx as of `makeForm`
 * @param {{label: string, key: string, usual: *, required: boolean, place: string}} options
 */
export function listControl(shape, ctx, options) {
  const { usual, required, place, key } = options;
  const least = required && shape.schema.minItems ? 1 : 0;
  const word = ctx.labels[place]?.[1] ?? inWords(singular(key));
  const rows = rowsOf(word, (row) => {
    const asked = { label: word, key: singular(key), place, bare: true, help: "" };
    row.slot = ctx.slot(shape.items, asked);
  });
  const set = (value) => {
    const items = (value === undefined ? usual : value) ?? Array(least).fill(undefined);
    rows.reset(items.map((item) => ({ value: item })));
  };
  set(undefined);
  const help = options.help || helpOf({ description: shape.items.description });
  const group = frame({ ...options, help }, rows.node);
  const get = () => {
    if (rows.all.length === 0 && usual === undefined && !required) return undefined;
    return rows.all.map(({ slot }) => slot.get() ?? emptyOf(shape.items, ctx));
  };
  return {
    ...group,
    get,
    set,
    locate: ([head, ...rest]) => rows.all[head]?.slot.locate(rest) ?? group,
  };
}

/**
 * A map: one row for each key, with its value.
 *
 * @param {Object} shape of kind map
 * @param {Object} ctx as of `makeForm`
 * @param {{label: string, key: string, usual: *, place: string, hints?: ?string}} options
 */
export function mapControl(shape, ctx, options) {
  const { usual, place, key, hints } = options;
  const word = inWords(singular(key));
  const rows = rowsOf(word, (row) => {
    row.name = h("input", { type: "text", autocomplete: "off", spellcheck: "false", list: hints });
    row.name.setAttribute("aria-label", `Name of ${word.toLowerCase()}`);
    row.name.placeholder = "name";
    row.slot = ctx.slot(shape.values, { label: "Value", key: singular(key), place, bare: true });
  });
  const set = (value) => {
    const items = Object.entries((value === undefined ? usual : value) ?? {});
    rows.reset(items.map(([name, item]) => ({ name, value: item })));
  };
  set(undefined);
  const group = frame(options, rows.node);
  const get = () => {
    if (rows.all.length === 0 && usual === undefined) return undefined;
    return Object.fromEntries(
      rows.all.map(({ name, slot }) => [name.value, slot.get() ?? emptyOf(shape.values, ctx)]),
    );
  };
  const locate = ([head, ...rest]) =>
    rows.all.find(({ name }) => name.value === head)?.slot.locate(rest) ?? group;
  return { ...group, get, set, locate };
}

function emptyOf(schema, ctx) {
  const { kind } = shapeOf(schema, ctx.resolve);
  if (kind === "scalars" || kind === "list" || kind === "choices") return [];
  return ["object", "named", "map", "variants"].includes(kind) ? {} : null;
}

/** The rows of a list or a map. `fill` gives a row its `slot`, and a map's row its `name`. */
function rowsOf(word, fill) {
  const all = [];
  const body = h("div", { class: "rows" });
  const button = h("button", { type: "button", class: "small button" }, `Add ${word.toLowerCase()}`);
  const node = h("div", {}, body, button);

  const add = ({ name = "", value } = {}) => {
    const row = {};
    fill(row);
    if (row.name) row.name.value = name;
    row.slot.set(value);
    row.title = h("span", { class: "row-title" });
    row.drop = h("button", { type: "button", class: "small quiet-button", onclick: drop }, "Remove");
    row.node = h(
      "div",
      { class: row.slot.wide ? "row" : "row inline", role: "group" },
      head(row),
      row.slot.node,
      !row.slot.wide && row.drop,
    );
    function drop() {
      all.splice(all.indexOf(row), 1);
      row.node.remove();
      number();
      announce(`${word} removed`);
      button.focus();
      body.dispatchEvent(new Event("change", { bubbles: true }));
    }
    all.push(row);
    body.append(row.node);
    number();
    return row;
  };

  const head = ({ slot, name, title, drop }) =>
    (slot.wide || name) && h("div", { class: "row-head" }, name ?? title, slot.wide && drop);

  const number = () => {
    all.forEach((row, n) => {
      const words = `${word} ${n + 1}`;
      row.title.textContent = words;
      row.node.setAttribute("aria-label", words);
      row.drop.setAttribute("aria-label", `Remove ${words.toLowerCase()}`);
      if (!row.slot.wide && !row.name) row.slot.rename(words);
    });
  };

  const reset = (items) => {
    all.length = 0;
    body.replaceChildren();
    items.forEach(add);
  };

  button.addEventListener("click", () => {
    const row = add();
    if (row.name) row.name.focus();
    else row.slot.focus();
    body.dispatchEvent(new Event("change", { bubbles: true }));
  });
  return { all, node, add, reset };
}
