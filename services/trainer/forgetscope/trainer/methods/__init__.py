"""Tuning methods: how each makes a model trainable, and what it leaves behind."""

from forgetscope.trainer.methods.base import Source, Tuning, TuningMethod
from forgetscope.trainer.methods.full import begin_full
from forgetscope.trainer.methods.lora import begin_lora
from forgetscope.trainer.methods.osf import begin_osf

__all__ = ["METHODS", "Source", "Tuning", "TuningMethod"]

# Names as in `forgetscope.core.methods`, which holds their parameters and defaults.
METHODS: dict[str, TuningMethod] = {"full": begin_full, "lora": begin_lora, "osf": begin_osf}
