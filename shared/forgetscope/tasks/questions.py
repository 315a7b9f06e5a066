"""Questions as such, and the formats in which a task can ask them.

A task says once what is asked (`YesNo` or `Lettered`); `present` gives it a form. Id, cluster,
stratum, groups, facts and row of an item are the same in every format, so that two formats differ
in nothing but the form: does it change what is forgotten, and about whom?

- `qa`: a question and `Answer:`; the model chooses "yes" or "no", or a letter.
- `classification`: what is chosen are the labels themselves. Yes or no: the text and `Label:`, no
  question. Lettered: the question without its options, each of which is scored as its answer
  (cloze).
- `generation`: the model writes "yes" or "no", or the text of one of the options listed. Any other
  text is unscored.
- `code`: the model completes an assertion by an expression, which is interpreted, never executed.

The wording is this project's own (METHOD.md section 3: the prompts of the paper are not known).
Lettered: the letter alone is the answer, as usual for ARC with instruction-free models.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from forgetscope.schema.example import Case, Exact, Example, Functional, Score

__all__ = ["LETTERS", "Format", "Lettered", "YesNo", "present"]

Format = Literal["qa", "classification", "generation", "code"]

LETTERS = "ABCDEFGHIJ"


@dataclass(frozen=True, kw_only=True)
class _Item:
    """What every format leaves as it is; the fields of `Example`."""

    id: str
    cluster: str
    stratum: str = ""
    groups: tuple[str, ...] = ()
    facts: Mapping[str, str | int] = field(default_factory=dict)
    row: str = ""


@dataclass(frozen=True, kw_only=True)
class YesNo(_Item):
    """Whether something is so of a text.

    `name` is what the text is called, if anything, and `asks` the question about it; a text that
    is a question itself needs none. `labels` are the classes of texts of which it is so, and of
    which it is not; `predicate` is the function of that meaning in code.
    """

    text: str
    yes: bool
    name: str = ""
    asks: str = ""
    labels: tuple[str, str] = ("true", "false")
    predicate: str = "is_true"


@dataclass(frozen=True, kw_only=True)
class Lettered(_Item):
    """Which of several options answers a question; `context` stands before it."""

    stem: str
    options: Sequence[str]
    answer: int
    context: str = ""

    @property
    def asked(self) -> str:
        """Context and question, without the options."""
        opening = f"Context: {self.context}\n" if self.context else ""
        return f"{opening}Question: {self.stem}\n"


def present(question: YesNo | Lettered, format: Format = "qa") -> Example:
    """The question in one of the formats."""
    if isinstance(question, YesNo):
        return _yes_no(question, format)
    return _lettered(question, format)


def _yes_no(of: YesNo, format: Format) -> Example:
    which = 0 if of.yes else 1
    called = f"{of.name}: " if of.name else ""
    asks = "\n".join(filter(None, (f"{called}{of.text}", of.asks, "Answer:")))
    match format:
        case "qa":
            return _choice(of, asks, ("yes", "no"), which)
        case "classification":
            return _choice(of, f"Text: {of.text}\nLabel:", of.labels, which)
        case "generation":
            words = ("yes", "no")
            return _written(of, asks, words[which], Exact(answers=words))
        case "code":
            prompt = f"assert {of.predicate}({_quoted(of.text)}) is"
            return _written(of, prompt, str(of.yes), Functional(cases=(Case(output=of.yes),)))


def _lettered(of: Lettered, format: Format) -> Example:
    texts = tuple(text.strip() for text in of.options)
    match format:
        case "qa":
            pairs = zip(LETTERS, of.options, strict=False)
            lines = "".join(f"{letter}. {text}\n" for letter, text in pairs)
            return _choice(of, f"{of.asked}{lines}Answer:", LETTERS[: len(texts)], of.answer)
        case "classification":
            return _choice(of, f"{of.asked}Answer:", texts, of.answer)
        case "generation":
            lines = "".join(f"- {text}\n" for text in texts)
            return _written(of, f"{of.asked}{lines}Answer:", texts[of.answer], Exact(answers=texts))
        case "code":
            listed = f"options = [{', '.join(map(_quoted, texts))}]\n"
            asks = ", ".join(map(_quoted, filter(None, (of.context, of.stem))))
            case = Case(inputs={"options": list(texts)}, output=texts[of.answer])
            return _written(
                of,
                f"{listed}assert answer({asks}, options) ==",
                f"options[{of.answer}]",
                Functional(cases=(case,)),
            )


def _choice(of: _Item, prompt: str, options: Sequence[str], answer: int) -> Example:
    blanked = tuple(f" {option}" for option in options)
    return Example(
        id=of.id,
        prompt=prompt,
        options=blanked,
        answer=answer,
        target=blanked[answer],
        groups=of.groups,
        cluster=of.cluster,
        stratum=of.stratum,
        facts=dict(of.facts),
        row=of.row,
    )


def _written(of: _Item, prompt: str, target: str, score: Score) -> Example:
    return Example(
        id=of.id,
        form="generate",
        prompt=prompt,
        target=f" {target}",
        score=score,
        groups=of.groups,
        cluster=of.cluster,
        stratum=of.stratum,
        facts=dict(of.facts),
        row=of.row,
    )


def _quoted(text: str) -> str:
    """As a literal in code."""
    return json.dumps(text, ensure_ascii=False)
