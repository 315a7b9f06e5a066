"""An earlier task's examples as probes: which of them a model answers right, asked on the side."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from peft import PeftModel
from transformers import PreTrainedModel

from forgetscope.app.examples_file import EXAMPLES, read_examples
from forgetscope.core.encoding import Encoder
from forgetscope.core.inference.sequential import Pool, pool_of
from forgetscope.core.predictions import judge_choice
from forgetscope.modeling.option_rows import ChoiceItem
from forgetscope.modeling.options import encode_choice, score_options
from forgetscope.ports.stage import Machine
from forgetscope.schema.errors import InvalidInput, TrainingDiverged
from forgetscope.schema.example import Example

__all__ = ["Probes", "Right", "aside", "read_probes"]

Right = npt.NDArray[np.int8]
"""1 for each item whose answer is the likeliest option, else 0."""


class Probes(NamedTuple):
    """The examples of a task with options, tokenized; `dtype` is that of the arithmetic."""

    pool: Pool
    items: Sequence[ChoiceItem]
    answers: Sequence[int]
    machine: Machine
    dtype: str

    def right(self, model: PreTrainedModel | PeftModel, chosen: Sequence[int]) -> Right:
        """Ask `model`, which is on the machine's device, the chosen items. Raises
        TrainingDiverged."""
        device = self.machine.device
        bfloat16 = self.dtype == "bfloat16"
        with (
            torch.no_grad(),
            torch.autocast(torch.device(device).type, torch.bfloat16, enabled=bfloat16),
        ):
            scores = score_options(
                model,
                [self.items[i] for i in chosen],
                device=device,
                batch_tokens=self.machine.batch_tokens,
            )
        verdicts = [judge_choice(s, self.answers[i]) for s, i in zip(scores, chosen, strict=True)]
        if any(verdict.correct is None for verdict in verdicts):
            raise TrainingDiverged(
                "the model's scores of the monitor's probes are not finite",
                where="/steps/monitor",
                hint="Lower the learning rate, or train in float32.",
            )
        return np.array([verdict.correct for verdict in verdicts], dtype=np.int8)


def read_probes(
    folder: Path, encode: Encoder, max_length: int, machine: Machine, dtype: str
) -> Probes:
    """All examples of a stage's input. Raises InvalidInput for examples without options or groups,
    and for one that is too long: leaving it out would change the pool silently."""
    examples = read_examples(folder)
    pool = pool_of([example.groups for example in examples])
    if not pool.groups:
        raise InvalidInput(
            "there is no group to watch: an example has none, or all have the same",
            where=EXAMPLES,
            hint="Monitor a task whose examples belong to different groups.",
        )
    items = [_encoded(encode, example, max_length) for example in examples]
    return Probes(pool, items, [int(e.answer or 0) for e in examples], machine, dtype)


@contextmanager
def aside(device: str, model: torch.nn.Module) -> Iterator[None]:
    """Evaluation mode; mode and generators are put back afterwards."""
    training = model.training
    model.eval()
    try:
        cuda = [torch.cuda.current_device()] if device != "cpu" else []
        with torch.random.fork_rng(devices=cuda):
            yield
    finally:
        model.train(training)


def _encoded(encode: Encoder, example: Example, max_length: int) -> ChoiceItem:
    if example.form != "choice":
        raise InvalidInput(
            "a monitor cannot score a generated answer",
            where=f"example {example.id}",
            hint="Monitor a task with options.",
        )
    item = encode_choice(encode, example, max_length)
    if isinstance(item, str):
        raise InvalidInput(
            item, where=f"example {example.id}", hint="Raise training.max_length of the stage."
        )
    return item
