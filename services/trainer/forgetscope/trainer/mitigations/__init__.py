"""Mitigations: what stands around the gradient of a training step, to forget less."""

from forgetscope.trainer.mitigations.base import (
    Anchor,
    BeginMitigation,
    Mitigation,
    Scene,
    begin_plain,
)

__all__ = ["MITIGATIONS", "Anchor", "BeginMitigation", "Mitigation", "Scene", "begin_plain"]

# Names as in `forgetscope.core.mitigations`, which holds their parameters and defaults.
MITIGATIONS: dict[str, BeginMitigation] = {}
