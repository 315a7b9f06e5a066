"""A small total language of expressions: a model's text is interpreted here, never executed.

The syntax is Python's, because that is what language models know. An expression is made of
constants, variables, lists, tuples, dicts, indexing and slices, `+ - * / // % **`, comparisons,
`in`, `and or not`, `a if c else b`, and the functions and text methods that `language` lists,
without keywords. Everything means what it means in Python. There is no assignment, loop,
comprehension, lambda, attribute, format or `is`.

Every expression ends soon and needs little memory: its text, nodes and levels are bounded, no node
runs more than once, and the value of each node is checked against bounds, before it is made where
it could be large. Nothing outside is reachable: what is not listed is refused before anything runs.
"""

from forgetscope.core.expressions.interpreter import evaluate
from forgetscope.core.expressions.language import Expression, parse
from forgetscope.core.expressions.values import (
    ExpressionError,
    NotAnExpression,
    NoValue,
    fits,
    same,
)

__all__ = [
    "Expression",
    "ExpressionError",
    "NoValue",
    "NotAnExpression",
    "evaluate",
    "fits",
    "parse",
    "same",
]
