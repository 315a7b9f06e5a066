"""No doorbell: workers look by themselves every few seconds."""

from forgetscope.schema.plan import Queue

__all__ = ["PollDoorbell"]


class PollDoorbell:
    """For one machine, where looking at the records is cheap and a broker would be a burden."""

    def ring(self, queue: Queue, key: str) -> None:
        """Nothing to do: the next look finds the stage."""
        del queue, key

    def ping(self) -> None:
        """Always there."""
