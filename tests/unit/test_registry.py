"""The catalogue of components."""

import pytest

from forgetscope.core.registry import Registry
from forgetscope.schema.errors import UnknownName

REGISTRY = Registry("fruit", [("apple", 1), ("pear", 2)])


def test_items_are_found_by_name_in_order_of_registration() -> None:
    assert REGISTRY.get("pear") == 2
    assert REGISTRY.names() == ("apple", "pear")
    assert REGISTRY.items() == (("apple", 1), ("pear", 2))
    assert list(REGISTRY) == [1, 2]
    assert "apple" in REGISTRY
    assert "plum" not in REGISTRY


def test_an_unknown_name_is_answered_with_the_nearest_one_and_all_others() -> None:
    with pytest.raises(UnknownName) as caught:
        REGISTRY.get("aple", where="/fruit")
    assert str(caught.value) == (
        "/fruit: there is no fruit 'aple'. Did you mean 'apple'? Known: apple, pear."
    )


def test_nothing_is_guessed_for_a_name_unlike_all_others() -> None:
    with pytest.raises(UnknownName) as caught:
        REGISTRY.get("xyz")
    assert caught.value.hint == "Known: apple, pear."


def test_a_name_cannot_be_registered_twice() -> None:
    with pytest.raises(ValueError, match="fruit 'apple' is registered twice"):
        Registry("fruit", [("apple", 1), ("apple", 2)])
