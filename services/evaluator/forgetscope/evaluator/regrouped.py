"""An engine asked in another way: fewer items at once, or the items in another order."""

import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from forgetscope.evaluator.engines.base import Adapter, ChoiceItem, Engine, Report, Tokens

__all__ = ["Regrouped"]

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


class Regrouped:
    """See `Engine`; answers stand in the order of the questions.

    Each call of the engine gets items of together at most `tokens_per_call` tokens (prompt and
    options), at least one; None: all of them. With `shuffle`, a seed, they come in an order drawn
    with it.
    """

    def __init__(
        self, engine: Engine, *, tokens_per_call: int | None = None, shuffle: int | None = None
    ) -> None:
        self._engine = engine
        self._tokens = tokens_per_call
        self._shuffle = shuffle

    @property
    def version(self) -> str:
        return self._engine.version

    def use(self, adapter: Adapter | None, scratch: Path) -> None:
        self._engine.use(adapter, scratch)

    def score_options(self, items: Sequence[ChoiceItem], report: Report) -> list[tuple[float, ...]]:
        sizes = [len(item.prompt) + sum(map(len, item.options)) for item in items]
        return self._in_calls(items, sizes, self._engine.score_options, report)

    def generate(
        self, prompts: Sequence[Tokens], max_new_tokens: int, stop: frozenset[int], report: Report
    ) -> list[Tokens]:
        def ask(part: Sequence[Tokens], so_far: Report) -> list[Tokens]:
            return self._engine.generate(part, max_new_tokens, stop, so_far)

        return self._in_calls(prompts, [len(p) + max_new_tokens for p in prompts], ask, report)

    def close(self) -> None:
        self._engine.close()

    def _in_calls(
        self,
        items: Sequence[Asked],
        sizes: Sequence[int],
        ask: Callable[[Sequence[Asked], Report], list[Answer]],
        report: Report,
    ) -> list[Answer]:
        order = [*range(len(items))]
        if self._shuffle is not None:
            random.Random(self._shuffle).shuffle(order)  # noqa: S311
        found: dict[int, Answer] = {}
        for call in self._calls(order, sizes):

            def so_far(share: float, before: int = len(found), now: int = len(call)) -> None:
                report((before + share * now) / len(items))

            found.update(zip(call, ask([items[i] for i in call], so_far), strict=True))
        return [found[i] for i in range(len(items))]

    def _calls(self, order: Sequence[int], sizes: Sequence[int]) -> Iterator[list[int]]:
        call: list[int] = []
        tokens = 0
        for i in order:
            tokens += sizes[i]
            if call and self._tokens is not None and tokens > self._tokens:
                yield call
                call, tokens = [], sizes[i]
            call.append(i)
        if call:
            yield call
