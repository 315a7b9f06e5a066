"""The dashboard's forms in a real browser: submit, dry run, faults, tasks, comparisons."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from e2e.conftest import Embedded
from e2e.pages import Watched, accessibility_faults, contrast_faults, overflow
from e2e.processes import PROJECT, finish
from e2e.schema_samples import samples
from playwright.sync_api import Browser, Page, Route, expect

from forgetscope.api.routes.audits import AUDIT_EXAMPLE
from forgetscope.schema.audit import AuditSpec
from forgetscope.schema.base import JsonObject
from forgetscope.schema.experiment import ExperimentSpec

pytestmark = [
    pytest.mark.timeout(600),
    # Playwright's event loop outlives a test by design.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

expect.set_options(timeout=30_000)

EXAMPLES = sorted((PROJECT / "examples").rglob("*.yaml"))
SMALL: JsonObject = {
    "name": "filled in by hand",
    "tasks": [
        {"name": "synthetic_safety", "train_examples": 128, "evaluation_examples": 80},
        {"name": "synthetic_capability", "train_examples": 128, "evaluation_examples": 80},
    ],
    "chains": {"generate": "safety_capability_pairs", "orders": "safety_first"},
    "training": {"learning_rate": 0.003, "epochs": 1},
    "evaluation": {"engine": "transformers", "base_model": False, "noise_floor": None},
    "analysis": {"bootstrap_replicates": 100},
}
IN_A_FORM = """
async ([name, value]) => {
  const { makeForm } = await import("/static/form/form.js");
  const answer = await fetch("/openapi.json");
  const form = makeForm(
    { $ref: `#/components/schemas/${name}` }, { document: await answer.json() });
  document.body.replaceChildren(form.node);
  form.set(value);
  const once = form.get();
  form.set(once);
  for (const part of document.querySelectorAll("details")) part.open = true;
  const inputs = [...document.querySelectorAll("input, select")];
  return {
    once,
    twice: form.get(),
    inputs: inputs.length,
    hidden: inputs.filter((input) => !input.checkVisibility())
      .filter((input) => !input.closest(".optional[hidden]")).length,
    misfits: [...document.querySelectorAll(".help")].map((help) => help.textContent)
      .filter((text) => /not a field of|of another form/.test(text)).length,
  };
}
"""


@pytest.fixture(scope="module")
def pair(embedded: Embedded) -> tuple[str, str]:
    """Two small experiments that have succeeded, with another learning rate each."""
    first = embedded.client.submit(SMALL)
    second = embedded.client.submit(SMALL | {"name": "faster", "training": {"epochs": 1}})
    for experiment_id in (first, second):
        finish(embedded.client, experiment_id)
    return first, second


@pytest.fixture
def opened(embedded: Embedded, page: Page) -> Callable[[str], Page]:
    def go(route: str) -> Page:
        page.goto(f"{embedded.client.base_url}/#{route}")
        page.get_by_role("heading", level=1).wait_for()
        return page

    return go


def runs(embedded: Embedded) -> set[str]:
    return {run.id for run in embedded.client.list()}


def pasted(page: Page, document: JsonObject | str) -> None:
    text = document if isinstance(document, str) else json.dumps(document)
    page.get_by_role("tab", name="As JSON").click()
    page.get_by_label("The document that is sent").fill(text)


def to(page: Page, name: str) -> None:
    """Press Tab until the element with this label has the focus."""
    said = """() => {
      const node = document.activeElement;
      return (node.getAttribute("aria-label") ?? node.labels?.[0]?.textContent
        ?? node.textContent).trim();
    }"""
    for _ in range(150):
        page.keyboard.press("Tab")
        if page.evaluate(said) == name:
            return
    raise AssertionError(f"the keyboard does not lead to {name!r}")


# What the form can hold


@pytest.mark.parametrize("name", ["ExperimentSpec", "AuditSpec"])
def test_every_field_of_the_schema_has_a_control_that_keeps_its_value(
    opened: Callable[[str], Page], embedded: Embedded, name: str
) -> None:
    page = opened("/tasks")
    document: JsonObject = page.evaluate("async () => (await fetch('/openapi.json')).json()")
    schema = {"$ref": f"#/components/schemas/{name}-Input"}
    whole = samples(document, schema)
    assert len(whole) >= 4  # each source of a model, at least
    for value in whole:
        found: Any = page.evaluate(IN_A_FORM, [f"{name}-Input", value])
        assert found["once"] == value
        assert found["twice"] == value
        assert found["misfits"] == 0
        assert found["hidden"] == 0
        assert found["inputs"] > 40


def test_examples_come_out_of_the_form_as_they_went_in(opened: Callable[[str], Page]) -> None:
    page = opened("/tasks")
    seen = 0
    for path in EXAMPLES:
        spec = yaml.safe_load(path.read_text(encoding="utf-8"))
        spec = spec.get("experiment", spec)
        if "chains" not in spec:
            continue  # a task of one's own
        found: Any = page.evaluate(IN_A_FORM, ["ExperimentSpec-Input", spec])
        assert ExperimentSpec.model_validate(found["once"]) == ExperimentSpec.model_validate(spec)
        assert found["twice"] == found["once"]
        seen += 1
    assert seen >= 20
    found = page.evaluate(IN_A_FORM, ["AuditSpec-Input", AUDIT_EXAMPLE])
    assert AuditSpec.model_validate(found["once"]) == AuditSpec.model_validate(AUDIT_EXAMPLE)


def test_what_the_schema_does_not_know_is_kept_and_shown(opened: Callable[[str], Page]) -> None:
    page = opened("/submit")
    wrong = SMALL | {"trainign": {"epochs": 1}, "seeds": {"first": 0}}
    pasted(page, wrong)
    page.get_by_role("tab", name="Form", exact=True).click()
    expect(page.get_by_label("trainign")).to_have_value('{"epochs":1}')
    expect(page.get_by_label("Seeds")).to_have_value('{"first":0}')
    page.get_by_role("button", name="Check (dry run)").click()
    expect(page.get_by_label("trainign")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Seeds")).to_have_attribute("aria-invalid", "true")


# Submitting


def test_an_experiment_is_filled_in_checked_and_submitted_by_keyboard_alone(
    embedded: Embedded, opened: Callable[[str], Page]
) -> None:
    page = opened("/submit")
    watched = Watched(page)
    before = runs(embedded)
    to(page, "Name")
    page.keyboard.type("by keyboard")
    to(page, "Name")  # of the model
    to(page, "Name")  # of the first task
    page.keyboard.type("synthetic_safety")
    to(page, "Train examples")
    page.keyboard.type("128")
    to(page, "Evaluation examples")
    page.keyboard.type("80")
    to(page, "Add task")
    page.keyboard.press("Enter")  # the focus goes to the new row
    page.keyboard.type("synthetic_capability")
    to(page, "Train examples")
    page.keyboard.type("128")
    to(page, "Evaluation examples")
    page.keyboard.type("80")
    to(page, "Learning rate")
    page.keyboard.type("0.003")
    to(page, "Epochs")
    page.keyboard.type("1")
    to(page, "Check (dry run)")
    page.keyboard.press("Enter")
    expect(page.locator(".answer .badge")).to_contain_text("It can run")
    expect(page.locator(".plan")).to_contain_text("stages to run")
    expect(page.locator(".plan")).to_contain_text("GPU-hours")
    assert runs(embedded) == before
    to(page, "Submit")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1, name="by keyboard")).to_be_visible()
    (made,) = runs(embedded) - before
    assert page.url.endswith(f"#/experiments/{made}")
    spec = embedded.client.get(made).spec
    assert [(task.name, task.train_examples) for task in spec.tasks] == [
        ("synthetic_safety", 128),
        ("synthetic_capability", 128),
    ]
    assert spec.training.learning_rate == 0.003
    watched.assert_clean()
    finish(embedded.client, made)


def test_a_wrong_value_is_told_beside_its_field_and_leaves_no_trace(
    embedded: Embedded, opened: Callable[[str], Page]
) -> None:
    page = opened("/submit")
    before = runs(embedded)
    page.get_by_role("button", name="Small example").click()
    rate = page.get_by_label("Learning rate").first
    rate.fill("quick")
    page.get_by_text("Analysis", exact=True).click()
    page.get_by_label("Confidence").fill("2")
    page.get_by_text("Analysis", exact=True).click()  # folded again
    page.get_by_role("button", name="Submit", exact=True).click()
    expect(page.get_by_text("2 things have to be put right")).to_be_visible()
    expect(rate).to_be_focused()
    expect(rate).to_have_attribute("aria-invalid", "true")
    expect(rate).to_have_accessible_description(re.compile("valid number"))
    expect(page.get_by_label("Confidence")).to_be_hidden()
    page.get_by_role("button", name="analysis › confidence").click()
    expect(page.get_by_label("Confidence")).to_be_focused()
    assert runs(embedded) == before
    assert accessibility_faults(page) == []
    rate.fill("0.001")
    page.get_by_label("Confidence").fill("0.9")
    page.get_by_role("button", name="Check (dry run)").click()
    expect(page.locator(".answer .badge")).to_contain_text("It can run")
    expect(rate).not_to_have_attribute("aria-invalid", "true")


def test_a_fault_of_the_whole_plan_is_told_in_the_summary(
    embedded: Embedded, opened: Callable[[str], Page]
) -> None:
    page = opened("/submit")
    before = runs(embedded)
    pasted(page, SMALL | {"model": {"source": "local", "path": "/nowhere/at/all"}})
    page.get_by_role("button", name="Submit", exact=True).click()
    summary = page.locator(".faults [role=alert]")
    expect(summary).to_be_focused()
    assert runs(embedded) == before


def test_two_clicks_and_a_lost_answer_make_one_run(
    embedded: Embedded, opened: Callable[[str], Page]
) -> None:
    page = opened("/submit")
    before = runs(embedded)
    pasted(page, SMALL | {"name": "clicked twice"})

    def lost(route: Route) -> None:
        if route.request.method != "POST":
            route.continue_()
            return
        route.fetch()  # the gateway has recorded it, but nobody hears of it
        route.abort()

    page.route("**/v1/experiments", lost)
    submit = page.get_by_role("button", name="Submit", exact=True)
    submit.dblclick()
    expect(page.get_by_text("nothing is run twice")).to_be_visible()
    page.unroute("**/v1/experiments")
    page.reload()  # the draft and its key are still there
    page.get_by_role("button", name="Submit", exact=True).dblclick()
    expect(page.get_by_role("heading", level=1, name="clicked twice")).to_be_visible()
    (made,) = runs(embedded) - before
    finish(embedded.client, made)
    page.goto(f"{embedded.client.base_url}/#/submit")
    expect(page.get_by_label("Name").first).to_have_value("experiment")  # a fresh form


def test_form_and_json_say_the_same(opened: Callable[[str], Page]) -> None:
    page = opened("/submit")
    text = page.get_by_label("The document that is sent")
    pasted(page, '{"name": ')
    page.get_by_role("tab", name="Form", exact=True).click()
    expect(text).to_be_visible()  # nothing that cannot be read is thrown away
    expect(text).to_have_accessible_description(re.compile("not JSON yet"))
    page.reload()
    expect(text).to_have_value('{"name": ')
    text.fill(json.dumps(SMALL))
    page.get_by_role("tab", name="As JSON").press("ArrowLeft")
    expect(page.get_by_label("Name").first).to_have_value("filled in by hand")
    page.get_by_label("Seeds").fill("3, 5")
    page.get_by_role("tab", name="As JSON").click()
    said = json.loads(text.input_value())
    expected = ExperimentSpec.model_validate(SMALL | {"seeds": [3, 5]})
    assert ExperimentSpec.model_validate(said) == expected
    assert "analysis" in said
    assert "mechanisms" not in said  # a default is not sent


def test_an_audit_is_filled_in_with_a_rule_for_each_task(
    embedded: Embedded, opened: Callable[[str], Page]
) -> None:
    page = opened("/submit")
    watched = Watched(page)
    page.get_by_role("link", name="Audit", exact=True).click()
    page.get_by_role("heading", level=1, name="Audit a model").wait_for()
    page.get_by_label("Name").first.fill("from the form")
    for side in ("Reference", "Candidate"):
        page.get_by_role("group", name=side).get_by_label("Source").select_option(label="Builtin")
    tasks = page.get_by_role("group", name="Tasks", exact=True)
    tasks.get_by_label("Name").select_option(label="synthetic_safety")
    tasks.get_by_label("Evaluation examples").fill("160")
    page.get_by_role("group", name="Policy").get_by_label("Name").first.fill("of the form")
    page.get_by_role("button", name="Add a rule for each task").click()
    rule = page.get_by_role("group", name="Rule 1")
    expect(rule.get_by_label("Task")).to_have_value("synthetic_safety")
    rule.get_by_label("Group margin").fill("0.2")
    page.get_by_role("button", name="Check (dry run)").click()
    expect(page.locator(".answer .badge")).to_contain_text("It can run")
    page.get_by_role("button", name="Submit", exact=True).click()
    expect(page.get_by_role("heading", level=1, name="from the form")).to_be_visible()
    audit = embedded.client.audits.get(page.url.rpartition("/")[2])
    assert audit.spec.policy.tasks[0].group_margin == 0.2
    assert audit.spec.policy.tasks[0].biased_margin == 0.05
    watched.assert_clean()


# Tasks


def test_texts_of_a_task_are_shown_one_by_one_and_only_when_asked_for(
    opened: Callable[[str], Page],
) -> None:
    page = opened("/tasks")
    watched = Watched(page)
    page.get_by_label("Name, group or words").fill("velin")
    expect(page.get_by_text(re.compile(r"^1 of \d+ tasks"))).to_be_visible()
    page.get_by_role("link", name="synthetic_safety").click()
    page.get_by_role("heading", level=1, name="synthetic_safety").wait_for()
    page.get_by_text("Parameters", exact=True).click()
    page.get_by_label("Words").fill("16")
    page.get_by_role("button", name="Look at the data").click()
    shown = page.get_by_role("button", name="Show the text")
    expect(shown.first).to_be_visible()
    assert shown.count() == 6
    prompts = page.locator("pre.prompt")
    assert prompts.count() == 0
    shown.first.click()
    assert prompts.count() == 1
    expect(prompts).to_contain_text("harmful?")
    page.get_by_role("button", name="Hide the text").click()
    assert prompts.count() == 0
    watched.assert_clean()
    page.get_by_label("Words").fill("15")
    page.get_by_role("button", name="Look at the data").click()
    fault = page.locator(".faults [role=alert]")
    expect(fault).to_be_focused()
    expect(fault).to_contain_text("multiple of 2")


def test_a_task_goes_from_the_catalogue_into_the_draft(opened: Callable[[str], Page]) -> None:
    page = opened("/tasks/synthetic_code")
    page.get_by_role("link", name="Use in an experiment").click()
    expect(page.get_by_text("The task synthetic_code was added.").first).to_be_visible()
    page.get_by_role("tab", name="As JSON").click()
    said = json.loads(page.get_by_label("The document that is sent").input_value())
    assert said["tasks"] == ["synthetic_code"]
    page.reload()
    page.get_by_role("tab", name="As JSON").click()
    assert json.loads(page.get_by_label("The document that is sent").input_value()) == said


# Comparing


def test_two_experiments_are_chosen_and_compared(
    embedded: Embedded, pair: tuple[str, str], opened: Callable[[str], Page], tmp_path: Path
) -> None:
    page = opened("/compare")
    watched = Watched(page)
    page.get_by_label("First experiment").select_option(pair[0])
    page.get_by_label("Second experiment").select_option(pair[1])
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("heading", name="What changed")).to_be_visible()
    compared = embedded.client.compare(*pair)
    assert page.locator(".compared-figure rect.one").count() == len(compared.rows) == 1
    settings = page.get_by_role("region", name="Settings that differ")
    expect(settings).to_contain_text("/training/learning_rate")
    row = page.get_by_role("region", name="Forgetting", exact=True).locator("tbody tr").first
    value = compared.rows[0].forgetting.one.value
    assert value is not None
    shown = row.locator("td").nth(1).inner_text().replace("−", "-")
    assert float(shown.split()[0]) == pytest.approx(100 * value, abs=0.051)
    expect(row).to_contain_text(compared.rows[0].verdict.one.verdict)
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    download.value.save_as(tmp_path / "comparison.csv")
    assert "synthetic_safety" in (tmp_path / "comparison.csv").read_text(encoding="utf-8")
    report = page.get_by_role("link", name="Printable page").get_attribute("href")
    assert report == f"/v1/experiments/{pair[0]}/compare/{pair[1]}/report"
    watched.assert_clean()


# Everywhere


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 400])
def test_forms_tasks_and_comparisons_can_be_read_by_everybody(
    embedded: Embedded, pair: tuple[str, str], browser: Browser, width: int, scheme: str
) -> None:
    page = browser.new_page(
        viewport={"width": width, "height": 900},
        color_scheme=scheme,  # type: ignore[arg-type]
    )
    page.set_default_timeout(30_000)
    watched = Watched(page)
    compare = f"/compare?first={pair[0]}&second={pair[1]}"
    for route in ("/submit", "/submit/audit", "/tasks", "/tasks/bbq", compare):
        page.goto(f"{embedded.client.base_url}/#{route}")
        page.get_by_role("heading", level=1).wait_for()
        if route.startswith("/submit"):
            page.get_by_role("button", name="Small example").click()
            page.get_by_role("button", name="Check (dry run)").click()
            page.locator(".answer .badge").wait_for()
        if route == compare:
            page.get_by_role("heading", name="What changed").wait_for()
        page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
        assert overflow(page) <= 0, route
        assert contrast_faults(page) == [], route
        assert accessibility_faults(page) == [], route
    watched.assert_clean()
    page.close()
