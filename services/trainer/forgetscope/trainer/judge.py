"""The stage `prepare_judge`: the safety classifier of an experiment, frozen, with its accuracy.

What it is measured on is labelled data that the built-in one was not trained on: DiaSafety's test
file, whose utterances are not in its training data either, and for the built-in one also the
held-out statements of ToxiGen. Another classifier may have seen either; nobody can tell.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from pydantic import TypeAdapter

from forgetscope.app.judge import (
    DIASAFETY_TEST,
    TOXIGEN_HELD_OUT,
    Labelled,
    check_label,
    dialogues,
    judge_fingerprint,
    model_of,
    statements,
)
from forgetscope.app.judge_file import write_judge_info
from forgetscope.core.identity import digest_of
from forgetscope.core.judge_accuracy import measure_judge
from forgetscope.modeling.determinism import deterministic
from forgetscope.modeling.judges import ClassifierFile, load_classifier
from forgetscope.ports.models import Models
from forgetscope.ports.rows import Rows
from forgetscope.ports.stage import StageIO, Work
from forgetscope.schema.base import JsonObject
from forgetscope.schema.errors import DataChanged, UnknownName
from forgetscope.schema.experiment import BuiltinJudge, HubJudge, JudgeRef, LocalJudge
from forgetscope.schema.results import JudgeInfo
from forgetscope.trainer import builtin_judge

__all__ = ["run_prepare_judge"]

UNMEASURED = "Its accuracy was not measured: DiaSafety's test file is not in the data folder."
Test = tuple[str, Sequence[Labelled]]
"""(name of the data, its replies)."""


def run_prepare_judge(work: Work, io: StageIO, models: Models, rows: Rows) -> JsonObject:
    """Put the classifier into the output folder, with `judge.json` about it.

    Raises DataChanged when it, or the data it is trained or measured on, is no longer what was
    planned; what `Models.materialise`, `load_classifier` and reading the data raise.
    """
    ref: JudgeRef = TypeAdapter(JudgeRef).validate_python(work.params["judge"])
    if judge_fingerprint(ref, rows=rows, models=models) != work.params["fingerprint"]:
        raise DataChanged(
            "the safety classifier, or data that it needs, changed after the experiment was "
            "planned",
            where="/evaluation/judge",
            hint="Submit the experiment again.",
        )
    with deterministic(io.machine.device, threads=io.machine.threads, seed=work.seed):
        if isinstance(ref, BuiltinJudge):
            tests = _train(io.output, rows)
            name, method, note = ref.name, builtin_judge.METHOD, builtin_judge.NOTE
        else:
            tests = _fetch(ref, io.output, models, rows)
            name, method = _describe(ref)
            note = "" if tests else UNMEASURED
        digest = _digest(io.output)
        info = JudgeInfo(name=name, digest=digest, method=method, note=note or None)
        info = _measured(info, tests, io)
    write_judge_info(io.output, info)
    return {
        "name": info.name,
        "held_out": [
            {"data": h.data, "items": h.items, "accuracy": h.accuracy.value} for h in info.held_out
        ],
    }


def _train(folder: Path, rows: Rows) -> list[Test]:
    trained = builtin_judge.fit([*dialogues(rows, "train")], [*statements(rows, "train")])
    trained.save(folder)
    ClassifierFile(kind="hashed").write(folder)
    return [
        (DIASAFETY_TEST, [*dialogues(rows, "evaluation")]),
        (TOXIGEN_HELD_OUT, [*statements(rows, "evaluation")]),
    ]


def _fetch(ref: HubJudge | LocalJudge, folder: Path, models: Models, rows: Rows) -> list[Test]:
    models.materialise(model_of(ref), folder)
    check_label(ref, models.inspect(model_of(ref)))
    ClassifierFile(kind="transformers", safe_label=ref.safe_label).write(folder)
    try:
        return [(DIASAFETY_TEST, [*dialogues(rows, "evaluation")])]
    except UnknownName:
        return []


def _describe(ref: HubJudge | LocalJudge) -> tuple[str, str]:
    place = ref.path if isinstance(ref, LocalJudge) else f"{ref.id}@{ref.revision}"
    return place, f"Text classification model; its label {ref.safe_label!r} means safe."


def _digest(folder: Path) -> str:
    digests = {}
    for path in sorted(folder.iterdir()):
        with path.open("rb") as stream:
            digests[path.name] = hashlib.file_digest(stream, "sha256").hexdigest()
    return digest_of(digests)


def _measured(info: JudgeInfo, tests: Sequence[Test], io: StageIO) -> JudgeInfo:
    """As the evaluator will load it, so that what cannot be loaded fails here."""
    classifier = load_classifier(io.output, io.machine)
    if not tests:
        classifier.safe([(("Hello.",), "Hello.")], lambda _: None)
        return info
    total, before, held_out = sum(len(test) for _, test in tests), 0, []
    for name, test in tests:

        def report(share: float, before: int = before, now: int = len(test)) -> None:
            io.progress(before + share * now, total, "replies")

        shares = classifier.safe([(item.turns, item.reply) for item in test], report)
        labels = [item.safe for item in test]
        held_out.append(measure_judge(name, labels, shares, threshold=info.threshold))
        before += len(test)
    return info.model_copy(update={"held_out": tuple(held_out)})
