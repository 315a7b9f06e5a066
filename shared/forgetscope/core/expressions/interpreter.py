"""The value of a checked expression."""

import ast
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import JsonValue

from forgetscope.core.expressions.language import (
    BINARY,
    COMPARE,
    FUNCTIONS,
    METHODS,
    UNARY,
    Expression,
)
from forgetscope.core.expressions.values import MAX_BITS, MAX_SIZE, NoValue, fits

__all__ = ["evaluate"]

_OUT_OF_BOUNDS = "a value is out of bounds"


def evaluate(expression: Expression, variables: Mapping[str, JsonValue]) -> Any:
    """The value, which `fits`. Raises NoValue."""
    if not all(fits(value) for value in variables.values()):
        raise NoValue("a variable is out of bounds")
    try:
        return _value(expression.root, variables)
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise NoValue(f"it ends with a {type(error).__name__}") from None


def _value(node: ast.expr, variables: Mapping[str, JsonValue]) -> Any:
    value = _made(node, variables)
    if not fits(value):
        raise NoValue(_OUT_OF_BOUNDS)
    return value


def _made(node: ast.expr, variables: Mapping[str, JsonValue]) -> Any:
    """The value of a node, made of values within the bounds, but not checked itself."""

    def of(part: ast.expr) -> Any:
        return _value(part, variables)

    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            return variables[name]
        case ast.List(elts=parts):
            return [of(part) for part in parts]
        case ast.Tuple(elts=parts):
            return tuple(of(part) for part in parts)
        case ast.Dict(keys=keys, values=values):
            return {of(k): of(v) for k, v in zip(keys, values, strict=True) if k is not None}
        case ast.Subscript(value=owner, slice=ast.Slice(lower=lower, upper=upper, step=step)):
            cuts = (None if part is None else of(part) for part in (lower, upper, step))
            return of(owner)[slice(*cuts)]
        case ast.Subscript(value=owner, slice=index):
            return of(owner)[of(index)]
        case ast.IfExp(test=test, body=body, orelse=orelse):
            return of(body) if of(test) else of(orelse)
        case ast.Call(func=ast.Name(id=name), args=args):
            return _call(name, [of(arg) for arg in args])
        case ast.Call(func=ast.Attribute(value=owner, attr=name), args=args):
            return METHODS[name](of(owner), *(of(arg) for arg in args))
    return _operation(node, of)


def _operation(node: ast.expr, of: Callable[[ast.expr], Any]) -> Any:
    match node:
        case ast.BoolOp(op=op, values=[*firsts, last]):
            for part in firsts:
                value = of(part)
                if bool(value) == isinstance(op, ast.Or):
                    return value
            return of(last)
        case ast.UnaryOp(op=op, operand=operand):
            return UNARY[type(op)](of(operand))
        case ast.BinOp(left=left, op=op, right=right):
            return _binary(type(op), of(left), of(right))
        case ast.Compare(left=left, ops=ops, comparators=rest):
            before = of(left)
            for relation, part in zip(ops, rest, strict=True):
                after = of(part)
                if not COMPARE[type(relation)](before, after):
                    return False
                before = after
            return True
    raise TypeError("a slice in a tuple has no value")


def _binary(op: type[ast.operator], left: Any, right: Any) -> Any:
    """Refuses at once what would be far out of bounds, and formatting by `%`."""
    if op is ast.Mod and isinstance(left, str):
        raise NoValue("a text has no remainder")
    if op is ast.Mult:
        for many, times in ((left, right), (right, left)):
            if isinstance(many, str | list | tuple) and isinstance(times, int):
                _require(len(many) * times <= MAX_SIZE)
    if op is ast.Pow and isinstance(left, int) and isinstance(right, int) and right > 0:
        # The result has more than `right` times the bits of the base but one, at most twice that.
        _require((left.bit_length() - 1) * right <= MAX_BITS)
    return BINARY[op](left, right)


def _call(name: str, arguments: list[Any]) -> Any:
    """Keeps `round` from making a large power of ten, and `sum` from joining lists, which copies
    the first of them again for each other."""
    if name == "round":
        _require(all(abs(digits) <= MAX_BITS for digits in arguments[1:]))
    if name == "sum" and len(arguments) != 1:
        raise NoValue("sum takes one argument here")
    return FUNCTIONS[name](*arguments)


def _require(within: bool) -> None:
    if not within:
        raise NoValue(_OUT_OF_BOUNDS)
