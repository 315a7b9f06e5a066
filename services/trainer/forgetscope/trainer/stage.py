"""The trainer's stages. Importing this loads no torch: the parent process does, too."""

import time
from collections.abc import Callable

from forgetscope.ports.models import Models
from forgetscope.ports.rows import Rows
from forgetscope.ports.stage import StageIO, StageTable, Work
from forgetscope.schema.base import JsonObject

__all__ = ["stages"]


def stages(
    models: Models, rows: Rows, *, clock: Callable[[], float] = time.monotonic
) -> StageTable:
    """The stage functions by kind."""

    def prepare_model(work: Work, io: StageIO) -> JsonObject:
        from forgetscope.trainer.base_model import run_prepare_model

        return run_prepare_model(work, io, models)

    def prepare_judge(work: Work, io: StageIO) -> JsonObject:
        from forgetscope.trainer.judge import run_prepare_judge

        return run_prepare_judge(work, io, models, rows)

    def train(work: Work, io: StageIO) -> JsonObject:
        if io.machine.processes > 1:
            from forgetscope.trainer.launch import run_together

            return run_together(work, io, clock=clock)
        from forgetscope.trainer.train import run_train

        return run_train(work, io, clock=clock)

    def merge(work: Work, io: StageIO) -> JsonObject:
        from forgetscope.trainer.merge import run_merge

        return run_merge(work, io)

    def select(work: Work, io: StageIO) -> JsonObject:
        from forgetscope.trainer.select import run_select

        return run_select(work, io)

    def fisher(work: Work, io: StageIO) -> JsonObject:
        from forgetscope.trainer.fisher import run_fisher

        return run_fisher(work, io)

    return {
        "prepare_model": prepare_model,
        "prepare_judge": prepare_judge,
        "train": train,
        "merge": merge,
        "select": select,
        "fisher": fisher,
    }
