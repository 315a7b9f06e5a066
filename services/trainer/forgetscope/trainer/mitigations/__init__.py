"""Mitigations: what stands around the gradient of a training step, to forget less."""

from forgetscope.trainer.mitigations.base import (
    Anchor,
    BeginMitigation,
    Mitigation,
    Scene,
    begin_plain,
)
from forgetscope.trainer.mitigations.ewc import begin_ewc
from forgetscope.trainer.mitigations.l2_sp import begin_l2_sp
from forgetscope.trainer.mitigations.sam import begin_sam

__all__ = ["MITIGATIONS", "Anchor", "BeginMitigation", "Mitigation", "Scene", "begin_plain"]

# Names as in `forgetscope.core.mitigations`, which holds their parameters and defaults.
MITIGATIONS: dict[str, BeginMitigation] = {
    "l2_sp": begin_l2_sp,
    "ewc": begin_ewc,
    "sam": begin_sam,
}
