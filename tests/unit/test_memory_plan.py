"""What a plan says of memory before anything runs."""

from typing import Any

import pytest

from forgetscope.core.builtin_models import BUILTIN_MODELS
from forgetscope.core.memory_plan import memory_note, plan_memory
from forgetscope.core.model_shape import PUBLISHED, parameter_count, shape_of, target_count
from forgetscope.core.plan import build_plan
from forgetscope.schema.errors import InvalidInput
from forgetscope.schema.experiment import ExperimentSpec
from forgetscope.schema.plan import StageMemory
from tests.unit.test_plan import facts

LLAMA = PUBLISHED["meta-llama/Llama-2-7b"].shape
LORA: dict[str, Any] = {"training": {"method": "lora"}}
# Facts of the tests: 10 tokens an example, the longest of unknown length.
EIGHT_ROWS: dict[str, Any] = {"batch_size": 8}


def memory(shape: Any = LLAMA, **fields: Any) -> list[StageMemory]:
    spec = {"tasks": ["s1", "c1"], "chains": [["s1", "c1"]], "curvature": {}} | fields
    known = facts(model_shape=shape, model_parameters=shape.parameters)
    plan = build_plan(ExperimentSpec.model_validate(spec), known)
    return list(plan_memory(plan.stages, shape, known.tasks))


def row(rows: list[StageMemory], **wanted: str) -> StageMemory:
    (found,) = [r for r in rows if all(getattr(r, name) == w for name, w in wanted.items())]
    return found


@pytest.mark.parametrize("model", [*PUBLISHED])
def test_published_sizes_add_up_to_the_published_number_of_parameters(model: str) -> None:
    shape = PUBLISHED[model].shape
    assert parameter_count(shape) == shape.parameters


def test_builtin_sizes_add_up_to_their_number_of_parameters() -> None:
    for name in BUILTIN_MODELS.names():
        info = BUILTIN_MODELS.get(name)
        assert parameter_count(info.shape) == info.parameters


def test_full_training_of_seven_billion_weights_is_stated_in_all_its_parts() -> None:
    found = row(memory(training=EIGHT_ROWS), kind="train", way="full")
    assert found.weights == pytest.approx(25.1, abs=0.05)
    assert found.gradients == pytest.approx(25.1 + 0.5, abs=0.1)
    assert found.optimiser == pytest.approx(50.2, abs=0.05)
    assert found.activations > 0
    assert found.total == pytest.approx(
        found.weights + found.gradients + found.optimiser + 25.1, abs=0.1
    ), "the optimiser's copy is larger than the activations of such short rows"
    assert (found.rows, found.sequence, found.parameters) == (8, 10, LLAMA.parameters)


def test_training_adapters_takes_little_more_than_the_weights() -> None:
    full, lora = (
        row(memory(training=EIGHT_ROWS | method), kind="train")
        for method in ({}, {"method": "lora"})
    )
    assert lora.parameters == 19_988_480, "rank 8 on every linear layer"
    assert lora.gradients + lora.optimiser < 0.3
    assert lora.total < 0.3 * full.total


def test_bfloat16_arithmetic_keeps_a_second_copy_of_the_weights() -> None:
    wide, narrow = (
        row(memory(training=EIGHT_ROWS | {"dtype": dtype}), kind="train")
        for dtype in ("float32", "bfloat16")
    )
    assert narrow.weights == pytest.approx(1.5 * wide.weights, rel=0.01)


def test_longer_rows_and_more_of_them_keep_more_and_checkpointing_less() -> None:
    def activations(**training: Any) -> float:
        return row(memory(training=training), kind="train").activations

    assert activations(batch_size=64) == pytest.approx(2 * activations(batch_size=32), rel=0.01)
    one = activations(batch_size=64, micro_batch_size=8)
    assert one == pytest.approx(activations(batch_size=8), rel=0.01)
    assert activations(gradient_checkpointing=True) < 0.2 * activations()


def test_a_product_is_stated_in_every_way_for_all_weights_and_for_adapters() -> None:
    found = memory()
    ways = {(r.way, r.over): r for r in found if r.kind == "curvature"}
    assert len(ways) == 6
    exact, layered = ways["exact", "all weights"], ways["layered", "all weights"]
    differences = ways["finite_differences", "all weights"]
    assert (exact.use, layered.use) == ("asked for", "where memory is short")
    assert differences.use == "for comparison"
    assert exact.total - exact.krylov > layered.total - layered.krylov
    for way in (exact, layered, differences):
        assert way.krylov == pytest.approx(31 * 25.1, rel=0.01), "31 float32 vectors of all weights"
        parts = (way.weights, way.gradients, way.tangents, way.activations, way.krylov)
        assert way.total == pytest.approx(sum(parts), abs=0.01)
    factors = ways["exact", "LoRA factors of rank 8"]
    assert factors.use == "for comparison"
    assert factors.total < 0.1 * exact.total


def test_adapters_are_asked_for_where_adapters_are_trained() -> None:
    found = [r for r in memory(**LORA) if r.kind == "curvature"]
    asked = row(found, use="asked for")
    assert (asked.over, asked.parameters) == ("LoRA factors", 19_988_480)
    assert {r.use for r in found if r.over == "all weights"} == {"for comparison"}
    targets = memory(**LORA, curvature={"parameters": "targets"})
    merged = row(targets, kind="curvature", use="asked for")
    assert merged.parameters == target_count(LLAMA, ["all-linear"], None)


def test_the_way_that_the_specification_names_is_marked() -> None:
    found = memory(curvature={"product": "layered"})
    assert row(found, kind="curvature", use="asked for").way == "layered"
    assert row(found, kind="displacement").way == "layered"


def test_bfloat16_products_are_checked_in_float32_and_that_takes_the_memory() -> None:
    wide, narrow = (
        row(memory(curvature={"dtype": dtype}), kind="curvature", way="exact", over="all weights")
        for dtype in ("float32", "bfloat16")
    )
    assert narrow.weights == wide.weights
    assert narrow.total == wide.total


def test_differences_are_not_offered_in_bfloat16() -> None:
    found = memory(curvature={"dtype": "bfloat16"})
    assert {r.way for r in found if r.kind == "curvature"} == {"exact", "layered"}
    assert row(found, kind="displacement", use="asked for").dtype == "float32"


def test_a_sketch_of_the_trace_is_kept_where_it_is_larger_than_the_krylov_space() -> None:
    asked = row(memory(curvature={"trace": True}), use="asked for", kind="curvature")
    wide = {"trace": True, "trace_products": 300}
    more = row(memory(curvature=wide), use="asked for", kind="curvature")
    assert asked.krylov == pytest.approx(31 * 25.1, rel=0.01)
    assert more.krylov == pytest.approx(2 * 100 * 25.1, rel=0.01)


def test_what_mitigations_keep_is_stated_with_their_names() -> None:
    def found(name: str) -> StageMemory:
        training = EIGHT_ROWS | {"mitigation": name}
        return row(memory(training=training), kind="train", mitigation=name)

    plain = row(memory(training=EIGHT_ROWS), kind="train")
    assert plain.copies == 0
    for name, copies in (("l2_sp", 1), ("sam", 1)):
        assert found(name).copies == pytest.approx(copies * 25.1, abs=0.05)
        assert found(name).total == pytest.approx(plain.total + copies * 25.1, abs=0.1)
    training = {"mitigation": "ewc", "method": "full"} | EIGHT_ROWS
    steps = {"held": {"kind": "train", "training": training}}
    rows = memory(steps=steps, chains=[["s1", "c1:held"]])
    assert row(rows, kind="train", mitigation="ewc").copies == pytest.approx(2 * 25.1, abs=0.05)
    fisher = row(rows, kind="fisher")
    assert fisher.rows == 1
    assert fisher.copies == fisher.gradients == pytest.approx(25.1, abs=0.05)


def test_osf_states_its_subspaces_beside_the_weights() -> None:
    found = row(memory(training=EIGHT_ROWS | {"method": "osf"}), kind="train")
    assert (found.way, found.over) == ("osf", "OSF's free directions")
    square, flat = 4096 * 4096, 4096 * 11008
    free = 32 * (4 * 2048 * (2 * 4096 + 1) + 3 * 2048 * (4096 + 11008 + 1))
    assert found.parameters == free
    assert found.copies == pytest.approx((free + 32 * 3 * 2048 * 11008) * 4 / 2**30, abs=0.01)
    assert free < 32 * (4 * square + 3 * flat)


def test_merges_and_choices_of_examples_are_stated() -> None:
    chosen = ("worst_group", "gradient_similarity")
    steps: dict[str, Any] = {name: {"kind": "replay", "selection": name} for name in chosen}
    steps["half"] = {"kind": "merge"}
    rows = memory(steps=steps, chains=[["s1", "c1", name] for name in steps])
    assert row(rows, kind="merge").total == pytest.approx(2 * 25.1 + 2.93, abs=0.05)
    worst, near = (row(rows, kind="select", way=way) for way in chosen)
    assert 25.1 < worst.total < near.gradients + near.weights < near.total
    assert worst.rows == near.rows == 102, "1024 tokens in rows of 10"


def test_the_longest_example_counts_up_to_the_limit() -> None:
    known = facts(model_shape=LLAMA)
    tasks = {
        name: task._replace(longest_tokens=5000, longest_answer_tokens=3)
        for name, task in known.tasks.items()
    }
    spec = ExperimentSpec.model_validate(
        {"tasks": ["s1"], "chains": [["s1"]], "training": {"max_length": 512}}
    )
    plan = build_plan(spec, known._replace(tasks=tasks))
    (found,) = plan_memory(plan.stages, LLAMA, tasks)
    assert found.sequence == 512


def test_modules_of_unknown_names_give_no_estimate_rather_than_a_wrong_one() -> None:
    method = {"name": "lora", "params": {"target_modules": ["c_attn"]}}
    assert [r for r in memory(training={"method": method}) if r.kind == "train"] == []


def test_a_shape_that_is_not_told_is_said_with_what_is_known() -> None:
    spec = ExperimentSpec.model_validate({"tasks": ["s1"], "chains": [["s1"]]})
    stages = build_plan(spec, facts()).stages
    assert "not known before it is here" in str(memory_note(stages, None, None))
    assert "weights alone take 25.1 GiB" in str(memory_note(stages, None, LLAMA.parameters))
    assert "never measured on a GPU" in str(memory_note(stages, LLAMA, LLAMA.parameters))


def test_a_configuration_with_other_names_is_refused_by_name() -> None:
    with pytest.raises(InvalidInput, match=r"gpt2 model .* no num_hidden_layers, hidden_size"):
        shape_of({"model_type": "gpt2", "n_embd": 8, "vocab_size": 9}, 1)


def test_parameters_that_nobody_tells_are_counted_from_the_shape() -> None:
    config = {
        "num_hidden_layers": 32,
        "hidden_size": 4096,
        "intermediate_size": 11008,
        "num_attention_heads": 32,
        "num_key_value_heads": 32,
        "vocab_size": 32000,
        "tie_word_embeddings": False,
    }
    assert shape_of(config, None).parameters == LLAMA.parameters
    grouped = shape_of(config | {"num_key_value_heads": 8}, None)
    assert grouped.parameters == LLAMA.parameters - 32 * 2 * 4096 * 3072
