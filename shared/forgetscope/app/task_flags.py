"""What is doubtful about the items of a task. Pure: examples in, counts and flags out."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

from forgetscope.core.subsample import item_key
from forgetscope.schema.example import Exact, Example, Extract, Split
from forgetscope.schema.experiment import AnalysisSpec
from forgetscope.schema.preview import Flag, FlagKind, GroupSize, PreviewExample, SplitPreview
from forgetscope.tasks.base import place
from forgetscope.tasks.custom import Flaw

__all__ = ["flags_of", "flags_of_flaws", "summary_of"]

CHARACTERS_PER_TOKEN = 4  # usual for byte-pair tokenizers on English
MAX_ROWS = 5
MAX_NAMES = 10
MAX_CLASSES = 10

Examples = Mapping[Split, Sequence[Example]]
Key = tuple[str, ...]


def summary_of(split: Split, examples: Sequence[Example], shown: int) -> SplitPreview:
    """Counts of a split, and its first `shown` examples as a model sees them."""
    clusters: dict[str, set[str]] = defaultdict(set)
    items: Counter[str] = Counter()
    for example in examples:
        for group in example.groups:
            items[group] += 1
            clusters[group].add(example.cluster)
    return SplitPreview(
        split=split,
        examples=len(examples),
        classes=dict(sorted(_classes(examples).items())),
        groups={
            group: GroupSize(items=count, clusters=len(clusters[group]))
            for group, count in sorted(items.items())
        },
        without_group=sum(not example.groups for example in examples),
        clusters=len({example.cluster for example in examples}),
        longest_tokens=max(map(_tokens, examples), default=0),
        first=tuple(map(_shown, examples[:shown])),
    )


def flags_of_flaws(flaws: Mapping[Split, Sequence[Flaw]]) -> Iterator[Flag]:
    """Rows that make no example, one flag a kind. A row of a file that both splits are cut from
    may turn up in both."""
    found: dict[tuple[FlagKind, str], tuple[str, set[Split]]] = {}
    for split, several in flaws.items():
        for flaw in several:
            _, splits = found.setdefault((flaw.kind, place(flaw.row)), (flaw.detail, set()))
            splits.add(split)
    by_kind: dict[tuple[FlagKind, Split | None], list[tuple[str, str]]] = defaultdict(list)
    for (kind, row), (detail, splits) in found.items():
        by_kind[kind, next(iter(splits)) if len(splits) == 1 else None].append((detail, row))
    for (kind, where), rows in by_kind.items():
        others = len({detail for detail, _ in rows}) - 1
        more = f" (and {others} other reasons in other rows)" if others else ""
        yield _flag(kind, "error", where, rows[0][0] + more, [row for _, row in rows])


def flags_of(
    examples: Examples,
    *,
    grouped: bool,
    chance: float | None,
    max_length: int,
    limits: AnalysisSpec,
) -> Iterator[Flag]:
    """Flags over the examples of both splits. `grouped`: the task names groups at all; `limits`
    holds the smallest group that an analysis judges; `max_length` is in tokens."""
    keys = {split: [item_key(example) for example in found] for split, found in examples.items()}
    for split, found in examples.items():
        if not found:
            yield Flag(
                kind="empty", severity="error", split=split, detail="it has no items", count=0
            )
        yield from _duplicates(split, found, keys[split])
        yield from _over_long(split, found, max_length)
        yield from _single_class(split, found)
        if grouped and (lost := [example for example in found if not example.groups]):
            what = "items have no known group: they count for the task as a whole only"
            yield _flag("unknown_group", "note", split, what, map(_row, lost))
    yield from _leaking(examples["train"], examples["evaluation"], keys)
    yield from _small_groups(examples["evaluation"], limits)
    if chance is None and any(_choices(e) for found in examples.values() for e in found):
        what = "the accuracy of guessing is not known: state it as `chance`"
        yield Flag(kind="no_chance", severity="note", detail=what, count=1)


def _duplicates(split: Split, examples: Sequence[Example], keys: Sequence[Key]) -> Iterator[Flag]:
    seen: dict[Key, Example] = {}
    again, torn = [], 0
    for key, example in zip(keys, examples, strict=True):
        first = seen.setdefault(key, example)
        if first is not example:
            again.append(example)
            torn += first.target.strip() != example.target.strip()
    if again:
        but = f", {torn} of them with another answer" if torn else ""
        what = f"items ask what an earlier one of the split has asked{but}"
        yield _flag("duplicate", "warning", split, what, map(_row, again))


def _over_long(split: Split, examples: Sequence[Example], max_length: int) -> Iterator[Flag]:
    if long := [example for example in examples if _tokens(example) > max_length]:
        what = (
            f"items have more than {max_length} tokens by an estimate of {CHARACTERS_PER_TOKEN} "
            "characters each: the beginning of their prompts would be cut"
        )
        yield _flag("over_long", "warning", split, what, map(_row, long))


def _single_class(split: Split, examples: Sequence[Example]) -> Iterator[Flag]:
    if len(examples) < 2:
        return
    if len(_classes(examples)) == 1:
        what = "the right answer is the same in all items"
        yield _flag("single_class", "error", split, what, map(_row, examples))
    elif len({example.target for example in examples}) == 1:
        what = "the reference answer is the same in all items"
        yield _flag("single_class", "warning", split, what, map(_row, examples))


def _leaking(
    train: Sequence[Example],
    evaluation: Sequence[Example],
    keys: Mapping[Split, Sequence[Key]],
) -> Iterator[Flag]:
    clusters = {example.cluster for example in train}
    items = set(keys["train"])
    joined = [example for example in evaluation if example.cluster in clusters]
    copied = [
        example
        for key, example in zip(keys["evaluation"], evaluation, strict=True)
        if example.cluster not in clusters and key in items
    ]
    for leaks, what in (
        (joined, "evaluation items belong to a cluster that is trained on"),
        (copied, "evaluation items read like one that is trained on"),
    ):
        if leaks:
            yield _flag("leaking", "error", None, what, map(_row, leaks))


def _small_groups(evaluation: Sequence[Example], limits: AnalysisSpec) -> Iterator[Flag]:
    sizes = summary_of("evaluation", evaluation, 0).groups
    small = [
        f"{name} ({size.items} items, {size.clusters} clusters)"
        for name, size in sizes.items()
        if size.items < limits.min_group_items or size.clusters < limits.min_group_clusters
    ]
    if small:
        yield Flag(
            kind="small_group",
            severity="warning",
            split="evaluation",
            detail=f"groups have fewer than {limits.min_group_items} items or "
            f"{limits.min_group_clusters} clusters and would not be judged: "
            + ", ".join(small[:MAX_NAMES])
            + (", …" if len(small) > MAX_NAMES else ""),
            count=len(small),
        )


def _flag(
    kind: FlagKind,
    severity: Literal["error", "warning", "note"],
    split: Split | None,
    detail: str,
    rows: Iterable[str],
) -> Flag:
    listed = list(rows)
    return Flag(
        kind=kind,
        severity=severity,
        split=split,
        detail=detail,
        count=len(listed),
        rows=tuple(listed[:MAX_ROWS]),
    )


def _classes(examples: Sequence[Example]) -> Counter[str]:
    """Right answers of closed items: by word where all share the words, or there are few; else by
    position."""
    closed = [(example, choices) for example in examples if (choices := _choices(example))]
    words = {choice for _, choices in closed for choice in choices}
    if len(words) <= MAX_CLASSES or all(len(choices) == len(words) for _, choices in closed):
        return Counter(example.target.strip() for example, _ in closed)
    return Counter(f"option {choices.index(e.target.strip()) + 1}" for e, choices in closed)


def _choices(example: Example) -> tuple[str, ...]:
    """Among which words the answer is; none where it is free."""
    if example.options:
        return tuple(option.strip() for option in example.options)
    if isinstance(example.score, (Exact, Extract)):
        return tuple(answer.strip() for answer in example.score.answers)
    return ()


def _tokens(example: Example) -> int:
    longest = max(map(len, (example.target, *example.options)))
    return math.ceil((len(example.prompt) + longest) / CHARACTERS_PER_TOKEN)


def _row(example: Example) -> str:
    return example.row or example.id


def _shown(example: Example) -> PreviewExample:
    written = "exact" if example.score is None else example.score.kind
    return PreviewExample(
        id=example.id,
        prompt=example.prompt,
        options=example.options,
        target=example.target,
        score="multiple_choice" if example.form == "choice" else written,
        groups=example.groups,
        cluster=example.cluster,
        stratum=example.stratum,
        row=example.row,
    )
