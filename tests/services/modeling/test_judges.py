"""Safety classifiers in folders: P(safe) of a reply in its dialogue."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from tiny_classifier import WORDS, make_classifier
from transformers import AutoTokenizer, BertForSequenceClassification

from forgetscope.modeling.hashed_classifier import BLOCK, WEIGHTS, HashedClassifier, features
from forgetscope.modeling.judges import Asked, Classifier, ClassifierFile, load_classifier
from forgetscope.ports.stage import Machine
from forgetscope.schema.errors import InvalidInput, UnknownName

ASKED: list[Asked] = [
    (("hello",), "go away"),
    (("you are wrong", "go away"), "sorry"),
    ((), "you are right"),
    (("hello you",), "you are wrong " * 4),
]


def judge(classifier: Classifier, asked: Sequence[Asked] = ASKED) -> list[float]:
    reports: list[float] = []
    found = classifier.safe(asked, reports.append)
    assert reports == sorted(reports)
    assert reports[-1] == 1
    return found


def hashed(folder: Path) -> Path:
    """Weights drawn at random."""
    folder.mkdir(exist_ok=True)
    weights = np.random.default_rng(0).normal(size=3 * BLOCK)
    HashedClassifier(weights, 0.25).save(folder)
    ClassifierFile(kind="hashed").write(folder)
    return folder


def pretrained(folder: Path, label: str = "fine", **changes: object) -> Path:
    make_classifier(folder, **changes)
    ClassifierFile(kind="transformers", safe_label=label).write(folder)
    return folder


# Hashed n-grams


def test_a_reply_and_its_dialogue_have_features_of_their_own() -> None:
    reply, turn, both = features([((), "hello"), (("hello",), ""), (("hello",), "hello")])
    assert set(reply.indices) & set(turn.indices) == set()
    assert (reply.indices < 2 * BLOCK).all()
    assert (turn.indices >= 2 * BLOCK).all()
    assert (both != reply + turn).nnz == 0


def test_only_the_latest_turn_is_read_and_length_alone_says_nothing() -> None:
    rows = features([(("B", "A"), "you"), (("A",), "you"), (("A A A",), "you")])
    assert (rows[0] != rows[1]).nnz == 0
    assert np.diff(rows.indptr).tolist()[2] > 0
    for row in rows:
        for block in range(3):
            part = row[:, block * BLOCK : (block + 1) * BLOCK]
            assert np.sqrt(part.multiply(part).sum()) == pytest.approx(1)


def test_a_saved_classifier_gives_the_log_odds_of_its_weights(tmp_path: Path) -> None:
    found = judge(load_classifier(hashed(tmp_path), Machine()))
    weights = np.random.default_rng(0).normal(size=3 * BLOCK).astype(np.float32)
    odds = features(ASKED).toarray() @ weights + 0.25
    assert found == pytest.approx(1 / (1 + np.exp(-odds)))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["classifier.json", WEIGHTS]


def test_nothing_asked_is_nothing_answered(tmp_path: Path) -> None:
    for folder in (hashed(tmp_path / "h"), pretrained(tmp_path / "t")):
        assert load_classifier(folder, Machine()).safe([], lambda _: None) == []


@pytest.mark.parametrize("size", [0, 7, 1000])
def test_weights_that_break_off_are_refused(tmp_path: Path, size: int) -> None:
    path = hashed(tmp_path) / WEIGHTS
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(InvalidInput, match="run it again") as caught:
        load_classifier(tmp_path, Machine())
    assert caught.value.where == WEIGHTS


@pytest.mark.parametrize(
    "tensors",
    [
        {"weights": np.zeros(3 * BLOCK, np.float32)},
        {"weights": np.zeros(5, np.float32), "bias": np.zeros(1, np.float32)},
        {"weights": np.full(3 * BLOCK, np.nan, np.float32), "bias": np.zeros(1, np.float32)},
        {"weights": np.zeros(3 * BLOCK, np.float32), "bias": np.zeros(2, np.float32)},
    ],
    ids=["no bias", "too few", "not numbers", "two biases"],
)
def test_other_weights_are_refused(tmp_path: Path, tensors: dict[str, np.ndarray]) -> None:
    save_file(tensors, hashed(tmp_path) / WEIGHTS)
    with pytest.raises(InvalidInput):
        load_classifier(tmp_path, Machine())


@pytest.mark.parametrize("content", [None, "", "{", '{"kind": "pickle"}'])
def test_a_folder_that_does_not_say_what_it_holds_is_refused(
    tmp_path: Path, content: str | None
) -> None:
    path = hashed(tmp_path) / "classifier.json"
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(InvalidInput) as caught:
        load_classifier(tmp_path, Machine())
    assert caught.value.where == "classifier.json"


# Transformers models


def test_a_model_reads_dialogue_and_reply_as_a_pair(tmp_path: Path) -> None:
    folder = pretrained(tmp_path)
    found = judge(load_classifier(folder, Machine()))
    model = BertForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    for (turns, reply), share in zip(ASKED, found, strict=True):
        texts = ("\n".join(turns), reply) if turns else (reply,)
        inputs = tokenizer(*texts, return_tensors="pt")
        if turns:
            assert inputs["token_type_ids"].max() == 1
        with torch.inference_mode():
            shares = model(**inputs).logits.softmax(-1)[0]
        assert share == pytest.approx(shares[1].item(), abs=1e-5)
    assert len({round(share, 4) for share in found}) == len(ASKED)


def test_the_other_label_gives_the_rest(tmp_path: Path) -> None:
    fine = judge(load_classifier(pretrained(tmp_path / "a"), Machine()))
    harmful = judge(load_classifier(pretrained(tmp_path / "b", "harmful"), Machine()))
    assert [a + b for a, b in zip(fine, harmful, strict=True)] == pytest.approx([1] * len(ASKED))


def test_independent_labels_are_sigmoids(tmp_path: Path) -> None:
    one, many = (
        judge(load_classifier(pretrained(tmp_path / str(kind), problem_type=kind), Machine()))
        for kind in (None, "multi_label_classification")
    )
    assert one != pytest.approx(many)


def test_batches_do_not_change_what_is_found(tmp_path: Path) -> None:
    folder = pretrained(tmp_path)
    alone = judge(load_classifier(folder, Machine(batch_tokens=1)))
    together = judge(load_classifier(folder, Machine()))
    assert alone == pytest.approx(together, abs=1e-5)
    assert judge(load_classifier(folder, Machine())) == together, "the same bytes each time"


def test_a_long_dialogue_loses_its_oldest_turns(tmp_path: Path) -> None:
    folder = pretrained(tmp_path)
    classifier = load_classifier(folder, Machine())
    latest = ["you are right"] * 12
    asked = [((word, *latest), "sorry") for word in WORDS]
    found = judge(classifier, asked)
    assert len(set(found)) == 1
    assert judge(classifier, [((*latest, "wrong"), "sorry")]) != found[:1]


def test_a_label_that_is_not_there_is_answered_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(UnknownName) as caught:
        load_classifier(pretrained(tmp_path, "safe"), Machine())
    assert caught.value.hint == "Its labels: 'harmful', 'fine'."


def test_a_classifier_without_its_head_or_with_broken_weights_is_refused(tmp_path: Path) -> None:
    folder = pretrained(tmp_path / "whole")
    BertForSequenceClassification.from_pretrained(folder).bert.save_pretrained(tmp_path / "body")
    config = json.loads((folder / "config.json").read_text())
    (folder / "model.safetensors").unlink()
    (tmp_path / "body/model.safetensors").rename(folder / "model.safetensors")
    with pytest.raises(InvalidInput, match=r"missing: classifier\."):
        load_classifier(folder, Machine())
    (folder / "model.safetensors").write_bytes(b"\x08\0\0\0")
    with pytest.raises(InvalidInput, match="cannot be loaded"):
        load_classifier(folder, Machine())
    assert config["architectures"] == ["BertForSequenceClassification"]
