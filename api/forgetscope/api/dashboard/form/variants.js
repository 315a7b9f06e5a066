/** Controls for values that can be of several kinds, and for those that can be absent. */

import { h } from "../dom.js";
import { frame } from "./frame.js";
import { single } from "./fields.js";
import { inWords, shapeOf, tagOf, variantOf } from "./schema.js";

/**
 * A choice between kinds of values, and the control of the chosen one.
 *
 * @param {Object} shape of kind variants
 * @param {Object} ctx as of `makeForm`
 * @param {{label: string, key: string, usual: *, place: string, bare?: boolean}} options
 */
export function variantsControl(shape, ctx, options) {
  const { usual, place } = options;
  const { variants } = shape;
  const words = ctx.words[place] ?? variants.map((variant) => nameOf(shape, variant, ctx));
  const names = words.map((word, value) => ({ value, label: word }));
  const none = usual === undefined || usual === null;
  const start = none ? (ctx.first[place] ?? -1) : variantOf(shape, usual, ctx.resolve);
  const picker = single(
    { kind: "enum", schema: {} },
    {
      label: shape.tag ? inWords(shape.tag) : "Kind",
      names,
      usual: start < 0 ? undefined : start,
      empty: "choose",
    },
  );
  const body = h("div", {});
  const made = new Map(); // what was filled in stays while another kind is looked at
  const current = () => made.get(picker.get()) ?? null;

  const show = () => {
    const n = picker.get();
    const variant = n === undefined ? null : ctx.resolve(shape.variants[n]);
    if (variant && !made.has(n)) made.set(n, inner(variant, n));
    body.replaceChildren(...(variant ? [current().node] : []));
  };
  const inner = (variant, n) =>
    ctx.slot(variant, {
      label: names[n].label,
      key: options.key,
      place,
      bare: true,
      tag: shape.tag,
      required: true,
      usual: n === start ? usual : undefined,
    });
  picker.node.addEventListener("change", show);

  const set = (value) => {
    const given = value === undefined ? usual : value;
    const absent = given === undefined || given === null;
    const found = absent ? start : variantOf(shape, given, ctx.resolve);
    made.clear();
    picker.set(found < 0 ? undefined : found);
    show();
    current()?.set(given);
  };
  const get = () => {
    const control = current();
    if (!control) return undefined;
    if (!shape.tag) return control.get();
    return { [shape.tag]: tagOf(shape, shape.variants[picker.get()]), ...control.get() };
  };
  const group = frame(options, picker.node, body);
  show();
  const locate = (parts) => {
    const control = current();
    if (!control || (shape.tag && parts[0] === shape.tag)) return picker;
    return parts.length ? control.locate(parts) : group;
  };
  return { ...group, get, set, locate };
}

function nameOf(shape, variant, ctx) {
  if (shape.tag) return inWords(tagOf(shape, variant));
  const inner = shapeOf(variant, ctx.resolve);
  if (inner.kind === "const") return String(inner.schema.const);
  if (inner.kind === "enum") return `one of: ${inner.schema.enum.join(", ")}`;
  if (inner.kind === "scalars" || inner.kind === "list") return "a list";
  return inWords(inner.schema.title ?? inner.kind);
}

/**
 * A value that can be absent: a checkbox, and the control below it.
 *
 * @param {Object} control
 * @param {{label: string, usual: *}} options
 */
export function optional(control, { label, usual }) {
  const box = h("input", { type: "checkbox" });
  const body = h("div", { class: "optional" }, control.node);
  const given = usual !== undefined && usual !== null;
  const show = () => {
    body.hidden = !box.checked;
  };
  const turn = (on) => {
    box.checked = on;
    show();
  };
  box.addEventListener("change", show);
  turn(given);
  const title = h("span", {}, label);
  const node = h("div", { class: "wide" }, h("label", { class: "check" }, box, title), body);
  return {
    ...control,
    node,
    wide: true,
    rename: (words) => {
      title.textContent = words;
    },
    get: () => {
      if (box.checked) return control.get() ?? {};
      return given ? null : undefined;
    },
    set: (value) => {
      turn(value === undefined ? given : value !== null);
      control.set(value ?? undefined);
    },
    locate: (parts) => {
      if (parts.length) turn(true);
      return control.locate(parts);
    },
    focus: () => box.focus(),
  };
}
