"""The data of a task: what the planner must know of it, and the stage that writes it down."""

import hashlib
import threading
from collections import Counter, OrderedDict
from collections.abc import Iterable
from typing import Any, cast

from pydantic import JsonValue

from forgetscope.app.examples_file import line_of, write_examples
from forgetscope.core.identity import digest_of
from forgetscope.core.plan import TaskFacts
from forgetscope.core.subsample import refuse_overlap, subsample
from forgetscope.ports.rows import Rows
from forgetscope.ports.stage import StageIO, Work
from forgetscope.schema.base import JsonObject, Value
from forgetscope.schema.errors import DataChanged, NotEnoughExamples
from forgetscope.schema.example import Example, Judged, Split
from forgetscope.schema.experiment import ScoredTask, TaskUse
from forgetscope.tasks.base import Task
from forgetscope.tasks.catalogue import find

__all__ = ["FactsMemory", "build_examples", "data_facts", "prepare_data"]

# Usual for byte-pair tokenizers on English; only the estimate of the work rests on it.
CHARACTERS_PER_TOKEN = 4


def build_examples(
    task: Task[Any],
    params: Value,
    split: Split,
    n: int | None,
    *,
    seed: int,
    rows: Rows,
    by_groups: bool = False,
) -> list[Example]:
    """The examples of a split, subsampled to `n` (all when None), in the order of `subsample`.

    Raises BadRow, UnknownName (a file is missing), NotEnoughExamples.
    """
    read = (row for source in task.sources(params, split) for row in rows.read(source))
    return subsample(task.examples(params, read, split), n, seed, by_groups=by_groups)


def data_facts(use: ScoredTask, rows: Rows, *, where: str) -> TaskFacts:
    """Read a task's data once, as its stages will, and tell the planner what it needs. Of a task
    that is scored only, no training example is read.

    `where` points to the task in the input. Raises UnknownName, InvalidSpec, BadRow,
    NotEnoughExamples, and InvalidInput when the splits share a cluster.
    """
    task, params = find(use.name, use.params, where=where)
    sizes: dict[Split, int | None] = {"evaluation": use.evaluation_examples}
    if isinstance(use, TaskUse):
        sizes = {"train": use.train_examples, **sizes}
    examples: dict[Split, list[Example]] = {}
    for split, n in sizes.items():
        try:
            examples[split] = build_examples(
                task, params, split, n, seed=0, rows=rows, by_groups=use.balance == "groups"
            )
        except NotEnoughExamples as error:
            pointer = f"{where}/{split}_examples"
            raise NotEnoughExamples(error.detail, where=pointer, hint=error.hint) from None
    if "train" in examples:
        refuse_overlap(examples["train"], examples["evaluation"])
    every = [example for half in examples.values() for example in half]
    characters = sum(len(example.prompt) + len(example.target) for example in every)
    return TaskFacts(
        name=use.name,
        version=task.version,
        kind=task.kind,
        chance=task.chance,
        params=params.model_dump(mode="json"),
        fingerprint=_fingerprint(task, params, rows),
        evaluation_examples=len(examples["evaluation"]),
        tokens_per_example=characters / len(every) / CHARACTERS_PER_TOKEN,
        judged=any(isinstance(example.score, Judged) for example in every),
        own_scores=task.own_scores,
        examples={split: _digest(half) for split, half in examples.items()},
        longest_tokens=_tokens(max(len(e.prompt) + len(e.target) for e in every)),
        longest_answer_tokens=_tokens(max(len(e.target) for e in every)),
    )


def _tokens(characters: int) -> int:
    return -(-characters // CHARACTERS_PER_TOKEN)


class FactsMemory:
    """`data_facts`, remembered: the same use of the same bytes is read once per process.

    Holds the latest `size` answers; safe to share between threads.
    """

    def __init__(self, size: int = 256) -> None:
        self._size = size
        self._known: OrderedDict[str, TaskFacts] = OrderedDict()
        self._lock = threading.Lock()

    def facts(self, use: ScoredTask, rows: Rows, *, where: str) -> TaskFacts:
        """See `data_facts`. Failures are not remembered."""
        task, params = find(use.name, use.params, where=where)
        asked = [use.model_dump(mode="json", exclude={"id"}), _fingerprint(task, params, rows)]
        key = digest_of([task.version, *asked])
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        found = data_facts(use, rows, where=where)
        with self._lock:
            self._known[key] = found
            if len(self._known) > self._size:
                self._known.popitem(last=False)
        return found


def prepare_data(work: Work, io: StageIO, *, rows: Rows) -> JsonObject:
    """Write the examples of one split as `examples.jsonl`.

    Raises DataChanged when the sources, or the examples that they give, are no longer those that
    were planned.
    """
    given = cast("dict[str, Any]", work.params)
    task, params = find(given["task"], given["params"])
    changed = DataChanged(
        f"the data of task {task.name!r} is not what was planned.",
        hint="Submit the experiment again to use the data as it is now.",
    )
    if given["version"] != task.version or given["fingerprint"] != _fingerprint(task, params, rows):
        raise changed
    examples = build_examples(
        task,
        params,
        given["split"],
        given["n"],
        seed=given["seed"],
        rows=rows,
        by_groups=given["balance"] == "groups",
    )
    if given["examples"] != _digest(examples):
        raise changed
    write_examples(io.output, examples)
    groups = Counter(group for example in examples for group in example.groups)
    return {
        "examples": len(examples),
        "groups": cast("JsonValue", dict(sorted(groups.items()))),
        "clusters": len({example.cluster for example in examples}),
    }


def _digest(examples: Iterable[Example]) -> str:
    """sha256 of the examples, as they are written."""
    sha256 = hashlib.sha256()
    for example in examples:
        sha256.update(line_of(example).encode())
    return sha256.hexdigest()


def _fingerprint(task: Task[Any], params: Value, rows: Rows) -> str:
    """Digest of a task's files in both splits; for a generated task, of what generates it."""
    sources = task.sources(params, "train") + task.sources(params, "evaluation")
    if sources:
        return rows.fingerprint(tuple(dict.fromkeys(sources)))
    return digest_of([task.name, task.version, params.model_dump(mode="json")])
