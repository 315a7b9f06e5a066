"""Steps that make no sense are refused before anything trains, with the place and the reason."""

from typing import Any

import httpx
import pytest
from api.conftest import spec_with

REPLAY = {"kind": "replay", "share": 0.05}
EWC = {"mitigation": "ewc"}
RATES = [n * 1e-6 for n in range(1, 101)]


def wrong(chains: list[list[str]], **changes: Any) -> dict[str, Any]:
    return spec_with(0, name="wrong steps", chains=chains, **changes)


CASES: dict[str, tuple[dict[str, Any], str, str]] = {
    "a share above 100 %": (
        wrong(
            [["safety", "capability", "again"]], steps={"again": {"kind": "replay", "share": 1.5}}
        ),
        "/steps/again/share",
        "less than or equal to 1",
    ),
    "a share above 100 % among several": (
        wrong(
            [["safety", "capability", "again"]],
            steps={"again": {"kind": "replay", "vary": {"share": [0.05, 5]}}},
        ),
        "/steps/again/vary",
        "share=5",
    ),
    "a mixed-in share above 100 %": (
        wrong(
            [["safety", "capability:mixed"]],
            steps={"mixed": {"kind": "train", "mix": {"share": 2}}},
        ),
        "/steps/mixed/mix/share",
        "less than or equal to 1",
    ),
    "replay of a task that was not trained": (
        wrong([["capability", "safety:again"]], steps={"again": REPLAY}),
        "/chains/0/1",
        "replays a task that was not trained before it",
    ),
    "replay as the first stage": (
        wrong([["again", "safety"]], steps={"again": REPLAY}),
        "/chains/0/0",
        "none was trained before it",
    ),
    "a mix of a task that was not trained": (
        wrong(
            [["capability:mixed"]],
            steps={"mixed": {"kind": "train", "mix": {"task": "safety"}}},
        ),
        "/chains/0/0",
        "mixes in a task that was not trained before it",
    ),
    "EWC in the first stage": (
        wrong([["safety:held"]], steps={"held": {"kind": "train", "training": EWC}}),
        "/steps/held/training/mitigation",
        "this is the first stage",
    ),
    "EWC everywhere": (
        wrong([["safety", "capability"]], training=EWC),
        "/training/mitigation",
        "this is the first stage",
    ),
    "a merge with nothing before it": (
        wrong([["safety", "half"]], steps={"half": {"kind": "merge"}}),
        "/chains/0/1",
        "only 1 stage stands before it",
    ),
    "a grid that is too large": (
        wrong(
            [["safety:lr", "capability:lr"]],
            steps={
                "lr": {
                    "kind": "train",
                    "vary": {"training.learning_rate": RATES},
                }
            },
            seeds=[0, 1, 2],
        ),
        "/chains",
        "the limit is",
    ),
    "a grid that is not even written out": (
        wrong(
            [["safety:lr", "capability:lr", "safety:lr"]],
            steps={
                "lr": {
                    "kind": "train",
                    "vary": {"training.learning_rate": RATES},
                }
            },
        ),
        "/chains",
        "1000000; the limit is 10000",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_wrong_step_is_refused_with_place_and_reason(case: str, http: httpx.Client) -> None:
    spec, pointer, reason = CASES[case]
    for path in ("/v1/plans", "/v1/experiments"):
        answer = http.post(path, json=spec)
        assert answer.status_code == 422, answer.text
        problem = answer.json()
        told = {error["pointer"]: error["detail"] for error in problem["errors"]}
        assert pointer in told, problem
        assert reason in problem["detail"] + told[pointer], problem
    assert http.get("/v1/experiments", params={"name": "wrong steps"}).json()["items"] == []
