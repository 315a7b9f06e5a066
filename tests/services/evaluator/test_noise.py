"""The noise_floor stage: on engines of which it is known how noisy they are, and on real ones."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from forgetscope.adapters.endpoint import HttpEndpoints
from forgetscope.app.noise_file import NOISE, read_noise
from forgetscope.evaluator import evaluation
from forgetscope.evaluator.engines.base import Adapter, ChoiceItem, Report, Tokens
from forgetscope.evaluator.engines.cache import EngineCache
from forgetscope.evaluator.evaluation import PREDICTIONS
from forgetscope.evaluator.regrouped import Regrouped
from forgetscope.evaluator.stage import stages
from forgetscope.ports.endpoint import Patience
from forgetscope.ports.stage import Machine
from forgetscope.schema.errors import InvalidInput
from forgetscope.schema.example import Example
from forgetscope.schema.noise import NoiseFloor

Prepare = Callable[..., tuple]


class BatchDependent:
    """An engine whose first option gains `noise` nats, and whose text gets another token, where it
    is asked for a single item. Remembers the sizes of its calls."""

    version = "made"

    def __init__(self, noise: float) -> None:
        self.noise = noise
        self.calls: list[int] = []

    def use(self, adapter: Adapter | None, scratch: Path) -> None:
        pass

    def close(self) -> None:
        pass

    def score_options(self, items: Sequence[ChoiceItem], report: Report) -> list[tuple[float, ...]]:
        self.calls.append(len(items))
        report(1.0)
        gain = self.noise * (len(items) == 1)
        # The second option is ahead by 1, 2, 3 ... hundredths of a nat.
        return [(gain, item.prompt[0] / 100, *[-9.0] * (len(item.options) - 2)) for item in items]

    def generate(
        self, prompts: Sequence[Tokens], max_new_tokens: int, stop: frozenset[int], report: Report
    ) -> list[Tokens]:
        self.calls.append(len(prompts))
        report(1.0)
        return [(260,) if len(prompts) == 1 and self.noise else (261,) for _ in prompts]


def measure(prepared: tuple) -> tuple[NoiseFloor, Any]:
    work, io = prepared
    meta = stages(HttpEndpoints((), {}, Patience(1, 1)))["noise_floor"](work, io)
    found = read_noise(io.output)
    assert (meta["items"], meta["changed"]) == (found.items, found.changed)
    return found, io


def asked(prepare: Prepare, examples: list[Example], model: Path, **params: Any) -> tuple:
    return prepare(examples, model, **({"items": 256, "other_engine": None} | params))


def many(n: int) -> list[Example]:
    """Choices between two options, of many lengths."""
    return [
        Example(
            id=f"n{i}",
            form="choice",
            prompt=f"Question: {'what ' * (i % 7)}number {i}?\nAnswer:",
            options=(" yes", " no", " black cat"),
            answer=0,
            target=" yes",
            cluster=f"n{i}",
        )
        for i in range(n)
    ]


def test_scores_that_depend_on_the_batch_are_found_and_give_the_share_of_changed_items(
    prepare: Prepare, base: Path, examples: list[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = BatchDependent(noise=5.0)
    monkeypatch.setattr(evaluation, "_engine", lambda *_: engine)
    found, io = measure(asked(prepare, examples, base))
    # One item at a time, the first option of each choice wins; four texts change.
    pairs = {(p.first, p.second): p for p in found.pairs}
    alone = pairs["usual", "single"]
    assert (alone.choices, alone.changed_choices) == (8, 8)
    assert (alone.texts, alone.changed_texts) == (4, 4)
    assert alone.largest == pytest.approx(5.0)
    assert pairs["usual", "shuffled"].changed_choices == 0
    assert pairs["usual", "shuffled"].largest == 0
    assert found.changed == 8 + alone.changed_verdicts
    assert found.floor == found.changed / 12
    assert io.reports[-1] == (48, 48, "examples")
    assert [done for done, _, _ in io.reports] == sorted(done for done, _, _ in io.reports)


def test_an_engine_that_says_the_same_in_every_batch_has_no_floor_but_a_bound(
    prepare: Prepare, base: Path, examples: list[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation, "_engine", lambda *_: BatchDependent(noise=0.0))
    found, _ = measure(asked(prepare, examples, base))
    assert (found.items, found.changed, found.floor) == (12, 0, 0.0)
    assert found.bound == pytest.approx(1 - 0.05 ** (1 / 12))
    assert all(pair.largest == 0 for pair in found.pairs)


def test_in_float32_a_real_model_keeps_its_choices(prepare: Prepare, base: Path) -> None:
    found, _ = measure(asked(prepare, many(48), base, machine=Machine(batch_tokens=512)))
    assert (found.items, found.left_out, found.changed, found.floor) == (48, 0, 0, 0.0)
    assert max(p.largest for p in found.pairs if p.largest is not None) < 1e-4
    assert [c.name for c in found.conditions] == ["usual", "quarter", "single", "shuffled"]
    assert [c.tokens_per_call for c in found.conditions] == [None, 128, 1, None]
    assert all(c.engine_version.startswith("5.") for c in found.conditions)


def test_in_bfloat16_the_scores_of_a_real_model_depend_on_the_batch(
    prepare: Prepare, base: Path
) -> None:
    found, _ = measure(
        asked(prepare, many(48), base, dtype="bfloat16", machine=Machine(batch_tokens=512))
    )
    alone = next(p for p in found.pairs if (p.first, p.second) == ("usual", "single"))
    assert alone.largest is not None
    assert alone.high_99 is not None
    assert 1e-3 < alone.high_99 <= alone.largest
    assert found.dtype == "bfloat16"


def test_the_usual_condition_is_what_an_evaluation_says(
    prepare: Prepare, base: Path, adapters: list[Adapter], examples: list[Example]
) -> None:
    """The first condition is the evaluation's own call, on the same first examples."""
    cache = EngineCache()
    work, io = prepare(examples[:5], base, adapters[0].folder)
    settings = evaluation.Settings.model_validate(work.params)
    plain = evaluation.answers(work, io, cache, settings, examples[:5], report=lambda _: None)
    way = evaluation.answers(
        work, io, cache, settings, examples[:5], report=lambda _: None, way=Regrouped
    )
    assert plain == way
    assert cache.loads == 1
    found, _ = measure(prepare(examples, base, adapters[0].folder, items=5, other_engine=None))
    assert found.items == 5


def test_examples_that_do_not_fit_are_left_out_under_every_condition(
    prepare: Prepare, base: Path, examples: list[Example]
) -> None:
    some, _ = measure(asked(prepare, examples, base, max_length=2))
    assert some.left_out > 0
    assert (some.items, some.changed) == (12 - some.left_out, 0)
    found, _ = measure(asked(prepare, examples, base, max_length=1))
    assert (found.items, found.left_out, found.floor) == (0, 12, None)
    assert found.reason == "no item was scored under any condition"


def test_the_same_stage_gives_the_same_bytes(
    prepare: Prepare, base: Path, examples: list[Example]
) -> None:
    written = set()
    for _ in range(2):
        _, io = measure(asked(prepare, examples, base))
        written.add((io.output / NOISE).read_bytes())
    assert len(written) == 1
    assert not (io.output / PREDICTIONS).exists()


def test_answers_stand_in_the_order_of_the_questions_however_they_are_asked() -> None:
    items = [ChoiceItem((i, *[1] * (i % 4)), ((2,), (3,))) for i in range(1, 30)]
    plain = BatchDependent(0.0).score_options(items, lambda _: None)
    for tokens, shuffle in ((None, 3), (1, None), (13, None), (13, 4)):
        engine = BatchDependent(0.0)
        asking = Regrouped(engine, tokens_per_call=tokens, shuffle=shuffle)
        done: list[float] = []
        assert asking.score_options(items, done.append) == plain
        assert sum(engine.calls) == len(items)
        assert done == sorted(done)
        assert done[-1] == 1
        if tokens == 1:
            assert set(engine.calls) == {1}
        if tokens == 13:
            assert 1 < max(engine.calls) <= 4


def test_a_shuffle_really_changes_the_order() -> None:
    asked_for: list[Tokens] = []

    class Listening(BatchDependent):
        def generate(self, prompts: Sequence[Tokens], *rest: Any) -> list[Tokens]:
            asked_for.extend(prompts)
            return super().generate(prompts, *rest)

    prompts = [(i,) for i in range(20)]
    said = Regrouped(Listening(0.0), shuffle=1).generate(prompts, 3, frozenset(), lambda _: None)
    assert asked_for != prompts
    assert sorted(asked_for) == prompts
    assert said == [(261,)] * 20


def test_no_items_are_no_call() -> None:
    engine = BatchDependent(0.0)
    assert Regrouped(engine).score_options([], lambda _: None) == []
    assert engine.calls == []


@pytest.mark.parametrize("text", [None, "{}", "nothing"])
def test_a_noise_file_that_cannot_be_read_is_refused(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / NOISE).write_text(text)
    with pytest.raises(InvalidInput, match="noise floor"):
        read_noise(tmp_path)
