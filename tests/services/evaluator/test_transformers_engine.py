"""The transformers engine against independent computations."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from forgetscope.evaluator.engines.base import Adapter, ChoiceItem, Tokens
from forgetscope.evaluator.engines.transformers import TransformersEngine
from forgetscope.schema.errors import AdapterMismatch

Naive = Callable[[Path, Sequence[ChoiceItem]], list[list[float]]]
Greedy = Callable[[Path, Sequence[Tokens], int], list[Tokens]]


def load(folder: Path, batch_tokens: int = 256) -> TransformersEngine:
    return TransformersEngine(
        folder, dtype="float32", attention="sdpa", device="cpu", batch_tokens=batch_tokens
    )


def quiet(share: float) -> None:
    assert 0 <= share <= 1


def flat(scores: Sequence[Sequence[float]]) -> np.ndarray:
    return np.array([score for options in scores for score in options])


@pytest.fixture(scope="module")
def engine(base: Path) -> TransformersEngine:
    return load(base)


def test_scores_equal_a_full_softmax_over_each_option_alone(
    engine: TransformersEngine,
    base: Path,
    items: list[ChoiceItem],
    naive_scores: Naive,
    tmp_path: Path,
) -> None:
    engine.use(None, tmp_path)
    scores = engine.score_options(items, quiet)
    assert [len(s) for s in scores] == [len(i.options) for i in items]
    np.testing.assert_allclose(flat(scores), flat(naive_scores(base, items)), atol=1e-4)


def test_batch_size_does_not_change_any_choice(
    base: Path, items: list[ChoiceItem], tmp_path: Path
) -> None:
    found = []
    for batch_tokens in (1, 100, 8192):
        engine = load(base, batch_tokens)
        engine.use(None, tmp_path)
        found.append(engine.score_options(items, quiet))
    for scores in found[1:]:
        np.testing.assert_allclose(flat(scores), flat(found[0]), atol=1e-4)
        assert [np.argmax(s) for s in scores] == [np.argmax(s) for s in found[0]]


def test_an_adapter_answers_like_weights_it_was_merged_into(
    *,
    engine: TransformersEngine,
    base: Path,
    merged: Path,
    adapters: list[Adapter],
    items: list[ChoiceItem],
    naive_scores: Naive,
    tmp_path: Path,
) -> None:
    engine.use(adapters[0], tmp_path)
    scores = flat(engine.score_options(items, quiet))
    np.testing.assert_allclose(scores, flat(naive_scores(merged, items)), atol=1e-4)
    assert np.abs(scores - flat(naive_scores(base, items))).mean() > 0.1


def test_adapters_come_and_go_on_one_loaded_base(
    engine: TransformersEngine, adapters: list[Adapter], items: list[ChoiceItem], tmp_path: Path
) -> None:
    weights = engine.model.get_output_embeddings().weight
    model = engine.model
    engine.use(None, tmp_path)
    before = engine.score_options(items, quiet)
    by_adapter = []
    for adapter in adapters:
        engine.use(adapter, tmp_path)
        by_adapter.append(engine.score_options(items, quiet))
    engine.use(adapters[0], tmp_path)
    assert engine.score_options(items, quiet) == by_adapter[0]
    engine.use(None, tmp_path)
    assert engine.score_options(items, quiet) == before
    assert len({tuple(scores[0]) for scores in (before, *by_adapter)}) == 4
    assert engine.model is model
    assert engine.model.get_output_embeddings().weight is weights
    assert not any("lora" in name for name, _ in engine.model.named_modules())


def test_an_adapter_for_another_base_is_refused_and_the_engine_stays_usable(
    engine: TransformersEngine, other_adapter: Adapter, items: list[ChoiceItem], tmp_path: Path
) -> None:
    engine.use(None, tmp_path)
    before = engine.score_options(items[:3], quiet)
    with pytest.raises(AdapterMismatch):
        engine.use(other_adapter, tmp_path)
    engine.use(None, tmp_path)
    assert engine.score_options(items[:3], quiet) == before


def test_generation_follows_the_most_likely_token_whatever_shares_the_batch(
    engine: TransformersEngine,
    base: Path,
    items: list[ChoiceItem],
    naive_greedy: Greedy,
    tmp_path: Path,
) -> None:
    engine.use(None, tmp_path)
    prompts = [item.prompt for item in items[:10]]
    assert engine.generate(prompts, 6, frozenset(), quiet) == naive_greedy(base, prompts, 6)


def test_generation_ends_before_a_stop_token(
    engine: TransformersEngine,
    base: Path,
    items: list[ChoiceItem],
    naive_greedy: Greedy,
    tmp_path: Path,
) -> None:
    engine.use(None, tmp_path)
    prompts = [item.prompt for item in items[:10]]
    free = naive_greedy(base, prompts, 6)
    stop = free[0][3]
    wanted = [t[: t.index(stop)] if stop in t else t for t in free]
    assert engine.generate(prompts, 6, frozenset({stop}), quiet) == wanted


def test_progress_rises_to_the_end(base: Path, items: list[ChoiceItem], tmp_path: Path) -> None:
    engine = load(base, batch_tokens=64)
    engine.use(None, tmp_path)
    shares: list[float] = []
    engine.score_options(items, shares.append)
    assert len(shares) > 5
    assert shares == sorted(shares)
    assert shares[-1] == 1
