/** Names of stages, chains and numbers as the page says them. */

import { fmtNumber } from "../dom.js";

const KINDS = {
  prepare_model: "Model",
  prepare_data: "Data",
  prepare_judge: "Judge",
  train: "Train",
  merge: "Merge",
  select: "Select",
  fisher: "Fisher",
  evaluate: "Score",
  noise_floor: "Noise floor",
  curvature: "Curvature",
  displacement: "Displacement",
  drift: "Drift",
  analyse: "Analysis",
  report: "Report",
  audit: "Audit",
};

/**
 * @param {string} kind of a stage
 * @returns {string}
 */
export function kindWord(kind) {
  return KINDS[kind] ?? kind;
}

/**
 * @param {string[]} chain
 * @returns {string}
 */
export function chainText(chain) {
  return chain.length ? chain.join(" → ") : "base model";
}

/**
 * Three short lines about a stage: what, on which task, after what.
 *
 * @param {Object} stage a StageView
 * @returns {[string, string, string]}
 */
export function stageWords({ kind, label }) {
  const seed = label.seed === null ? "" : ` · seed ${label.seed}`;
  const first = kindWord(kind) + seed;
  if (!label.task) return [first, label.title === kindWord(kind).toLowerCase() ? "" : label.title, ""];
  const [, part] = label.title.split(" · ");
  if (label.chain === null) return [first, label.task, kind === "prepare_data" ? (part ?? "") : ""];
  const before = kind === "train" ? label.chain.slice(0, -1) : label.chain;
  return [first, label.task, afterText(before)];
}

const LETTERS = 24;

function afterText(chain) {
  if (chain.length === 0) return "base model";
  const whole = `after ${chainText(chain)}`;
  return whole.length <= LETTERS || chain.length === 1 ? whole : `… → ${chain.at(-1)}`;
}

/**
 * A share as percent or points to a tenth, with a true minus: "12.0".
 *
 * @param {?number} value
 * @returns {string}
 */
export function percent(value) {
  if (value === null || value === undefined) return "–";
  return (100 * value).toFixed(1).replace(/^-(?=0\.0$)/, "").replace("-", "−");
}

/**
 * A margin or a level as it was given: "5", "2.5".
 *
 * @param {?number} value
 * @returns {string}
 */
export function given(value) {
  return value === null ? "none" : fmtNumber(100 * value, 2);
}

/**
 * A measured number with its interval in percent, or the reason why there is none.
 *
 * @param {{value: ?number, low: ?number, high: ?number, reason: ?string}} measured
 * @returns {string}
 */
export function measuredText(measured) {
  if (measured.value === null) return measured.reason ?? "undefined";
  if (measured.low === null) return percent(measured.value);
  return `${percent(measured.value)} [${percent(measured.low)},\u00a0${percent(measured.high)}]`;
}
