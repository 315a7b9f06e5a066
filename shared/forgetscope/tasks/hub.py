"""The same data set from the Hugging Face hub instead of a file: a parameter of several tasks."""

from typing import Annotated

from pydantic import Field

from forgetscope.schema.base import Text, Value
from forgetscope.schema.example import HubSource

__all__ = ["HubData", "HubRepository"]


class HubRepository(Value):
    """A data set of the hub at one commit, in the columns of its hub layout."""

    id: Annotated[Text, Field(pattern=r"^\w[\w.-]*(/\w[\w.-]*)?$")]
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$", description="full commit hash")]

    def read(self, part: str, config: str | None = None) -> HubSource:
        """Its train, dev or test part; the hub calls the dev part "validation"."""
        split = "validation" if part == "dev" else part
        return HubSource(kind="hub", id=self.id, revision=self.revision, config=config, split=split)


class HubData(HubRepository):
    """The same, where the task does not say which configuration to read."""

    config: Text | None = Field(default=None, description="the usual one if absent")

    def read(self, part: str, config: str | None = None) -> HubSource:
        """As above; `config` is the usual configuration."""
        return super().read(part, self.config or config)
