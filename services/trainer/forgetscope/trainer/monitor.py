"""The monitor of a training stage: small probes of an earlier task's groups, judged at any time."""

from collections.abc import Mapping

from peft import PeftModel
from torch import Tensor
from transformers import PreTrainedModel

from forgetscope.ports.stage import StageIO, Work
from forgetscope.schema.errors import InvalidInput
from forgetscope.trainer.methods import Source
from forgetscope.trainer.params import TrainParams
from forgetscope.trainer.watching import Watch

__all__ = ["begin_monitor"]


def begin_monitor(
    params: TrainParams,
    work: Work,
    io: StageIO,
    source: Source,
    model: PreTrainedModel | PeftModel,
    trained: Mapping[str, Tensor],
) -> Watch:
    raise InvalidInput("a monitor is not built yet", where="monitor")
