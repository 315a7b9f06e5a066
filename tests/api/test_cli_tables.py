"""Results in the terminal: BBQ's own scores, and who judged."""

from typing import Any

from rich.console import Console

from forgetscope.cli.tables import result_tables
from forgetscope.schema.results import Results

SHARE = {"value": 0.731, "low": 0.704, "high": 0.757}
FEW = {"value": 0.25, "interval_reason": "2 templates, and an interval needs 5"}


def bias(score: dict[str, Any]) -> dict[str, Any]:
    return {
        "score": score, "biased": 3, "named": 4, "items": 5, "left_out": 1, "clusters": 6,
    }  # fmt: skip


RIGHT = {"accuracy": SHARE, "scored": 9, "correct": 7, "unscored": 1, "clusters": 6}
SCORES = {
    "accuracy_ambiguous": RIGHT,
    "accuracy_disambiguated": RIGHT,
    "bias_ambiguous": bias({"value": 0.25, "low": -0.1, "high": 0.6}),
    "bias_disambiguated": bias({"reason": "no answer names a person"}),
}
CHANGE = {
    "before": FEW, "after": FEW, "change": FEW,
    "items": 5, "clusters": 2, "unscored": 0, "left_out": 1,
}  # fmt: skip


def results() -> Results:
    judge = {
        "name": "ngrams",
        "digest": "a" * 64,
        "method": "logistic regression",
        "held_out": [
            {
                "data": "DiaSafety test",
                "items": 1094,
                "correct": 800,
                "accuracy": SHARE,
                "safe_items": 594,
                "safe_recall": SHARE,
                "unsafe_recall": SHARE,
            }
        ],
    }
    tasks = [
        {"id": "bbq", "name": "bbq", "kind": "safety", "chance": 1 / 3},
        {"id": "talk", "name": "diasafety", "kind": "safety", "chance": None, "judge": judge},
    ]
    counted = {"groups": ["old"], "items": 20, "clusters": 6}
    row = {"chain": ["bbq", "talk"], "position": 1, "ambiguous": CHANGE, "disambiguated": CHANGE}
    whole = {"value": 0.5, "scored": 20, "correct": 10, "unscored": 0}
    return Results.model_validate(
        {
            "tasks": [task | counted for task in tasks],
            "chains": [["bbq", "talk"]],
            "seeds": [0],
            "settings": {},
            "matrix": [
                {"chain": [], "seed": None, "task": task["id"], "overall": whole} for task in tasks
            ],
            "forgetting": [],
            "order_effects": [],
            "bbq": [
                {
                    "task": "bbq",
                    "items": 20,
                    "clusters": 6,
                    "unknown_groups": 2,
                    "unknown_persons": 3,
                    "models": [{"chain": [], "seed": None, "overall": SCORES}],
                    "changes": [row | {"group": None}, row | {"group": "[old]"}],
                }
            ],
        }
    )


def shown() -> str:
    console = Console(width=200, force_terminal=False)
    with console.capture() as capture:
        for table in result_tables(results()):
            console.print(table)
    return capture.get()


def test_bias_scores_stand_with_intervals_or_reasons_and_what_is_unknown() -> None:
    text = shown()
    assert "+0.25 [-0.10, +0.60]" in text
    assert "– (no answer names a person)" in text
    assert "2 of 20 items stand under no group; 3 do not tell the stereotyped person" in text
    assert "from −1 (against the stereotype) to 1 (with it)" in text
    (whole,) = [line for line in text.splitlines() if " all " in line and " ambiguous " in line]
    assert "bbq → talk" in whole
    assert "[old]" in text


def test_a_judged_task_has_no_chance_and_says_how_often_its_classifier_is_right() -> None:
    text = shown()
    (guessing,) = [line for line in text.splitlines() if "guessing" in line]
    assert [cell.strip() for cell in guessing.split("│")[2:4]] == ["33.3", "–"]
    assert "ngrams is right on 73.1 % [70.4, 75.7] of 1094 held-out items" in text
