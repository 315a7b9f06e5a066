"""Evaluate: examples and a model in, predictions out."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Literal, NamedTuple

from forgetscope.app.examples_file import read_examples
from forgetscope.app.predictions_file import write_predictions
from forgetscope.core.encoding import Encoder
from forgetscope.core.identity import digest_of
from forgetscope.core.predictions import Prediction, predict
from forgetscope.evaluator.encoding import Remembering, budgets, encode_choice, encode_prompt
from forgetscope.evaluator.engines.base import Adapter, ChoiceItem, Engine, Report, Tokens
from forgetscope.evaluator.engines.cache import EngineCache, EngineKey
from forgetscope.evaluator.files import read_model_files
from forgetscope.evaluator.judging import share_safe
from forgetscope.modeling.determinism import deterministic
from forgetscope.modeling.loading import TokenizerEncoder, is_adapter, load_tokenizer
from forgetscope.ports.stage import Machine, StageIO, Work
from forgetscope.schema.base import JsonObject, Value
from forgetscope.schema.example import Example
from forgetscope.schema.stage import Manifest

__all__ = ["PREDICTIONS", "Settings", "answers", "evaluate"]

PREDICTIONS = "predictions.parquet"
Judge = Callable[[Sequence[Example], Sequence[str | None]], list[float | None]]
Way = Callable[[Engine], Engine]
"""Another way to ask the same engine."""


class Settings(Value):
    """The parameters of an evaluate stage: all of them can change its result."""

    engine: Literal["transformers", "vllm"]
    dtype: Literal["float32", "bfloat16"]
    attention: Literal["sdpa", "eager"]
    max_length: int


class Subject(NamedTuple):
    """What is evaluated: the weights in `folder`, whose files have `digest`, under `adapter`."""

    folder: Path
    digest: str
    adapter: Adapter | None


class Told(NamedTuple):
    """What was said about every example, in their order."""

    rows: list[Prediction]
    engine_version: str


class Codec(NamedTuple):
    """Text to tokens and back. A text has at most `limit` tokens; those of `stop` end it."""

    encode: Encoder
    decode: Callable[..., str]
    stop: frozenset[int]
    limit: int


def evaluate(work: Work, io: StageIO, cache: EngineCache) -> JsonObject:
    """Score every example with the base model, an adapter on it, or a whole checkpoint.

    Writes predictions.parquet in the order of the examples. Raises what reading and loading the
    model raise.
    """
    settings = Settings.model_validate(work.params)
    examples = read_examples(io.input("data"))

    def report(done: float) -> None:
        io.progress(done, len(examples), "examples")

    told = answers(work, io, cache, settings, examples, report=report)
    write_predictions(io.output / PREDICTIONS, told.rows)
    return {
        "items": len(told.rows),
        "scored": sum(row.unscored is None for row in told.rows),
        "correct": sum(row.correct is True for row in told.rows),
        "engine": settings.engine,
        "engine_version": told.engine_version,
    }


def answers(
    work: Work,
    io: StageIO,
    cache: EngineCache,
    settings: Settings,
    examples: Sequence[Example],
    *,
    report: Callable[[float], None],
    way: Way = lambda engine: engine,
) -> Told:
    """What the model of the stage says about every example, when its engine is asked in this way.

    `report` is called with the number of examples done. Raises what reading and loading the model
    raise.
    """
    subject = _subject(work, io)
    choices = [e for e in examples if e.form == "choice"]
    texts = [e for e in examples if e.form == "generate"]

    files = read_model_files(subject.folder)
    tokenizer = load_tokenizer(subject.folder)
    codec = Codec(
        encode=Remembering(TokenizerEncoder(tokenizer)),
        decode=tokenizer.decode,
        stop=files.stop | ({tokenizer.eos_token_id} - {None}),
        limit=min(settings.max_length, files.positions or settings.max_length),
    )

    def so_far(share: float, part: Sequence[Example], before: int) -> None:
        report(before + share * len(part))

    with deterministic(io.machine.device, threads=io.machine.threads, seed=work.seed):
        loaded = _engine(settings, subject, codec.limit, io.machine, cache)
        loaded.use(subject.adapter, io.scratch)
        engine = way(loaded)
        chosen = _choose(engine, codec, choices, partial(so_far, part=choices, before=0))
        said = partial(so_far, part=texts, before=len(choices))
        written = _write(engine, codec, texts, said, partial(share_safe, io=io))
    left = {"choice": iter(chosen), "generate": iter(written)}
    return Told([next(left[e.form]) for e in examples], engine.version)


def _subject(work: Work, io: StageIO) -> Subject:
    """A whole checkpoint is a model of its own: the base need not be there at all."""
    base, checkpoint = work.inputs["base"], work.inputs.get("checkpoint")
    if checkpoint is None:
        return Subject(io.input("base"), _digest(base), None)
    folder = io.input("checkpoint")
    if is_adapter(folder):
        adapter = Adapter(_digest(checkpoint), folder)
        return Subject(io.input("base"), _digest(base), adapter)
    return Subject(folder, _digest(checkpoint), None)


def _digest(manifest: Manifest) -> str:
    return digest_of({path: blob.digest for path, blob in manifest.files.items()})


def _engine(
    settings: Settings, subject: Subject, limit: int, machine: Machine, cache: EngineCache
) -> Engine:
    key = EngineKey(
        model=subject.digest,
        engine=settings.engine,
        dtype=settings.dtype,
        attention=settings.attention,
        max_length=limit,
        device=machine.device,
        batch_tokens=machine.batch_tokens,
    )

    def load() -> Engine:
        if settings.engine == "vllm":
            from forgetscope.evaluator.engines.vllm import VllmEngine

            return VllmEngine(
                subject.folder,
                dtype=settings.dtype,
                device=machine.device,
                max_length=limit,
                batch_tokens=machine.batch_tokens,
            )
        from forgetscope.evaluator.engines.transformers import TransformersEngine

        return TransformersEngine(
            subject.folder,
            dtype=settings.dtype,
            attention=settings.attention,
            device=machine.device,
            batch_tokens=machine.batch_tokens,
        )

    return cache.get(key, load)


def _choose(
    engine: Engine, codec: Codec, examples: Sequence[Example], report: Report
) -> list[Prediction]:
    encoded = [encode_choice(codec.encode, e, codec.limit) for e in examples]
    asked = [item for item in encoded if isinstance(item, ChoiceItem)]
    scores = iter(engine.score_options(asked, report))
    return [
        predict(e, unscored=item) if isinstance(item, str) else predict(e, scores=next(scores))
        for e, item in zip(examples, encoded, strict=True)
    ]


def _write(
    engine: Engine, codec: Codec, examples: Sequence[Example], report: Report, judge: Judge
) -> list[Prediction]:
    room = budgets(codec.encode, examples)
    encoded = [
        encode_prompt(codec.encode, example, codec.limit, new_tokens)
        for example, new_tokens in zip(examples, room, strict=True)
    ]
    written = _generate(engine, codec, encoded, room, report)
    safe = judge(examples, [written.get(i) for i in range(len(examples))])
    return [
        predict(e, unscored=prompt)
        if isinstance(prompt, str)
        else predict(e, text=written[i], safe=safe[i])
        for i, (e, prompt) in enumerate(zip(examples, encoded, strict=True))
    ]


def _generate(
    engine: Engine,
    codec: Codec,
    prompts: Sequence[Tokens | str],
    room: Sequence[int],
    report: Report,
) -> dict[int, str]:
    """The text after each prompt that fits, by its index. Prompts with room for as many new tokens
    share a call: in a batch, all rows are written until the last of them ends."""
    asked = sorted((room[i], i) for i, p in enumerate(prompts) if not isinstance(p, str))
    texts: dict[int, str] = {}
    for new_tokens, group in groupby(asked, key=itemgetter(0)):
        part = {i: p for _, i in group if not isinstance(p := prompts[i], str)}

        def so_far(share: float, before: int = len(texts), now: int = len(part)) -> None:
            report((before + share * now) / len(asked))

        answers = engine.generate(list(part.values()), new_tokens, codec.stop, so_far)
        for i, tokens in zip(part, answers, strict=True):
            texts[i] = codec.decode(
                tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False
            )
    return texts
