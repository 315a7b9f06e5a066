"""Subsampling: balanced, nested, deterministic, and never fewer than asked."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forgetscope.core.subsample import refuse_overlap, subsample
from forgetscope.schema.errors import InvalidInput, NotEnoughExamples
from forgetscope.schema.example import Example


def example(name: str, stratum: str = "", cluster: str | None = None) -> Example:
    return Example(
        id=name,
        prompt="?",
        options=(" yes", " no"),
        answer=0,
        target=" yes",
        cluster=cluster or name,
        stratum=stratum,
    )


def pool(sizes: dict[str, int]) -> list[Example]:
    return [example(f"{s}{i}", s) for s, size in sizes.items() for i in range(size)]


SIZES = st.dictionaries(st.sampled_from("abcde"), st.integers(1, 8), min_size=1)
SEEDS = st.integers(0, 2**31 - 1)


def most(sizes: dict[str, int], seed: int) -> int:
    """The largest n that is possible, found by asking for too many."""
    with pytest.raises(NotEnoughExamples) as caught:
        subsample(pool(sizes), sum(sizes.values()) + 1, seed)
    assert caught.value.hint is not None
    return int(caught.value.hint.split("At most ")[1].split()[0])


@given(SIZES, SEEDS)
def test_strata_differ_by_at_most_one(sizes: dict[str, int], seed: int) -> None:
    for n in range(most(sizes, seed) + 1):
        counts = Counter(e.stratum for e in subsample(pool(sizes), n, seed))
        assert counts.total() == n
        every = [counts[stratum] for stratum in sizes]
        assert max(every) - min(every) <= 1


@given(SIZES, SEEDS)
def test_a_smaller_sample_is_the_beginning_of_a_larger_one(
    sizes: dict[str, int], seed: int
) -> None:
    largest = subsample(pool(sizes), most(sizes, seed), seed)
    for n in range(len(largest)):
        assert subsample(pool(sizes), n, seed) == largest[:n]


@given(SIZES, SEEDS, st.randoms(use_true_random=False))
def test_the_order_of_the_input_changes_nothing(
    sizes: dict[str, int], seed: int, random: object
) -> None:
    examples = pool(sizes)
    shuffled = list(examples)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    n = most(sizes, seed)
    assert subsample(shuffled, n, seed) == subsample(examples, n, seed)
    assert subsample(shuffled, None, seed) == subsample(examples, None, seed)


@given(SIZES, SEEDS)
def test_the_largest_n_named_is_tight(sizes: dict[str, int], seed: int) -> None:
    n = most(sizes, seed)
    smallest = min(sizes.values())
    assert smallest * len(sizes) <= n < (smallest + 1) * len(sizes)
    with pytest.raises(NotEnoughExamples):
        subsample(pool(sizes), n + 1, seed)


def test_without_a_number_every_example_is_used() -> None:
    examples = pool({"a": 1, "b": 9})
    assert {e.id for e in subsample(examples, None, 0)} == {e.id for e in examples}


def test_another_seed_draws_other_examples() -> None:
    examples = pool({"a": 50})
    assert subsample(examples, 20, 0) != subsample(examples, 20, 1)


def test_too_many_asked_names_the_stratum_that_runs_out() -> None:
    with pytest.raises(NotEnoughExamples, match=r"20 examples asked.*only 3 examples of 'b'"):
        subsample(pool({"a": 50, "b": 3}), 20, 0)


def test_too_many_asked_without_strata_names_the_count() -> None:
    with pytest.raises(NotEnoughExamples, match=r"only 3 examples\. At most 3 can be drawn\."):
        subsample(pool({"": 3}), 4, 0)


def test_nothing_can_be_drawn_from_nothing() -> None:
    with pytest.raises(NotEnoughExamples, match="At most 0"):
        subsample([], 1, 0)


def test_a_repeated_id_is_refused() -> None:
    with pytest.raises(InvalidInput, match="two examples have the id 'x'"):
        subsample([example("x"), example("x")], None, 0)


def test_a_cluster_in_both_splits_is_refused() -> None:
    refuse_overlap([example("a", cluster="p")], [example("b", cluster="q")])
    with pytest.raises(InvalidInput, match=r"1 clusters stand in .* for example 'p'"):
        refuse_overlap([example("a", cluster="p")], [example("b", cluster="p")])
