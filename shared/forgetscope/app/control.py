"""Cancel, retry and delete experiments."""

from forgetscope.app.platform import Platform
from forgetscope.app.ring import ring_all

__all__ = ["cancel", "delete", "retry"]


def cancel(platform: Platform, experiment_id: str) -> None:
    """Stop what no other live experiment needs. Raises NotFound, Conflict."""
    platform.records.cancel_experiment(experiment_id)


def retry(platform: Platform, experiment_id: str) -> None:
    """Run again what failed, was skipped or cancelled. Raises NotFound, Conflict."""
    ring_all(platform, platform.records.retry_experiment(experiment_id))


def delete(platform: Platform, experiment_id: str) -> None:
    """Forget a finished experiment; stages that others use stay. Raises NotFound, Conflict."""
    platform.records.delete_experiment(experiment_id)
