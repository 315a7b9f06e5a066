"""The monitor of a training stage: small probes of an earlier task's groups, judged at any time.

The probes are training examples of the earlier task, drawn afresh at each look and compared with
the answers of the model right after that task. What follows from them, and when a group is called,
is decided in `core.inference.sequential`. A look changes nothing of the training: see
`probes.aside`.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import PreTrainedModel

from forgetscope.core.encoding import Encoder
from forgetscope.core.inference import sequential
from forgetscope.ports.stage import StageIO, Work
from forgetscope.schema.base import JsonObject
from forgetscope.schema.errors import InvalidInput
from forgetscope.schema.stage import Breach
from forgetscope.schema.steps import MonitorSpec
from forgetscope.trainer.methods import Source
from forgetscope.trainer.params import TrainParams
from forgetscope.trainer.probes import Probes, Right, aside, read_probes
from forgetscope.trainer.watching import Verdict, Watch

__all__ = ["begin_monitor"]

# Of numpy's generator: batches are drawn from streams (seed, epoch).
_PROBES = 0x70726F6265
_STATE = "monitor.json"
_LINES = "monitor.jsonl"
_KEPT = "monitor.safetensors"


def begin_monitor(
    params: TrainParams,
    work: Work,
    io: StageIO,
    *,
    source: Source,
    encode: Encoder,
    model: PreTrainedModel | PeftModel,
    trained: Mapping[str, Tensor],
) -> Watch:
    """Inputs: watched (the earlier task's training data) and reference (the model after it).

    Raises what `read_probes` raises, and InvalidInput in a sharded run, whose parameters are not
    in one piece.
    """
    assert params.monitor is not None
    if io.machine.processes > 1:
        raise InvalidInput(
            "a monitor works in one process only",
            where="/steps/monitor",
            hint="Unset FORGETSCOPE_TRAIN_PROCESSES on this worker.",
        )
    probes = read_probes(io.input("watched"), encode, params.max_length, io.machine, params.dtype)

    def reference() -> Right:
        before = Source(source.base, io.input("reference"), source.attention).load_weights()
        return probes.right(before.to(io.machine.device).eval(), range(len(probes.items)))

    return _Monitor(
        params.monitor,
        probes,
        io,
        seed=work.seed,
        model=model,
        trained=trained,
        reference=reference,
    )


class _Monitor:
    """See `Watch`. The reference is asked at the first look, when no gradient takes memory."""

    def __init__(
        self,
        spec: MonitorSpec,
        probes: Probes,
        io: StageIO,
        *,
        seed: int,
        model: PreTrainedModel | PeftModel,
        trained: Mapping[str, Tensor],
        reference: Callable[[], Right],
    ) -> None:
        self.every = spec.every
        self._spec, self._probes, self._io, self._seed = spec, probes, io, seed
        self._model, self._trained, self._reference = model, trained, reference
        self._state = sequential.begin(probes.pool)
        self._before: Right | None = None
        self._lines: list[JsonObject] = []
        self._called: dict[str, int] = {}
        self._kept_step = 0
        self._keep(0)

    @property
    def metrics(self) -> Mapping[str, float]:
        if not self._lines:
            return {}
        last = self._lines[-len(self._probes.pool.groups) :]
        return {
            "monitor_looks": self._state.looks,
            "monitor_calls": len(self._called),
            "worst_biased_forgetting": max(float(str(line["mean"])) for line in last),
        }

    def look(self, step: int) -> Verdict:
        spec, pool = self._spec, self._probes.pool
        rng = np.random.default_rng([self._seed, _PROBES, self._state.looks])
        drawn = sequential.draw(pool, spec.items_per_group, rng)
        chosen, place = np.unique(drawn, return_inverse=True)
        with aside(self._io.machine.device, self._model):
            if self._before is None:
                self._before = self._reference()
            now = self._probes.right(self._model, chosen.tolist())
        lost = (self._before[chosen] - now)[place].reshape(drawn.shape)
        rule = sequential.Rule(spec.margin, spec.alpha)
        self._state, seen = sequential.look(
            pool, rule, self._state, sequential.contrasts(pool, lost)
        )
        fresh = [g for g in seen if g.verdict == "breach" and g.group not in self._called]
        for group in seen:
            at: JsonObject = {"look": self._state.looks, "step": step}
            self._lines.append(at | {"rounds": spec.items_per_group} | group._asdict())
        for group in fresh:
            self._call(group, step)
        if not fresh or spec.action == "warn":
            self._keep(step)
            return "go on"
        if spec.action == "rollback":
            kept = load_file(self._io.scratch / _KEPT)
            with torch.no_grad():
                for name, tensor in self._trained.items():
                    tensor.copy_(kept[name])
        return spec.action

    def save(self, folder: Path) -> None:
        known = {
            "state": self._state._asdict(),
            "before": None if self._before is None else self._before.tolist(),
            "lines": self._lines,
            "called": self._called,
            "kept_step": self._kept_step,
        }
        (folder / _STATE).write_text(json.dumps(known, allow_nan=False), encoding="utf-8")
        if self._spec.action == "rollback":
            shutil.copyfile(self._io.scratch / _KEPT, folder / _KEPT)

    def restore(self, folder: Path) -> None:
        known = json.loads((folder / _STATE).read_text(encoding="utf-8"))
        self._state = sequential.State(**known["state"])
        before = known["before"]
        self._before = None if before is None else np.array(before, dtype=np.int8)
        self._lines, self._called = known["lines"], known["called"]
        self._kept_step = known["kept_step"]
        if self._spec.action == "rollback":
            shutil.copyfile(folder / _KEPT, self._io.scratch / _KEPT)

    def finish(self, output: Path) -> JsonObject:
        text = "".join(json.dumps(line, allow_nan=False) + "\n" for line in self._lines)
        (output / _LINES).write_text(text, encoding="utf-8")
        facts: JsonObject = {"looks": self._state.looks, "calls": dict(self._called)}
        if self._called and self._spec.action != "warn":
            stopped = max(self._called.values())
            back = self._spec.action == "rollback"
            facts |= {
                "stopped_at": stopped,
                "weights_of_step": self._kept_step if back else stopped,
            }
        return {"monitor": facts}

    def _call(self, group: sequential.GroupLook, step: int) -> None:
        self._called[group.group] = step
        self._io.breach(
            Breach(
                group=group.group,
                step=step,
                look=self._state.looks,
                margin=self._spec.margin,
                mean=group.mean,
                lower=group.lower,
                action=self._spec.action,
            )
        )

    def _keep(self, step: int) -> None:
        """Hold on to the weights, for a rollback: no group has been called so far."""
        if self._spec.action == "rollback":
            tensors = {name: t.detach().cpu().contiguous() for name, t in self._trained.items()}
            save_file(tensors, self._io.scratch / _KEPT)
            self._kept_step = step
