"""A stage that evaluates through an endpoint: the same rows, and none of an exchanged model."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from endpoint_peer import Body, Peer

from forgetscope.adapters.endpoint import HttpEndpoints
from forgetscope.app.endpoint_file import write_endpoint
from forgetscope.app.endpoints import look_at
from forgetscope.app.predictions_file import read_predictions
from forgetscope.evaluator.evaluation import PREDICTIONS
from forgetscope.evaluator.stage import stages
from forgetscope.ports.endpoint import Patience
from forgetscope.ports.stage import Work
from forgetscope.schema.errors import DataChanged
from forgetscope.schema.example import Example


@pytest.fixture
def peer() -> Iterator[Peer]:
    running = Peer()
    yield running
    running.stop()


@pytest.fixture
def run(peer: Peer, prepare: Callable[..., tuple], tmp_path: Path) -> Callable[..., tuple]:
    """Play the stage on examples. Gives its facts and its window."""
    endpoints = HttpEndpoints([peer.url], {}, Patience(10, 1))
    folder = tmp_path / "endpoint"
    folder.mkdir()
    write_endpoint(folder, look_at(endpoints, peer.model))

    def play(examples: list[Example]) -> tuple:
        work, io = prepare(examples, folder)
        work = Work(work.key, work.kind, {"engine": "endpoint"}, work.inputs, work.seed)
        return stages(endpoints)["evaluate"](work, io), io

    return play


def choice(name: str, *options: str, prompt: str = "Which one?\nAnswer:") -> Example:
    return Example(
        id=name, prompt=prompt, options=options, answer=0, target=options[0], cluster=name
    )


def test_options_get_the_sum_of_their_own_tokens(run: Callable[..., tuple]) -> None:
    meta, io = run([choice("a", " yes", " no"), choice("b", " very long", " far", prompt="Is it ")])
    rows = read_predictions(io.output / PREDICTIONS)
    # The peer gives each word minus its length.
    assert [row.scores for row in rows] == [(-3.0, -2.0), (-0.0 - 4 - 4, -0.0 - 3)]
    assert [row.choice for row in rows] == [1, 1]
    assert meta == {
        "items": 2,
        "scored": 2,
        "correct": 0,
        "engine": "endpoint",
        "engine_version": "unknown",
    }


def test_what_cannot_be_scored_says_why(run: Callable[..., tuple]) -> None:
    _, io = run([choice("joined", "yes", " no"), choice("long", " yes", " n" * 120)])
    joined, long = read_predictions(io.output / PREDICTIONS)
    assert joined.unscored == "option 0: its first token begins within the prompt"
    assert joined.scores is None and joined.correct is None
    assert long.unscored and "option 1: the server does not take it" in long.unscored


def test_answers_without_a_budget_may_be_as_long_as_the_longest(
    run: Callable[..., tuple], peer: Peer
) -> None:
    examples = [
        Example(id=f"e{n}", form="generate", prompt="Say it:", target=target, cluster="c")
        for n, target in enumerate((" one", " one two three"))
    ]
    _, io = run(examples)
    budgets = {body["max_tokens"] for _, _, body in peer.asked if body and "echo" not in body}
    assert budgets == {3 + 1}
    rows = read_predictions(io.output / PREDICTIONS)
    assert [row.text for row in rows] == ["Say it:", "Say it:"]
    assert [row.correct for row in rows] == [False, False]


def test_nothing_is_kept_of_a_model_that_was_exchanged_meanwhile(
    run: Callable[..., tuple], peer: Peer
) -> None:
    def exchanged(path: str, body: Body) -> tuple[int, dict[str, str], bytes]:
        if "Which one?\nAnswer:" in body.get("prompt", ()):
            peer.answer = peer.tuned
        return peer.well(path, body)

    peer.answer = exchanged
    with pytest.raises(DataChanged, match="have moved by up to"):
        run([choice("a", " yes", " no")])
    peer.answer = peer.well
    run([choice("a", " yes", " no")])
