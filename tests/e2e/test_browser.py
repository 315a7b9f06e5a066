"""What a person sees, in a real browser that reaches nothing but the gateway."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from e2e.conftest import Embedded
from playwright.sync_api import Browser, Page

pytestmark = [
    pytest.mark.timeout(600),
    # Playwright's event loop outlives a test by design.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    page.set_default_timeout(30_000)
    yield page
    page.close()


def watched(page: Page) -> tuple[list[str], list[str]]:
    """Hosts that the page asks, and errors of its console."""
    hosts: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: hosts.append(str(urlsplit(request.url).hostname)))
    page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    return hosts, errors


@pytest.mark.parametrize("width", [1200, 400])
def test_the_report_is_read_offline_at_any_width(
    embedded: Embedded, undisturbed: str, page: Page, tmp_path: Path, width: int
) -> None:
    report = tmp_path / "report.html"
    report.write_text(embedded.client.report_html(undisturbed), encoding="utf-8")
    hosts, errors = watched(page)
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(report.as_uri())
    assert page.get_by_role("heading", name="Forgetting", exact=True).is_visible()
    assert page.locator("svg").count() >= 2
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert set(hosts) <= {"None", ""}
    assert errors == []


def test_the_report_is_shown_by_the_gateway(
    embedded: Embedded, undisturbed: str, page: Page
) -> None:
    hosts, errors = watched(page)
    page.goto(f"{embedded.client.base_url}/v1/experiments/{undisturbed}/report")
    assert page.get_by_role("heading", name="Forgetting", exact=True).is_visible()
    assert set(hosts) == {"127.0.0.1"}
    assert [e for e in errors if "favicon" not in e] == []


def test_the_figures_of_the_report_are_files_with_their_names_and_types(
    embedded: Embedded, undisturbed: str, page: Page, tmp_path: Path
) -> None:
    figures = [
        artifact
        for artifact in embedded.client.artifacts(undisturbed)
        if artifact.path.startswith("figures/")
    ]
    types = {".svg": "image/svg+xml", ".png": "image/png"}
    assert {f.media_type for f in figures} == set(types.values())
    for figure in figures:
        name = figure.path.removeprefix("figures/")
        assert figure.kind == "report"
        assert figure.media_type == types[Path(name).suffix]
        answer = httpx.get(f"{embedded.client.base_url}{figure.href}")
        assert answer.headers["content-type"] == figure.media_type
        assert answer.headers["content-disposition"].endswith(f"''{name}")
        embedded.client.download(figure, tmp_path / name)
        _, errors = watched(page)
        page.goto((tmp_path / name).as_uri())
        assert errors == []
        if name.endswith(".svg"):
            assert page.locator("text").count() > 5


def test_items_are_behind_one_click(embedded: Embedded, undisturbed: str, page: Page) -> None:
    page.goto(f"{embedded.client.base_url}/v1/experiments/{undisturbed}/report")
    part = page.locator("#items details").first
    table = part.get_by_role("table")
    assert not table.is_visible()
    part.locator("summary").first.click()
    assert table.is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]


@pytest.mark.parametrize("width", [1200, 400])
def test_a_comparison_is_read_at_any_width(
    embedded: Embedded, undisturbed: str, page: Page, width: int
) -> None:
    hosts, errors = watched(page)
    page.set_viewport_size({"width": width, "height": 900})
    pair = f"{undisturbed}/compare/{undisturbed}"
    page.goto(f"{embedded.client.base_url}/v1/experiments/{pair}/report")
    assert page.get_by_role("heading", name="Forgetting", exact=True).is_visible()
    assert page.locator("svg").count() == 1
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert set(hosts) == {"127.0.0.1"}
    assert [e for e in errors if "favicon" not in e] == []


def test_the_documentation_of_the_api_needs_no_foreign_host(embedded: Embedded, page: Page) -> None:
    hosts, errors = watched(page)
    page.goto(f"{embedded.client.base_url}/docs")
    page.get_by_text("/v1/experiments", exact=True).first.wait_for()
    assert set(hosts) == {"127.0.0.1"}
    assert errors == []
