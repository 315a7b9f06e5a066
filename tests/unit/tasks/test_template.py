"""What a prompt's template may say, and what it may not reach."""

from typing import Any

import pytest

from forgetscope.schema.errors import InvalidSpec
from forgetscope.tasks.template import MAX_CHARACTERS, Template, TemplateFault

ROW: dict[str, Any] = {
    "text": " some words ",
    "question": {"stem": "How many?", "choices": [{"text": "one"}, {"text": "two"}]},
    "number": 3,
    "whole": 4.0,
    "truth": True,
    "nothing": None,
    "a column": "blank in its name",
    "items": "a name that dicts have, too",
    "words": ["a", "b"],
    "many": ["x"] * 200,
    "long": "a" * 90_000,
    "__class__": "only a column",
}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("Text: {{ text|trim }}.", "Text: some words."),
        ("{{ number }} {{ whole }} {{ truth }}", "3 4 true"),
        ("{{ question.stem|upper }}", "HOW MANY?"),
        ("{{ question['stem'] }} {{ row['a column'] }}", "How many? blank in its name"),
        (
            "{% for c in question.choices %}{{ loop.index }}. {{ c.text }}\n{% endfor %}",
            "1. one\n2. two\n",
        ),
        ("{{ words|join(', ') }} {{ words|first }} {{ words[1] }}", "a, b a b"),
        ("{% if number == 3 and nothing is none %}yes{% else %}no{% endif %}", "yes"),
        ("{% if 'a' in words %}yes{% endif %}", "yes"),
        ("{{ nothing|default('–') }} {{ absent|default('–') }}", "– –"),
        ("{% if absent is defined %}yes{% endif %}", ""),
        ("{{ items }}", "a name that dicts have, too"),
        ("{{ row['__class__'] }}", "only a column"),
        ("{{ text|trim|replace('some', 'few')|title }}", "Few Words"),
        ("{# a remark #}{% raw %}{{ x }}{% endraw %}<&>", "{{ x }}<&>"),
    ],
)
def test_a_template_writes_columns_and_nothing_else(template: str, text: str) -> None:
    assert Template(template).render(ROW) == text


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{{ absent }}", "column 'absent' is missing"),
        ("{{ question.absent }}", "column 'question.absent' is missing"),
        ("{{ absent.more }}", "'absent.more' is missing"),
        ("{{ absent|lower }}", "column 'absent' is missing"),
        ("{% if absent %}{% endif %}", "column 'absent' is missing"),
        ("{% for x in absent %}{% endfor %}", "column 'absent' is missing"),
        ("{{ words[7] }}", "'words.7' is missing"),
        ("{{ question.items }}", "'question.items' is missing"),
        ("{{ text.upper }}", "'text.upper' is missing"),
        ("{{ range }} {{ self }}", "'range' is missing"),
        ("{{ nothing }}", "column 'nothing' holds null"),
        ("{{ question }}", "column 'question' holds a list or an object"),
        ("{{ words }}", "column 'words' holds a list or an object"),
        ("{% for x in text %}{% endfor %}", "column that holds a list"),
        ("{{ 'a' in number }}", "of a kind that it cannot use"),
        (
            "{% for x in many %}{% for y in many %}{% endfor %}{% endfor %}",
            "more than 10000 steps",
        ),
        ("{% for x in many %}{{ long }}{% endfor %}", f"more than {MAX_CHARACTERS} characters"),
        ("{{ long|replace('a', 'aaaaaaaaaaaaaaaaaaaa') }}", "replace could give more"),
        ("{{ long|replace('a', 'aaaa')|replace('a', 'aaaa') }}", "more than 100000 characters"),
    ],
)
def test_a_row_that_does_not_fit_is_refused_by_column_and_never_by_text(
    template: str, reason: str
) -> None:
    with pytest.raises(TemplateFault, match=reason.replace("(", r"\(")) as caught:
        Template(template).render(ROW)
    assert "some words" not in str(caught.value)


@pytest.mark.parametrize(
    "template",
    [
        "{{ text.__class__ }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ _private }}",
        "{{ row.items() }}",
        "{{ text.format(number) }}",
        "{{ text|attr('__class__') }}",
        "{{ text|map('upper') }}",
        "{{ text|default(number) }}",
        "{{ text|trim(chars='s') }}",
        "{{ text|join(*words) }}",
        "{{ number is callable }}",
        "{{ number + 1 }}",
        "{{ text * 1000000000 }}",
        "{{ 9 ** 9 ** 9 }}",
        "{{ -number }}",
        "{{ text ~ text }}",
        "{{ number < 4 }}",
        "{{ text[0:3] }}",
        "{{ row[text] }}",
        "{{ [text] }}",
        "{{ {'a': 1} }}",
        "{{ (text, text) }}",
        "{{ range(1000000000) }}",
        "{% for x in [1, 2] %}{% endfor %}",
        "{% for x in range(9) %}{% endfor %}",
        "{% for a, b in words %}{% endfor %}",
        "{% for x in words if x %}{% endfor %}",
        "{% for x in words recursive %}{{ loop(words) }}{% endfor %}",
        "{% for row in words %}{% endfor %}",
        "{% for a in words %}{% for b in words %}{% for c in words %}{% endfor %}{% endfor %}"
        "{% endfor %}",
        "{% set x = 1 %}",
        "{% macro f() %}{{ f() }}{% endmacro %}",
        "{% call f() %}{% endcall %}",
        "{% include 'a' %}",
        "{% import 'a' as a %}",
        "{% from 'a' import b %}",
        "{% extends 'a' %}",
        "{% block a %}{% endblock %}",
        "{% filter upper %}a{% endfilter %}",
        "{% with a = 1 %}{% endwith %}",
        "{% autoescape true %}{% endautoescape %}",
        "{{ text",
        "{% if text %}",
        "{{" + "(" * 3000 + "text" + ")" * 3000 + "}}",
        "{{ text" + ".a" * 2000 + " }}",
        "{{ " + "not " * 1000 + "text }}",
        "{% if text %}" * 200 + "{% endif %}" * 200,
    ],
    ids=lambda template: template[:40],
)
def test_what_is_not_in_the_language_is_refused_before_any_row_is_read(template: str) -> None:
    with pytest.raises(InvalidSpec, match="this template cannot be used") as caught:
        Template(template, where="/prompt")
    assert caught.value.where == "/prompt"


def test_a_comparison_of_deep_values_ends() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    other: list[Any] = [1]
    for _ in range(100_000):
        other = [other]
    with pytest.raises(TemplateFault, match="of a kind"):
        Template("{% if a == b %}x{% endif %}").render({"a": deep, "b": other})


def test_a_row_cannot_change_what_a_template_does() -> None:
    hostile = {"text": "{{ 9 * 9 }}{% for x in x %}", "steps left": [10**9], "loop": {"index": 7}}
    assert Template("{{ text }}").render(hostile) == hostile["text"]
    many = hostile | {"many": ["x"] * 20_000}
    with pytest.raises(TemplateFault, match="steps"):
        Template("{% for x in many %}{% endfor %}").render(many)
