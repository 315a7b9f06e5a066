/** The control for an object: its fields, those that matter first, the others folded away. */

import { h } from "../dom.js";
import { jsonText } from "./fields.js";
import { frame, section } from "./frame.js";
import { inWords, pruned, shapeOf } from "./schema.js";

const ANY = { type: "object", additionalProperties: {} };

/**
 * An object.
 *
 * @param {Object} schema with `properties`
 * @param {Object} ctx as of `makeForm`
 * @param {{label: string, place: string, usual: *, tag?: ?string, bare?: boolean, named?: boolean}}
 *   options `tag` is a field that is chosen elsewhere; `named`: the object is little more than its
 *   name, so the name's field has the object's label
 */
export function objectControl(schema, ctx, options) {
  const { place, tag, named = false, usual } = options;
  const required = schema.required ?? [];
  const field = (key, property) => {
    if (key === "params" && schema.properties.name) {
      return paramsField(schema, ctx, options, () => fields.get("name")?.get());
    }
    const own = `${schema.title}.${key}`;
    const label = ctx.labels[own]?.[0] ?? inWords(key);
    return ctx.slot(property, {
      label: named && key === "name" ? options.label : label,
      key,
      place: own,
      required: required.includes(key),
      bare: !shownOf(schema, ctx).includes(key),
      ...ctx.choices(schema.title, key, place),
    });
  };
  const properties = Object.entries(schema.properties).filter(
    ([key, property]) => key !== tag && shapeOf(property, ctx.resolve).kind !== "const",
  );
  const fields = new Map();
  for (const [key, property] of properties) {
    fields.set(key, field(key, property));
  }
  const extras = extraFields();
  fields.get("name")?.node.addEventListener("change", () => fields.get("params")?.rebuild?.());

  const get = () => {
    const found = [...fields].map(([key, field]) => [key, field.get()]).concat(extras.get());
    return Object.fromEntries(found.filter(([, value]) => value !== undefined));
  };
  const set = (value) => {
    const given = (value === undefined ? usual : value) ?? {};
    for (const [key, field] of fields) field.set(given[key]);
    const isExtra = ([key, one]) =>
      !fields.has(key) && key !== tag && schema.properties[key]?.const !== one;
    extras.set(Object.entries(given).filter(isExtra));
  };
  const parts = arranged(schema, fields, ctx);
  const help = named ? "" : options.help;
  const group = named ? nameless(parts, fields) : frame({ ...options, help }, parts, extras.node);
  if (usual) set(undefined);
  return {
    ...group,
    get,
    set,
    locate: ([head, ...rest]) =>
      fields.get(head)?.locate(rest) ?? extras.locate(head) ?? (named ? fields.get("name") : group),
  };
}

/** The object is shown as the field of its name, with its parameters below. */
function nameless(parts, fields) {
  const name = fields.get("name");
  const node = h("div", { class: "named" }, parts);
  return {
    node,
    fail: name.fail,
    clear: name.clear,
    focus: name.focus,
    rename: name.rename,
  };
}

function shownOf(schema, ctx) {
  return ctx.essential[schema.title] ?? Object.keys(schema.properties);
}

/** Fields that matter side by side; the rest in sections. */
function arranged(schema, fields, ctx) {
  const shown = shownOf(schema, ctx).filter((key) => fields.has(key));
  const folded = [...fields.keys()].filter((key) => !shown.includes(key) && key !== "params");
  const sections = folded.filter((key) => fields.get(key).wide);
  const small = folded.filter((key) => !sections.includes(key));
  const count = (keys) => keys.filter((key) => differs(schema, key, fields.get(key), ctx)).length;
  const line = (keys) => h("div", { class: "field-row" }, keys.map((key) => fields.get(key).node));
  return [
    line(shown.filter((key) => key !== "params")),
    fields.has("params") && fields.get("params").node,
    small.length > 0 && section("More settings", line(small), () => count(small), ctx),
    sections.map((key) => section(inWords(key), fields.get(key).node, () => count([key]), ctx)),
  ];
}

function differs(schema, key, field, ctx) {
  const alone = { properties: { [key]: schema.properties[key] } };
  return key in (pruned(alone, { [key]: field.get() }, ctx.resolve) ?? {});
}

/** Parameters of whatever `nameOf` names: its own form where its schema is known, else any JSON. */
function paramsField(owner, ctx, { place }, nameOf) {
  let control = null;
  let known = null;
  const count = () => Object.keys(pruned(known ?? ANY, get() ?? {}, inner().resolve) ?? {}).length;
  const body = h("div", {});
  const node = section("Parameters", body, count, ctx);
  const inner = () => (known ? ctx.within(known) : ctx);

  const build = () => {
    known = ctx.params(owner.title, place, nameOf()) ?? null;
    const made = { label: "Parameters", key: "params", place: `${place}.params`, bare: true };
    control = inner().slot(known ?? ANY, { ...made, usual: {} });
    body.replaceChildren(control.node);
    const empty = known && Object.keys(known.properties ?? {}).length === 0;
    node.hidden = !nameOf() || Boolean(empty);
  };
  const get = () => {
    const value = pruned(known ?? ANY, control.get(), inner().resolve);
    return value && Object.keys(value).length ? value : undefined;
  };
  const set = (value) => {
    build();
    control.set(value);
    if (value && Object.keys(value).length) node.hidden = false;
  };
  const rebuild = () => {
    if (known !== (ctx.params(owner.title, place, nameOf()) ?? null) || node.hidden) set(get());
  };
  build();
  return {
    node,
    wide: true,
    get,
    set,
    rebuild,
    locate: (parts) => control.locate(parts),
    clear: () => {},
  };
}

const UNKNOWN = "not a field of the schema; empty it to leave it out";

/** Fields of a document that its schema does not know: kept, shown, and refused by the gateway. */
function extraFields() {
  let all = [];
  const node = h("div", { class: "field-row" });
  const set = (entries) => {
    all = entries.map(([key, value]) => {
      const control = jsonText({ schema: {} }, { label: key, help: UNKNOWN });
      control.set(value);
      return [key, control];
    });
    node.replaceChildren(...all.map(([, control]) => control.node));
  };
  return {
    node,
    set,
    get: () => all.map(([key, control]) => [key, control.get()]),
    locate: (key) => all.find(([one]) => one === key)?.[1],
  };
}
