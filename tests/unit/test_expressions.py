"""The language of expressions means what Python means, and no text can do harm with it."""

import ast
import math
import sys
import warnings
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from forgetscope.core.expressions import (
    ExpressionError,
    NotAnExpression,
    NoValue,
    evaluate,
    fits,
    parse,
    same,
)
from forgetscope.core.expressions.language import COMPARE, FUNCTIONS, METHODS

VALUES: dict[str, Any] = {
    "x": 7,
    "y": -2.5,
    "yes": True,
    "word": "Some text",
    "items": [3, 1, 2],
    "table": {"a": 1, "b": [2, 3]},
    "nothing": None,
}
NAMES = frozenset(VALUES)


def run(text: str, **variables: Any) -> Any:
    known = variables or VALUES
    return evaluate(parse(text, frozenset(known)), known)


@pytest.mark.parametrize(
    "text",
    [
        "x + 1 if x > 3 else -x",
        "x // 2 * 2 + x % 2 == x",
        "-7 // 2, -7 % 3, 7 / 2, 2 ** 10, 2 ** -1",
        "0 < x < 10 != y",
        "yes and nothing or word",
        "not yes",
        "nothing and 1 / 0",
        "x or 1 / 0",
        "'x' if yes else 1 / 0",
        "items[0] + items[-1]",
        "items[::-1] + items[1:] + items[:x:2]",
        "table['b'][1]",
        "{'k': items, x: {}}",
        "'text' in word, 9 not in items, 'a' in table",
        "word.lower().replace('t', 'T').strip('s').split(' ')",
        "'-'.join(sorted(word.upper()))",
        "len(word) + sum(items) + max(items) - min(4, x)",
        "round(y), round(3.14159, 2), round(12345, -2), abs(y)",
        "str(x) + str(items), int('12') + int(y), float('1.5'), bool(items)",
        "list('ab') * 2, tuple(items), any([0, 1]), all([])",
        "True + True, 'a' * 3, [0] * 2, (1,) + (2,)",
        "word.count('e'), word.find('x'), word.title().startswith('Some'), '12'.isdigit()",
        "(x  # the comment of an expression belongs to its syntax\n)",
    ],
)
def test_an_expression_means_what_it_means_in_python(text: str) -> None:
    wanted = eval(text, {}, dict(VALUES))
    found = run(text)
    assert (found, repr(found)) == (wanted, repr(wanted))


def joined(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    signs = st.sampled_from(["+", "-", "*", "/", "//", "%", "**", "and", "or", "<", "==", "in"])
    return st.one_of(
        st.builds("({} {} {})".format, parts, signs, parts),
        st.builds("({} if {} else {})".format, parts, parts, parts),
        st.builds("[{}, {}]".format, parts, parts),
        st.builds("({})[{}]".format, parts, parts),
        st.builds("({})[{}:{}]".format, parts, parts, parts),
        st.builds("{}({})".format, st.sampled_from(sorted(FUNCTIONS)), parts),
        st.builds("({}).{}({})".format, parts, st.sampled_from(sorted(METHODS)), parts),
    )


leaves = st.sampled_from([*VALUES, "0", "1", "3", "-1", "2.5", "'a'", "''", "True", "None", "()"])


@given(st.recursive(leaves, joined, max_leaves=8))
@example("[[0] * 1000] * 1000")
@example("(1,) * 2 == [1, 1]")
def test_whatever_has_a_value_has_the_value_that_python_gives_it(text: str) -> None:
    assume(len(text) < 300)
    try:
        found = run(text)
    except NoValue:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = eval(text, {}, dict(VALUES))
    assert fits(found)
    assert repr(found) == repr(wanted)


ESCAPES = [
    "__import__('os').system('true')",
    "().__class__.__bases__[0].__subclasses__()",
    "x.__class__",
    "word.format(x)",
    "'{0.__class__}'.format(x)",
    "word.lower",
    "len",
    "str.lower(word)",
    "(lambda: 1)()",
    "lambda: x",
    "[i for i in items]",
    "{i for i in items}",
    "{i: i for i in items}",
    "(i for i in items)",
    "sum(i for i in items)",
    "{1, 2}",
    "[*items]",
    "len(*items)",
    "sorted(items, reverse=True)",
    "max(items, key=len)",
    "print(*items, **table)",
    "{**table}",
    "f'{x}'",
    "f'{x.__class__}'",
    "b'bytes'",
    "1j",
    "...",
    "(y := 3)",
    "yield x",
    "await x",
    "x is x",
    "x @ x",
    "x << 3",
    "x | 3",
    "~x",
    "eval('x')",
    "exec('x')",
    "open('f')",
    "getattr(x, 'real')",
    "globals()",
    "type(x)",
    "range(3)",
    "pow(9, 9)",
    "word.encode()",
    "word.center(10 ** 9)",
    "items.append(1)",
    "items.sort()",
    "table.get('a')",
    "unknown",
    "unknown()",
    "items[0]()",
    "x()",
    "x = 3",
    "x; x",
    "import os",
    "return x",
    "assert x",
    "del x",
    "x\ny",
    "x +",
    "((x)",
    "",
    "# nothing",
    "\x00",
    "x\x00",
    "\ud800",
    "'\ud800",
    "08",
    "1__0",
    "9" * 2000,
    "0x" + "f" * 2000,
]


@pytest.mark.parametrize("number", range(len(ESCAPES)))
def test_what_is_not_in_the_language_is_refused_before_it_runs(number: int) -> None:
    with pytest.raises(NotAnExpression):
        parse(ESCAPES[number], NAMES)


TOO_LARGE = [
    "9 ** 9 ** 9",
    "9 ** 9 ** 9 ** 9 ** 9",
    "(-3) ** 100000000001",
    "2 ** 1023",
    "10 ** 308 * 10",
    "9" * 900,
    "'a' * 10 ** 9",
    "10 ** 9 * [0]",
    "(0,) * 1001",
    "[[[[[0] * 9] * 9] * 9] * 9] * 9",
    "[[0] * 400] * 3",
    "('a' * 1000 + 'b').replace('a', 'c')",
    "('a' * 999).replace('', 'b' * 900)",
    "('a' * 999).join(list('b' * 900))",
    "'%1000000000d' % 1",
    "'%s' % x",
    "round(5, -10 ** 9)",
    "round(5, 10 ** 9)",
    "round(5.5, -10 ** 300)",
    "1e999",
    "1e308 * 10",
    "float('nan')",
    "float('inf')",
    "int(1.7e308) * 9",
    "(-8) ** 0.5",
    "10.0 ** 400",
    "sum([[1], [2]], [])",
    "int('9' * 900)",
    "str([['a'] * 300])",
]


@pytest.mark.parametrize("text", TOO_LARGE)
def test_what_would_grow_or_leave_the_values_has_no_value(text: str) -> None:
    with pytest.raises(NoValue):
        run(text)


@pytest.mark.parametrize(
    "text",
    ["1 / 0", "items[9]", "table['z']", "word + x", "x < word", "len(x)", "x.lower()",
     "int('a')", "max([])", "{items: 1}", "items[1:2, 0]", "word.join([1])", "x[0]", "sum(word)",
     "round()", "word.replace()", "0 ** -1", "items['a']", "'a' in 3"],
)  # fmt: skip
def test_a_fault_is_no_value(text: str) -> None:
    with pytest.raises(NoValue):
        run(text)


NESTED = [
    "(" * 400 + "x" + ")" * 400,
    "(" * 150 + "x" + ")" * 150,
    "[" * 400 + "]" * 400,
    "{0:" * 200 + "0" + "}" * 200,
    "-" * 999 + "1",
    "not " * 249 + "x",
    "x" + "[0" * 300 + "]" * 300,
    "len(" * 240 + "x" + ")" * 240,
    "x if x else " * 80 + "x",
    "x." * 400 + "x",
    "x" + ".lower()" * 120,
    "+".join("x" * 300),
    ",".join("x" * 300),
    "x<" * 300 + "x",
    "lambda:" * 140 + "x",
    "f'" * 400,
    "f'{" * 100 + "x" + "}'" * 100,
    "'" + "\\N{" * 200,
    "x" * 1001,
    " " * 5000 + "y:" * 300,
]


@pytest.mark.parametrize("number", range(len(NESTED)))
def test_neither_depth_nor_length_breaks_anything(number: int) -> None:
    try:
        run(NESTED[number])
    except ExpressionError:
        return
    assert number == 1, "brackets alone are no levels"


@given(st.one_of(st.text(), st.text(alphabet="x0129.,()[]{}:+-*/%<>=!'\"\\# \tif else\nlen\0")))
@example("\\")
@example("'\\d'")
@example("1if 1else 2")
@example("\ufeffx")
@example("0_7")
@example("ｌｅｎ(word)")
@example("x\x0c")
@example("'\udcff'")
def test_any_text_has_a_value_or_the_languages_own_error(text: str) -> None:
    try:
        assert fits(run(text))
    except ExpressionError as error:
        assert len(str(error)) < 100


@given(
    st.recursive(st.sampled_from([*VALUES, "9**9", "'ab'", "999", "[0]"]), joined, max_leaves=40)
)
def test_no_value_on_the_way_is_ever_large(text: str) -> None:
    try:
        assert fits(run(text))
    except ExpressionError:
        return


def test_the_number_of_digits_that_python_prints_is_never_reached() -> None:
    assert len(run("str(10 ** 307)")) == 308 < sys.get_int_max_str_digits()


def test_a_variable_of_this_case_only_counts_in_this_case() -> None:
    expression = parse("x + y", frozenset({"x", "y"}))
    assert evaluate(expression, {"x": 1, "y": 2}) == 3
    with pytest.raises(NoValue):
        evaluate(expression, {"x": 1})


def test_a_variable_may_be_called_like_a_function_and_stays_what_it_was() -> None:
    items = [2, 1]
    assert run("[max, max(items), sorted(items)]", max=5, items=items) == [5, 2, [1, 2]]
    assert items == [2, 1]


def test_variables_out_of_bounds_are_refused() -> None:
    deep: Any = 0
    for _ in range(60):
        deep = [deep]
    for value in ("a" * 1001, [0] * 1001, 2**1023, math.nan, math.inf, deep, {"a": object()}, b""):
        assert not fits(value)
        with pytest.raises(NoValue):
            run("1", x=value)


def test_bounds_count_everything_inside() -> None:
    assert fits([["a" * 300] * 3])
    assert not fits([["a" * 333] * 3])
    assert fits({str(i): i for i in range(150)})
    assert not fits({i: i for i in range(501)})
    assert fits(2**1023 - 1)


def test_the_language_has_no_operator_of_identity() -> None:
    assert ast.Is not in COMPARE


@pytest.mark.parametrize(
    ("value", "wanted", "equal"),
    [
        (1, 1, True),
        (1, True, False),
        (False, 0, False),
        (True, True, True),
        (1, 1.0, True),
        (6 / 2, 3, True),
        (0.1 + 0.2, 0.3, True),
        (0.3001, 0.3, False),
        (10**20, 10**20 + 1, False),
        (2**1022, 2.0**1022, True),
        ("1", 1, False),
        (None, False, False),
        (None, None, True),
        ("a", "a", True),
        ([1, [True]], [1.0, [True]], True),
        ([1, [True]], [1, [1]], False),
        ([1], [1, 2], False),
        ((1, 2), [1, 2], False),
        ({"a": 1, "b": 2}, {"b": 2.0, "a": 1}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ({1: 1}, {"1": 1}, False),
        ([], {}, False),
        ("", None, False),
    ],
)
def test_outputs_are_equal_by_value_and_by_type(value: Any, wanted: Any, equal: bool) -> None:
    assert same(value, wanted) is equal
