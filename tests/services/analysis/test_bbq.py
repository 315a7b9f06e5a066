"""BBQ's own scores in the results: the definition's values, intervals over templates, changes."""

import csv
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pytest
from services.analysis.fabricate import FolderIO, manifest, report_work
from services.analysis.test_report import Page

from forgetscope.analysis import bbq_bootstrap, words
from forgetscope.analysis.bbq import bbq_results
from forgetscope.analysis.outcomes import BbqOutcomes
from forgetscope.analysis.stage import stages
from forgetscope.app.examples_file import write_examples
from forgetscope.app.predictions_file import write_predictions
from forgetscope.core import statistics
from forgetscope.core.bbq_scores import answer_of, bbq_scores, bbq_scores_by_group
from forgetscope.core.groups import Items, arrange
from forgetscope.core.predictions import Prediction
from forgetscope.ports.stage import Work
from forgetscope.schema.base import JsonObject
from forgetscope.schema.errors import DataChanged
from forgetscope.schema.example import Example
from forgetscope.schema.experiment import AnalysisSpec
from forgetscope.schema.results import (
    BbqBiasChange,
    BbqChange,
    BbqModel,
    BbqResults,
    JudgeInfo,
    Measured,
    Results,
)

CHAIN = ("bbq", "other")
GROUPS = ("old", "young", "few")
Choices = Mapping[tuple[tuple[str, ...], int | None], Sequence[int | None]]


def example(number: int, *, template: int, group: str | None, known: bool = True) -> Example:
    """Option 0 is the stereotyped person, 1 the other one, 2 is "unknown"."""
    ambiguous, negative = number % 2 == 0, number // 2 % 2 == 0
    answer = 2 if ambiguous else number // 4 % 2
    facts: dict[str, str | int] = {
        "condition": "ambig" if ambiguous else "disambig",
        "polarity": "neg" if negative else "nonneg",
        "unknown": 2,
    }
    return Example(
        id=f"q{number}",
        prompt="?",
        options=(" A", " B", " C"),
        answer=answer,
        target=" ABC"[0] + "ABC"[answer],
        groups=() if group is None else (group,),
        cluster=f"t{template}",
        facts=facts | ({"stereotyped": 0, "other": 1} if known else {}),
    )


def examples() -> list[Example]:
    """Two groups of 10 templates, one of 2, one template of no group and unknown persons."""
    templates = [("old", 10), ("young", 10), ("few", 2), (None, 1)]
    made: list[Example] = []
    for group, count in templates:
        for template in range(count):
            for _ in range(8):
                known = group is not None
                name = len(made) // 8
                made.append(example(len(made), template=name, group=group, known=known))
            assert template < count
    return made


def biased(item: Example) -> int:
    """What the stereotype says."""
    return 0 if item.facts["polarity"] == "neg" else 1


def right(item: Example) -> int:
    assert item.answer is not None
    return item.answer


def choices_of(
    items: Sequence[Example], share: float, seed: int, *, unscored: float = 0.0
) -> list[int | None]:
    """Right, but with the stereotype in a share of the items about the old."""
    rng = np.random.default_rng(seed)
    found: list[int | None] = []
    for item in items:
        drawn, lost = rng.random(2)
        swayed = drawn < share and "old" in item.groups
        found.append(None if lost < unscored else biased(item) if swayed else right(item))
    return found


def arranged(items: Sequence[Example]) -> Items:
    return arrange([e.groups for e in items], [e.cluster for e in items])


def results_of(
    items: Sequence[Example],
    choices: Choices,
    *,
    seeds: Sequence[int] = (0,),
    replicates: int = 400,
    chains: Sequence[tuple[str, ...]] = (CHAIN,),
) -> BbqResults:
    rng = np.random.default_rng(3)
    return bbq_results(
        "bbq",
        arranged(items),
        BbqOutcomes(items, choices),
        chains=chains,
        seeds=seeds,
        settings=AnalysisSpec(bootstrap_replicates=replicates),
        rng=rng,
        seed_weights=statistics.seed_weights(rng, len(seeds), replicates),
    )


def noisy(items: Sequence[Example], seed: int) -> list[int | None]:
    rng = np.random.default_rng(seed)
    return [None if n == 3 else int(n) for n in rng.integers(0, 4, len(items))]


def repeated(items: Sequence[Example], choices: Sequence[int | None], weights: Any) -> Any:
    """Answers with every template as often as its weight says."""
    clusters = arranged(items).cluster
    return [
        answer_of(item, choice)
        for item, choice, cluster in zip(items, choices, clusters, strict=True)
        for _ in range(int(weights[cluster]))
    ]


def test_scores_from_sums_are_those_of_the_definition_whatever_is_drawn() -> None:
    items = examples()
    choices = noisy(items, 1)
    structure = arranged(items)
    facts = bbq_bootstrap.Facts.of(items)
    sums = bbq_bootstrap.Sums(structure, bbq_bootstrap.marks(facts, bbq_bootstrap.numbers(choices)))
    rng = np.random.default_rng(2)
    weights = statistics.cluster_weights(rng, structure.clusters, 20)
    weights[0] = 1
    accuracy, bias = bbq_bootstrap.scores(sums.under(weights))
    assert accuracy.shape == bias.shape == (2, 4, 20)
    for r in range(20):
        answers = repeated(items, choices, weights[r])
        by_group = bbq_scores_by_group(answers)
        for k, name in enumerate((None, *structure.groups)):
            if name is not None and name not in by_group:
                assert np.isnan(bias[:, k, r]).all()
                continue
            wanted = bbq_scores(answers) if name is None else by_group[name]
            for found, value in (
                (accuracy[0, k, r], wanted.accuracy_ambiguous.value),
                (accuracy[1, k, r], wanted.accuracy_disambiguated.value),
                (bias[0, k, r], wanted.bias_ambiguous.score.value),
                (bias[1, k, r], wanted.bias_disambiguated.score.value),
            ):
                assert found == pytest.approx(np.nan if value is None else value, nan_ok=True)


def test_a_model_that_always_says_unknown_has_no_bias_score_but_a_reason() -> None:
    items = examples()
    (model,) = results_of(items, {((), None): [2] * len(items)}, chains=()).models
    assert model.overall.accuracy_ambiguous.accuracy.value == 1
    for found in (model.overall.bias_ambiguous, model.overall.bias_disambiguated):
        assert (found.score.value, found.score.reason) == (None, "no answer names a person")


def test_bias_planted_in_one_group_is_found_there_with_its_interval_and_counts() -> None:
    items = examples()
    found = results_of(items, {((), None): choices_of(items, 0.5, 1)}, chains=())
    (model,) = found.models
    old, young = model.groups["old"], model.groups["young"]
    assert old.bias_ambiguous.score.low is not None
    assert old.bias_ambiguous.score.low > 0.2
    assert old.bias_disambiguated.score.low is not None
    assert young.bias_ambiguous.score.reason == "no answer names a person"
    assert young.bias_disambiguated.score.value == 0
    assert (old.bias_ambiguous.items, old.bias_ambiguous.clusters) == (40, 10)
    assert model.overall.bias_ambiguous.left_out == 4
    assert (found.items, found.clusters) == (184, 23)
    assert (found.unknown_groups, found.unknown_persons) == (8, 8)


def test_a_group_of_few_templates_has_scores_without_interval() -> None:
    items = examples()
    (model,) = results_of(items, {((), None): noisy(items, 1)}, chains=()).models
    few = model.groups["few"].bias_disambiguated
    assert (few.clusters, few.score.low) == (2, None)
    assert few.score.value is not None
    assert few.score.interval_reason == "2 templates, and an interval needs 5"


def change_of(found: BbqResults, group: str | None = None) -> BbqChange:
    return next(change for change in found.changes if change.group == group)


def two_models(items: Sequence[Example], seeds: Sequence[int], **shape: Any) -> Choices:
    before = {(CHAIN[:1], seed): choices_of(items, 0.3, seed, **shape) for seed in seeds}
    after = {(CHAIN, seed): choices_of(items, 0.9, 9 + seed, **shape) for seed in seeds}
    return before | after


def test_a_chain_that_makes_a_model_more_biased_shows_it_in_both_scores() -> None:
    items = examples()
    found = results_of(items, two_models(items, (0, 1, 2)), seeds=(0, 1, 2))
    assert [change.group for change in found.changes] == [None, "few", "old", "young"]
    for change in (change_of(found), change_of(found, "old")):
        assert change.ambiguous.change.low is not None
        assert change.ambiguous.change.low > 0
    old = change_of(found, "old").ambiguous
    assert (old.items, old.clusters, old.unscored, old.left_out) == (40, 10, 0, 0)
    assert change_of(found).ambiguous.left_out == 4
    assert change_of(found, "young").ambiguous.change.reason == (
        "in a seed, no answer of one of the models names a person"
    )


def test_a_change_is_the_mean_over_seeds_of_the_definition_on_items_scored_under_both() -> None:
    items, seeds = examples(), (0, 1)
    choices = two_models(items, seeds, unscored=0.2)
    change = change_of(results_of(items, choices, seeds=seeds))

    def mean(model: tuple[str, ...]) -> float:
        values = []
        for seed in seeds:
            pairs = zip(items, choices[CHAIN[:1], seed], choices[CHAIN, seed], strict=True)
            own = choices[model, seed]
            kept = [answer_of(e, c) for (e, a, b), c in zip(pairs, own, strict=True)
                    if a is not None and b is not None]  # fmt: skip
            values.append(bbq_scores(kept).bias_disambiguated.score.value)
        return fmean(values)  # type: ignore[arg-type]

    found = change.disambiguated
    assert found.before.value == pytest.approx(mean(CHAIN[:1]))
    assert found.after.value == pytest.approx(mean(CHAIN))
    assert found.change.value == pytest.approx(mean(CHAIN) - mean(CHAIN[:1]))
    assert found.unscored > 0
    assert found.items + found.unscored + found.left_out == 92


def test_equal_models_do_not_change_and_their_interval_is_a_point() -> None:
    items = examples()
    same = choices_of(items, 0.5, 1)
    choices: Choices = {(CHAIN[:1], 0): same, (CHAIN, 0): same}
    change = change_of(results_of(items, choices)).ambiguous.change
    assert (change.value, change.low, change.high) == (0, 0, 0)


def test_a_model_that_answers_nothing_is_undefined_with_a_reason() -> None:
    items = examples()
    choices: Choices = {
        (CHAIN[:1], 0): choices_of(items, 0.5, 1),
        (CHAIN, 0): [None] * len(items),
    }
    found = results_of(items, choices)
    change = change_of(found)
    assert change.ambiguous.items == 0
    assert change.ambiguous.change.reason == (
        "a seed has no item that both models scored and that tells the persons"
    )
    last = found.models[-1].overall
    assert (last.accuracy_ambiguous.unscored, last.accuracy_ambiguous.accuracy.value) == (92, None)


def test_many_replicates_give_the_same_draws_whatever_the_chunk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    items = examples()
    choices = two_models(items, (0, 1))
    whole = results_of(items, choices, seeds=(0, 1))
    monkeypatch.setattr(bbq_bootstrap, "_CHUNK_NUMBERS", 5000)
    assert results_of(items, choices, seeds=(0, 1)) == whole


# The stage


def analysed(folder: Path, *, spoil: bool = False) -> Results:
    items, seeds = examples(), (0, 1)
    cells, inputs = [], {"data-0": folder / "data"}
    inputs["data-0"].mkdir(parents=True)
    write_examples(inputs["data-0"], items[:-1] if spoil else items[::-1])
    choices = two_models(items, seeds)
    models: list[tuple[tuple[str, ...], int | None]] = [((), None), *choices]
    for chain, seed in models:
        for task in CHAIN:
            role = f"cell-{len(cells)}"
            inputs[role] = folder / role
            inputs[role].mkdir()
            chosen = choices.get((chain, seed)) or [right(e) for e in items]
            rows = [
                Prediction(
                    id=e.id,
                    cluster=e.cluster,
                    groups=e.groups,
                    form="choice",
                    answer=e.answer,
                    choice=choice,
                    correct=choice == e.answer,
                    unscored=None,
                    scores=(-1.0, -2.0, -3.0),
                    text=None,
                )
                for e, choice in zip(items, chosen, strict=True)
            ]
            write_predictions(inputs[role] / "predictions.parquet", rows)
            cells.append({"role": role, "chain": list(chain), "seed": seed, "task": task})
    tasks = [
        {"id": task, "name": task, "kind": kind, "chance": 1 / 3, "judged": False,
         "own_scores": "bbq" if task == "bbq" else None}
        for task, kind in zip(CHAIN, ("safety", "capability"), strict=True)
    ]  # fmt: skip
    params: JsonObject = {
        "settings": {"bootstrap_replicates": 200},
        "tasks": tasks,  # type: ignore[dict-item]
        "chains": [list(CHAIN)],
        "seeds": list(seeds),
        "cells": cells,  # type: ignore[dict-item]
    }
    work = Work(
        "a" * 64, "analyse", params, {role: manifest(role, "evaluate") for role in inputs}, 7
    )
    stages()["analyse"](work, FolderIO(inputs, folder / "analysed"))
    return Results.model_validate_json((folder / "analysed/results.json").read_text("utf-8"))


def model(found: BbqResults, chain: tuple[str, ...], seed: int | None) -> BbqModel:
    return next(m for m in found.models if (m.chain, m.seed) == (chain, seed))


def test_examples_are_joined_to_predictions_by_id(tmp_path: Path) -> None:
    (found,) = analysed(tmp_path).bbq
    items = examples()
    answers = list(map(answer_of, items, choices_of(items, 0.9, 10)))
    scores = model(found, CHAIN, 1).overall.bias_ambiguous
    assert scores.score.value == bbq_scores(answers).bias_ambiguous.score.value
    assert len(found.models) == 5
    assert model(found, (), None).overall.accuracy_disambiguated.accuracy.value == 1


def test_predictions_of_other_items_than_the_examples_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataChanged, match="184 predictions and 183 examples"):
        analysed(tmp_path, spoil=True)


def test_the_tables_hold_every_model_every_group_and_every_change(tmp_path: Path) -> None:
    results = analysed(tmp_path)
    (found,) = results.bbq

    def read(name: str) -> list[dict[str, str]]:
        with (tmp_path / "analysed" / name).open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    rows = read("bbq.csv")
    assert len(rows) == 5 * 4
    (wanted,) = [
        r for r in rows if (r["chain"], r["seed"], r["group"]) == ("bbq > other", "1", "old")
    ]
    old = model(found, CHAIN, 1).groups["old"]
    assert float(wanted["s_amb"]) == old.bias_ambiguous.score.value
    assert float(wanted["s_dis_low"]) == old.bias_disambiguated.score.low
    assert int(wanted["s_amb_named"]) == old.bias_ambiguous.named
    changes = read("bbq_changes.csv")
    assert len(changes) == 4 * 2
    whole = next(r for r in changes if (r["group"], r["score"]) == ("", "s_amb"))
    assert float(whole["change"]) == change_of(found).ambiguous.change.value


def test_equal_work_gives_equal_bytes_and_plain_json(tmp_path: Path) -> None:
    analysed(tmp_path / "one")
    analysed(tmp_path / "two")
    for name in ("results.json", "bbq.csv", "bbq_changes.csv"):
        first, second = (tmp_path / side / "analysed" / name for side in ("one", "two"))
        assert first.read_bytes() == second.read_bytes()
    text = (tmp_path / "one/analysed/results.json").read_text("utf-8")
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} in JSON"))


# The report and its words


def reported(folder: Path) -> Page:
    analysed(folder)
    work, io = report_work(folder)
    stages()["report"](work, io)
    return Page((folder / "reported/report.html").read_text("utf-8"))


def test_the_report_shows_both_scores_before_and_after_with_every_group(tmp_path: Path) -> None:
    page = reported(tmp_path)
    text = " ".join(page.text.replace("\N{NO-BREAK SPACE}", " ").split())
    assert "A bias score of 1 means always, −1 means always against it" in text
    assert "184 items from 23 templates. Of 8 items it is not known which group" in text
    assert re.search(
        r"In ambiguous contexts the bias score went from \+0\.\d\d to \+0\.\d\d \(\+0\.\d\d, "
        r"95 % interval \+0\.\d\d to \+0\.\d\d\): towards the stereotype\.",
        text,
    )
    labels = [v for t, n, v in page.attributes if (t, n) == ("svg", "aria-label")]
    (figure,) = [label for label in labels if label.startswith("Bias scores of bbq")]
    assert all(
        f"{context}, {when}" in figure
        for context in ("ambiguous", "disambiguated")
        for when in ("before bbq:", "after bbq → other:")
    )
    assert "2 templates, and an interval needs 5" in text
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    assert {v[1:] for v in page.values("href")} <= set(ids)
    assert not re.search(r"\bnan\b|\bNone\b", text)


def test_a_report_without_bbq_has_no_section_on_bias_scores(tmp_path: Path) -> None:
    from services.analysis.test_report import reported as without

    assert "Bias scores" not in Page(without(tmp_path)).text


def shift(change: Measured) -> BbqBiasChange:
    side = Measured(value=0.1, interval_reason="few")
    return BbqBiasChange(
        before=side, after=side, change=change, items=9, clusters=9, unscored=0, left_out=0
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (Measured(value=0.2, low=0.1, high=0.3), "towards the stereotype."),
        (Measured(value=-0.2, low=-0.3, high=-0.1), "away from the stereotype."),
        (Measured(value=0.1, low=-0.1, high=0.3), "not shown: the interval includes 0."),
        (Measured(value=0.1, interval_reason="2 templates"), "no interval: 2 templates"),
        (Measured(reason="nobody is named"), "cannot be compared: nobody is named"),
    ],
)
def test_a_change_of_bias_is_claimed_only_when_its_interval_excludes_zero(
    change: Measured, said: str
) -> None:
    assert said in words.bias_finding(shift(change), "ambiguous", 0.95)


def test_a_judged_task_says_by_whom_and_how_often_that_is_right() -> None:
    share = {"value": 0.731, "low": 0.704, "high": 0.757}
    judge = JudgeInfo.model_validate(
        {
            "name": "ngrams",
            "digest": "a" * 64,
            "method": "logistic regression",
            "held_out": [
                {"data": "DiaSafety test", "items": 1094, "correct": 800, "accuracy": share,
                 "safe_items": 594, "safe_recall": share, "unsafe_recall": share}
            ],
        }
    )  # fmt: skip
    said = words.judge_line(judge).replace("\N{NO-BREAK SPACE}", " ")
    assert said == (
        "share that the classifier ngrams calls safe; ngrams is right on 73.1 % [70.4 %, 75.7 %] "
        "of 1094 held-out items of DiaSafety test"
    )
    unknown = words.judge_line(judge.model_copy(update={"held_out": ()}))
    assert unknown.endswith("how often it is right is not known")
