"""Subsampling: balanced, nested, deterministic, and never fewer than asked."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forgetscope.core.subsample import folded, refuse_overlap, subsample
from forgetscope.schema.errors import InvalidInput, NotEnoughExamples
from forgetscope.schema.example import Example


def example(
    name: str,
    stratum: str = "",
    cluster: str | None = None,
    prompt: str | None = None,
    row: str = "",
    options: tuple[str, ...] = (" yes", " no"),
    groups: tuple[str, ...] = (),
) -> Example:
    return Example(
        id=name,
        prompt=prompt or f"Is it {name}?",
        options=options,
        answer=0,
        target=options[0],
        cluster=cluster or name,
        stratum=stratum,
        row=row,
        groups=groups,
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


def test_a_repeated_id_is_refused_with_both_its_rows() -> None:
    with pytest.raises(InvalidInput, match=r"two examples have the id 'x'\."):
        subsample([example("x"), example("x")], None, 0)
    twins = [example("x", row=f"a.jsonl, row {number}") for number in (2, 7)]
    message = r"two examples have the id 'x' \(a\.jsonl, row 2 and a\.jsonl, row 7\)"
    with pytest.raises(InvalidInput, match=message):
        subsample(twins, None, 0)


def test_a_cluster_in_both_splits_is_refused_with_a_row_of_each() -> None:
    refuse_overlap([example("a", cluster="p")], [example("b", cluster="q")])
    with pytest.raises(
        InvalidInput, match=r"1 clusters stand in .* for example 'p': 'a' for train"
    ):
        refuse_overlap([example("a", cluster="p")], [example("b", cluster="p")])
    train = [example("a", cluster="p", row="t.jsonl, row 1"), example("c", cluster="q")]
    evaluation = [example("b", cluster="p", row="e.jsonl, row 9"), example("d", cluster="q")]
    with pytest.raises(InvalidInput) as caught:
        refuse_overlap(train, evaluation)
    assert caught.value.detail == (
        "2 clusters stand in the training and the evaluation split, for example 'p': "
        "'a' (t.jsonl, row 1) for training and 'b' (e.jsonl, row 9) for evaluation."
    )


def test_a_sample_is_balanced_over_groups_where_that_is_asked() -> None:
    sizes = {("north",): 40, ("south",): 9, ("north", "south"): 12, (): 20}
    items = [
        example(f"{'-'.join(groups)}{label}{i}", stratum=label, groups=groups)
        for groups, size in sizes.items()
        for label in ("yes", "no")
        for i in range(size)
    ]
    drawn = subsample(items, 72, 0, by_groups=True)
    assert set(Counter((e.groups, e.stratum) for e in drawn).values()) == {9}
    assert drawn[:40] == subsample(items, 40, 0, by_groups=True)
    with pytest.raises(NotEnoughExamples, match=r"'south: (yes|no)'"):
        subsample(items, 80, 0, by_groups=True)
    assert max(Counter(e.groups for e in subsample(items, 72, 0)).values()) > 20


def test_an_item_that_reads_alike_in_both_splits_is_refused_with_both_rows() -> None:
    train = [example("a", prompt="Is ice cold?"), example("b", prompt="Made of GLASS,  she said.")]
    leak = example("c", prompt="made of glass she said", row="e.jsonl, row 3")
    train[1] = train[1].model_copy(update={"row": "t.jsonl, row 2"})
    with pytest.raises(InvalidInput) as caught:
        refuse_overlap(train, [example("d"), leak])
    assert caught.value.detail == (
        "1 items of the evaluation split stand in the training split as well, for example "
        "'b' (t.jsonl, row 2) for training and 'c' (e.jsonl, row 3) for evaluation."
    )
    assert "glass" not in str(caught.value)


def test_a_question_with_other_options_is_another_item() -> None:
    one = example("a", prompt="Which is soft?", options=(" wool", " iron"))
    other = example("b", prompt="Which is soft?", options=(" silk", " iron"))
    turned = example("c", prompt="Which is soft?", options=(" iron", " wool"))
    refuse_overlap([one], [other])
    with pytest.raises(InvalidInput, match="1 items of the evaluation split"):
        refuse_overlap([one], [turned])


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("“Well-known,” she said…", "well known she said", True),
        ("3 + 5 = 8", "3 - 5 = 8", False),
        ("x < 10", "x > 10", False),
        ("f(1) = -2", "f(1) = 2", False),
        ("COVID-19", "covid 19", True),
        ("कि", "की", False),
        ("😀", "😡", False),
        ("_a_", "A", True),
    ],
)
def test_what_reads_alike_has_the_same_words_and_signs(one: str, other: str, alike: bool) -> None:
    assert (folded(one) == folded(other)) == alike
