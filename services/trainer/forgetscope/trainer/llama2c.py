"""Checkpoints and tokenizers of llama2.c (version 0) as a Llama folder in transformers layout.

Both are read by its `run.c` and are little endian. The checkpoint is seven int32 (see `Shape`), the
float32 tensors of `_tensors` in that order, two RoPE tables that nobody needs among them. The
tokenizer is one int32 and a record for every token: float32 score, int32 length, the bytes.
"""

import math
import shutil
import struct
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from forgetscope.schema.errors import InvalidInput, UnknownName

__all__ = ["convert"]

UNKNOWN, BEGIN, END = "<unk>", "<s>", "</s>"  # ids 0, 1, 2
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]  # ids 3 to 258
FIRST_PIECE = 259
_HEADER = struct.Struct("<7i")
_RECORD = struct.Struct("<fi")

Floats = NDArray[np.float32]


class Shape(NamedTuple):
    """The header, in the order of the file. A negative `vocabulary` in the file stands for an
    output head of its own behind everything else; here it is always positive, see `tied`."""

    width: int
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    vocabulary: int
    positions: int
    tied: bool

    @property
    def head_size(self) -> int:
        return self.width // self.heads


class Piece(NamedTuple):
    """A token that merges make: the higher its score, the earlier. Its id is its place."""

    text: str
    score: float


def convert(checkpoint: Path, tokenizer: Path, folder: Path) -> None:
    """Write config.json, model.safetensors (float32) and the tokenizer's files into `folder`.

    The folder must not exist yet, or be empty; it appears whole or not at all. Raises UnknownName
    when a file is missing, and InvalidInput when it is not what its header says or the folder is
    taken.
    """
    shape = _read_shape(checkpoint)
    pieces = _read_pieces(tokenizer, shape.vocabulary)
    folder = folder.resolve()
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise InvalidInput(
            "there is something already", where=str(folder), hint="Name a new folder."
        )
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    except OSError as error:
        raise InvalidInput(
            f"no folder can be made here: {error.strerror}",
            where=str(folder),
            hint="Name a new folder in a place that you may write to.",
        ) from error
    try:
        _write_model(shape, checkpoint, unfinished)
        _write_tokenizer(pieces, shape.positions, unfinished)
        for file in unfinished.iterdir():  # a service may run as somebody else
            file.chmod(0o644)
        unfinished.chmod(0o755)
        unfinished.replace(folder)
    except BaseException:
        shutil.rmtree(unfinished)
        raise


def _read_shape(path: Path) -> Shape:
    size = _size(path)
    with path.open("rb") as stream:
        head = stream.read(_HEADER.size)
    if len(head) < _HEADER.size:
        _refuse(path, f"{size} bytes hold no header of {_HEADER.size}")
    width, hidden, layers, heads, kv_heads, vocabulary, positions = _HEADER.unpack(head)
    shape = Shape(
        width, hidden, layers, heads, kv_heads, abs(vocabulary), positions, tied=vocabulary > 0
    )
    if min(shape[:-1]) < 1:
        _refuse(path, f"the header {_HEADER.unpack(head)} holds sizes below 1")
    if shape.width % shape.heads or shape.head_size % 2 or shape.heads % shape.kv_heads:
        _refuse(
            path,
            f"a width of {shape.width} cannot be cut into {shape.heads} heads of even size "
            f"that share {shape.kv_heads} heads of keys and values",
        )
    wanted = _HEADER.size + 4 * sum(math.prod(dims) for _, dims in _tensors(shape))
    if size != wanted:
        _refuse(path, f"the file has {size} bytes, its header asks for {wanted}")
    return shape


def _tensors(shape: Shape) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names of transformers, `{}` for the layer, and shapes; "" for what is not used."""
    width, hidden, layers = shape.width, shape.hidden, shape.layers
    kv_width = shape.kv_heads * shape.head_size
    yield "model.embed_tokens.weight", (shape.vocabulary, width)
    yield "model.layers.{}.input_layernorm.weight", (layers, width)
    yield "model.layers.{}.self_attn.q_proj.weight", (layers, width, width)
    yield "model.layers.{}.self_attn.k_proj.weight", (layers, kv_width, width)
    yield "model.layers.{}.self_attn.v_proj.weight", (layers, kv_width, width)
    yield "model.layers.{}.self_attn.o_proj.weight", (layers, width, width)
    yield "model.layers.{}.post_attention_layernorm.weight", (layers, width)
    yield "model.layers.{}.mlp.gate_proj.weight", (layers, hidden, width)
    yield "model.layers.{}.mlp.down_proj.weight", (layers, width, hidden)
    yield "model.layers.{}.mlp.up_proj.weight", (layers, hidden, width)
    yield "model.norm.weight", (width,)
    yield "", (2, shape.positions, shape.head_size // 2)
    if not shape.tied:
        yield "lm_head.weight", (shape.vocabulary, width)


def _weights(shape: Shape, path: Path) -> Iterator[tuple[str, Floats]]:
    numbers = np.memmap(path, dtype="<f4", mode="r", offset=_HEADER.size)
    at = 0
    for name, dims in _tensors(shape):
        tensor = numbers[at : at + math.prod(dims)].reshape(dims)
        at += tensor.size
        if name and not np.isfinite(tensor).all():
            _refuse(path, f"{name.replace('.{}', '')} holds numbers that are not finite")
        if "{}" in name:
            for layer in range(shape.layers):
                yield name.format(layer), _halved(name, tensor[layer], shape.head_size)
        elif name:
            yield name, tensor


def _halved(name: str, weight: Floats, head_size: int) -> Floats:
    """Queries and keys: llama2.c rotates neighbouring rows of a head, transformers its halves."""
    if not name.endswith(("q_proj.weight", "k_proj.weight")):
        return weight
    pairs_H_P_2_D = weight.reshape(-1, head_size // 2, 2, weight.shape[-1])
    return pairs_H_P_2_D.swapaxes(1, 2).reshape(weight.shape)


def _write_model(shape: Shape, checkpoint: Path, folder: Path) -> None:
    from safetensors.numpy import save_file
    from transformers import LlamaConfig

    weights = {name: np.ascontiguousarray(weight) for name, weight in _weights(shape, checkpoint)}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    LlamaConfig(
        architectures=["LlamaForCausalLM"],
        vocab_size=shape.vocabulary,
        hidden_size=shape.width,
        intermediate_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        max_position_embeddings=shape.positions,
        hidden_act="silu",
        rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        tie_word_embeddings=shape.tied,
        bos_token_id=1,
        eos_token_id=2,
        dtype="float32",
    ).save_pretrained(folder)


def _read_pieces(path: Path, vocabulary: int) -> list[Piece]:
    """The merged pieces, checked; their first has the id 259."""
    _size(path)
    content = path.read_bytes()
    pieces: list[Piece] = []
    at = 4
    for token in range(vocabulary):
        if at + _RECORD.size > len(content):
            _refuse(path, f"the file ends before token {token} of {vocabulary}")
        score, length = _RECORD.unpack_from(content, at)
        at += _RECORD.size
        if not 0 < length <= len(content) - at:
            _refuse(path, f"token {token} has a length of {length} bytes")
        try:
            text = content[at : at + length].decode()
        except UnicodeDecodeError:
            _refuse(path, f"token {token} is not UTF-8")
        at += length
        if not math.isfinite(score):
            _refuse(path, f"token {token} has the score {score}")
        if 3 <= token < FIRST_PIECE and text != BYTES[token - 3]:
            _refuse(path, f"token {token} is {text!r} instead of {BYTES[token - 3]!r}")
        if token >= FIRST_PIECE:
            pieces.append(Piece(text, score))
    if at < len(content):
        _refuse(path, f"the file goes on after the {vocabulary} tokens of the checkpoint")
    if vocabulary < FIRST_PIECE:
        _refuse(path, f"{vocabulary} tokens do not even hold every byte")
    texts = [UNKNOWN, BEGIN, END, *BYTES, *(piece.text for piece in pieces)]
    if len(set(texts)) < len(texts):
        _refuse(path, "two tokens are the same text")
    if len({piece.score for piece in pieces}) < len(pieces):
        _refuse(path, "two tokens have the same score, which leaves the order of merges open")
    return pieces


def _merges(pieces: Sequence[Piece]) -> list[tuple[str, str]]:
    """Every way to join two known pieces into a third one, the best first."""
    known = {piece.text for piece in pieces}
    return [
        (text[:cut], text[cut:])
        for text, _ in sorted(pieces, key=lambda piece: -piece.score)
        for cut in range(1, len(text))
        if text[:cut] in known and text[cut:] in known
    ]


def _write_tokenizer(pieces: Sequence[Piece], positions: int, folder: Path) -> None:
    """A fast tokenizer that encodes as SentencePiece's BPE does: a blank in front, characters,
    unknown ones as bytes, then merges, the best score first.

    Where one piece can be made of overlapping parts in two ways ("aaa" of a and aa), SentencePiece
    takes the left one and this the one that is first in `_merges`.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, processors
    from transformers import PreTrainedTokenizerFast

    texts = [UNKNOWN, BEGIN, END, *BYTES, *(piece.text for piece in pieces)]
    bpe = Tokenizer(
        models.BPE(
            vocab={text: i for i, text in enumerate(texts)},
            merges=_merges(pieces),
            unk_token=UNKNOWN,
            byte_fallback=True,
        )
    )
    bpe.normalizer = normalizers.Prepend(" ")
    bpe.decoder = decoders.Sequence(
        [decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    bpe.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A", special_tokens=[(BEGIN, 1)]
    )
    special: dict[str, Any] = {
        "unk_token": UNKNOWN,
        "bos_token": BEGIN,
        "eos_token": END,
    }
    bpe.add_special_tokens([AddedToken(text, normalized=False) for text in special.values()])
    PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        **special,
        split_special_tokens=True,  # "<s>" in a text is three characters, as in SentencePiece
        model_max_length=positions,
        clean_up_tokenization_spaces=False,
    ).save_pretrained(folder)


def _size(path: Path) -> int:
    if not path.is_file():
        raise UnknownName("there is no such file", where=str(path))
    return path.stat().st_size


def _refuse(path: Path, detail: str) -> NoReturn:
    raise InvalidInput(
        detail,
        where=str(path),
        hint="Give a llama2.c checkpoint of version 0 and the tokenizer that belongs to it.",
    )
