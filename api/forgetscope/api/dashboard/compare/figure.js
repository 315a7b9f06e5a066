/** Forgetting in two experiments as an interval plot, the same as on the printable page. */

import { h, svg } from "../dom.js";
import { chainText, percent } from "../run/words.js";

// The figure's own units: letters of 13 are 13 px at full width.
const [WIDTH, LEFT, RIGHT, TOP, LINE] = [760, 300, 740, 14, 46];
const TICKS = 5;
const LETTERS = 44;

/**
 * @param {Object[]} rows of a Comparison
 * @returns {?HTMLElement} null where there is nothing to plot
 */
export function figure(rows) {
  const known = rows.filter(({ forgetting: { one, other } }) => one.value !== null || other.value !== null);
  if (known.length === 0) return null;
  const ends = known.flatMap(({ forgetting: { one, other } }) =>
    [one, other].flatMap(({ value, low, high }) => [value, low, high]).filter((end) => end !== null),
  );
  const [low, high] = [Math.min(0, ...ends), Math.max(0, ...ends)];
  const step = stepOf(high - low);
  const [first, last] = [Math.floor(low / step), Math.ceil(high / step)];
  const x = (value) => LEFT + ((value / step - first) / (last - first)) * (RIGHT - LEFT);
  const bottom = TOP + known.length * LINE;
  const ticks = Array.from({ length: last - first + 1 }, (_, n) => (first + n) * step);
  const drawn = svg(
    "svg",
    { role: "img", "aria-label": told(known), viewBox: `0 0 ${WIDTH} ${bottom + 48}` },
    ticks.map((tick) => [
      svg("line", { x1: x(tick), x2: x(tick), y1: 8, y2: bottom, class: "tick" }),
      text(x(tick), bottom + 18, "middle", "soft", (100 * tick).toFixed(0).replace("-", "−")),
    ]),
    svg("line", { x1: x(0), x2: x(0), y1: 8, y2: bottom, class: "zero" }),
    text((LEFT + RIGHT) / 2, bottom + 38, "middle", "soft", "forgetting, percentage points"),
    known.map((row, n) => line(row, TOP + n * LINE + LINE / 2, x)),
  );
  return h(
    "div",
    {
      class: "scroll compared-figure",
      tabindex: "0",
      role: "group",
      "aria-label": "Figure: forgetting in both experiments",
    },
    drawn,
  );
}

function text(x, y, anchor, look, said) {
  return svg("text", { x, y, "text-anchor": anchor, class: look }, said);
}

function line(row, y, x) {
  const place = row.chain.length > 2 ? ` (stage ${row.position})` : "";
  return [
    text(LEFT - 14, y - 3, "end", null, clip(row.task + place)),
    text(LEFT - 14, y + 13, "end", "soft", clip(chainText(row.chain))),
    mark(row.forgetting.one, "one", y - 7, x),
    mark(row.forgetting.other, "other", y + 7, x),
  ];
}

function mark(measured, side, y, x) {
  if (measured.value === null) return null;
  const at = x(measured.value);
  const interval =
    measured.low !== null &&
    svg("line", {
      x1: x(measured.low),
      x2: x(measured.high),
      y1: y,
      y2: y,
      class: `interval ${side}`,
    });
  const shape =
    side === "one"
      ? svg("rect", { x: at - 4.5, y: y - 4.5, width: 9, height: 9, class: side })
      : svg("path", { d: `M${at} ${y - 6}l6 6l-6 6l-6 -6z`, class: side });
  return [interval, shape];
}

function told(rows) {
  const said = rows.map(({ task, chain, forgetting: { one, other } }) =>
    `${task} after ${chainText(chain)}: ${percent(one.value)} and ${percent(other.value)}`,
  );
  return `Forgetting in percentage points, first experiment and second. ${said.join("; ")}.`;
}

/** A round distance between ticks, so that there are about five. */
function stepOf(span) {
  return [0.01, 0.02, 0.05, 0.1, 0.2, 0.5].find((step) => span / step <= TICKS) ?? 1;
}

function clip(label) {
  return label.length <= LETTERS ? label : `${label.slice(0, LETTERS - 1)}…`;
}
