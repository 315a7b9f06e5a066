"""The parameters of ToxiGenQA, and the files that they name."""

from typing import Literal

from pydantic import model_validator

from forgetscope.schema.base import Value
from forgetscope.schema.example import FileSource, Source, Split
from forgetscope.tasks.hub import HubData
from forgetscope.tasks.questions import Format

__all__ = ["ANNOTATED", "SAFENLP", "ToxigenParams"]

ANNOTATED = FileSource(path="toxigen/annotated_train.jsonl.gz")
SAFENLP = FileSource(path="toxigen/safenlp_toxiGen.json.gz", format="json")


class ToxigenParams(Value):
    """`test_unseen` is the official annotated test split, which is at the hub alone."""

    form: Literal["single", "paired"] = "single"
    format: Format = "qa"
    evaluate_on: Literal["held_out", "safenlp_unseen", "test_unseen"] = "held_out"
    hub: HubData | None = None

    @model_validator(mode="after")
    def _fit_together(self) -> "ToxigenParams":
        if self.form == "paired" and self.format != "qa":
            raise ValueError("format: pairs are asked as 'qa' alone")
        if self.evaluate_on == "test_unseen" and self.hub is None:
            raise ValueError("evaluate_on: 'test_unseen' needs 'hub'")
        return self

    def sources(self, split: Split) -> tuple[Source, ...]:
        """The annotated train split, and whatever else evaluation is on."""
        train = self.hub.read("train", "annotated") if self.hub else ANNOTATED
        if split == "train" or self.evaluate_on == "held_out":
            return (train,)
        if self.evaluate_on == "test_unseen" and self.hub:
            return (train, self.hub.read("test", "annotated"))
        return (train, SAFENLP)
