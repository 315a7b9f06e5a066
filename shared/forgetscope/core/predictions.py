"""What a model said about each example, and whether that was right.

"Unscored" is an outcome of its own, with its reason: a model that lost the format, or an item that
does not fit into the model, is never counted as a wrong answer.
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from forgetscope.schema.example import Example

__all__ = ["Prediction", "Verdict", "judge_choice", "judge_text", "predict"]


class Verdict(NamedTuple):
    """`choice` is an option's index, for the form "choice" only. Either `correct` or `unscored`
    (the reason) is None."""

    choice: int | None
    correct: bool | None
    unscored: str | None


class Prediction(NamedTuple):
    """One row of a stage's predictions; the fields are the columns, in this order.

    `scores` are the log-likelihoods of the options in nats, summed over an option's tokens; None
    for generated answers and unscored items. `text` is the generated answer, None for choices.
    `safe` is the probability of safe that a classifier gave it, None where none was asked.
    """

    id: str
    cluster: str
    groups: tuple[str, ...]
    form: Literal["choice", "generate"]
    answer: int | None
    choice: int | None
    correct: bool | None
    unscored: str | None
    scores: tuple[float, ...] | None
    text: str | None
    safe: float | None = None


def judge_choice(scores: Sequence[float], answer: int) -> Verdict:
    """The option with the highest log-likelihood is the choice; of equal ones, the first.

    That is `acc` of lm-evaluation-harness: summed, not divided by length. Scores that are not
    finite leave the item unscored.
    """
    if not all(math.isfinite(score) for score in scores):
        return Verdict(None, None, "the log-likelihood of an option is not a finite number")
    choice = max(range(len(scores)), key=lambda index: scores[index])
    return Verdict(choice, choice == answer, None)


def judge_text(text: str, target: str) -> Verdict:
    """Right when the text equals the target, blanks at both ends aside. No text is unscored."""
    said = text.strip()
    if not said:
        return Verdict(None, None, "the model generated no text")
    return Verdict(None, said == target.strip(), None)


def predict(
    example: Example,
    *,
    scores: tuple[float, ...] | None = None,
    text: str | None = None,
    unscored: str | None = None,
) -> Prediction:
    """Judge what the model gave for `example`: `scores`, `text`, or the reason for neither."""
    if unscored is not None:
        verdict = Verdict(None, None, unscored)
    elif scores is not None and example.answer is not None:
        verdict = judge_choice(scores, example.answer)
    elif text is not None:
        verdict = judge_text(text, example.target)
    else:
        raise ValueError(f"example {example.id!r}: nothing to judge")
    judged = verdict.unscored is None
    return Prediction(
        id=example.id,
        cluster=example.cluster,
        groups=example.groups,
        form=example.form,
        answer=example.answer,
        choice=verdict.choice,
        correct=verdict.correct,
        unscored=verdict.unscored,
        scores=scores if judged else None,
        text=text,
    )
