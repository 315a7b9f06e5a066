/** A form made from a JSON Schema, and the document that it stands for. */

import { h } from "../dom.js";
import { jsonText, single } from "./fields.js";
import { listControl, mapControl } from "./rows.js";
import { objectControl } from "./objects.js";
import { optional, variantsControl } from "./variants.js";
import { defaultOf, helpOf, holds, pruned, resolver, shapeOf } from "./schema.js";

/**
 * A form for documents of a schema.
 *
 * @param {Object} schema of an object
 * @param {{document?: Object, essential?: Object<string, string[]>, words?: Object<string, string[]>,
 *   first?: Object<string, number>, labels?: Object<string, string[]>,
 *   choices?: function(string, string, string): Object,
 *   params?: function(string, string, string): ?Object}} options
 *   `document`: where references lead, by default `schema` itself; `essential`: by title of a
 *   schema, its fields that are not folded away; `words` and `first`: by place ("Title.field"), how
 *   kinds of values are called, and which one is offered first; `labels`: by place, what a field and
 *   one of its items are called where not by their key; `choices(title, field, place)`:
 *   `{names}` or `{hints}` of a field; `params(title, place, name)`: schema of the parameters of
 *   what is named
 * @returns {{node: HTMLElement, get: function(): Object, set: function(Object): void,
 *   control: function(string): Object, refresh: function(): void}} `get` is without defaults;
 *   `control` is that at a JSON pointer, or the nearest one
 */
export function makeForm(schema, options = {}) {
  const ctx = context(options.document ?? schema, {
    essential: {},
    words: {},
    first: {},
    labels: {},
    choices: () => ({}),
    params: () => null,
    ...options,
    counted: [],
  });
  const shape = shapeOf(schema, ctx.resolve);
  const root = objectControl(shape.schema, ctx, { label: "", place: "", bare: true });
  const refresh = () => ctx.counted.forEach((count) => count());
  root.node.addEventListener("change", refresh);
  refresh();
  return {
    node: root.node,
    get: () => pruned(schema, root.get(), ctx.resolve),
    set: (value) => {
      root.set(value);
      refresh();
    },
    control: (pointer) => root.locate(partsOf(pointer)),
    refresh,
  };
}

function context(document, options) {
  const ctx = { ...options, resolve: resolver(document) };
  ctx.slot = (schema, asked) => slot(schema, ctx, asked);
  ctx.within = (other) => context(other, options);
  return ctx;
}

/** The parts of a JSON pointer (RFC 6901). */
export function partsOf(pointer) {
  return pointer
    .split("/")
    .slice(1)
    .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
}

/** The control for a schema; any JSON takes its place while the value is of no form it can show. */
function slot(given, ctx, asked) {
  const shape = shapeOf(given, ctx.resolve);
  const usual = asked.usual === undefined ? defaultOf(given, ctx.resolve) : asked.usual;
  const options = { ...asked, usual };
  let control = build(shape, ctx, options);
  let raw = false;

  const swap = (toRaw) => {
    if (raw === toRaw) return;
    const before = control.node;
    control = toRaw
      ? jsonText(shape, { ...options, usual: undefined, help: MISFIT })
      : build(shape, ctx, options);
    before.replaceWith(control.node);
    raw = toRaw;
  };
  return {
    get node() {
      return control.node;
    },
    wide: control.wide ?? false,
    get: () => control.get(),
    set: (value) => {
      swap(!holds(shape, value, ctx.resolve));
      control.set(value);
    },
    locate: (parts) => control.locate(parts),
    rename: (words) => control.rename(words),
    fail: (words) => control.fail(words),
    clear: () => control.clear(),
    focus: () => control.focus(),
  };
}

const MISFIT = "JSON of another form than what belongs here";
const COMPOSED = ["object", "map", "list", "variants"];

function build(shape, ctx, options) {
  const { kind, schema } = shape;
  const described = { help: helpOf({ description: schema.description }), ...options };
  if (!COMPOSED.includes(kind)) {
    return kind === "named" ? namedControl(shape, ctx, options) : single(shape, options);
  }
  const make = (asked) => {
    if (kind === "object") return objectControl(schema, ctx, asked);
    if (kind === "list") return listControl(shape, ctx, asked);
    if (kind === "map") return mapControl(shape, ctx, asked);
    return variantsControl(shape, ctx, asked);
  };
  if (!shape.nullable) return make(described);
  return optional(make({ ...described, bare: true, usual: options.usual ?? undefined }), options);
}

/** A name, or an object with a name: always shown as the object. */
function namedControl(shape, ctx, options) {
  const asObject = (value) => (typeof value === "string" ? { name: value } : value);
  const slim = Object.keys(shape.object.properties).every((key) => key === "name" || key === "params");
  const object = objectControl({ ...shape.object }, ctx, {
    ...options,
    named: slim,
    usual: asObject(options.usual ?? undefined),
  });
  return {
    ...object,
    wide: !slim,
    get: () => {
      const value = object.get();
      return Object.keys(value).length ? value : undefined;
    },
    set: (value) => object.set(asObject(value ?? undefined)),
  };
}
