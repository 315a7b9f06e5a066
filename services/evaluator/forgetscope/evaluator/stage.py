"""The stages of the evaluator service."""

from forgetscope.core.engines import ENDPOINT
from forgetscope.evaluator.engines.cache import EngineCache
from forgetscope.ports.endpoint import Endpoints
from forgetscope.ports.stage import StageIO, StageTable, Work
from forgetscope.schema.base import JsonObject

__all__ = ["stages"]


def stages(endpoints: Endpoints) -> StageTable:
    """The stages by kind. Those of one table share one engine, which stays loaded between them."""
    cache = EngineCache()

    def evaluate(work: Work, io: StageIO) -> JsonObject:
        # Torch belongs into the process that runs a stage, not into the one that lists them.
        from forgetscope.evaluator import evaluation, remote

        if work.params["engine"] == ENDPOINT:
            return remote.evaluate_endpoint(work, io, endpoints)
        return evaluation.evaluate(work, io, cache)

    def measure_noise(work: Work, io: StageIO) -> JsonObject:
        from forgetscope.evaluator import noise, remote_noise

        if work.params["engine"] == ENDPOINT:
            return remote_noise.measure_endpoint_noise(work, io, endpoints)
        return noise.measure_noise(work, io, cache)

    return {"evaluate": evaluate, "noise_floor": measure_noise}
