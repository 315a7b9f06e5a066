/** What a JSON Schema says about a value: its shape, its default, and its name in words. Pure. */

const OBJECT = "object";
// Where a union's default is an object: generators of clients cannot read that from `default`.
const DEFAULT = "x-default";

/**
 * A function that follows references within `document` and keeps what stands beside them. The
 * title of what it finds is the name that it was found under, without "-Input".
 *
 * @param {Object} document an OpenAPI document, or a schema with `$defs`
 * @returns {function(Object): Object}
 */
export function resolver(document) {
  return function resolve(schema) {
    if (schema === true) return {};
    if (!schema.$ref) return schema;
    const { $ref, ...own } = schema;
    const parts = $ref.split("/").slice(1);
    const target = parts.reduce((node, part) => node[decodeURIComponent(part)], document);
    const title = parts.at(-1).replace(/-Input$/, "");
    return resolve({ ...target, title, ...own });
  };
}

/**
 * Which control a schema asks for.
 *
 * @param {Object} given
 * @param {function(Object): Object} resolve
 * @returns {{kind: string, schema: Object, nullable: boolean, variants?: Object[], items?: Object,
 *   values?: Object}} `kind` is one of text, number, boolean, enum, const, json, scalars (an array
 *   in one line), choices (of an enum), list, map, object, named (a name, or an object with one)
 *   and variants; `values` is the schema of a map's values
 */
export function shapeOf(given, resolve) {
  let schema = resolve(given);
  const alternatives = (schema.anyOf ?? schema.oneOf ?? []).map(resolve);
  const variants = alternatives.filter((variant) => variant.type !== "null");
  const nullable = variants.length < alternatives.length;
  if (variants.length === 1) {
    const { anyOf, oneOf, ...own } = schema;
    schema = { ...variants[0], ...own };
  } else if (variants.length > 1) return { ...together(schema, variants, resolve), nullable };
  return { ...single(schema, resolve), nullable };
}

function together(schema, variants, resolve) {
  const [text, object] = variants;
  const named =
    variants.length === 2 && text.type === "string" && !text.enum && object.properties?.name;
  if (named) return { kind: "named", schema: { ...object, ...schema }, object };
  const kinds = variants.map((variant) => shapeOf(variant, resolve).kind);
  if (kinds.every((kind) => kind === "number")) return { kind: "number", schema };
  return { kind: "variants", schema, variants, tag: schema.discriminator?.propertyName ?? null };
}

function single(schema, resolve) {
  if ("const" in schema) return { kind: "const", schema };
  if (schema.enum) return { kind: "enum", schema };
  if (schema.type === "boolean") return { kind: "boolean", schema };
  if (schema.type === "number" || schema.type === "integer") return { kind: "number", schema };
  if (schema.type === "string") return { kind: "text", schema };
  if (schema.type === "array" && schema.items) return array(schema, resolve);
  if (schema.properties) return { kind: OBJECT, schema };
  if (schema.type === OBJECT) {
    const values = Object.values(schema.patternProperties ?? {})[0] ?? schema.additionalProperties;
    if (values !== false) return { kind: "map", schema, values: values ?? {} };
    return { kind: OBJECT, schema: { ...schema, properties: {} } };
  }
  return { kind: "json", schema };
}

function array(schema, resolve) {
  const items = resolve(schema.items);
  const inner = shapeOf(items, resolve);
  if (inner.kind === "enum") return { kind: "choices", schema, items: inner.schema };
  const inLine = ["text", "number", "json"].includes(inner.kind);
  return { kind: inLine ? "scalars" : "list", schema, items };
}

/** Whether a value has the JSON type that a control of this shape can show. */
export function holds(shape, value, resolve) {
  if (value === undefined || value === null) return true;
  switch (shape.kind) {
    case OBJECT:
    case "map":
      return isObject(value);
    case "named":
      return isObject(value) || typeof value === "string";
    case "scalars":
    case "list":
      return Array.isArray(value);
    case "choices":
      return Array.isArray(value) && value.every((one) => shape.items.enum.includes(one));
    case "boolean":
      return typeof value === "boolean";
    case "variants":
      return variantOf(shape, value, resolve) !== -1;
    default:
      return true;
  }
}

/** Which variant of a shape a value is of; -1 where it is of none. */
export function variantOf(shape, value, resolve) {
  return shape.variants.findIndex((variant) => {
    if (shape.tag) return isObject(value) && value[shape.tag] === tagOf(shape, variant);
    const inner = shapeOf(variant, resolve);
    if (inner.kind === "const") return value === inner.schema.const;
    if (inner.kind === "enum") return inner.schema.enum.includes(value);
    if (inner.kind === "number") return typeof value === "number";
    if (inner.kind === "text") return typeof value === "string";
    return holds(inner, value, resolve);
  });
}

/** The value of the discriminator that stands for a variant. */
export function tagOf(shape, variant) {
  return variant.properties[shape.tag].const;
}

/**
 * A value without what its schema would fill in by itself. Two documents that are equal after this
 * ask for the same.
 *
 * @param {Object} given the schema
 * @param {*} value
 * @param {function(Object): Object} resolve
 * @returns {*}
 */
export function pruned(given, value, resolve) {
  if (value === undefined || value === null) return value;
  const shape = shapeOf(given, resolve);
  if (!holds(shape, value, resolve)) return value;
  const each = (schema) => (one) => pruned(schema, one, resolve);
  switch (shape.kind) {
    case OBJECT:
      return prunedObject(shape.schema, value, resolve);
    case "named": {
      if (typeof value === "string") return value;
      const object = prunedObject(shape.object, value, resolve);
      return Object.keys(object).join() === "name" ? object.name : object;
    }
    case "variants": {
      const variant = shape.variants[variantOf(shape, value, resolve)];
      const object = pruned(variant, value, resolve);
      return shape.tag ? { [shape.tag]: value[shape.tag], ...object } : object;
    }
    case "list":
      return value.map(each(shape.items));
    case "map":
      return Object.fromEntries(
        Object.entries(value).map(([key, one]) => [key, each(shape.values)(one)]),
      );
    default:
      return value;
  }
}

function prunedObject(schema, value, resolve) {
  const kept = Object.entries(value).map(([key, one]) => {
    const property = schema.properties[key];
    return property ? [key, pruned(property, one, resolve), property] : [key, one, null];
  });
  const required = schema.required ?? [];
  return Object.fromEntries(
    kept
      .filter(([key, one, property]) => {
        if (one === undefined) return false;
        return !property || required.includes(key) || !isDefault(property, one, resolve);
      })
      .map(([key, one]) => [key, one]),
  );
}

function isDefault(property, value, resolve) {
  const usual = defaultOf(property, resolve);
  if (usual === undefined || usual === null) return value === null;
  return same(pruned(property, usual, resolve), value);
}

/** The default that a schema names, or undefined. */
export function defaultOf(given, resolve) {
  const schema = resolve(given);
  for (const said of [schema, shapeOf(schema, resolve).schema]) {
    if ("default" in said) return said.default;
    if (DEFAULT in said) return said[DEFAULT];
  }
  return undefined;
}

/** Whether two JSON values are equal; the order of an object's members does not matter. */
export function same(one, other) {
  if (Array.isArray(one) && Array.isArray(other)) {
    return one.length === other.length && one.every((item, n) => same(item, other[n]));
  }
  if (isObject(one) && isObject(other)) {
    const keys = Object.keys(one);
    if (keys.length !== Object.keys(other).length) return false;
    return keys.every((key) => key in other && same(one[key], other[key]));
  }
  return one === other;
}

/** Whether a value is a JSON object. */
export function isObject(value) {
  return typeof value === OBJECT && value !== null && !Array.isArray(value);
}

/** "max_grad_norm" or "ChainGenerator" as "Max grad norm" and "Chain generator". */
export function inWords(name) {
  const words = name.replace(/([a-z])([A-Z])/g, "$1 $2").replaceAll("_", " ").toLowerCase();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** "categories" as "category", "tasks" as "task". */
export function singular(name) {
  return name.replace(/ies$/, "y").replace(/(?<!s)s$/, "");
}

/** A schema's description and its bounds, as one line of help; "" where it says neither. */
export function helpOf(schema) {
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum } = schema;
  const bounds = [
    ["at least", minimum],
    ["above", exclusiveMinimum],
    ["at most", maximum],
    ["below", exclusiveMaximum],
  ]
    .filter(([, bound]) => bound !== undefined)
    .map(([words, bound]) => `${words} ${bound.toLocaleString("en-GB")}`);
  const said = (schema.description ?? "")
    .split("\n\n")[0]
    .replace(/(^|; )default: `.*`$/, "")
    .replace(/\s+/g, " ")
    .replaceAll("`", "")
    .replace(/\.$/, "");
  return [said, bounds.join(", ")].filter(Boolean).join("; ");
}
