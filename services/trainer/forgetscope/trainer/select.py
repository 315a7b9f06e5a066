"""The stage `select`: a task's training examples in the order in which replay takes them."""

from pydantic import JsonValue
from transformers import PreTrainedModel

from forgetscope.app.examples_file import EXAMPLES, read_examples, write_examples
from forgetscope.core.memory import PRODUCT_SHARE
from forgetscope.modeling.answers import check_head
from forgetscope.modeling.batches import Item, encode_examples
from forgetscope.modeling.determinism import deterministic
from forgetscope.modeling.loading import TokenizerEncoder, load_tokenizer
from forgetscope.ports.stage import StageIO, Work
from forgetscope.schema.base import JsonObject, Value
from forgetscope.schema.errors import InvalidInput, UnknownName
from forgetscope.schema.example import Example
from forgetscope.trainer.influence import Report
from forgetscope.trainer.methods import Source
from forgetscope.trainer.selections import SELECTIONS, Compared

__all__ = ["SelectParams", "run_select"]


class SelectParams(Value):
    """`Work.params` of a select stage. `max_length`: where models are compared."""

    selection: str
    params: dict[str, JsonValue]
    max_length: int | None = None


def run_select(work: Work, io: StageIO) -> JsonObject:
    """Inputs: data; where models are compared base, checkpoint (after the forgetting) and reference
    (after the task's own stage). Output: all of the examples in another order.

    Raises what loading raises, UnknownName, and InvalidInput for no examples, for one that does not
    fit and for losses that are not finite.
    """
    params = SelectParams.model_validate(work.params)
    select = SELECTIONS.get(params.selection)
    if select is None:
        raise UnknownName(f"there is no selection {params.selection!r}", where="selection")
    examples = read_examples(io.input("data"))
    if not examples:
        raise InvalidInput("there is no example to choose from", where=EXAMPLES)
    machine = io.machine

    def load(role: str) -> PreTrainedModel:
        # Eager attention has derivatives in every mode.
        model = Source(io.input("base"), io.input(role), "eager").load_weights()
        check_head(model)
        return model.to(machine.device).eval().requires_grad_(False)

    def begin(total: int) -> Report:
        seen: list[int] = []

        def report(more: int) -> None:
            seen.append(more)
            io.progress(sum(seen), total, "examples")

        return report

    with deterministic(machine.device, threads=machine.threads, seed=work.seed):
        compared = Compared(
            examples,
            _items(examples, params, io),
            load,
            machine.batch_tokens // PRODUCT_SHARE,
            begin,
        )
        selected = select(compared, params.params)
    write_examples(io.output, [examples[i] for i in selected.order])
    return {"examples": len(examples), **selected.facts}


def _items(examples: list[Example], params: SelectParams, io: StageIO) -> list[Item]:
    """The tokens of the examples, where models are to see them."""
    if params.max_length is None:
        return []
    tokenizer = load_tokenizer(io.input("base"))
    return encode_examples(
        examples,
        TokenizerEncoder(tokenizer),
        eos=tokenizer.eos_token_id,
        max_length=params.max_length,
    )
