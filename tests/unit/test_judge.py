"""The safety classifier as the planner sees it: known, checked and identified beforehand."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_classifier import make_classifier

from forgetscope.adapters.rows_files import FileRows
from forgetscope.app.judge import check_label, dialogues, judge_fingerprint, statements
from forgetscope.app.judge_file import read_judge_info, write_judge_info
from forgetscope.app.platform import Platform
from forgetscope.app.submit import plan_experiment
from forgetscope.core.judge_accuracy import measure_judge
from forgetscope.core.subsample import folded
from forgetscope.ports.models import ModelFacts
from forgetscope.schema.errors import InvalidInput, PathNotAllowed, UnknownName, UnsafeWeights
from forgetscope.schema.experiment import BuiltinJudge, ExperimentSpec, HubJudge, LocalJudge
from forgetscope.schema.plan import PlannedStage
from forgetscope.schema.results import JudgeInfo
from forgetscope.wiring.settings import Settings
from forgetscope.wiring.wires import build_platform

DATA = Path(os.environ.get("FORGETSCOPE_DATA_DIR") or Path(__file__).parents[3] / "shared" / "data")
COMMIT = "0123456789abcdef0123456789abcdef01234567"
Prepare = Callable[..., Platform]


@pytest.fixture
def platform(tmp_path: Path) -> Prepare:
    """Models below `tmp_path`, and the data sets that are asked for."""

    def build(*names: str) -> Platform:
        data = tmp_path / "data"
        for name in names or ("diasafety", "toxigen", "saferdialogues"):
            (data / name).mkdir(parents=True)
            for path in (DATA / name).glob("*.json*"):
                shutil.copyfile(path, data / name / path.name)
        settings = {"home_dir": tmp_path / "home", "data_dir": data, "allowed_roots": str(tmp_path)}
        return build_platform(Settings.model_validate(settings))

    return build


def spec(judge: dict[str, Any] | None = None, form: str = "reply") -> ExperimentSpec:
    return ExperimentSpec.model_validate(
        {
            "tasks": [
                {"name": "diasafety", "params": {"form": form}, "train_examples": 10},
                {"name": "synthetic_capability", "train_examples": 10},
            ],
            "chains": {"generate": "safety_capability_pairs"},
            "evaluation": {"engine": "transformers", **({"judge": judge} if judge else {})},
        }
    )


def local(path: Path, label: str = "fine") -> dict[str, Any]:
    return {"source": "local", "path": str(path), "safe_label": label}


def judge_stage(platform: Platform, spec: ExperimentSpec) -> PlannedStage:
    (stage,) = [s for s in plan_experiment(platform, spec).stages if s.kind == "prepare_judge"]
    return stage


def test_one_classifier_serves_the_judged_task_and_the_analysis_alone(platform: Prepare) -> None:
    plan = plan_experiment(platform(), spec())
    (judge,) = [s for s in plan.stages if s.kind == "prepare_judge"]
    assert judge.queue == "train"
    users = {(s.kind, s.label.task) for s in plan.stages if s.inputs.get("judge") == judge.key}
    assert users == {
        ("evaluate", "diasafety"),
        ("noise_floor", "diasafety"),
        ("analyse", None),
    }


def test_a_classifier_is_not_even_looked_at_when_no_task_is_judged(platform: Prepare) -> None:
    plan = plan_experiment(platform("diasafety"), spec(form="judgement"))
    assert not [s for s in plan.stages if s.kind == "prepare_judge"]


def test_the_builtin_classifier_needs_its_data(platform: Prepare) -> None:
    with pytest.raises(UnknownName) as caught:
        plan_experiment(platform("diasafety"), spec())
    assert caught.value.where == "/evaluation/judge"
    assert caught.value.detail.startswith("toxigen/annotated_train.jsonl.gz: ")


def test_an_unknown_builtin_classifier_is_answered_with_the_one_there_is(
    platform: Prepare,
) -> None:
    with pytest.raises(UnknownName, match="Did you mean 'dialogue-safety'"):
        plan_experiment(platform(), spec({"source": "builtin", "name": "dialog-safety"}))


@pytest.mark.parametrize("name", ["diasafety/train", "diasafety/test", "toxigen/annotated_train"])
def test_other_data_means_another_builtin_classifier(
    platform: Prepare, tmp_path: Path, name: str
) -> None:
    first = judge_stage(platform(), spec())
    (path,) = (tmp_path / "data").glob(f"{name}.json*")
    path.write_bytes(path.read_bytes() + b"\0")
    rows = FileRows(tmp_path / "data")
    changed = judge_fingerprint(BuiltinJudge(), rows=rows, models=None)  # type: ignore[arg-type]
    assert changed != first.params["fingerprint"]


def test_a_local_classifier_is_identified_by_its_files_its_label_and_the_test_data(
    platform: Prepare, tmp_path: Path
) -> None:
    folder = make_classifier(tmp_path / "judge")
    built = platform()
    first = judge_stage(built, spec(local(folder)))
    assert judge_stage(built, spec(local(folder))).key == first.key
    assert judge_stage(built, spec(local(folder, "harmful"))).key != first.key
    (tmp_path / "data/toxigen/annotated_train.jsonl.gz").unlink()
    assert judge_stage(built, spec(local(folder))).key == first.key
    fingerprints = {first.params["fingerprint"]}
    make_classifier(folder, hidden_size=32)
    fingerprints.add(judge_stage(built, spec(local(folder))).params["fingerprint"])
    ref = LocalJudge(source="local", path=str(folder), safe_label="fine")
    no_data = FileRows(tmp_path / "home")
    fingerprints.add(judge_fingerprint(ref, rows=no_data, models=built.models))
    assert len(fingerprints) == 3


def test_a_wrong_label_is_answered_with_the_labels_there_are(
    platform: Prepare, tmp_path: Path
) -> None:
    folder = make_classifier(tmp_path / "judge")
    with pytest.raises(UnknownName) as caught:
        plan_experiment(platform(), spec(local(folder, "safe")))
    assert caught.value.where == "/evaluation/judge"
    assert "no label 'safe'" in caught.value.detail
    assert caught.value.hint == "Its labels: 'harmful', 'fine'."


def test_what_is_no_classifier_is_refused(platform: Prepare, tmp_path: Path) -> None:
    folder = make_classifier(tmp_path / "judge")
    config = folder / "config.json"
    config.write_text(config.read_text().replace("ForSequenceClassification", "ForMaskedLM"))
    with pytest.raises(InvalidInput, match="no text classification model"):
        plan_experiment(platform(), spec(local(folder)))


def test_a_classifier_that_is_pickled_or_elsewhere_is_refused(
    platform: Prepare, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    built = platform()
    elsewhere = make_classifier(tmp_path_factory.mktemp("elsewhere"))
    with pytest.raises(PathNotAllowed):
        plan_experiment(built, spec(local(elsewhere)))
    folder = make_classifier(tmp_path / "judge")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(UnsafeWeights):
        plan_experiment(built, spec(local(folder)))


def test_the_label_of_a_hub_classifier_is_checked_once_it_is_there() -> None:
    ref = HubJudge(source="hub", id="team/judge", revision=COMMIT, safe_label="safe")
    check_label(ref, ModelFacts("f", None, note="not downloaded yet"))
    check_label(ref, ModelFacts("f", 1, labels=("safe", "not")))
    with pytest.raises(UnknownName, match="'toxic', 'fine'") as caught:
        check_label(ref, ModelFacts("f", 1, labels=("toxic", "fine")))
    assert caught.value.where == f"team/judge@{COMMIT}"
    for labels in (None, ("safe",)):
        with pytest.raises(InvalidInput):
            check_label(ref, ModelFacts("f", 1, labels=labels))


def test_nothing_that_it_is_measured_on_is_in_its_training_data() -> None:
    rows = FileRows(DATA)
    trained = {folded("\n".join(d.turns)) for d in dialogues(rows, "train")}
    tested = {folded("\n".join(d.turns)) for d in dialogues(rows, "evaluation")}
    assert trained & tested == set()
    assert tested
    said = {folded(s.reply) for s in statements(rows, "train")}
    held_out = {folded(s.reply) for s in statements(rows, "evaluation")}
    assert said & held_out == set()
    assert held_out


def test_facts_about_a_classifier_come_back_from_their_file(tmp_path: Path) -> None:
    measured = measure_judge("made", [True], [0.9])
    info = JudgeInfo(name="n", digest="d", method="m", held_out=(measured,))
    write_judge_info(tmp_path, info)
    assert read_judge_info(tmp_path) == info
    text = (tmp_path / "judge.json").read_text()
    for broken in ("", text[:40], "{}"):
        (tmp_path / "judge.json").write_text(broken)
        with pytest.raises(InvalidInput, match="run it again"):
            read_judge_info(tmp_path)
    (tmp_path / "judge.json").unlink()
    with pytest.raises(InvalidInput):
        read_judge_info(tmp_path)
