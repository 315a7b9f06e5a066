"""The stage `merge`: a model on the straight line between two others.

θ = (1 − alpha)·θ_checkpoint + alpha·θ_other, weight by weight, as WiSE-FT draws it between a model
before and after fine-tuning (Wortsman et al. 2022, arXiv 2109.01903, section 3). Adapters are
merged into their base first: where the factors of LoRA lie on a line, their product B·A does not.
So the result is a whole model. Each weight is rounded once, to float32.
"""

import shutil
from pathlib import Path

import torch
from pydantic import Field
from transformers import PreTrainedModel

from forgetscope.modeling.loading import ADAPTER_CONFIG, ADAPTER_WEIGHTS, is_adapter
from forgetscope.modeling.saving import save_model
from forgetscope.ports.stage import StageIO, Work
from forgetscope.schema.base import JsonObject, Value
from forgetscope.schema.errors import InvalidInput
from forgetscope.trainer.methods import Source

__all__ = ["MergeParams", "run_merge"]

_ADAPTER = {ADAPTER_CONFIG, ADAPTER_WEIGHTS}
_INDEX = "model.safetensors.index.json"


class MergeParams(Value):
    """`Work.params` of a merge stage."""

    alpha: float = Field(ge=0, le=1)


def run_merge(work: Work, io: StageIO) -> JsonObject:
    """Inputs: base, checkpoint, other. Output: a whole model; for alpha 0 and 1, the files of that
    end as they are, in its own form.

    Raises what loading raises, and InvalidInput for ends of different architectures.
    """
    alpha = MergeParams.model_validate(work.params).alpha
    base, checkpoint, other = (io.input(role) for role in ("base", "checkpoint", "other"))
    if alpha in (0, 1):
        end = other if alpha else checkpoint
        for file in model_files(end, base):
            shutil.copyfile(file, io.output / file.name)
        return {"form": "adapter" if is_adapter(end) else "full", "alpha": alpha}
    model = Source(base, checkpoint, "sdpa").load_weights()
    interpolate(model, Source(base, other, "sdpa").load_weights(), alpha)
    save_model(model, io.output, like=base)
    return {"form": "full", "alpha": alpha}


@torch.no_grad()
def interpolate(model: PreTrainedModel, other: PreTrainedModel, alpha: float) -> None:
    """Move `model` along the line to `other`. Tied weights are one parameter and move once.

    Raises InvalidInput when the two have different parameters.
    """
    ends = dict(other.named_parameters())
    own = dict(model.named_parameters())
    if {n: p.shape for n, p in own.items()} != {n: p.shape for n, p in ends.items()}:
        raise InvalidInput(
            "the two models have different parameters",
            where="merge",
            hint="Merge models of one architecture.",
        )
    for name, p in own.items():
        p.copy_((1 - alpha) * p.double() + alpha * ends[name].double())


def model_files(folder: Path, base: Path) -> list[Path]:
    """The files of a stage's output that are the model, without the records of its training."""
    if is_adapter(folder):
        return sorted(folder / name for name in _ADAPTER)
    beside = {file.name for file in base.iterdir()} | {_INDEX}
    return sorted(
        file for file in folder.iterdir() if file.suffix == ".safetensors" or file.name in beside
    )
