"""The evaluate stage on plain folders, with the transformers engine."""

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from forgetscope.adapters.endpoint import HttpEndpoints
from forgetscope.app.predictions_file import read_predictions
from forgetscope.core.predictions import Prediction
from forgetscope.evaluator.engines.base import Adapter
from forgetscope.evaluator.engines.cache import EngineCache
from forgetscope.evaluator.evaluation import PREDICTIONS, evaluate
from forgetscope.evaluator.stage import stages
from forgetscope.modeling.loading import TokenizerEncoder, load_tokenizer
from forgetscope.ports.endpoint import Patience
from forgetscope.ports.stage import Machine
from forgetscope.schema.errors import InvalidInput
from forgetscope.schema.example import Case, Exact, Example, Extract, Functional, Score

Prepare = Callable[..., tuple]


def run(prepared: tuple, cache: EngineCache | None = None) -> list[Prediction]:
    work, io = prepared
    evaluate(work, io, cache or EngineCache())
    return read_predictions(io.output / PREDICTIONS)


def choices(rows: list[Prediction]) -> list[tuple[float, ...] | None]:
    return [row.scores for row in rows if row.form == "choice"]


def test_predictions_stand_in_the_order_of_the_examples_and_keep_what_is_needed_of_them(
    prepare: Prepare, base: Path, examples: list[Example]
) -> None:
    rows = run(prepare(examples, base))
    assert [(r.id, r.cluster, r.groups, r.form, r.answer) for r in rows] == [
        (e.id, e.cluster, e.groups, e.form, e.answer) for e in examples
    ]
    for row, example in zip(rows, examples, strict=True):
        if example.form == "choice":
            assert row.scores is not None
            assert len(row.scores) == len(example.options)
            assert row.choice == row.scores.index(max(row.scores))
            assert row.correct == (row.choice == example.answer)
        else:
            assert row.scores is None
            assert row.text is not None


def test_the_manifest_counts_items_and_names_the_engine(
    prepare: Prepare, base: Path, examples: list[Example]
) -> None:
    work, io = prepare(examples, base)
    meta = stages(HttpEndpoints((), {}, Patience(1, 1)))["evaluate"](work, io)
    rows = read_predictions(io.output / PREDICTIONS)
    assert meta["items"] == len(examples)
    assert meta["scored"] == sum(r.unscored is None for r in rows)
    assert meta["correct"] == sum(bool(r.correct) for r in rows)
    assert meta["engine"] == "transformers"
    assert str(meta["engine_version"]).startswith("5.")
    assert io.reports[-1] == (len(examples), len(examples), "examples")
    assert [done for done, _, _ in io.reports] == sorted(done for done, _, _ in io.reports)


def test_the_same_stage_gives_the_same_bytes(
    prepare: Prepare, base: Path, adapters: list[Adapter], examples: list[Example]
) -> None:
    found = set()
    for cache in (EngineCache(), EngineCache()):
        work, io = prepare(examples, base, adapters[0].folder)
        evaluate(work, io, cache)
        found.add((io.output / PREDICTIONS).read_bytes())
    assert len(found) == 1


def test_stages_on_one_base_share_one_loaded_model_and_do_not_disturb_each_other(
    prepare: Prepare, base: Path, adapters: list[Adapter], examples: list[Example]
) -> None:
    cache = EngineCache()
    subjects = [None, adapters[0].folder, adapters[1].folder, None]
    shared = [run(prepare(examples, base, s), cache) for s in subjects]
    assert cache.loads == 1
    alone = [run(prepare(examples, base, s)) for s in subjects]
    assert shared == alone
    assert len({tuple(choices(rows)) for rows in shared}) == 3


def test_an_adapter_scores_like_its_merged_checkpoint_for_which_no_base_is_needed(
    prepare: Prepare, base: Path, adapters: list[Adapter], merged: Path, examples: list[Example]
) -> None:
    cache = EngineCache()
    adapted = run(prepare(examples, base, adapters[0].folder), cache)
    work, io = prepare(examples, base, merged)
    opened = []
    inner = io.input
    io.input = lambda role: (opened.append(role), inner(role))[1]
    whole = run((work, io), cache)
    assert cache.loads == 2, "a whole checkpoint is a model of its own"
    assert "base" not in opened
    for ours, theirs in zip(adapted, whole, strict=True):
        assert (ours.choice, ours.text) == (theirs.choice, theirs.text)
        assert ours.scores == pytest.approx(theirs.scores, abs=1e-4)


def test_a_second_full_stage_of_a_chain_is_not_confused_with_the_first(
    prepare: Prepare, base: Path, merged: Path, tmp_path: Path, examples: list[Example]
) -> None:
    second = tmp_path / "second"
    shutil.copytree(merged, second)
    weights = load_file(second / "model.safetensors")
    weights["lm_head.weight"] = weights["lm_head.weight"].flip(0).contiguous()
    save_file(weights, second / "model.safetensors", metadata={"format": "pt"})
    cache = EngineCache()
    first_rows = run(prepare(examples, base, merged), cache)
    second_rows = run(prepare(examples, base, second), cache)
    assert cache.loads == 2
    assert choices(first_rows) != choices(second_rows)
    assert second_rows == run(prepare(examples, base, second))


def test_what_cannot_change_the_result_does_not_change_the_choices(
    prepare: Prepare, base: Path, examples: list[Example]
) -> None:
    wide = run(prepare(examples, base, machine=Machine(batch_tokens=100_000)))
    narrow = run(prepare(examples, base, machine=Machine(batch_tokens=1)))
    for ours, theirs in zip(wide, narrow, strict=True):
        assert (ours.choice, ours.text) == (theirs.choice, theirs.text)


def test_an_option_that_does_not_fit_leaves_its_item_unscored(
    prepare: Prepare, base: Path, examples: list[Example]
) -> None:
    long = Example(
        id="long",
        prompt="Question",
        options=(" yes", " no" * 40),
        answer=0,
        target=" yes",
        cluster="c",
    )
    rows = run(prepare([examples[0], long], base, max_length=32))
    assert rows[0].unscored is None, "a prompt that is too long is cut"
    assert (rows[1].choice, rows[1].correct, rows[1].scores) == (None, None, None)
    assert rows[1].unscored is not None
    assert "option 1" in rows[1].unscored
    assert "does not fit into 32" in rows[1].unscored


def test_the_models_own_length_bounds_what_is_read(
    prepare: Prepare, base: Path, examples: list[Example]
) -> None:
    example = examples[0].model_copy(update={"prompt": "what " * 400 + "Answer:"})
    rows = run(prepare([example], base, max_length=100_000))
    assert rows[0].unscored is None


def test_scores_that_are_not_numbers_leave_items_unscored(
    prepare: Prepare, base: Path, tmp_path: Path, examples: list[Example]
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(base, broken)
    weights = load_file(broken / "model.safetensors")
    yes = next(e for e in examples if e.form == "choice")
    weights["model.norm.weight"] = torch.full_like(weights["model.norm.weight"], math.inf)
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    rows = run(prepare([yes], base, broken))
    assert rows[0].correct is None
    assert rows[0].unscored == "the log-likelihood of an option is not a finite number"
    assert rows[0].scores is None


def test_a_model_that_ends_at_once_has_said_nothing(
    prepare: Prepare, base: Path, tmp_path: Path, examples: list[Example]
) -> None:
    silent = tmp_path / "silent"
    shutil.copytree(base, silent)
    # Every token ends a text.
    settings = json.loads((silent / "generation_config.json").read_text())
    settings["eos_token_id"] = list(range(300))
    (silent / "generation_config.json").write_text(json.dumps(settings))
    rows = run(prepare([e for e in examples if e.form == "generate"], base, silent))
    assert {(r.text, r.correct, r.unscored) for r in rows} == {
        ("", None, "the model generated no text")
    }


def test_a_generated_answer_is_right_when_it_equals_the_target(
    prepare: Prepare,
    base: Path,
    tmp_path: Path,
    naive_greedy: Callable[..., list[tuple[int, ...]]],
) -> None:
    tokenizer = load_tokenizer(base)
    prompt = "Question: what?\nAnswer:"
    written = naive_greedy(base, [tuple(TokenizerEncoder(tokenizer)(prompt))], 12)[0]
    ending = tmp_path / "ending"
    shutil.copytree(base, ending)
    # The model's own fourth token is made the end of a text.
    (ending / "generation_config.json").write_text(json.dumps({"eos_token_id": written[3]}))
    said = tokenizer.decode(written[: written.index(written[3])])
    targets = [said, f" {said} ", said + "x"]
    asked = [
        Example(id=str(i), form="generate", prompt=prompt, target=target, cluster="c")
        for i, target in enumerate(targets)
    ]
    rows = run(prepare(asked, base, ending))
    assert {row.text for row in rows} == {said}
    assert [row.correct for row in rows] == [True, True, False]


@pytest.fixture
def texts(examples: list[Example]) -> list[Example]:
    """Generated answers; three lengths, in turn."""
    found = [e for e in examples if e.form == "generate"] * 3
    return [
        e.model_copy(update={"id": f"{e.id}-{i}", "max_new_tokens": (3, 9, None)[i % 3]})
        for i, e in enumerate(found)
    ]


def test_every_text_is_as_long_as_its_example_allows(
    prepare: Prepare,
    base: Path,
    texts: list[Example],
    naive_greedy: Callable[..., list[tuple[int, ...]]],
) -> None:
    tokenizer = load_tokenizer(base)
    encode = TokenizerEncoder(tokenizer)
    lengths = [e.max_new_tokens or 1 + len(encode(" dog")) for e in texts]
    free = [
        naive_greedy(base, [tuple(encode(e.prompt))], length)[0]
        for e, length in zip(texts, lengths, strict=True)
    ]
    assert not any(tokenizer.eos_token_id in tokens for tokens in free)
    prepared = prepare(texts, base)
    rows = run(prepared)
    assert [row.id for row in rows] == [e.id for e in texts]
    assert [row.text for row in rows] == [
        tokenizer.decode(tokens, skip_special_tokens=True) for tokens in free
    ]
    done = [done for done, _, _ in prepared[1].reports]
    assert done == sorted(done)
    assert done[-1] == len(texts)


def test_what_shares_a_call_does_not_change_a_text(
    prepare: Prepare, base: Path, texts: list[Example]
) -> None:
    together = run(prepare(texts, base))
    for example, row in zip(texts, together, strict=True):
        # Alone, an example without a length of its own has the same one: all targets are alike.
        assert run(prepare([example], base)) == [row]


def test_a_text_that_may_be_longer_than_the_model_reads_is_unscored(
    prepare: Prepare, base: Path, texts: list[Example]
) -> None:
    long = texts[0].model_copy(update={"max_new_tokens": 200})
    rows = run(prepare([long, texts[1]], base, max_length=128))
    assert rows[0].text is None
    assert "200 tokens" in str(rows[0].unscored)
    assert rows[1].text


def test_the_examples_score_says_when_its_text_is_right(
    prepare: Prepare, base: Path, texts: list[Example]
) -> None:
    [row] = run(prepare(texts[:1], base))
    said = str(row.text).strip().split("\n")[0].strip()
    scores: list[tuple[Score, bool | None]] = [
        (Exact(), False),
        (Exact(answers=(said, " dog")), False),
        (Exact(answers=(" cat", " dog")), None),
        (Extract(pattern="(?s).*"), False),
        (Extract(pattern="no such text"), None),
        (Functional(cases=(Case(output=1),)), None),
    ]
    asked = [
        texts[0].model_copy(update={"id": str(i), "score": score})
        for i, (score, _) in enumerate(scores)
    ]
    asked.append(texts[0].model_copy(update={"id": "right", "target": f" {said}"}))
    rows = run(prepare(asked, base))
    assert {r.text for r in rows} == {row.text}
    assert [r.correct for r in rows] == [*(correct for _, correct in scores), True]


def test_a_head_size_that_vllm_lacks_on_a_cpu_is_refused_before_anything_is_loaded(
    prepare: Prepare, tmp_path: Path, examples: list[Example], make_model: Callable[..., Path]
) -> None:
    small = make_model(tmp_path / "small", num_attention_heads=8)
    with pytest.raises(InvalidInput, match="head size of 8"):
        run(prepare(examples, small, engine="vllm"))
