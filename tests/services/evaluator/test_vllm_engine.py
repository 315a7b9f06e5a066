"""The vLLM engine against the transformers engine and against itself. One engine serves many tests,
because vLLM takes about 25 seconds to start."""

import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forgetscope.app.predictions_file import read_predictions
from forgetscope.evaluator.engines.base import Adapter, ChoiceItem
from forgetscope.evaluator.engines.cache import EngineCache
from forgetscope.evaluator.engines.transformers import TransformersEngine
from forgetscope.evaluator.engines.vllm import VllmEngine
from forgetscope.evaluator.evaluation import PREDICTIONS, evaluate
from forgetscope.schema.errors import AdapterMismatch
from forgetscope.schema.example import Example

# What vLLM 0.32 and the libraries below it complain about in themselves.
pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:`torch.distributed.reduce_op`:FutureWarning"),
]


def quiet(share: float) -> None:
    assert 0 <= share <= 1


def flat(scores: Sequence[Sequence[float]]) -> np.ndarray:
    return np.array([score for options in scores for score in options])


def load(folder: Path, *, hot_swap: bool | None = None) -> VllmEngine:
    return VllmEngine(
        folder,
        dtype="float32",
        device="cpu",
        max_length=128,
        batch_tokens=256,
        hot_swap=hot_swap,
    )


@pytest.fixture(scope="module")
def merging(base: Path) -> Iterator[VllmEngine]:
    """As on a CPU: adapters are merged into the weights."""
    engine = load(base)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def swapping(base: Path) -> Iterator[VllmEngine]:
    """As on a GPU: adapters are swapped in beside the base."""
    engine = load(base, hot_swap=True)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def peer(base: Path) -> TransformersEngine:
    return TransformersEngine(
        base, dtype="float32", attention="sdpa", device="cpu", batch_tokens=256
    )


def agree(ours: Sequence[Sequence[float]], theirs: Sequence[Sequence[float]]) -> None:
    np.testing.assert_allclose(flat(ours), flat(theirs), atol=1e-4)
    assert [int(np.argmax(s)) for s in ours] == [int(np.argmax(s)) for s in theirs]


def test_both_engines_agree_on_every_item(
    merging: VllmEngine, peer: TransformersEngine, items: list[ChoiceItem], tmp_path: Path
) -> None:
    merging.use(None, tmp_path)
    peer.use(None, tmp_path)
    agree(merging.score_options(items, quiet), peer.score_options(items, quiet))


def test_more_options_than_vllm_takes_at_once_are_all_scored(
    merging: VllmEngine, peer: TransformersEngine, tmp_path: Path
) -> None:
    many = [ChoiceItem((5, 6, 7), tuple((token,) for token in range(2, 202)))]
    merging.use(None, tmp_path)
    peer.use(None, tmp_path)
    agree(merging.score_options(many, quiet), peer.score_options(many, quiet))


def test_both_engines_write_the_same_tokens(
    merging: VllmEngine, peer: TransformersEngine, items: list[ChoiceItem], tmp_path: Path
) -> None:
    prompts = [item.prompt for item in items[:8]]
    merging.use(None, tmp_path)
    peer.use(None, tmp_path)
    free = peer.generate(prompts, 8, frozenset(), quiet)
    assert merging.generate(prompts, 8, frozenset(), quiet) == free
    stop = frozenset({free[0][4]})
    assert merging.generate(prompts, 8, stop, quiet) == peer.generate(prompts, 8, stop, quiet)


def test_an_interrupted_call_leaves_the_engine_usable(
    merging: VllmEngine, items: list[ChoiceItem], tmp_path: Path
) -> None:
    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    merging.use(None, tmp_path)
    before = merging.score_options(items[:4], quiet)
    old = signal.signal(signal.SIGUSR1, interrupt)
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGUSR1))
    try:
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            for _ in range(1000):
                merging.generate([item.prompt for item in items], 60, frozenset(), quiet)
    finally:
        timer.join()
        signal.signal(signal.SIGUSR1, old)
    assert merging.score_options(items[:4], quiet) == before


def test_a_merged_adapter_is_applied_and_taken_out_again(
    merging: VllmEngine,
    peer: TransformersEngine,
    adapters: list[Adapter],
    items: list[ChoiceItem],
    tmp_path: Path,
) -> None:
    merging.use(None, tmp_path)
    before = merging.score_options(items, quiet)
    loads = merging.loads
    merging.use(adapters[0], tmp_path)
    adapted = merging.score_options(items, quiet)
    peer.use(adapters[0], tmp_path)
    agree(adapted, peer.score_options(items, quiet))
    assert np.abs(flat(adapted) - flat(before)).mean() > 0.1
    assert list(tmp_path.iterdir()) == [], "the merged weights are not left behind"
    merging.use(adapters[0], tmp_path)
    assert merging.loads == loads + 1, "the same adapter again needs no other start"
    merging.use(None, tmp_path)
    assert merging.score_options(items, quiet) == before


def test_adapters_are_swapped_in_beside_a_base_that_is_loaded_once(
    swapping: VllmEngine,
    peer: TransformersEngine,
    adapters: list[Adapter],
    items: list[ChoiceItem],
    tmp_path: Path,
) -> None:
    swapping.use(None, tmp_path)
    before = swapping.score_options(items, quiet)
    # More adapters than slots, and back to the first.
    for adapter in (*adapters, adapters[0]):
        swapping.use(adapter, tmp_path)
        peer.use(adapter, tmp_path)
        agree(swapping.score_options(items, quiet), peer.score_options(items, quiet))
    swapping.use(None, tmp_path)
    agree(swapping.score_options(items, quiet), before)
    assert swapping.loads == 1


def test_an_adapter_that_cannot_be_read_is_refused_and_the_engine_stays_usable(
    swapping: VllmEngine, adapters: list[Adapter], items: list[ChoiceItem], tmp_path: Path
) -> None:
    swapping.use(adapters[0], tmp_path)
    before = swapping.score_options(items[:3], quiet)
    broken = tmp_path / "broken"
    shutil.copytree(adapters[1].folder, broken)
    weights = broken / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(AdapterMismatch):
        swapping.use(Adapter("b" * 64, broken), tmp_path)
    agree(swapping.score_options(items[:3], quiet), before)


def test_an_adapter_for_another_base_is_refused(
    merging: VllmEngine, swapping: VllmEngine, other_adapter: Adapter, tmp_path: Path
) -> None:
    with pytest.raises(AdapterMismatch):
        merging.use(other_adapter, tmp_path)
    with pytest.raises(AdapterMismatch):
        swapping.use(other_adapter, tmp_path)


def options_of_one_token(engine: VllmEngine, requests: Sequence[Any]) -> list[float]:
    """The score of one option after one prompt under each adapter, all in one batch."""
    from vllm import SamplingParams

    assert engine._loaded is not None
    params = SamplingParams(max_tokens=1, temperature=0, detokenize=False, logprob_token_ids=[260])
    prompts = [{"prompt_token_ids": [5, 6, 7, 8 + i]} for i in range(len(requests))]
    outputs = engine._loaded.llm.generate(
        prompts, params, use_tqdm=False, lora_request=list(requests)
    )
    return [output.outputs[0].logprobs[0][260].logprob for output in outputs]


@pytest.mark.xfail(strict=True, reason="vLLM 0.32: no slot spare, so no slot means the last one")
def test_canary_rows_without_an_adapter_get_none(
    swapping: VllmEngine, adapters: list[Adapter], tmp_path: Path
) -> None:
    from vllm.lora.request import LoRARequest

    swapping.use(None, tmp_path)
    first, second = (LoRARequest(f"canary-{i}", 900 + i, str(adapters[i].folder)) for i in (0, 1))
    alone = options_of_one_token(swapping, [None, None, None])
    mixed = options_of_one_token(swapping, [None, first, second])
    assert mixed[0] == pytest.approx(alone[0], abs=1e-3)


@pytest.mark.xfail(strict=True, reason="vLLM 0.32 knows an adapter by its number alone")
def test_canary_a_number_used_again_serves_the_new_adapter(
    swapping: VllmEngine, adapters: list[Adapter], tmp_path: Path
) -> None:
    from vllm.lora.request import LoRARequest

    swapping.use(None, tmp_path)
    old, new = (LoRARequest(f"again-{i}", 950, str(adapters[i].folder)) for i in (0, 1))
    fresh = LoRARequest("fresh", 951, str(adapters[1].folder))
    options_of_one_token(swapping, [old])
    served = options_of_one_token(swapping, [new])
    assert served == pytest.approx(options_of_one_token(swapping, [fresh]), abs=1e-3)


def test_a_stage_runs_on_vllm_as_on_transformers(
    prepare: Callable[..., tuple], base: Path, adapters: list[Adapter], examples: list[Example]
) -> None:
    cache = EngineCache()
    mixed = [e.model_copy(update={"id": f"{e.id}-4", "max_new_tokens": 4}) for e in examples]
    examples = [*examples, *(e for e in mixed if e.form == "generate")]
    for checkpoint in (adapters[0].folder, None):
        rows = {}
        for name in ("vllm", "transformers"):
            work, io = prepare(examples, base, checkpoint, engine=name)
            meta = evaluate(work, io, cache if name == "vllm" else EngineCache())
            assert meta["engine"] == name
            rows[name] = read_predictions(io.output / PREDICTIONS)
        assert meta["items"] == len(examples)
        for ours, theirs in zip(rows["vllm"], rows["transformers"], strict=True):
            assert ours._replace(scores=None) == theirs._replace(scores=None)
            assert ours.scores == pytest.approx(theirs.scores, abs=1e-4)
    assert cache.loads == 1
    cache.clear()
