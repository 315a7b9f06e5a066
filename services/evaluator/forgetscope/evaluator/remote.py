"""Evaluate a model behind an endpoint: its server reads and writes, the rules are the same.

Texts go out instead of tokens, because there is no tokenizer here; see `core.endpoints` for what
that changes. Before and after, the server is asked for the probes again, so that no predictions are
kept of a model that was exchanged meanwhile.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

from forgetscope.app.endpoint_file import read_endpoint
from forgetscope.app.endpoints import look_at, require_same
from forgetscope.app.examples_file import read_examples
from forgetscope.app.predictions_file import write_predictions
from forgetscope.core.endpoints import Echo, Refused, parts_of, score_options
from forgetscope.core.predictions import Prediction, predict
from forgetscope.evaluator.encoding import possible_answers
from forgetscope.evaluator.evaluation import PREDICTIONS
from forgetscope.evaluator.judging import share_safe
from forgetscope.ports.endpoint import Endpoints
from forgetscope.ports.stage import StageIO, Work
from forgetscope.schema.base import JsonObject
from forgetscope.schema.endpoint import EndpointInfo
from forgetscope.schema.errors import InvalidInput
from forgetscope.schema.example import Example

__all__ = ["endpoint_answers", "evaluate_endpoint"]

EXAMPLES_AT_ONCE = 64
# Before answers whose tokens are counted; any text that ends like a prompt would do.
_STEM = "Answer:"


def evaluate_endpoint(work: Work, io: StageIO, endpoints: Endpoints) -> JsonObject:
    """Score every example through the endpoint that the input `base` names.

    Writes predictions.parquet in the order of the examples. Raises DataChanged when the model
    behind the endpoint is not the planned one, and as `Endpoints` does.
    """
    info = read_endpoint(io.input("base"))
    examples = read_examples(io.input("data"))

    def report(done: int) -> None:
        io.progress(done, len(examples), "examples")

    require_same(info, look_at(endpoints, info.model))
    told = endpoint_answers(endpoints, info, examples, io, report)
    require_same(info, look_at(endpoints, info.model))
    write_predictions(io.output / PREDICTIONS, told)
    return {
        "items": len(told),
        "scored": sum(row.unscored is None for row in told),
        "correct": sum(row.correct is True for row in told),
        "engine": work.params["engine"],
        "engine_version": info.served.owned_by or "unknown",
    }


def endpoint_answers(
    endpoints: Endpoints,
    info: EndpointInfo,
    examples: Sequence[Example],
    io: StageIO,
    report: Callable[[int], None],
) -> list[Prediction]:
    """What the model says about every example, in their order. `report` is called with the number
    of examples done. Raises as `Endpoints` does."""
    rows: dict[str, Prediction] = {}
    for part in _parts([e for e in examples if e.form == "choice"]):
        rows |= _choose(endpoints, info, part)
        report(len(rows))
    texts = [e for e in examples if e.form == "generate"]
    for new_tokens, those in _by_budget(endpoints, info, texts).items():
        for part in _parts(those):
            rows |= _write(endpoints, info, part, new_tokens, io)
            report(len(rows))
    return [rows[example.id] for example in examples]


def _parts(examples: Sequence[Example]) -> Iterator[Sequence[Example]]:
    for start in range(0, len(examples), EXAMPLES_AT_ONCE):
        yield examples[start : start + EXAMPLES_AT_ONCE]


def _choose(
    endpoints: Endpoints, info: EndpointInfo, examples: Sequence[Example]
) -> dict[str, Prediction]:
    texts: dict[str, None] = {}
    for example in examples:
        stem, wholes = parts_of(example.prompt, example.options)
        texts |= dict.fromkeys((stem, *wholes))
    echoes = _echoes(endpoints, info, list(texts))
    scored = ((example, score_options(example, echoes)) for example in examples)
    return {
        e.id: predict(e, unscored=found) if isinstance(found, str) else predict(e, scores=found)
        for e, found in scored
    }


def _write(
    endpoints: Endpoints,
    info: EndpointInfo,
    examples: Sequence[Example],
    new_tokens: int,
    io: StageIO,
) -> dict[str, Prediction]:
    stems = [parts_of(example.prompt, ())[0] for example in examples]
    written = endpoints.write(info.model, stems, new_tokens, info.served.max_model_len)
    texts = [None if isinstance(said, Refused) else said for said in written]
    safe = share_safe(examples, texts, io)
    return {
        e.id: predict(e, unscored=said.reason)
        if isinstance(said, Refused)
        else predict(e, text=said, safe=share)
        for e, said, share in zip(examples, written, safe, strict=True)
    }


def _by_budget(
    endpoints: Endpoints, info: EndpointInfo, examples: Sequence[Example]
) -> Mapping[int, list[Example]]:
    """Examples by the tokens that the model may write, see `evaluator.encoding.budgets`."""
    open_ended = [e for e in examples if e.max_new_tokens is None]
    shared = _longest_answer(endpoints, info, open_ended) if open_ended else 0
    found: dict[int, list[Example]] = defaultdict(list)
    for example in examples:
        found[example.max_new_tokens or shared].append(example)
    return found


def _longest_answer(endpoints: Endpoints, info: EndpointInfo, examples: Sequence[Example]) -> int:
    """The tokens of the longest answer, and of its end."""
    answers = dict.fromkeys(answer for e in examples for answer in possible_answers(e))
    stem, wholes = parts_of(_STEM, answers)
    echoes = _echoes(endpoints, info, [stem, *wholes])
    lengths = {text: len(e.tokens) for text, e in echoes.items() if isinstance(e, Echo)}
    if len(lengths) < len(echoes):
        raise InvalidInput(
            "an answer of the task alone is longer than the server takes.", where=info.model.url
        )
    return max(lengths[whole] for whole in wholes) - lengths[stem] + 1


def _echoes(
    endpoints: Endpoints, info: EndpointInfo, texts: Sequence[str]
) -> dict[str, Echo | Refused]:
    said = endpoints.echo(info.model, texts, info.served.max_model_len)
    return dict(zip(texts, said, strict=True))
