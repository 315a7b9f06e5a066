"""The report: one file, readable without network, safe with any name in it."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from services.analysis.fabricate import GROUPS, analyse_work, report_work

from forgetscope.analysis import words
from forgetscope.analysis.stage import stages
from forgetscope.schema.results import Measured, OrderEffect

LOADING = {"src", "srcset", "href", "xlink:href", "action", "data", "poster", "background"}
VOID = {"meta", "link", "br", "img", "hr", "input"}


class Page(HTMLParser):
    """Collects what a browser would see; fails on tags that do not close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def values(self, name: str) -> list[str]:
        return [value for _, attribute, value in self.attributes if attribute == name]


def reported(folder: Path, *, name: str = "Does order matter?", **kind: object) -> str:
    work, io = analyse_work(folder, **kind)  # type: ignore[arg-type]
    stages()["analyse"](work, io)
    work, io = report_work(folder, name=name)
    stages()["report"](work, io)
    return (folder / "reported/report.html").read_text("utf-8")


def test_the_page_loads_nothing_from_anywhere(tmp_path: Path) -> None:
    text = reported(tmp_path)
    page = Page(text)
    assert not {"script", "link", "iframe", "img", "object", "embed", "base"} & set(page.tags)
    assert all(v.startswith("#") for t, n, v in page.attributes if n in LOADING)
    assert not re.search(r"https?:|//[a-z]|@import|url\((?!#)", text)
    assert "default-src 'none'" in text


def test_every_link_and_label_leads_to_something(tmp_path: Path) -> None:
    page = Page(reported(tmp_path, chains=[("safety", "capability", "safety", "capability")]))
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    targets = [v[1:] for v in page.values("href")] + page.values("aria-labelledby")
    targets += re.findall(r"url\(#([^)]+)\)", " ".join(page.values("clip-path")))
    assert targets
    assert set(targets) <= set(ids)


def test_figures_have_words_and_real_text(tmp_path: Path) -> None:
    page = Page(reported(tmp_path))
    assert page.tags.count("svg") == 2
    labels = [v for t, n, v in page.attributes if (t, n) == ("svg", "aria-label")]
    assert len(labels) == 2
    assert all(group in labels[1] for group in GROUPS)
    assert page.tags.count("text") > 10


@pytest.mark.parametrize(
    "hostile",
    [
        '<script>alert(1)</script>"><img src=x onerror=alert(1)>',
        "</title></style><svg onload=alert(1)>",
        "{{ 7 * 7 }}{% raw %} $\\frac{ ' \" & javascript:alert(1)",
    ],
)
def test_hostile_names_stay_text(tmp_path: Path, hostile: str) -> None:
    plain = Page(reported(tmp_path / "plain"))
    page = Page(reported(tmp_path / "hostile", name=hostile, groups=(hostile, *GROUPS[1:])))
    assert page.tags.count("script") == page.tags.count("img") == 0
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert page.tags.count("svg") == plain.tags.count("svg")
    assert page.text.count(hostile) >= 3


def test_equal_results_give_equal_bytes(tmp_path: Path) -> None:
    assert reported(tmp_path / "one") == reported(tmp_path / "two")


def test_the_page_says_what_happened_in_words(tmp_path: Path) -> None:
    text = " ".join(Page(reported(tmp_path)).text.replace("\N{NO-BREAK SPACE}", " ").split())
    assert re.search(
        r"After safety → capability, accuracy on safety fell from 9\d\.\d % to 7\d\.\d % "
        r"\(−2\d\.\d points, 95 % interval −\d+\.\d to −\d+\.\d\)\.",
        text,
    )
    assert "Biased forgetting of groups, margin 5 points: 1 breach, " in text
    assert re.search(r"▲ breach safety after safety → capability: coral \+[23]\d\.\d \(", text)
    assert re.search(r"as a whole by more: coral \(\+[23]\d\.\d\)\.", text)
    assert "safety → capability forgets" in text
    assert "a small model on a CPU" in text
    assert "b" * 64 in text


def test_an_experiment_without_a_second_stage_has_a_report_too(tmp_path: Path) -> None:
    text = reported(tmp_path, chains=[("safety",)], seeds=[0])
    assert "nothing could be forgotten" in Page(text).text
    assert "<svg" not in text


def test_undefined_numbers_are_told_with_their_reason(tmp_path: Path) -> None:
    text = Page(reported(tmp_path, unscored=1.0)).text
    assert "no item was scored under both models in at least one seed" in text
    assert not re.search(r"\bnan\b|\bNone\b", text)


def measured(value: float, low: float, high: float) -> Measured:
    return Measured(value=value, low=low, high=high)


@pytest.mark.parametrize(
    ("effect", "said"),
    [
        (measured(0.2, 0.1, 0.3), "s → c forgets 20.0 points more of its first task than c → s"),
        (measured(-0.2, -0.3, -0.1), "c → s forgets 20.0 points more of its first task than s → c"),
        (measured(0.1, -0.1, 0.3), "No difference between s → c and c → s is shown"),
        (Measured(value=0.1, interval_reason="one cluster"), "no interval: one cluster"),
        (Measured(reason="nothing scored"), "cannot be compared: nothing scored"),
    ],
)
def test_an_order_effect_is_claimed_only_when_its_interval_excludes_zero(
    effect: Measured, said: str
) -> None:
    side = measured(0.1, 0.0, 0.2)
    order = OrderEffect(
        safety="s",
        capability="c",
        safety_first=side,
        capability_first=side,
        effect=effect,
        p=Measured(reason="made up"),
        p_adjusted=Measured(reason="made up"),
    )
    assert said in words.order_finding(order, 0.95)


@pytest.mark.parametrize(
    ("value", "said"), [(0.368, "+36.8"), (-0.004, "−0.4"), (-0.0001, "0.0"), (None, "–")]
)
def test_points_have_a_sign_and_nothing_has_none(value: float | None, said: str) -> None:
    assert words.points(value) == said
