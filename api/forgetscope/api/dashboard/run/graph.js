/** The plan as a picture: a node for each stage, live; one tab stop, arrow keys move within. */

import { fmtDuration, h, stateLook, svg } from "../dom.js";
import { layout } from "./layout.js";
import { kindWord, stageWords } from "./words.js";

// What several stages together are called: the first of these that one of them is.
const LOUDEST = ["failed", "running", "ready", "pending", "cancelled", "skipped", "succeeded"];

/** The graph of a run's stages. */
export class Graph {
  /**
   * @param {function(Object): void} onChoose gets a node: `keys` and `kind`
   */
  constructor(onChoose) {
    this.onChoose = onChoose;
    this.node = h("div", { class: "graph scroll" });
    this.nodes = new Map();
  }

  /** Draws everything anew. */
  draw(stages) {
    const drawing = layout(stages.values());
    this.joined = drawing.joined;
    this.nodes = new Map(drawing.nodes.map((node) => [node.id, node]));
    this.nodeOf = new Map(drawing.nodes.flatMap((node) => node.keys.map((key) => [key, node])));
    const { width, height } = drawing;
    const picture = svg(
      "svg",
      {
        width, height, viewBox: `0 0 ${width} ${height}`, role: "group",
        "aria-label": "Graph of the stages; arrow keys move, Enter opens",
        onkeydown: (event) => this.move(event),
      },
      svg("g", { class: "edges", "aria-hidden": "true" }, drawing.edges.map(line)),
      drawing.nodes.map((node) => this.drawNode(node, stages)),
    );
    this.node.replaceChildren(picture);
    drawing.nodes[0]?.element.setAttribute("tabindex", "0");
  }

  drawNode(node, stages) {
    const clip = `bar-${node.id.slice(0, 24)}`;
    node.bar = svg("rect", { class: "bar", y: node.height - 5, height: 5, width: 0, "clip-path": `url(#${clip})` });
    node.symbol = svg("text", { class: "node-symbol", x: node.width - 20, y: 21 });
    node.title = svg("title");
    const [first, second, third] = node.keys.length > 1
      ? [`${kindWord(node.kind)} × ${node.keys.length}`, "", ""]
      : stageWords(stages.get(node.keys[0]));
    node.last = svg("text", { class: "node-small", x: 12, y: 49 }, clipped(third, 24));
    node.element = svg(
      "g",
      {
        class: "node", tabindex: -1, role: "button", transform: `translate(${node.x} ${node.y})`,
        dataset: { id: node.id },
        onclick: () => this.choose(node),
        onfocus: () => this.enter(node),
      },
      node.title,
      svg("clipPath", { id: clip }, svg("rect", { width: node.width, height: node.height, rx: 8 })),
      svg("rect", { class: "box", width: node.width, height: node.height, rx: 8 }),
      node.bar, node.symbol,
      svg("text", { class: "node-kind", x: 12, y: 20 }, clipped(first, 17)),
      svg("text", { class: "node-small", x: 12, y: 35 }, clipped(second, 24)),
      node.last,
    );
    this.updateNode(node, stages);
    return node.element;
  }

  /** Shows how far these stages are now. */
  update(keys, stages) {
    for (const node of new Set(keys.map((key) => this.nodeOf.get(key)))) {
      if (node) this.updateNode(node, stages);
    }
  }

  updateNode(node, stages) {
    const held = node.keys.map((key) => stages.get(key));
    const count = (state) => held.filter((stage) => stage.state === state).length;
    const state = LOUDEST.find((name) => count(name) > 0);
    const done = held.reduce((sum, stage) => sum + share(stage), 0) / held.length;
    const [look, symbol] = stateLook(state);
    node.element.setAttribute("class", `node ${look}`);
    node.element.dataset.state = state;
    node.symbol.textContent = symbol;
    node.bar.setAttribute("width", state === "running" || held.length > 1 ? done * node.width : 0);
    let said = `${held[0].label.title}: ${state}${state === "running" ? `, ${Math.round(100 * done)} %` : ""}`;
    const left = held[0].progress?.eta_seconds;
    if (held.length === 1 && state === "running" && left) said += `, about ${fmtDuration(Math.ceil(left))} left`;
    if (held.length > 1) {
      const counts = LOUDEST.filter(count).map((name) => `${count(name)} ${name}`).join(", ");
      said = `${kindWord(node.kind)}, ${held.length} stages: ${counts}`;
      node.last.textContent = clipped(counts, 24);
    }
    node.title.textContent = said;
    node.element.setAttribute("aria-label", said);
  }

  /** Marks the node of a stage as the one that is shown below. */
  mark(key) {
    for (const node of this.nodes.values()) node.element.removeAttribute("aria-current");
    this.nodeOf.get(key)?.element.setAttribute("aria-current", "true");
  }

  /** Puts the focus back to where it last was in the graph. */
  focus() {
    this.node.querySelector('[tabindex="0"]')?.focus();
  }

  choose(node) {
    this.enter(node);
    this.onChoose(node);
  }

  enter(node) {
    for (const other of this.nodes.values()) other.element.setAttribute("tabindex", "-1");
    node.element.setAttribute("tabindex", "0");
  }

  move(event) {
    const here = this.nodes.get(event.target.dataset?.id);
    if (!here) return;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      this.choose(here);
      return;
    }
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!step) return;
    event.preventDefault();
    const near = [...this.nodes.values()].filter((node) =>
      step[0] ? node.column === here.column + step[0] : node.column === here.column && node.row === here.row + step[1],
    );
    near.sort((a, b) => Math.abs(a.y - here.y) - Math.abs(b.y - here.y));
    near[0]?.element.focus();
  }
}

function share(stage) {
  if (stage.state === "succeeded") return 1;
  if (stage.state !== "running" || !stage.progress) return 0;
  return Math.min(1, stage.progress.done / stage.progress.total);
}

function line({ from, to }) {
  const [x1, y1, x2, y2] = [from.x + from.width, from.y + from.height / 2, to.x, to.y + to.height / 2];
  const bend = Math.max(18, (x2 - x1) / 2);
  return svg("path", { d: `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}` });
}

function clipped(text, letters) {
  return text.length <= letters ? text : `${text.slice(0, letters - 1)}…`;
}
