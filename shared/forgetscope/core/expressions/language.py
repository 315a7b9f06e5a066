"""What is an expression: the listed nodes, operators, functions and methods, and nothing else."""

import ast
import operator
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from forgetscope.core.expressions.values import MAX_DEPTH, NotAnExpression

__all__ = ["BINARY", "COMPARE", "FUNCTIONS", "METHODS", "UNARY", "Expression", "parse"]

MAX_CHARACTERS = 1000
MAX_NODES = 200

BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
UNARY: Mapping[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.Not: operator.not_,
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
}
COMPARE: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda item, container: item in container,
    ast.NotIn: lambda item, container: item not in container,
}
FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    f.__name__: f
    for f in (abs, all, any, bool, float, int, len, list, max, min, round, sorted, str, sum, tuple)
}
# None of them makes a text of more than a million characters from arguments within the bounds.
METHODS: Mapping[str, Callable[..., Any]] = {
    f.__name__: f
    for f in (
        str.capitalize, str.count, str.endswith, str.find, str.isdigit, str.join, str.lower,
        str.lstrip, str.replace, str.rstrip, str.split, str.startswith, str.strip, str.title,
        str.upper,
    )
}  # fmt: skip
_OPERATORS = {*BINARY, *UNARY, *COMPARE, ast.And, ast.Or, ast.Load}
_COMPOUND = (
    ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.Subscript, ast.Slice,
    ast.List, ast.Tuple, ast.Dict,
)  # fmt: skip


class Expression(NamedTuple):
    """A checked expression."""

    root: ast.expr


def parse(text: str, variables: frozenset[str]) -> Expression:
    """Read an expression that may use `variables`. Blanks around it do not matter.

    It has at most 1000 characters, 200 nodes and 50 levels. Raises NotAnExpression.
    """
    text = text.strip()
    if len(text) > MAX_CHARACTERS:
        raise NotAnExpression(f"the text has more than {MAX_CHARACTERS} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of doubtful escapes and the like
            root = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise NotAnExpression("the text is no expression") from None
    nodes = 0
    waiting = [(root, 1)]
    while waiting:
        node, depth = waiting.pop()
        nodes += 1
        if nodes > MAX_NODES or depth > MAX_DEPTH:
            raise NotAnExpression(
                f"the expression has more than {MAX_NODES} nodes or {MAX_DEPTH} levels"
            )
        waiting += ((part, depth + 1) for part in _parts(node, variables))
    return Expression(root)


def _parts(node: ast.expr, variables: frozenset[str]) -> Iterator[ast.expr]:
    """What is to be checked below a node. Raises NotAnExpression for the node itself."""
    match node:
        case ast.Constant(value=None | bool() | int() | float() | str()):
            return
        case ast.Name(id=name):
            if name not in variables:
                raise NotAnExpression("the text uses a name that is no variable")
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in FUNCTIONS:
            yield from args
        case ast.Call(func=ast.Attribute(value=owner, attr=name), args=args, keywords=[]) if (
            name in METHODS
        ):
            yield from (owner, *args)
        case _ if isinstance(node, _COMPOUND) and None not in getattr(node, "keys", ()):
            for part in ast.iter_child_nodes(node):
                if isinstance(part, ast.expr):
                    yield part
                elif type(part) not in _OPERATORS:
                    raise NotAnExpression("the text has an operator that the language has not")
        case _:
            raise NotAnExpression("the text has a part that the language has not")
