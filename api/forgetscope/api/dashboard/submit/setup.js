/** What the submit form is made from: the published schema, the catalogue, and what matters most. */

import { get } from "../api.js";

// By title of a schema: the fields that are not folded away.
const ESSENTIAL = {
  ExperimentSpec: ["name", "seeds", "model", "tasks", "chains", "training"],
  TrainingSpec: ["method", "learning_rate", "epochs", "batch_size"],
  TaskUse: ["name", "train_examples", "evaluation_examples"],
  ScoredTask: ["name", "evaluation_examples"],
  ChainGenerator: ["generate", "orders"],
  AuditSpec: ["name", "reference", "candidate", "tasks", "policy"],
  Policy: ["name", "tasks"],
  TaskRule: ["task", "margin", "group_margin", "biased_margin", "tier"],
};
const WORDS = { "ExperimentSpec.chains": ["listed one by one", "made by a rule"] };
const LABELS = { "Policy.tasks": ["Rules", "Rule"] };
const FIRST = { "ExperimentSpec.chains": 1 };

/** Ids of the datalists with what the document itself names. */
export const TASK_IDS = "named-tasks";
export const GROUPS = "named-groups";

const TINY = { source: "builtin", name: "tiny" };
const PRESETS = {
  experiment: [
    {
      name: "Small example",
      document: {
        name: "Synthetic safety and capability, both orders",
        tasks: [
          { name: "synthetic_safety", train_examples: 960 },
          { name: "synthetic_capability", train_examples: 960 },
        ],
        chains: { generate: "safety_capability_pairs" },
        training: {
          method: "full",
          learning_rate: 0.003,
          batch_size: 32,
          epochs: 8,
          overrides: [{ position: 2, values: { learning_rate: 0.001, epochs: 5 } }],
        },
      },
    },
    { name: "Empty", document: { chains: { generate: "safety_capability_pairs" } } },
  ],
  audit: [
    {
      name: "Small example",
      document: {
        name: "The built-in model against itself",
        reference: TINY,
        candidate: TINY,
        tasks: [{ name: "synthetic_safety", evaluation_examples: 400 }],
        policy: {
          name: "small example",
          tasks: [{ task: "synthetic_safety", margin: 0.05, group_margin: 0.1 }],
        },
      },
    },
    { name: "Empty", document: {} },
  ],
};

/**
 * Everything that a form for one kind of run needs.
 *
 * @param {"experiment"|"audit"} kind
 * @param {AbortSignal} signal
 * @returns {Promise<{schema: Object, options: Object, presets: {name: string, document: Object}[],
 *   start: Object, tasks: Map<string, Object>}>} `options` are those of `makeForm`
 * @throws {ApiError}
 */
export async function setupOf(kind, signal) {
  const [document, listed, catalogue] = await Promise.all([
    get("/openapi.json", {}, { signal }),
    get("/v1/tasks", {}, { signal }),
    get("/v1/catalogue", {}, { signal }),
  ]);
  const tasks = new Map(listed.items.map((task) => [task.name, task]));
  const methods = new Map(catalogue.methods.map((method) => [method.name, method]));
  const body = document.paths[`/v1/${kind}s`].post.requestBody.content["application/json"];
  const published = Object.values(body.examples ?? {}).map((example) => ({
    name: example.summary,
    document: example.value,
  }));
  return {
    schema: body.schema,
    options: {
      document,
      essential: ESSENTIAL,
      words: WORDS,
      first: FIRST,
      labels: LABELS,
      choices: choicesOf(tasks, methods),
      params: (title, place, name) =>
        isTask(title) ? tasks.get(name)?.params_schema : ofMethod(place, methods.get(name)),
    },
    presets: [...PRESETS[kind], ...published],
    start: PRESETS[kind].find((preset) => preset.name === "Empty").document,
    tasks,
  };
}

function isTask(title) {
  return title === "TaskUse" || title === "ScoredTask";
}

function ofMethod(place, method) {
  return place.endsWith(".method") ? method?.params_schema : null;
}

function choicesOf(tasks, methods) {
  const taskNames = [...tasks.values()]
    .map(({ name, kind }) => ({ value: name, group: `${kind} tasks` }))
    .sort((one, other) => other.group.localeCompare(one.group));
  const methodNames = [...methods.keys()].map((value) => ({ value }));
  return (title, field, place) => {
    if (field === "name" && isTask(title)) return { names: taskNames, empty: "choose a task" };
    if (field === "name" && place.endsWith(".method")) return { names: methodNames };
    if (field === "task") return { hints: TASK_IDS };
    if (field === "group" || (field === "groups" && title === "TaskRule")) return { hints: GROUPS };
    return {};
  };
}

/**
 * The ids that a document gives to its tasks, with the catalogue's name of each.
 *
 * @param {Object} document
 * @returns {{id: string, name: string}[]}
 */
export function tasksIn(document) {
  if (!Array.isArray(document.tasks)) return [];
  return document.tasks
    .map((task) => (typeof task === "string" ? { name: task } : task))
    .filter((task) => typeof task?.name === "string")
    .map(({ id, name }) => ({ id: id ?? name, name }));
}

/**
 * A document with a rule for each of its tasks; those that are there stay as they are.
 *
 * @param {Object} document an audit
 * @param {Map<string, Object>} tasks of the catalogue
 * @returns {Object}
 */
export function withRules(document, tasks) {
  const isWritten = (rule) => Object.keys(rule ?? {}).length > 0;
  const rules = (document.policy?.tasks ?? []).filter(isWritten);
  const ruled = rules.map((rule) => rule.task);
  const added = tasksIn(document)
    .filter(({ id }) => !ruled.includes(id))
    .map(({ id, name }) => {
      const grouped = tasks.get(name)?.groups.length > 0;
      return grouped ? { task: id, group_margin: 0.05, biased_margin: 0.05 } : { task: id };
    });
  return { ...document, policy: { ...document.policy, tasks: [...rules, ...added] } };
}
