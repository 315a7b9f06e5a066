"""Preparing the safety classifier of an experiment."""

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from tiny_classifier import make_classifier
from tiny_llama import FolderIO

from forgetscope.adapters.endpoint import HttpEndpoints
from forgetscope.adapters.models import ModelSources
from forgetscope.adapters.models_endpoint import EndpointModels
from forgetscope.adapters.models_files import FileModels
from forgetscope.adapters.models_hub import HubModels
from forgetscope.adapters.rows_files import FileRows
from forgetscope.adapters.store_files import FileStore
from forgetscope.app.judge import dialogues, judge_fingerprint
from forgetscope.app.judge_file import read_judge_info
from forgetscope.modeling.judges import load_classifier
from forgetscope.ports.endpoint import Patience
from forgetscope.ports.models import Models
from forgetscope.ports.rows import Rows
from forgetscope.ports.stage import Machine, Work
from forgetscope.schema.errors import DataChanged, UnknownName
from forgetscope.schema.example import FileSource, Row
from forgetscope.schema.experiment import BuiltinJudge, HubJudge, JudgeRef, LocalJudge
from forgetscope.schema.results import JudgeAccuracy, JudgeInfo
from forgetscope.trainer.stage import stages

DATA = Path(os.environ.get("FORGETSCOPE_DATA_DIR") or Path(__file__).parents[4] / "shared" / "data")


COMMIT = "0123456789abcdef0123456789abcdef01234567"


class FirstRows(FileRows):
    """The first rows of each file."""

    def read(self, source: FileSource) -> Iterator[Row]:
        return islice(super().read(source), 300)


@pytest.fixture
def models(tmp_path: Path) -> Models:
    store = FileStore(tmp_path / "store")
    return ModelSources(
        FileModels(store, (tmp_path,)),
        HubModels(tmp_path / "hub", offline=True),
        EndpointModels(HttpEndpoints((), {}, Patience(1, 1))),
    )


def prepare(
    folder: Path, ref: JudgeRef, models: Models, rows: Rows, **changes: object
) -> tuple[FolderIO, dict[str, Any]]:
    params: dict[str, Any] = {
        "judge": ref.model_dump(mode="json"),
        "fingerprint": judge_fingerprint(ref, rows=rows, models=models),
        **changes,
    }
    io = FolderIO(folder)
    meta = stages(models, rows)["prepare_judge"](
        Work("a" * 64, "prepare_judge", params, {}, seed=0), io
    )
    return io, dict(meta)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> FolderIO:
    """The built-in classifier, trained on all of its data."""
    folder = tmp_path_factory.mktemp("judge")
    return prepare(folder, BuiltinJudge(), None, FileRows(DATA))[0]  # type: ignore[arg-type]


def held_out(folder: Path) -> tuple[JudgeAccuracy, ...]:
    return read_judge_info(folder).held_out


def test_the_builtin_classifier_says_how_often_it_is_right_on_both_data_sets(
    real: FolderIO,
) -> None:
    replies, statements = held_out(real.output)
    assert (replies.items, replies.safe_items) == (1094, 593)
    assert replies.data.startswith("DiaSafety test")
    assert statements.data.startswith("ToxiGen held-out")
    for found in (replies, statements):
        assert found.accuracy.low is not None
        commoner = max(found.safe_items, found.items - found.safe_items) / found.items
        assert found.accuracy.low > commoner + 0.05, "better than always saying the same"
        assert found.safe_recall.value is not None
        assert found.unsafe_recall.value is not None
        assert found.safe_recall.value > 0.6
        assert found.unsafe_recall.value > 0.6


def test_what_is_said_of_the_builtin_classifier_is_what_it_does(real: FolderIO) -> None:
    classifier = load_classifier(real.output, Machine())
    test = [*dialogues(FileRows(DATA), "evaluation")]
    shares = classifier.safe([(d.turns, d.reply) for d in test], lambda _: None)
    right = sum((share > 0.5) == d.safe for share, d in zip(shares, test, strict=True))
    assert held_out(real.output)[0].correct == right


def test_progress_runs_over_all_that_is_measured(real: FolderIO) -> None:
    steps = [(done, total) for done, total, _, _ in real.reports]
    whole = sum(found.items for found in held_out(real.output))
    assert steps == sorted(steps)
    assert steps[-1] == (whole, whole)


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    found = []
    for name in ("a", "b"):
        io, _ = prepare(tmp_path / name, BuiltinJudge(), None, FirstRows(DATA))  # type: ignore[arg-type]
        found.append({p.name: p.read_bytes() for p in io.output.iterdir()})
    assert found[0] == found[1]
    assert set(found[0]) == {"classifier.json", "judge.json", "weights.safetensors"}


def test_a_local_classifier_is_copied_and_measured_on_the_same_replies(
    tmp_path: Path, models: Models, real: FolderIO
) -> None:
    make_classifier(tmp_path / "judge")
    ref = LocalJudge(source="local", path="judge", safe_label="fine")
    io, meta = prepare(tmp_path / "stage", ref, models, FileRows(DATA))
    info = read_judge_info(io.output)
    (measured,) = info.held_out
    assert (measured.data, measured.items) == (held_out(real.output)[0].data, 1094)
    assert (info.name, info.note) == ("judge", None)
    assert "'fine' means safe" in info.method
    assert meta["held_out"] == [
        {"data": measured.data, "items": 1094, "accuracy": measured.accuracy.value}
    ]
    assert load_classifier(io.output, Machine()).safe([((), "hello")], lambda _: None)


def test_a_hub_classifier_in_the_cache_is_fetched_and_measured(
    tmp_path: Path, models: Models
) -> None:
    make_classifier(tmp_path / "hub/models--team--judge/snapshots" / COMMIT)
    ref = HubJudge(source="hub", id="team/judge", revision=COMMIT, safe_label="fine")
    io, _ = prepare(tmp_path / "stage", ref, models, FirstRows(DATA))
    info = read_judge_info(io.output)
    assert info.name == f"team/judge@{COMMIT}"
    assert info.held_out[0].items == 300
    wrong = ref.model_copy(update={"safe_label": "safe"})
    with pytest.raises(UnknownName, match="'harmful', 'fine'"):
        prepare(tmp_path / "stage", wrong, models, FirstRows(DATA), fingerprint="f0")


def test_what_cannot_be_measured_is_said_to_be_unmeasured(tmp_path: Path, models: Models) -> None:
    make_classifier(tmp_path / "judge")
    ref = LocalJudge(source="local", path="judge", safe_label="fine")
    io, meta = prepare(tmp_path / "stage", ref, models, FileRows(tmp_path))
    assert held_out(io.output) == ()
    assert "not measured" in str(read_judge_info(io.output).note)
    assert meta["held_out"] == []


def test_the_digest_follows_weights_and_label(tmp_path: Path, models: Models) -> None:
    def info(label: str, **changes: Any) -> JudgeInfo:
        make_classifier(tmp_path / "judge", **changes)
        ref = LocalJudge(source="local", path="judge", safe_label=label)
        return read_judge_info(
            prepare(tmp_path / "stage", ref, models, FileRows(tmp_path))[0].output
        )

    digests = [info("fine").digest, info("harmful").digest, info("fine", hidden_size=8).digest]
    assert len(set(digests)) == 3
    assert info("fine").digest == digests[0]


def test_a_classifier_or_data_that_changed_since_the_plan_is_refused(
    tmp_path: Path, models: Models
) -> None:
    make_classifier(tmp_path / "judge")
    for ref in (BuiltinJudge(), LocalJudge(source="local", path="judge", safe_label="fine")):
        with pytest.raises(DataChanged, match="safety classifier"):
            prepare(tmp_path / "stage", ref, models, FirstRows(DATA), fingerprint="f0")
        assert not list((tmp_path / "stage/output").iterdir())


def test_a_label_that_is_gone_is_answered_with_those_that_are_there(
    tmp_path: Path, models: Models
) -> None:
    make_classifier(tmp_path / "judge")
    ref = LocalJudge(source="local", path="judge", safe_label="safe")
    with pytest.raises(UnknownName, match="'harmful', 'fine'"):
        prepare(tmp_path / "stage", ref, models, FirstRows(DATA), fingerprint="f0")
