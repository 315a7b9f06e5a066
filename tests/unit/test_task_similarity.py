"""How alike two tasks are: domain, format and output space apart."""

import math

import pytest

from forgetscope.core.task_similarity import Similarity, profiles_of, similarity
from forgetscope.schema.example import Example


def task(name: str, topics: list[str], asks: str, options: tuple[str, ...]) -> list[Example]:
    return [
        Example(
            id=f"{name}-{i}",
            prompt=f"Statement: {topic}\n{asks}",
            options=options,
            answer=i % len(options),
            target=options[i % len(options)],
            cluster=f"{i}",
        )
        for i, topic in enumerate(topics)
    ]


ANIMALS = ["a cat sleeps", "a dog barks", "a cat and a dog", "one bird sings"] * 3
TOOLS = ["that hammer fell", "this saw cuts", "this hammer and saw", "that drill turns"] * 3
YES = (" yes", " no")
LETTERS = (" A", " B", " C", " D")


def alike(one: list[Example], other: list[Example]) -> Similarity:
    profiles = profiles_of({"one": one, "other": other})
    found = similarity(profiles["one"], profiles["other"])
    assert similarity(profiles["other"], profiles["one"]) == found
    return found


def value(found: Similarity, side: str) -> float:
    measured = getattr(found, side).value
    assert measured is not None
    return float(measured)


def test_a_task_is_like_itself_in_everything() -> None:
    own = task("one", ANIMALS, "Is this true?", YES)
    found = alike(own, task("other", ANIMALS, "Is this true?", YES))
    assert [value(found, side) for side in ("domain", "format", "output")] == pytest.approx([1] * 3)


def test_domain_changes_alone_where_only_the_topics_differ() -> None:
    found = alike(
        task("one", ANIMALS, "Is this true?", YES), task("other", TOOLS, "Is this true?", YES)
    )
    assert 0 < value(found, "domain") < 0.3  # "and" and "this" remain
    assert (value(found, "format"), value(found, "output")) == (1.0, 1.0)


def test_format_and_output_change_alone_where_only_the_form_differs() -> None:
    found = alike(
        task("one", ANIMALS, "Is this true?", YES), task("other", ANIMALS, "Choose now.", LETTERS)
    )
    assert value(found, "domain") == pytest.approx(1.0)
    assert value(found, "output") == 0.0
    # statement of {statement, is, this, true, choose, now}; 2 of 4 options; both choose.
    assert value(found, "format") == pytest.approx((1 / 6 + 1 / 2 + 1) / 3)


def test_the_cosine_is_that_of_counts_times_the_logarithm_of_rarity() -> None:
    one = task("one", ["red", "red", "blue", "green"], "Say.", YES)
    other = task("other", ["red", "black", "black", "black"], "Say.", YES)
    red, rare, black = math.log(8 / 3), math.log(8), math.log(8 / 3)
    dot = (2 * red) * red
    lengths = math.hypot(2 * red, rare, rare) * math.hypot(red, 3 * black)
    assert value(alike(one, other), "domain") == pytest.approx(dot / lengths)


def test_a_task_without_words_of_its_own_has_no_domain_and_says_why() -> None:
    found = alike(task("one", ["!"] * 4, "Say.", YES), task("other", ANIMALS, "Say.", YES))
    assert "no word of its own" in str(found.domain.reason)
    assert found.format.value is not None


def test_tasks_that_write_are_compared_with_tasks_that_choose() -> None:
    written = [
        Example(id=f"w{i}", form="generate", prompt=f"Statement: {t}", target=" yes", cluster="c")
        for i, t in enumerate(ANIMALS)
    ]
    found = alike(written, task("other", ANIMALS, "Is this true?", YES))
    assert value(found, "output") == 0.5
    assert value(found, "format") == pytest.approx((1 / 4 + 0 + 0) / 3)
