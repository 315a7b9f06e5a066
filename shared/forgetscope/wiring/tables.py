"""Which service runs which stages. Each service's weight is imported only in its own process."""

from functools import partial
from importlib import import_module

from forgetscope.ports.stage import StageTable
from forgetscope.ports.store import Store
from forgetscope.schema.plan import Queue
from forgetscope.wiring.settings import Settings
from forgetscope.wiring.wires import STAGE_PATIENCE, build_endpoints, build_models, build_rows

__all__ = ["stage_table"]


def stage_table(service: Queue, settings: Settings, store: Store) -> StageTable:
    """The stage functions of one service, with everything they import."""
    match service:
        case "train":
            import_module("forgetscope.trainer.train")  # torch: the first stage shall not wait
            from forgetscope.app.prepare import prepare_data
            from forgetscope.trainer.stage import stages as trainer_stages

            rows = build_rows(settings, store)
            return {
                **trainer_stages(build_models(settings, store), rows),
                "prepare_data": partial(prepare_data, rows=rows),
            }
        case "evaluate":
            import_module("forgetscope.evaluator.evaluation")
            from forgetscope.evaluator.stage import stages as evaluator_stages

            return evaluator_stages(build_endpoints(settings, STAGE_PATIENCE))
        case "analyse":
            from forgetscope.analysis.stage import stages as analysis_stages

            return analysis_stages()
