/** Where the stages of a plan stand as a graph: in columns by how much has to run before them. */

/** More nodes than this are joined by kind and column. */
export const MOST_NODES = 150;

const WIDTH = 158;
const HEIGHT = 58;
const GAP_X = 30;
const GAP_Y = 14;
const SWEEPS = 4;

/**
 * Nodes and lines of a graph.
 *
 * @param {Iterable<{key: string, kind: string, inputs: Object<string, string>}>} stages in the
 *   order of the plan: inputs stand before their users
 * @returns {{nodes: Object[], edges: Object[], width: number, height: number, joined: boolean}}
 *   a node has `id`, `keys` (its stages), `kind`, `column`, `row`, `x`, `y`, `width`, `height`; an
 *   edge `from` and `to` (nodes). Lines that follow from others are left out.
 */
export function layout(stages) {
  const all = [...stages];
  const columns = depths(all);
  const joined = all.length > MOST_NODES;
  const idOf = (stage) => (joined ? `${columns.get(stage.key)}-${stage.kind}` : stage.key);
  const nodes = new Map();
  const owner = new Map();
  for (const stage of all) {
    const id = idOf(stage);
    if (!nodes.has(id)) {
      nodes.set(id, { id, kind: stage.kind, keys: [], column: columns.get(stage.key), inputs: new Set() });
    }
    const node = nodes.get(id);
    node.keys.push(stage.key);
    owner.set(stage.key, node);
    for (const input of Object.values(stage.inputs)) {
      if (owner.has(input)) node.inputs.add(owner.get(input));
    }
  }
  reduce([...nodes.values()]);
  return placed([...nodes.values()], joined);
}

/** Column of each stage: 0 without inputs, otherwise one after its latest input. */
function depths(stages) {
  const found = new Map();
  for (const { key, inputs } of stages) {
    const before = Object.values(inputs).map((input) => found.get(input) ?? -1);
    found.set(key, Math.max(-1, ...before) + 1);
  }
  return found;
}

/** Transitive reduction: an input that another input needs anyway is dropped. */
function reduce(nodes) {
  const above = new Map(); // every ancestor of a node
  for (const node of [...nodes].sort((a, b) => a.column - b.column)) {
    const implied = new Set();
    for (const input of node.inputs) for (const n of above.get(input)) implied.add(n);
    above.set(node, new Set([...implied, ...node.inputs]));
    node.inputs = new Set([...node.inputs].filter((input) => !implied.has(input)));
  }
}

function placed(nodes, joined) {
  const columns = [];
  for (const node of nodes) (columns[node.column] ??= []).push(node);
  const edges = nodes.flatMap((to) => [...to.inputs].map((from) => ({ from, to })));
  order(columns, edges);
  const tallest = Math.max(1, ...columns.map((column) => column.length));
  const height = tallest * (HEIGHT + GAP_Y) + GAP_Y;
  columns.forEach((column, x) => {
    const free = height - column.length * (HEIGHT + GAP_Y) + GAP_Y;
    column.forEach((node, y) => {
      Object.assign(node, { row: y, width: WIDTH, height: HEIGHT });
      node.x = 4 + x * (WIDTH + GAP_X);
      node.y = free / 2 + y * (HEIGHT + GAP_Y);
    });
  });
  const width = columns.length * (WIDTH + GAP_X) - GAP_X + 8;
  return { nodes, edges, width, height, joined };
}

/** Fewer crossings: each column sorted by the mean place of its neighbours, to and fro. */
function order(columns, edges) {
  const place = new Map();
  const note = () =>
    columns.forEach((column) =>
      column.forEach((node, i) => place.set(node, (i + 0.5) / column.length)),
    );
  const neighbours = { left: new Map(), right: new Map() };
  for (const { from, to } of edges) {
    neighbours.left.set(to, [...(neighbours.left.get(to) ?? []), from]);
    neighbours.right.set(from, [...(neighbours.right.get(from) ?? []), to]);
  }
  note();
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const side = sweep % 2 ? neighbours.right : neighbours.left;
    for (const column of sweep % 2 ? [...columns].reverse() : columns) {
      const mean = new Map(
        column.map((node) => {
          const near = side.get(node) ?? [];
          const sum = near.reduce((total, other) => total + place.get(other), 0);
          return [node, near.length ? sum / near.length : place.get(node)];
        }),
      );
      column.sort((a, b) => mean.get(a) - mean.get(b));
      column.forEach((node, i) => place.set(node, (i + 0.5) / column.length));
    }
  }
}
