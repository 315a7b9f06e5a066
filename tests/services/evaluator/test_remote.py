"""Stages that ask an endpoint: the same rows, how noisy it is, and nothing of another model."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from endpoint_peer import Body, Peer

from forgetscope.adapters.endpoint import HttpEndpoints
from forgetscope.app.endpoint_file import write_endpoint
from forgetscope.app.endpoints import look_at
from forgetscope.app.noise_file import NOISE, read_noise
from forgetscope.app.predictions_file import read_predictions
from forgetscope.core.endpoints import PROBES
from forgetscope.evaluator.evaluation import PREDICTIONS
from forgetscope.evaluator.stage import stages
from forgetscope.ports.endpoint import Patience
from forgetscope.ports.stage import Work
from forgetscope.schema.base import JsonObject
from forgetscope.schema.errors import DataChanged
from forgetscope.schema.example import Example
from forgetscope.schema.plan import StageKind


@pytest.fixture
def peer() -> Iterator[Peer]:
    running = Peer()
    yield running
    running.stop()


@pytest.fixture
def run(peer: Peer, prepare: Callable[..., tuple], tmp_path: Path) -> Callable[..., tuple]:
    """Play a stage on examples. Gives its facts and its window."""
    endpoints = HttpEndpoints([peer.url], {}, Patience(10, 1))
    folder = tmp_path / "endpoint"
    folder.mkdir()
    write_endpoint(folder, look_at(endpoints, peer.model))

    def play(examples: list[Example], kind: StageKind = "evaluate") -> tuple:
        work, io = prepare(examples, folder)
        params: JsonObject = {"engine": "endpoint"}
        if kind == "noise_floor":
            params |= {"items": 8, "other_engine": None}
        work = Work(work.key, kind, params, work.inputs, work.seed)
        return stages(endpoints)[kind](work, io), io

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


def questions() -> list[Example]:
    """Nine, each with a score of its own; the first four have an option of three letters."""
    return [
        choice(f"q{i}", " yes" if i < 4 else " " + "y" * (4 + i), " no", prompt=f"Is {i} it?")
        for i in range(9)
    ]


def test_a_server_that_says_the_same_in_every_batch_has_no_noise_floor_but_a_bound(
    run: Callable[..., tuple], peer: Peer
) -> None:
    meta, io = run(questions(), "noise_floor")
    assert meta == {"items": 8, "changed": 0, "conditions": 4}
    found = read_noise(io.output)
    assert (found.floor, found.left_out) == (0.0, 0)
    assert found.bound == pytest.approx(1 - 0.05 ** (1 / 8))
    assert all(pair.largest == 0 for pair in found.pairs), "each item has its own answers"
    assert [c.model_dump(exclude={"engine", "engine_version"}) for c in found.conditions] == [
        {"name": "usual", "texts_at_once": 64, "shuffled": False},
        {"name": "quarter", "texts_at_once": 16, "shuffled": False},
        {"name": "single", "texts_at_once": 1, "shuffled": False},
        {"name": "shuffled", "texts_at_once": 64, "shuffled": True},
    ]
    assert (found.dtype, found.device) == (None, None)
    asked = [b["prompt"] for _, _, b in peer.asked if b and b["prompt"][0] not in PROBES]
    # 24 texts: in two requests but for the single ones, whose order is that of the usual.
    assert sorted(len(prompts) for prompts in asked) == [1] * 24 + [8] * 3 + [16] * 3
    single = [prompts[0] for prompts in asked if len(prompts) == 1]
    assert asked[-1] not in (single[:16], single[16:]), "the last way is another order"
    assert asked[0] in (single[:16], single[16:])
    assert [done for done, _, _ in io.reports] == [8, 16, 24, 32]


def test_a_server_whose_scores_depend_on_the_batch_has_the_share_of_changed_items_as_floor(
    run: Callable[..., tuple], peer: Peer
) -> None:
    def noisy(path: str, body: Body) -> tuple[int, dict[str, str], bytes]:
        probe = body.get("prompt", PROBES)[0] in PROBES
        return peer.well(path, body) if probe else peer.batching(path, body)

    peer.answer = noisy
    meta, io = run(questions(), "noise_floor")
    found = read_noise(io.output)
    assert (meta["changed"], found.floor) == (4, 0.5)
    pairs = {(p.first, p.second): p for p in found.pairs}
    assert pairs["usual", "single"].largest == 2
    assert (pairs["usual", "single"].changed_choices, pairs["usual", "quarter"].largest) == (4, 0)


def test_texts_that_a_server_writes_otherwise_are_counted(
    run: Callable[..., tuple], peer: Peer
) -> None:
    def noisy(path: str, body: Body) -> tuple[int, dict[str, str], bytes]:
        status, headers, said = peer.well(path, body)
        alone = "echo" not in body and len(body.get("prompt", ())) == 1
        return status, headers, said.replace(b"Say", b"Tell") if alone else said

    peer.answer = noisy
    examples = [
        Example(id=f"e{i}", form="generate", prompt=f"Say {i}:", target=" x", cluster="c")
        for i in range(8)
    ]
    _, io = run(examples, "noise_floor")
    found = read_noise(io.output)
    texts = {(p.first, p.second): p.changed_texts for p in found.pairs}
    assert (texts["usual", "single"], texts["usual", "shuffled"]) == (8, 0)
    assert found.changed == 0, "the verdict on all of them is the same: wrong"


@pytest.mark.parametrize("kind", ["evaluate", "noise_floor"])
def test_nothing_is_kept_of_a_model_that_was_exchanged_meanwhile(
    run: Callable[..., tuple], peer: Peer, kind: str
) -> None:
    def exchanged(path: str, body: Body) -> tuple[int, dict[str, str], bytes]:
        if "Which one?\nAnswer:" in body.get("prompt", ()):
            peer.answer = peer.tuned
        return peer.well(path, body)

    peer.answer = exchanged
    with pytest.raises(DataChanged, match="have moved by up to"):
        run([choice("a", " yes", " no")], kind)
    peer.answer = peer.well
    _, io = run([choice("a", " yes", " no")], kind)
    assert [path.name for path in io.output.iterdir()] == [
        NOISE if kind == "noise_floor" else PREDICTIONS
    ]
