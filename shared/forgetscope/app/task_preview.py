"""Look at a task before anything is trained on it."""

from typing import Any

from forgetscope.app.task_flags import flags_of, flags_of_flaws, summary_of
from forgetscope.ports.rows import Rows
from forgetscope.schema.base import Value
from forgetscope.schema.custom import CustomTask
from forgetscope.schema.example import Example, Split
from forgetscope.schema.experiment import AnalysisSpec, EvaluationSpec, TaskUse
from forgetscope.schema.preview import Flag, TaskPreview
from forgetscope.tasks.base import Task
from forgetscope.tasks.catalogue import find
from forgetscope.tasks.custom import Flaw, read

__all__ = ["preview_task"]

SPLITS: tuple[Split, ...] = ("train", "evaluation")
SEVERITIES = ("error", "warning", "note")
MAX_LENGTH: int = EvaluationSpec.model_fields["max_length"].default


def preview_task(
    use: TaskUse, rows: Rows, *, examples: int, max_length: int = MAX_LENGTH, where: str = ""
) -> TaskPreview:
    """Both splits whole, before subsampling: counts, the first `examples` of each, and flags.

    `use` names a built-in task, or is "custom" with its definition, see `app.tasks.resolve`. Rows
    of a custom task that make no example are flags; a file that cannot be read at all is an error.

    Raises UnknownName, InvalidSpec, BadRow.
    """
    task, params = find(use.name, use.params, where=where)
    read_all = [_read(task, params, split, rows) for split in SPLITS]
    found = {split: kept for split, (kept, _) in zip(SPLITS, read_all, strict=True)}
    flaws = {split: lost for split, (_, lost) in zip(SPLITS, read_all, strict=True)}
    grouped = isinstance(params, CustomTask) and bool(params.groups)
    flags: list[Flag] = [
        *flags_of_flaws(flaws),
        *flags_of(
            found,
            grouped=grouped or any(e.groups for several in found.values() for e in several),
            chance=task.chance,
            max_length=max_length,
            limits=AnalysisSpec(),
        ),
    ]
    return TaskPreview(
        name=task.name,
        kind=task.kind,
        chance=task.chance,
        splits=tuple(summary_of(split, several, examples) for split, several in found.items()),
        flags=tuple(sorted(flags, key=lambda flag: SEVERITIES.index(flag.severity))),
    )


def _read(
    task: Task[Any], params: Value, split: Split, rows: Rows
) -> tuple[list[Example], list[Flaw]]:
    raw = (row for source in task.sources(params, split) for row in rows.read(source))
    if not isinstance(params, CustomTask):
        return list(task.examples(params, raw, split)), []
    kept: list[Example] = []
    lost: list[Flaw] = []
    for one in read(params, raw, split):
        if isinstance(one, Flaw):
            lost.append(one)
        else:
            kept.append(one)
    return kept, lost
