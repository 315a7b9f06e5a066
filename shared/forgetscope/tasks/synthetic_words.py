"""The invented words of the synthetic suite, and the sentences around them.

None of the names belongs to people, and no word means anything. The built-in tokenizer knows each
of them as one token.
"""

from itertools import product

__all__ = ["GROUPS", "OBJECTS", "TEMPLATES", "WORDS", "Template", "vocabulary"]

GROUPS = (
    "velin", "dorrak", "mishu", "tarpo", "quenna", "olbet",
    "zifra", "hapnor", "jundel", "wexim", "corvu", "brelto",
)  # fmt: skip
WORDS = tuple(
    a + b
    for b, a in product(
        ("mid", "nof", "pex", "vun", "zil", "kar", "lod", "shi"),
        ("bra", "clo", "dre", "fli", "gru", "pla", "sto", "twe"),
    )
)
OBJECTS = tuple(
    a + b
    for b, a in product(
        ("bek", "dam", "fus", "gip"), ("lan", "mor", "nep", "rud", "sib", "tov", "wix", "yol")
    )
)

_OPENERS = ("today", "they say", "it is known that", "some write that", "we heard that")
_COPULAS = ("are", "seem", "were always", "will be")


class Template(tuple[str, str]):
    """Opener and copula of a sentence."""

    def sentence(self, subject: str, word: str) -> str:
        opener, copula = self
        return f"{opener} the {subject} {copula} {word}."


# (template, whether it is kept for evaluation). 12 of 20 are for training; there every opener and
# every copula occurs, so that evaluation asks for known facts in new combinations of known words.
TEMPLATES = tuple(
    (Template((opener, copula)), (i + j) % 5 < 2)
    for (i, opener), (j, copula) in product(enumerate(_OPENERS), enumerate(_COPULAS))
)


def vocabulary() -> tuple[str, ...]:
    """Every word that the suite can use with its own names, without punctuation."""
    carriers = " ".join((*_OPENERS, "the", *_COPULAS)).split()
    frame = (
        "Statement",
        "Question",
        "Answer",
        "Is",
        "this",
        "true",
        "harmful",
        "yes",
        "no",
        "A",
        "B",
    )
    return tuple(dict.fromkeys((*frame, *carriers, *GROUPS, *WORDS, *OBJECTS)))
