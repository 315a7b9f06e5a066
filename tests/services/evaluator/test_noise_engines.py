"""The noise floor with both engines, really run."""

from collections.abc import Callable
from pathlib import Path

import pytest

from forgetscope.adapters.endpoint import HttpEndpoints
from forgetscope.app.noise_file import read_noise
from forgetscope.evaluator.stage import stages
from forgetscope.ports.endpoint import Patience
from forgetscope.schema.example import Example

# As in test_vllm_engine.
pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:`torch.distributed.reduce_op`:FutureWarning"),
]


def test_the_other_engine_is_a_condition_of_its_own_and_agrees_in_float32(
    prepare: Callable[..., tuple], base: Path, examples: list[Example]
) -> None:
    work, io = prepare(examples, base, items=12, other_engine="vllm")
    stages(HttpEndpoints((), {}, Patience(1, 1)))["noise_floor"](work, io)
    found = read_noise(io.output)
    assert [c.engine for c in found.conditions] == ["transformers"] * 4 + ["vllm"]
    assert len({c.engine_version for c in found.conditions}) == 2
    across = [p for p in found.pairs if p.second == "other engine"]
    assert len(across) == 4
    for pair in across:
        assert pair.largest is not None
        assert 0 < pair.largest < 1e-3, "engines compute differently, but the same"
    assert (found.items, found.changed) == (12, 0)
    assert io.reports[-1] == (60, 60, "examples")
