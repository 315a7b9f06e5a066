"""Figures as files: the same drawing as in the report, with the same words."""

import struct
import zlib
from pathlib import Path
from xml.etree import ElementTree as ET

from services.analysis.fabricate import GROUPS
from services.analysis.test_report import Page, reported

SVG = "{http://www.w3.org/2000/svg}"


def figures(folder: Path) -> dict[str, bytes]:
    found = folder / "reported/figures"
    return {path.name: path.read_bytes() for path in sorted(found.iterdir())}


def chunks(png: bytes) -> dict[bytes, bytes]:
    """Texts of a PNG by their keyword; fails on bytes that do not hold together."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    texts, at = {}, 8
    while at < len(png):
        (size,) = struct.unpack(">I", png[at : at + 4])
        body = png[at + 4 : at + 8 + size]
        assert struct.unpack(">I", png[at + 8 + size : at + 12 + size])[0] == zlib.crc32(body)
        if body[:4] in {b"tEXt", b"iTXt"}:
            keyword, _, text = body[4:].partition(b"\0")
            texts[keyword] = text
        at += 12 + size
    return texts


def test_every_figure_of_the_page_is_a_file_of_both_kinds(tmp_path: Path) -> None:
    page = Page(reported(tmp_path))
    found = figures(tmp_path)
    assert set(found) >= {"accuracy.svg", "accuracy.png"}
    # The matrix is a table in the page.
    assert len(found) - 2 == 2 * page.tags.count("svg") > 0
    assert all(f"figures/{name}" in page.text for name in found)


def test_a_file_has_the_same_words_as_the_figure_in_the_page(tmp_path: Path) -> None:
    page = Page(reported(tmp_path))
    labels = [v for t, n, v in page.attributes if (t, n) == ("svg", "aria-label")]
    drawn = [
        ET.fromstring(data)
        for name, data in figures(tmp_path).items()
        if name.endswith(".svg") and name != "accuracy.svg"
    ]
    assert sorted(svg.findtext(f"{SVG}desc") or "" for svg in drawn) == sorted(labels)
    for svg in drawn:
        assert svg.findtext(f"{SVG}title")
        ids = {e.get("id") for e in svg.iter()}
        assert {svg.get("aria-labelledby"), svg.get("aria-describedby")} <= ids
        assert len(list(svg.iter(f"{SVG}text"))) > 5


def test_a_name_with_control_characters_leaves_the_files_readable(tmp_path: Path) -> None:
    reported(tmp_path, groups=("a\x0b\x1b<b>", *GROUPS[1:]))
    texts = [
        "".join(ET.fromstring(data).itertext())
        for name, data in figures(tmp_path).items()
        if name.endswith("svg")
    ]
    assert any("a\ufffd\ufffd<b>" in text for text in texts)


def test_a_picture_carries_its_words_and_no_traces_of_when_it_was_made(tmp_path: Path) -> None:
    reported(tmp_path)
    for name, data in figures(tmp_path).items():
        if name.endswith("png"):
            texts = chunks(data)
            assert texts.keys() == {b"Title", b"Description"}
            words = b"in percent" if name == "accuracy.png" else b"percentage points"
            assert words in texts[b"Description"]


def test_equal_results_give_equal_files(tmp_path: Path) -> None:
    reported(tmp_path / "one")
    reported(tmp_path / "two")
    assert figures(tmp_path / "one") == figures(tmp_path / "two")


def test_a_report_of_single_stages_has_the_accuracy_matrix_as_its_only_figure(
    tmp_path: Path,
) -> None:
    reported(tmp_path, chains=[("safety",)], seeds=[0])
    assert set(figures(tmp_path)) == {"accuracy.svg", "accuracy.png"}
