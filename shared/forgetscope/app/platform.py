"""What every use case gets: the ports, and the few facts about the fleet that plans need."""

from typing import Literal, NamedTuple

from forgetscope.app.prepare import FactsMemory
from forgetscope.ports.baselines import Baselines
from forgetscope.ports.inbox import Inbox
from forgetscope.ports.library import Library
from forgetscope.ports.models import Models
from forgetscope.ports.queue import Doorbell
from forgetscope.ports.records import Records
from forgetscope.ports.rows import Rows
from forgetscope.ports.searches import Searches
from forgetscope.ports.store import Store
from forgetscope.ports.webhooks import Sender, Webhooks

__all__ = ["Fleet", "Platform"]


class Fleet(NamedTuple):
    """The workers as planners and sweepers see them."""

    accelerator: Literal["cpu", "cuda"] = "cpu"
    engines: frozenset[str] = frozenset({"transformers"})
    max_stages: int = 2000
    max_attempts: int = 3
    lease_seconds: float = 30.0
    poll_seconds: float = 2.0


class Platform(NamedTuple):
    """Built by the composition root, handed to every use case."""

    records: Records
    library: Library
    searches: Searches
    baselines: Baselines
    webhooks: Webhooks
    sender: Sender
    store: Store
    doorbell: Doorbell
    rows: Rows
    inbox: Inbox
    models: Models
    fleet: Fleet
    memory: FactsMemory
