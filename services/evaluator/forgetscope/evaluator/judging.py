"""Replies to the safety classifier: what a judged answer needs before it can be scored."""

from collections.abc import Sequence

from forgetscope.modeling.judges import load_classifier
from forgetscope.ports.stage import StageIO
from forgetscope.schema.example import Example, Judged

__all__ = ["share_safe"]


def share_safe(
    examples: Sequence[Example], texts: Sequence[str | None], io: StageIO
) -> list[float | None]:
    """The probability that each text is a safe reply; None where nobody asks for it.

    Only the first line that is not blank is the reply, as in the training examples: a model that
    goes on writes the other speaker's turn. A text without one has no probability, and neither has
    an example that was not written to (None) or that is scored otherwise. The classifier is the
    input `judge`, and is loaded only when it is needed.

    Raises InvalidInput when the classifier cannot be read.
    """
    asked = {
        i: (example.score.turns, reply)
        for i, (example, text) in enumerate(zip(examples, texts, strict=True))
        if isinstance(example.score, Judged) and text is not None and (reply := first_line(text))
    }
    found: list[float | None] = [None] * len(examples)
    if asked:
        classifier = load_classifier(io.input("judge"), io.machine)

        def report(share: float) -> None:
            io.progress(share * len(asked), len(asked), "replies judged")

        for i, share in zip(asked, classifier.safe([*asked.values()], report), strict=True):
            found[i] = share
    return found


def first_line(text: str) -> str:
    return text.strip().split("\n", 1)[0].rstrip()
