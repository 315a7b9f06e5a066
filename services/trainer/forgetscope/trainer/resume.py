"""Points to resume from: trained weights, optimiser state, generator state. No pickle."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

__all__ = ["Step", "restore_point", "save_point"]

_TENSORS = "state.safetensors"
_STEPS = "steps.json"


class Step(NamedTuple):
    """One optimiser step: `loss` in nats per answer token, before the update."""

    step: int
    loss: float
    learning_rate: float
    tokens: int


def save_point(
    folder: Path,
    trained: Mapping[str, Tensor],
    optimiser: torch.optim.Optimizer,
    steps: Sequence[Step],
) -> None:
    """Write everything that the next step depends on into `folder`, which is emptied first."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    tensors = {f"weight/{name}": tensor.detach() for name, tensor in trained.items()}
    for name, tensor in trained.items():
        tensors |= {f"{key}/{name}": value for key, value in optimiser.state[tensor].items()}
    tensors |= {f"random/{device}": state for device, state in _random_states().items()}
    save_file({key: t.cpu().contiguous() for key, t in tensors.items()}, folder / _TENSORS)
    text = json.dumps([step._asdict() for step in steps])
    (folder / _STEPS).write_text(text, encoding="utf-8")


def restore_point(
    folder: Path, trained: Mapping[str, Tensor], optimiser: torch.optim.Optimizer
) -> list[Step]:
    """Put the state back in place and return the steps that were done."""
    tensors = load_file(folder / _TENSORS)
    with torch.no_grad():
        for name, tensor in trained.items():
            tensor.copy_(tensors[f"weight/{name}"])
            optimiser.state[tensor] = {
                "step": tensors[f"step/{name}"],
                "exp_avg": tensors[f"exp_avg/{name}"].to(tensor.device),
                "exp_avg_sq": tensors[f"exp_avg_sq/{name}"].to(tensor.device),
            }
    torch.set_rng_state(tensors["random/cpu"])
    if "random/cuda" in tensors:
        torch.cuda.set_rng_state(tensors["random/cuda"])
    return [Step(**step) for step in json.loads((folder / _STEPS).read_text(encoding="utf-8"))]


def _random_states() -> dict[str, Tensor]:
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state()
    return states
