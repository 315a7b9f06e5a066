import pytest
from audit_values import HARD_NAMES, mixed, results, row
from markdown_it import MarkdownIt
from markdown_it.token import Token

from forgetscope.core.audit_outputs.markdown import LIMIT, markdown, plain

READER = MarkdownIt("gfm-like", {"linkify": False})


def inline(text: str) -> list[Token]:
    return [token for token in READER.parse(text) if token.type == "inline"]


def table(text: str) -> list[list[str]]:
    """Cells as a reader of Markdown shows them, a list a row, without the heading."""
    tokens = READER.parse(text)
    rows: list[list[str]] = []
    for place, token in enumerate(tokens):
        if token.type == "tr_open":
            rows.append([])
        elif token.type in ("td_open", "th_open"):
            children = tokens[place + 1].children or []
            rows[-1].append("".join(child.content for child in children))
    return rows[1:]


def test_the_verdict_comes_first_and_what_failed_leads_the_table() -> None:
    text = markdown(mixed())
    assert text.startswith("## ForgetScope audit failed: the policy is breached\n")
    rows = table(text)
    assert [cells[1] for cells in rows][:2] == ["velin", "dorrak"]
    assert rows[0][2:8] == [
        "accuracy lost",
        "+20.0 [+17.0, +23.0]",
        "5.0",
        "0.2",
        "400",
        "fails (breach)",
    ]
    assert "1600 items in 320 clusters" in rows[1][8]
    assert [cells[7] for cells in rows[-3:]] == ["pass", "pass", "pass"]
    assert len(rows) == len(mixed().rows)
    assert "The required task bias is missing." in text


@pytest.mark.parametrize("name", HARD_NAMES)
def test_any_name_is_shown_as_it_is_and_makes_no_markup(name: str) -> None:
    rows = table(markdown(results(row(group=name))))
    assert rows[0][1].replace("\u2060", "") == name
    (token,) = inline(plain(name))
    assert {child.type for child in token.children or []} <= {"text", "text_special"}
    shown = "".join(child.content for child in token.children or [])
    assert "@team" not in shown, "nobody is called"


def test_a_name_at_the_start_of_a_line_begins_no_block() -> None:
    for text in (
        "# a",
        "- a",
        "1. a",
        "1) a",
        "+ a",
        "-1 a",
        "_a_",
        "> a",
        "    a",
        "| a |",
        "---",
        "```",
    ):
        kinds = {token.type for token in READER.parse(plain(text))}
        assert kinds <= {"paragraph_open", "inline", "paragraph_close"}, text


def test_more_rows_than_fit_are_counted_and_the_worst_are_kept() -> None:
    many = [row(group=f"group {n}") for n in range(600)] + [row("breach", group="the worst")]
    text = markdown(results(*many, outcome="breach"))
    assert len(text) <= LIMIT + 1 < 65_536
    rows = table(text)
    assert rows[0][1] == "the worst"
    assert f"{601 - len(rows)} of 601 rows do not fit in here." in text


def test_an_audit_without_rows_says_so() -> None:
    assert "No row was judged." in markdown(results())
