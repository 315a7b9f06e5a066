"""The contract of an engine. Token ids go in and out, so that every engine sees the same tokens."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from forgetscope.modeling.option_rows import ChoiceItem, Tokens

__all__ = ["Adapter", "ChoiceItem", "Engine", "Report", "Tokens"]

# Called now and then with the share of the call's work that is done, 0 to 1.
Report = Callable[[float], None]


class Adapter(NamedTuple):
    """A LoRA adapter: `digest` names its contents, `folder` holds them for now."""

    digest: str
    folder: Path


class Engine(Protocol):
    """A loaded model that scores and writes. Stays usable after any error it raises."""

    @property
    def version(self) -> str: ...

    def use(self, adapter: Adapter | None, scratch: Path) -> None:
        """Answer with this adapter (None: the plain model) from now on.

        To be called before anything else. `scratch` is a folder for temporary files.
        Raises AdapterMismatch when it was made for another model.
        """

    def score_options(self, items: Sequence[ChoiceItem], report: Report) -> list[tuple[float, ...]]:
        """For each item the log-likelihood of each option given the prompt: nats, summed over the
        option's tokens. Not finite where the model's arithmetic broke down."""

    def generate(
        self, prompts: Sequence[Tokens], max_new_tokens: int, stop: frozenset[int], report: Report
    ) -> list[Tokens]:
        """For each prompt the greedy continuation up to the first token of `stop`, without it."""

    def close(self) -> None:
        """Free the memory. The engine is of no use afterwards."""
