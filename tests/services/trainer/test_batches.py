"""Examples, steps, rows and the learning rate."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_llama import tiny_model, tiny_tokenizer
from transformers import get_linear_schedule_with_warmup

from forgetscope.core.training import step_count
from forgetscope.modeling.batches import Item, collate, encode_examples
from forgetscope.modeling.loading import TokenizerEncoder
from forgetscope.schema.errors import InvalidInput
from forgetscope.schema.example import Example
from forgetscope.trainer.batches import examples_of_step, micro_batches
from forgetscope.trainer.schedule import linear_decay, warmup_steps

CHOICE = Example(
    id="c", prompt="w0 w1", options=(" w2", " w3"), answer=1, target=" w3", cluster="c"
)
WRITTEN = Example(id="g", form="generate", prompt="w0", target=" w1 w2", cluster="g")


def encode(example: Example, max_length: int = 16) -> Item:
    encoder = TokenizerEncoder(tiny_tokenizer())
    return encode_examples([example], encoder, eos=2, max_length=max_length)[0]


def test_a_choice_is_trained_on_its_option_alone() -> None:
    assert encode(CHOICE) == Item([1, 3, 4, 6], start=3)


def test_a_written_answer_ends_with_eos() -> None:
    assert encode(WRITTEN) == Item([1, 3, 4, 5, 2], start=2)


def test_an_answer_too_long_for_the_model_names_its_example() -> None:
    with pytest.raises(InvalidInput, match=r"example g: the answer alone has 3 tokens"):
        encode(WRITTEN, max_length=3)


@given(examples=st.integers(1, 60), batch=st.integers(1, 17), seed=st.integers(0, 2**63))
def test_every_epoch_sees_every_example_once(examples: int, batch: int, seed: int) -> None:
    per_epoch = step_count(examples, batch, 1.0)
    for epoch in range(2):
        steps = range(epoch * per_epoch, (epoch + 1) * per_epoch)
        seen = [i for step in steps for i in examples_of_step(examples, batch, step, seed)]
        assert sorted(seen) == list(range(examples))


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    orders = {
        tuple(examples_of_step(50, 50, epoch, seed)) for epoch in range(3) for seed in range(3)
    }
    assert len(orders) == 9


@given(
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=40),
    size=st.integers(1, 9),
    packed=st.booleans(),
)
def test_regrouping_keeps_every_example_and_both_limits(
    lengths: list[int], size: int, packed: bool
) -> None:
    parts = micro_batches(lengths, size, "packed" if packed else "length_grouped", 30)
    flat = [i for rows in parts for row in rows for i in row]
    assert sorted(flat) == list(range(len(lengths)))
    assert all(len(rows) <= size for rows in parts)
    assert all(sum(lengths[i] for i in row) <= 30 for rows in parts for row in rows)
    if not packed:
        assert [lengths[i] for i in flat] == sorted(lengths, reverse=True)


def test_packing_fills_rows() -> None:
    assert micro_batches([5, 5, 5, 15, 10], 1, "packed", 20) == [[[3, 0]], [[4, 1, 2]]]


def test_rows_restart_positions_and_point_at_the_token_before_each_target() -> None:
    batch = collate([[Item([1, 5, 6], 1), Item([1, 7], 1)], [Item([1, 8, 9], 2)]])
    assert batch.input_ids.tolist() == [[1, 5, 6, 1, 7], [1, 8, 9, 0, 0]]
    assert batch.position_ids.tolist() == [[0, 1, 2, 0, 1], [0, 1, 2, 3, 4]]
    assert batch.answers.rows.tolist() == [0, 0, 0, 1]
    assert batch.answers.columns.tolist() == [0, 1, 3, 1]
    assert batch.answers.targets.tolist() == [5, 6, 7, 9]


@pytest.mark.parametrize(
    ("examples", "batch", "epochs", "steps"),
    [(10, 4, 1.0, 3), (10, 4, 2.0, 6), (10, 5, 0.5, 1), (100, 10, 0.25, 3), (1, 32, 0.01, 1)],
)
def test_steps_of_whole_and_partial_epochs(
    examples: int, batch: int, epochs: float, steps: int
) -> None:
    assert step_count(examples, batch, epochs) == steps


@pytest.mark.parametrize("ratio", [0.0, 0.1, 0.35, 1.0])
def test_the_learning_rate_is_that_of_transformers(ratio: float) -> None:
    total = 20
    optimiser = torch.optim.SGD(tiny_model().parameters(), lr=1.0)
    warmup = warmup_steps(total, ratio)
    theirs = get_linear_schedule_with_warmup(optimiser, warmup, total)
    for step in range(total):
        assert linear_decay(step, total, warmup) == pytest.approx(theirs.get_last_lr()[0])
        optimiser.step()
        theirs.step()
