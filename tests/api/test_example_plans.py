"""Every example is planned with the data at hand, and stages that chains share are counted once."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from stories260k import convert_stories, data_dir

from forgetscope.app.platform import Platform
from forgetscope.app.submit import facts_of, preview
from forgetscope.core.plan import build_plan
from forgetscope.schema.errors import PlanTooLarge
from forgetscope.schema.experiment import ExperimentSpec
from forgetscope.schema.plan import PlanView
from forgetscope.wiring.settings import Settings
from forgetscope.wiring.wires import build_platform, migrate_records

EXAMPLES = Path(__file__).parents[2] / "examples"
SEED = sorted(p.name for p in (EXAMPLES / "seed").glob("*.yaml"))
LARGE = [name for name in SEED if not name.endswith(".tiny.yaml")]
FILES = sorted(p.name for p in EXAMPLES.glob("*.yaml")) + [f"seed/{name}" for name in SEED]
MAX_STAGES = 6000  # as i-whole-paper.yaml says


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    home = tmp_path_factory.mktemp("plans")
    convert_stories(home / "models" / "stories260k")
    settings = Settings(
        home_dir=home,
        data_dir=data_dir(),
        engines="transformers",
        hub_offline=True,
        allowed_roots=str(home / "models"),
        max_stages=MAX_STAGES,
    )
    migrate_records(settings)
    yield build_platform(settings)


def planned(platform: Platform, name: str) -> PlanView:
    content = yaml.safe_load((EXAMPLES / name).read_text("utf-8"))
    return preview(platform, ExperimentSpec.model_validate(content.get("experiment", content)))


@pytest.mark.parametrize("name", FILES)
def test_every_example_is_planned_with_the_data_at_hand(name: str, platform: Platform) -> None:
    plan = planned(platform, name)
    assert plan.trainings <= plan.naive_trainings
    assert plan.by_kind["train"] == plan.trainings
    assert plan.compute.gpu_hours is not None
    assert plan.memory


@pytest.mark.parametrize("name", LARGE)
def test_the_cost_that_a_seed_file_names_is_that_of_its_plan(name: str, platform: Platform) -> None:
    plan = planned(platform, f"seed/{name}")
    comment = " ".join(
        line.removeprefix("#").strip()
        for line in (EXAMPLES / "seed" / name).read_text("utf-8").splitlines()
        if line.startswith("#")
    )
    assert f"`forgetscope plan examples/seed/{name}`" in comment
    assert f"{plan.trainings} trainings ({plan.naive_trainings} without sharing)" in comment
    assert f"{plan.compute.gpu_hours:g} GPU-hours" in comment
    training = next(row for row in plan.memory if row.kind == "train")
    assert f"{training.total:.1f} GiB to train" in comment
    if curved := [row for row in plan.memory if row.kind == "curvature" and row.way == "layered"]:
        row = next(row for row in curved if row.use != "for comparison")
        assert f"{row.total:.1f} GiB for curvature, of which {row.krylov:.1f} GiB" in comment


def test_eighteen_chains_have_six_first_stages(platform: Platform) -> None:
    plan = planned(platform, "seed/i-whole-paper.yaml")
    chains = {s.label.chain for s in plan.stages if s.kind == "train" and s.label.seed == 0}
    lengths = [len(chain) for chain in chains if chain is not None]
    assert [lengths.count(n) for n in (1, 2)] == [6, 18]
    assert lengths.count(3) == 9 * 7, "nine safety-first pairs, seven shares above 0"
    assert plan.trainings == 3 * (6 + 18 + 63)


def test_a_replay_grid_trains_each_beginning_once(platform: Platform) -> None:
    plan = planned(platform, "seed/c-replay.yaml")
    trained = [s for s in plan.stages if s.kind == "train" and s.label.seed == 0]
    assert len({s.label.chain for s in trained}) == len(trained)
    parents = {s.key: s.inputs.get("parent") for s in trained}
    (first,) = [key for key, parent in parents.items() if parent is None]
    second = [key for key, parent in parents.items() if parent == first]
    assert len(second) == 1 + 7, "ARC alone, and with seven shares mixed in"
    plain = next(s.key for s in trained if s.label.chain == ("toxigen_qa", "arc"))
    third = [key for key, parent in parents.items() if parent == plain]
    assert len(third) == 7 + 1, "seven shares above 0, and the control of equal steps"


def test_all_pairs_with_replay_add_one_stage_for_each_pair(platform: Platform) -> None:
    plan = planned(platform, "seed/e-replay-pairs.yaml")
    assert plan.trainings == 3 * (6 + 18 + 18)


def test_chains_of_one_stage_have_their_curvature_measured(platform: Platform) -> None:
    plan = planned(platform, "seed/d-curvature.yaml")
    curved = {s.label.chain for s in plan.stages if s.kind == "curvature"}
    assert len(curved) == 6
    assert "displacement" not in plan.by_kind


def test_the_whole_paper_is_refused_with_its_count_where_less_is_admitted(
    platform: Platform,
) -> None:
    content = yaml.safe_load((EXAMPLES / "seed" / "i-whole-paper.yaml").read_text("utf-8"))
    spec = ExperimentSpec.model_validate(content)
    facts = facts_of(platform, spec, published=True)._replace(max_stages=Settings().max_stages)
    with pytest.raises(PlanTooLarge, match=r"expand to \d+ stages; the limit is 2000"):
        build_plan(spec, facts)
