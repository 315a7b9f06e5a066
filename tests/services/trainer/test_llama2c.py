"""llama2.c checkpoints against a second reading of the same files, written here in NumPy."""

import math
import struct
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from stories260k import PROJECT, convert_stories, stories_files
from transformers import PreTrainedTokenizerBase
from typer.testing import CliRunner

from forgetscope.cli.main import app
from forgetscope.modeling.loading import TokenizerEncoder, load_model, load_tokenizer
from forgetscope.schema.errors import InvalidInput, UnknownName
from forgetscope.schema.experiment import ExperimentSpec
from forgetscope.trainer.llama2c import convert
from forgetscope.wiring.settings import Settings
from forgetscope.wiring.wires import build_models, build_store

Numbers = NDArray[np.float64]
CLOSE = 1e-10

# --- the second reading -------------------------------------------------------------------------


def forward(path: Path, ids: list[int]) -> Numbers:
    """Logits [T, V] in float64, straight from the file; heads turn neighbouring pairs."""
    content = path.read_bytes()
    dim, hidden, layers, heads, kv, vocabulary, positions = struct.unpack_from("<7i", content)
    floats = np.frombuffer(content, "<f4", offset=28).astype(np.float64)
    size, tied, vocabulary = dim // heads, vocabulary > 0, abs(vocabulary)
    place = 0

    def take(*dims: int) -> Numbers:
        nonlocal place
        place += math.prod(dims)
        return floats[place - math.prod(dims) : place].reshape(dims)

    embedding = take(vocabulary, dim)
    rms_att, wq = take(layers, dim), take(layers, dim, dim)
    wk, wv = take(layers, kv * size, dim), take(layers, kv * size, dim)
    wo, rms_ffn = take(layers, dim, dim), take(layers, dim)
    w1, w2, w3 = take(layers, hidden, dim), take(layers, dim, hidden), take(layers, hidden, dim)
    rms_final = take(dim)
    take(2, positions, size // 2)
    head = embedding if tied else take(vocabulary, dim)
    assert place == floats.size

    T = len(ids)
    angle = np.arange(T)[:, None] * 10000.0 ** (-2 * np.arange(size // 2) / size)
    turn = np.exp(1j * angle)[:, None, :]

    def norm(x: Numbers, weight: Numbers) -> Numbers:
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5) * weight

    def rotate(x: Numbers, count: int) -> Numbers:
        pairs = x.reshape(T, count, size // 2, 2)
        turned = (pairs[..., 0] + 1j * pairs[..., 1]) * turn
        return np.stack([turned.real, turned.imag], -1).reshape(T, count, size)

    x = embedding[ids]
    for i in range(layers):
        h = norm(x, rms_att[i])
        q, k = rotate(h @ wq[i].T, heads), rotate(h @ wk[i].T, kv)
        v = (h @ wv[i].T).reshape(T, kv, size)
        seen = np.zeros((T, heads, size))
        for j in range(heads):
            shared = j * kv // heads
            score = q[:, j] @ k[:, shared].T / math.sqrt(size)
            score[np.triu_indices(T, 1)] = -np.inf
            weight = np.exp(score - score.max(-1, keepdims=True))
            seen[:, j] = weight / weight.sum(-1, keepdims=True) @ v[:, shared]
        x = x + seen.reshape(T, dim) @ wo[i].T
        h = norm(x, rms_ffn[i])
        gate = h @ w1[i].T
        x = x + (gate / (1 + np.exp(-gate)) * (h @ w3[i].T)) @ w2[i].T
    return norm(x, rms_final) @ head.T


def read_vocabulary(path: Path) -> tuple[list[bytes], list[float]]:
    content, at = path.read_bytes(), 4
    texts, scores = [], []
    while at < len(content):
        score, length = struct.unpack_from("<fi", content, at)
        at += 8 + length
        texts.append(content[at - length : at])
        scores.append(score)
    return texts, scores


def encode(text: str, texts: list[bytes], scores: list[float]) -> list[int]:
    """BOS, a blank in front, characters (unknown ones as bytes), then the best merge first."""
    known = {piece: token for token, piece in enumerate(texts) if token >= 259}
    ids: list[int] = []
    for character in f" {text}" if text else "":
        piece = character.encode()
        ids += [known[piece]] if piece in known else [byte + 3 for byte in piece]
    while True:
        joined = [known.get(texts[a] + texts[b]) for a, b in pairwise(ids)]
        best = max(
            (place for place, token in enumerate(joined) if token is not None),
            key=lambda place: (scores[joined[place] or 0], -place),
            default=None,
        )
        if best is None:
            return [1, *ids]
        ids[best : best + 2] = [joined[best] or 0]


# --- the checkpoint -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return convert_stories(tmp_path_factory.mktemp("stories") / "stories260k")


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    return load_tokenizer(folder)


@pytest.fixture(scope="module")
def vocabulary() -> tuple[list[bytes], list[float]]:
    return read_vocabulary(stories_files()[1])


class Angles(torch.nn.Module):
    """The rotary embedding of the halved form, in float64."""

    def __init__(self, size: int, theta: float) -> None:
        super().__init__()
        self.speeds = theta ** (-torch.arange(0, size, 2, dtype=torch.float64) / size)

    def forward(
        self, _: torch.Tensor, position_ids: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        angles = (position_ids[..., None] * self.speeds).repeat(1, 1, 2)
        return angles.cos(), angles.sin()


@torch.inference_mode()
def logits_of(folder: Path, ids: list[int]) -> Numbers:
    """Those of transformers, with the two parts in float64 that it always computes in float32:
    they alone would make a difference of 4e-5 over 512 positions."""
    model = load_model(folder, "float64", "sdpa")
    model.model.rotary_emb = Angles(
        model.config.head_dim, model.config.rope_parameters["rope_theta"]
    )
    norms = [name for name, _ in model.named_modules() if name.endswith("norm")]
    assert len(norms) == 2 * model.config.num_hidden_layers + 1
    for name in norms:
        weight = model.get_submodule(name).weight
        exact = torch.nn.RMSNorm(len(weight), eps=model.config.rms_norm_eps, dtype=torch.float64)
        exact.weight = weight
        model.set_submodule(name, exact)
    found: Numbers = model(torch.tensor([ids])).logits[0].numpy()
    return found


def distance(one: Numbers, other: Numbers) -> float:
    return float(np.abs(one - other).max())


def test_logits_equal_those_of_an_independent_forward_pass(folder: Path) -> None:
    ids = [1, *np.random.default_rng(0).integers(0, 512, 511).tolist()]
    assert distance(logits_of(folder, ids), forward(stories_files()[0], ids)) < CLOSE


def test_greedy_decoding_tells_the_same_readable_story(
    folder: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    told, read = [1], [1]
    model = load_model(folder, "float32", "sdpa")
    with torch.inference_mode():
        for _ in range(60):
            told.append(int(model(torch.tensor([told])).logits[0, -1].argmax()))
            read.append(int(forward(stories_files()[0], read)[-1].argmax()))
    assert told == read
    text = tokenizer.decode(told, skip_special_tokens=True)
    assert text.startswith("Once upon a time, there was a little girl named Lily.")


def test_the_folder_is_a_llama_of_260032_parameters(folder: Path) -> None:
    model = load_model(folder, "float32", "sdpa")
    assert type(model).__name__ == "LlamaForCausalLM"
    assert sum(p.numel() for p in model.parameters()) == 260_032
    assert (model.config.head_dim, model.config.max_position_embeddings) == (8, 512)
    assert {oct(p.stat().st_mode)[-3:] for p in folder.iterdir()} == {"644"}


def test_the_same_files_are_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    again = convert_stories(tmp_path / "again")
    assert {p.name: p.read_bytes() for p in again.iterdir()} == {
        p.name: p.read_bytes() for p in folder.iterdir()
    }


ALPHABET = st.one_of(
    st.sampled_from("thead ahernd .\n\"'“”é…<s>/▁0A"),
    st.characters(exclude_categories=["Cs"]),
)


@settings(max_examples=400, deadline=None)
@given(st.text(ALPHABET, max_size=120))
@example("")
@example(" ")
@example("   the   the her there ")
@example("<s></s><unk><0x41> <s>")
@example("▁the▁time")
@example("Question: What is 2 + 2?\nA. four\nB. naïve ☃ 今日\x00\nAnswer: A")
def test_any_text_is_encoded_by_the_rules_of_the_format_and_decoded_again(
    tokenizer: PreTrainedTokenizerBase, vocabulary: tuple[list[bytes], list[float]], text: str
) -> None:
    ids = TokenizerEncoder(tokenizer)(text)
    assert ids == encode(text, *vocabulary)
    assert tokenizer.decode(ids, skip_special_tokens=True) == text


def test_the_example_finds_it_below_an_allowed_root(folder: Path, tmp_path: Path) -> None:
    spec = yaml.safe_load((PROJECT / "examples" / "stories260k.yaml").read_text(encoding="utf-8"))
    ref = ExperimentSpec.model_validate(spec).model
    roots = Settings(home_dir=tmp_path, allowed_roots=str(folder.parent))
    facts = build_models(roots, build_store(roots)).inspect(ref)
    assert (facts.parameters, facts.head_size) == (260_032, 8)


# --- other checkpoints, and broken ones -----------------------------------------------------------


class Header(NamedTuple):
    dim: int = 24
    hidden: int = 20
    layers: int = 2
    heads: int = 6
    kv_heads: int = 2
    vocabulary: int = -512
    positions: int = 16


def write_checkpoint(path: Path, header: Header = Header()) -> Path:  # noqa: B008
    """Small random weights of any shape that the format allows."""
    dim, hidden, layers, heads, kv_heads, vocabulary, positions = header
    size = dim // heads
    each = 2 * dim + 2 * dim * dim + 2 * kv_heads * size * dim + 3 * hidden * dim
    count = abs(vocabulary) * dim * (1 if vocabulary > 0 else 2)
    count += layers * each + dim + positions * size
    weights = np.random.default_rng(1).normal(0, 0.3, count).astype("<f4")
    path.write_bytes(struct.pack("<7i", *header) + weights.tobytes())
    return path


@pytest.mark.parametrize("header", [Header(), Header(vocabulary=512, kv_heads=6, heads=6)])
def test_a_head_of_its_own_and_any_sharing_of_heads_are_converted(
    tmp_path: Path, header: Header
) -> None:
    checkpoint = write_checkpoint(tmp_path / "m.bin", header)
    convert(checkpoint, stories_files()[1], tmp_path / "model")
    ids = [1, 7, 300, 2, 511, 40]
    assert distance(logits_of(tmp_path / "model", ids), forward(checkpoint, ids)) < CLOSE


def change(content: bytes, at: int, kind: str, value: float) -> bytes:
    packed = struct.pack(kind, value)
    return content[:at] + packed + content[at + len(packed) :]


CHECKPOINTS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda b: b"", "0 bytes hold no header"),
    "half a header": (lambda b: b[:20], "20 bytes hold no header"),
    "truncated": (lambda b: b[:-4], r"has 1056536 bytes, its header asks for 1056540"),
    "too long": (lambda b: b + b"\0", "has 1056541 bytes"),
    "a later version": (lambda b: change(b, 0, "<i", 0x616B3432), "cannot be cut into"),
    "no layers": (lambda b: change(b, 8, "<i", 0), "sizes below 1"),
    "negative width": (lambda b: change(b, 0, "<i", -64), "sizes below 1"),
    "gigantic": (lambda b: change(b, 24, "<i", 2**31 - 1), "its header asks for"),
    "heads that do not divide": (lambda b: change(b, 12, "<i", 7), "cannot be cut into 7 heads"),
    "unshared heads": (lambda b: change(b, 16, "<i", 3), "share 3 heads"),
    "another vocabulary": (lambda b: change(b, 20, "<i", 511), "its header asks for"),
    "not a number": (lambda b: change(b, 28, "<f", math.nan), "embed_tokens.* not finite"),
}
TOKENIZERS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda b: b"", "ends before token 0 of 512"),
    "truncated": (lambda b: b[:-2], "token 511 has a length of 3 bytes"),
    "one token short": (lambda b: b[:-11], "ends before token 511"),
    "too long": (lambda b: b + b"\0", "goes on after the 512 tokens"),
    "negative length": (lambda b: change(b, 8, "<i", -5), "token 0 has a length of -5"),
    "endless length": (lambda b: change(b, 8, "<i", 2**31 - 1), "token 0 has a length of"),
    "infinite score": (lambda b: change(b, 4, "<f", math.inf), "token 0 has the score inf"),
    "another byte": (lambda b: b.replace(b"<0x41>", b"<0x42>"), "token 68 is '<0x42>' instead"),
    "no text": (lambda b: b[:-3] + b"\xff\xfe\xfd", "token 511 is not UTF-8"),
    "twice the same": (lambda b: b[:-3] + b"\xe2\x84\xa2", "two tokens are the same text"),
    "a tie": (lambda b: change(b, len(b) - 11, "<f", -251.0), "the same score"),
}


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_a_broken_checkpoint_is_refused_with_its_fault_and_leaves_nothing(
    tmp_path: Path, name: str
) -> None:
    breaking, fault = CHECKPOINTS[name]
    checkpoint, tokenizer = stories_files()
    broken = tmp_path / "broken.bin"
    broken.write_bytes(breaking(checkpoint.read_bytes()))
    with pytest.raises(InvalidInput, match=fault) as caught:
        convert(broken, tokenizer, tmp_path / "model")
    assert caught.value.where == str(broken)
    assert list(tmp_path.iterdir()) == [broken]


@pytest.mark.parametrize("name", TOKENIZERS)
def test_a_broken_tokenizer_is_refused_with_its_fault_and_leaves_nothing(
    tmp_path: Path, name: str
) -> None:
    breaking, fault = TOKENIZERS[name]
    checkpoint, tokenizer = stories_files()
    broken = tmp_path / "broken.bin"
    broken.write_bytes(breaking(tokenizer.read_bytes()))
    with pytest.raises(InvalidInput, match=fault) as caught:
        convert(checkpoint, broken, tmp_path / "model")
    assert caught.value.where == str(broken)
    assert list(tmp_path.iterdir()) == [broken]


def test_a_vocabulary_without_every_byte_is_refused(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path / "m.bin", Header(vocabulary=200))
    tokenizer = tmp_path / "t.bin"
    at, content = 4, stories_files()[1].read_bytes()
    for _ in range(200):
        at += 8 + int(struct.unpack_from("<i", content, at + 4)[0])
    tokenizer.write_bytes(content[:at])
    with pytest.raises(InvalidInput, match="200 tokens do not even hold every byte"):
        convert(checkpoint, tokenizer, tmp_path / "model")


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine").write_text("mine")
    with pytest.raises(InvalidInput, match="there is something already"):
        convert(*stories_files(), tmp_path / "model")
    assert [p.name for p in tmp_path.rglob("*")] == ["model", "mine"]
    with pytest.raises(InvalidInput, match="no folder can be made here"):
        convert(*stories_files(), tmp_path / "model" / "mine" / "below")


def test_a_fault_while_writing_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.numpy.save_file", full)
    with pytest.raises(OSError, match="No space"):
        convert(*stories_files(), tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    checkpoint, tokenizer = stories_files()
    with pytest.raises(UnknownName, match=r"none\.bin: there is no such file"):
        convert(tmp_path / "none.bin", tokenizer, tmp_path / "model")
    with pytest.raises(UnknownName, match=r"none\.bin: there is no such file"):
        convert(checkpoint, tmp_path / "none.bin", tmp_path / "model")


def test_the_command_says_what_is_wrong_and_where(tmp_path: Path) -> None:
    (tmp_path / "short.bin").write_bytes(b"1234")
    files = [str(tmp_path / "short.bin"), str(stories_files()[1]), str(tmp_path / "model")]
    result = CliRunner(env={"COLUMNS": "400"}).invoke(app, ["models", "convert-llama2c", *files])
    assert result.exit_code == 1
    assert "short.bin: 4 bytes hold no header of 28" in result.output
    assert "Traceback" not in result.output
