"""The dashboard at `/` in a real browser: lists, one run live, its results, and faults."""

import json
import os
import re
import signal
from contextlib import suppress
from pathlib import Path

import pytest
from e2e.conftest import Embedded
from e2e.pages import Watched, accessibility_faults, contrast_faults, overflow
from e2e.processes import SPEC
from playwright.sync_api import Browser, Page, expect

from forgetscope.client import Conflict
from forgetscope.schema.base import JsonObject

pytestmark = [
    pytest.mark.timeout(600),
    # Playwright's event loop outlives a test by design.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

expect.set_options(timeout=60_000)

NOWHERE = "00000000-0000-4000-8000-000000000000"
SMALL: JsonObject = json.loads(json.dumps(SPEC)) | {
    "training": {"learning_rate": 1e-3, "epochs": 2, "batch_size": 16},
    "evaluation": {"engine": "transformers", "base_model": False, "noise_floor": None},
    "chains": [["synthetic_safety", "synthetic_capability"]],
    "analysis": {"bootstrap_replicates": 100},
}
AUDIT: JsonObject = {
    "name": "the same model twice",
    "reference": {"source": "builtin", "name": "tiny"},
    "candidate": {"source": "builtin", "name": "tiny"},
    "tasks": [{"id": "safety", "name": "synthetic_safety", "evaluation_examples": 400}],
    "policy": {
        "name": "release",
        "tasks": [{"task": "safety", "margin": 0.1, "group_margin": 0.1}],
    },
    "evaluation": {"engine": "transformers"},
}


@pytest.fixture(scope="module")
def audit(embedded: Embedded) -> str:
    audits = embedded.client.audits
    audit_id = audits.submit(AUDIT)
    audits.wait(audit_id)
    return audit_id


def address(embedded: Embedded, route: str) -> str:
    return f"{embedded.client.base_url}/#{route}"


def test_the_list_is_filtered_by_kind_state_and_name_and_leads_to_a_run(
    embedded: Embedded, undisturbed: str, audit: str, page: Page
) -> None:
    watched = Watched(page)
    page.goto(address(embedded, "/"))
    experiment, audited = f'a[href="#/experiments/{undisturbed}"]', f'a[href="#/audits/{audit}"]'
    expect(page.locator(experiment)).to_be_visible()
    expect(page.locator(audited)).to_be_visible()
    page.get_by_label("Kind").select_option("audit")
    expect(page.locator(experiment)).to_be_hidden()
    page.get_by_label("Kind").select_option("")
    page.get_by_label("Name contains").fill("NO RUN IS CALLED LIKE THIS")
    expect(page.get_by_text("No run matches these filters.")).to_be_visible()
    page.get_by_label("Name contains").fill("END to")
    page.get_by_label("State").select_option("succeeded")
    expect(page.locator(experiment)).to_be_visible()
    expect(page.locator(audited)).to_be_hidden()
    page.reload()  # the address holds the filters
    assert page.get_by_label("Name contains").input_value() == "END to"
    expect(page.locator(audited)).to_be_hidden()
    page.locator(experiment).click()
    expect(page.get_by_role("heading", level=1, name="end to end")).to_be_focused()
    assert page.title() == "end to end · ForgetScope"
    expect(page.get_by_role("link", name="Runs", exact=True)).to_have_attribute(
        "aria-current", "page"
    )
    watched.assert_clean()


def test_an_update_of_the_list_leaves_the_focus_where_it_is(
    embedded: Embedded, undisturbed: str, page: Page
) -> None:
    page.goto(address(embedded, "/"))
    link = page.locator(f'a[href="#/experiments/{undisturbed}"]')
    link.focus()
    fresh = embedded.client.submit(SMALL | {"name": "while the list is read", "seeds": [71]})
    expect(page.get_by_role("link", name="while the list is read")).to_be_visible()
    expect(link).to_be_focused()
    page.context.set_offline(True)
    expect(page.get_by_role("alert")).to_contain_text("The gateway does not answer")
    expect(link).to_be_focused()
    page.context.set_offline(False)
    expect(page.get_by_role("alert")).to_be_hidden()
    with suppress(Conflict):  # it may be over by now
        embedded.client.cancel(fresh)


def test_a_run_is_cancelled_and_deleted_after_a_question(embedded: Embedded, page: Page) -> None:
    fresh = embedded.client.submit(SMALL | {"name": "not wanted any more", "seeds": [73]})
    page.goto(address(embedded, f"/experiments/{fresh}"))
    page.get_by_role("button", name="Cancel").click()
    dialog = page.get_by_role("dialog", name="Cancel this experiment?")
    expect(dialog.get_by_role("button", name="Keep it")).to_be_focused()
    page.keyboard.press("Escape")
    assert embedded.client.get(fresh).state in ("queued", "running")
    page.get_by_role("button", name="Cancel").click()
    dialog.get_by_role("button", name="Cancel the experiment").click()
    expect(page.locator(".title-row .badge").first).to_have_text(re.compile("cancelled"))
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete the experiment").click()
    expect(page.get_by_role("heading", level=1, name="Runs")).to_be_visible()
    expect(page.get_by_role("link", name="not wanted any more")).to_be_hidden()


def test_a_failure_is_told_with_its_stage_and_can_be_retried(
    embedded: Embedded, page: Page
) -> None:
    # Which layers a model has is known only once it is loaded.
    method: JsonObject = {"name": "lora", "params": {"target_modules": ["nowhere"]}}
    training: JsonObject = {"learning_rate": 1e-3, "epochs": 1, "method": method}
    fails = embedded.client.submit(
        SMALL | {"name": "fails", "training": training, "chains": [["synthetic_safety"]]}
    )
    page.goto(address(embedded, f"/experiments/{fails}"))
    problem = page.locator(".problem", has_text="nowhere").first
    expect(problem).to_be_visible()
    expect(page.locator('.node[data-state="failed"]')).to_have_count(1)
    problem.get_by_role("button", name="train synthetic_safety").click()
    panel = page.get_by_role("region", name="Stage", exact=True)
    expect(panel.get_by_text("One attempt")).to_be_visible()
    page.get_by_role("button", name="Retry").click()
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    expect(page.get_by_role("button", name="Retry")).to_be_visible()
    expect(panel.get_by_text("2 attempts")).to_be_visible()


def test_a_running_experiment_is_watched_through_the_death_of_the_gateway_to_its_report(
    embedded: Embedded, page: Page
) -> None:
    experiment_id = embedded.client.submit(SMALL | {"name": "watched", "seeds": [72]})
    page.goto(address(embedded, f"/experiments/{experiment_id}"))
    running = page.locator('.node.active[aria-label^="train"]')
    expect(running.first).to_have_attribute(
        "aria-label", re.compile(r"running, \d+ %, about .* left")
    )
    expect(page.locator("[data-part=eta]")).to_have_text(re.compile(r"about .* left"))
    page.evaluate("window.untouched = true")
    os.kill(gateway_process(embedded), signal.SIGKILL)
    expect(page.get_by_role("alert")).to_contain_text("The gateway does not answer")
    expect(page.get_by_role("alert")).to_be_hidden(timeout=60_000)
    expect(page.get_by_role("link", name="Open the report")).to_be_visible(timeout=240_000)
    assert page.evaluate("window.untouched"), "without loading the page anew"
    expect(page.locator(".node:not(.good)")).to_have_count(0)
    expect(page.locator(".figures img").first).to_be_visible()
    widths = page.locator(".figures img").evaluate_all("all => all.map((img) => img.naturalWidth)")
    assert widths and all(widths)
    with page.expect_popup() as opened:
        page.get_by_role("link", name="Open the report").click()
    expect(opened.value.get_by_role("heading", name="Forgetting", exact=True)).to_be_visible()
    opened.value.close()


def gateway_process(embedded: Embedded) -> int:
    for pid in embedded.service.children():
        if b"serve" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
            return pid
    raise AssertionError("there is no gateway")


def test_the_graph_is_used_by_keyboard_and_a_stage_tells_everything(
    embedded: Embedded, undisturbed: str, page: Page
) -> None:
    watched = Watched(page)
    page.goto(address(embedded, f"/experiments/{undisturbed}"))
    nodes = page.locator(".node")
    expect(nodes).to_have_count(len(list(embedded.client.stages(undisturbed))))
    assert page.locator('.node[tabindex="0"]').count() == 1, "one tab stop"
    page.locator('.node[tabindex="0"]').focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    title = page.locator(".node:focus").get_attribute("aria-label")
    assert title is not None
    page.keyboard.press("Enter")
    heading = page.get_by_role("heading", level=2, name=title.rpartition(":")[0], exact=True)
    expect(heading).to_be_focused()
    panel = page.get_by_role("region", name="Stage", exact=True)
    panel.get_by_text(re.compile(r"^\d+ files?$")).click()
    with page.expect_download() as download:
        panel.locator("ul.files a").first.click()
    assert download.value.path().stat().st_size > 0
    expect(panel.get_by_text("One attempt")).to_be_visible()
    panel.get_by_role("button", name="Close").click()
    expect(page.locator(".node:focus")).to_have_attribute("aria-label", title)
    page.get_by_text("Stages as a table").click()
    rows = page.get_by_role("table", name="Stages in the order of the plan").locator("tbody tr")
    expect(rows).to_have_count(nodes.count())
    page.locator("#stages-kind").select_option("report")
    expect(rows).to_have_count(1)
    watched.assert_clean()


def test_an_audit_says_its_outcome_and_every_verdict(
    embedded: Embedded, audit: str, page: Page
) -> None:
    watched = Watched(page)
    results = embedded.client.audits.results(audit)
    page.goto(address(embedded, f"/audits/{audit}"))
    outcome = page.get_by_role("region", name=re.compile("Outcome"))
    expect(outcome).to_contain_text(results.outcome)
    expect(outcome).to_contain_text(results.summary[0])
    table = page.get_by_role("table", name=re.compile("Each judged number"))
    expect(table.locator("tbody tr")).to_have_count(len(results.rows))
    watched.assert_clean()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_readable_at_any_width_in_both_schemes(
    embedded: Embedded, undisturbed: str, audit: str, browser: Browser, scheme: str
) -> None:
    stage = next(s.key for s in embedded.client.stages(undisturbed) if s.kind == "train")
    page = browser.new_page(color_scheme="dark" if scheme == "dark" else "light")
    watched = Watched(page)
    for route, shown in {
        "/": "End to end",
        f"/experiments/{undisturbed}?stage={stage}": "One attempt",
        f"/audits/{audit}": "Tasks and groups",
        "/nothing": "There is no such page",
    }.items():
        page.goto("about:blank")
        page.goto(address(embedded, route))
        page.get_by_text(re.compile(shown, re.I)).first.wait_for()
        page.wait_for_load_state("networkidle")
        for part in page.locator("main details").all():
            part.evaluate("part => { part.open = true; }")
        for width in (1200, 400):
            page.set_viewport_size({"width": width, "height": 900})
            assert overflow(page) <= 0, (route, width)
            assert contrast_faults(page) == [], (route, width)
        assert accessibility_faults(page) == [], route
    watched.hosts.discard(None)
    watched.assert_clean()
    page.close()


def test_the_choice_of_colours_is_remembered(embedded: Embedded, page: Page) -> None:
    page.goto(address(embedded, "/"))
    button = page.get_by_role("button", name=re.compile("Colours|colours"))
    dark = "getComputedStyle(document.body).backgroundColor"
    bright = page.evaluate(dark)
    while page.evaluate("document.documentElement.dataset.theme") != "dark":
        button.click()
    assert page.evaluate(dark) != bright
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert page.evaluate(dark) != bright


def test_what_is_not_there_is_a_problem_with_a_way_back(embedded: Embedded, page: Page) -> None:
    for route in (f"/experiments/{NOWHERE}", f"/audits/{NOWHERE}", "/experiments/never"):
        page.goto(address(embedded, route))
        expect(page.get_by_role("heading", level=1)).to_have_text("This was not found")
        expect(page.get_by_role("alert")).to_be_visible()
        page.get_by_role("main").get_by_role("link", name="list of runs").click()
        expect(page.get_by_role("heading", level=1, name="Runs")).to_be_visible()
