"""A catalogue of components by name."""

import difflib
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

from forgetscope.schema.errors import UnknownName

__all__ = ["Registry"]

T = TypeVar("T")


class Registry(Generic[T]):
    """Names mapped to components, in order of registration.

    `what` is the noun used in messages ("task", "method"). A name registered twice is a fault of
    the program, hence ValueError; a name asked for in vain is a fault of the input.
    """

    def __init__(self, what: str, items: Iterable[tuple[str, T]] = ()) -> None:
        self.what = what
        self._items: dict[str, T] = {}
        for name, item in items:
            self.register(name, item)

    def register(self, name: str, item: T) -> None:
        """Raises ValueError when the name is taken."""
        if name in self._items:
            raise ValueError(f"{self.what} {name!r} is registered twice")
        self._items[name] = item

    def get(self, name: str, *, where: str | None = None) -> T:
        """Raises UnknownName, with the nearest name and the list of all; `where` points into the
        input."""
        try:
            return self._items[name]
        except KeyError:
            near = difflib.get_close_matches(name, self._items, n=1)
            hint = f"Did you mean {near[0]!r}? " if near else ""
            known = ", ".join(self._items) or "none"
            raise UnknownName(
                f"there is no {self.what} {name!r}.", where=where, hint=f"{hint}Known: {known}."
            ) from None

    def names(self) -> tuple[str, ...]:
        return tuple(self._items)

    def items(self) -> tuple[tuple[str, T], ...]:
        return tuple(self._items.items())

    def __iter__(self) -> Iterator[T]:
        return iter(self._items.values())

    def __contains__(self, name: object) -> bool:
        return name in self._items
