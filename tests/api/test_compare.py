"""Two finished experiments over HTTP, the client and the command line."""

import csv
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from api.conftest import Gateway, claim_any, running_gateway, spec_with
from api.test_experiments import NOWHERE, problem, submit
from services.analysis.fabricate import analyse_work
from services.analysis.test_report import LOADING, Page
from typer.testing import CliRunner

from forgetscope.analysis.stage import stages
from forgetscope.cli.main import app
from forgetscope.client import Client, NotFound
from forgetscope.schema.compare import Comparison
from forgetscope.schema.stage import Manifest

HOSTILE = '<script>alert(1)</script>"><img src=x>'


class World(NamedTuple):
    """Two experiments on the same items, one on others, one that has not begun."""

    http: httpx.Client
    gateway: Gateway
    one: str
    other: str
    elsewhere: str
    queued: str

    def address(self, one: str, other: str, rest: str = "") -> str:
        return f"/v1/experiments/{one}/compare/{other}{rest}"


def finish(gateway: Gateway, results: str) -> None:
    """Play every worker; the examples of a data stage are its parameters, the results given."""
    while (claim := claim_any(gateway.platform)) is not None:
        params = gateway.platform.records.stage(claim.key).params
        name, text = {
            "prepare_data": ("examples.jsonl", repr(sorted(params.items()))),
            "analyse": ("results.json", results),
        }.get(claim.kind, ("made.txt", claim.key))
        path = gateway.home / hashlib.sha256(text.encode()).hexdigest()
        path.write_text(text)
        blob = gateway.platform.store.put(path, "text/plain")
        manifest = Manifest(stage=claim.key, kind=claim.kind, files={name: blob})
        assert gateway.platform.records.finish(
            claim.key, claim.attempt, manifest, log_tail=""
        ).accepted


def results(folder: Path, **kind: Any) -> str:
    work, io = analyse_work(folder, **kind)
    stages()["analyse"](work, io)
    return (folder / "analysed/results.json").read_text("utf-8")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    home = tmp_path_factory.mktemp("compare")
    both = results(tmp_path_factory.mktemp("both"))
    one_order = results(tmp_path_factory.mktemp("one"), chains=[("safety", "capability")])
    fewer = [
        {
            "id": "safety",
            "name": "synthetic_safety",
            "train_examples": 64,
            "evaluation_examples": 40,
        },
        {"id": "capability", "name": "synthetic_capability", "train_examples": 64},
    ]
    with running_gateway(home) as gateway, httpx.Client(base_url=gateway.url) as http:
        made = []
        for text, spec in (
            (both, spec_with(1, name="both orders")),
            (one_order, spec_with(2, name=HOSTILE, chains=[["safety", "capability"]])),
            (one_order, spec_with(3, tasks=fewer)),
        ):
            made.append(submit(http, spec))
            finish(gateway, text)
        yield World(http, gateway, *made, submit(http, spec_with(4)))


def test_experiments_on_the_same_items_are_subtracted(world: World) -> None:
    response = world.http.get(world.address(world.one, world.other))
    found = Comparison.model_validate_json(response.content)
    assert (found.one.id, found.other.id) == (world.one, world.other)
    assert (found.one.name, found.other.name) == ("both orders", HOSTILE)
    assert [task.same_items for task in found.tasks] == [True, True]
    (row,) = found.rows
    assert row.forgetting.difference.value is not None
    assert [s.pointer for s in found.settings] == ["/seeds"]
    assert found.only_one.chains == (("capability", "safety"),)


def test_the_table_has_the_numbers_of_the_comparison(world: World) -> None:
    (row,) = world.http.get(world.address(world.one, world.other)).json()["rows"]
    response = world.http.get(world.address(world.one, world.other, "/csv"))
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    lines = list(csv.DictReader(response.text.splitlines()))
    assert len(lines) == 3 + 2 * len(row["groups"])
    (whole,) = (n for n in lines if (n["group"], n["number"]) == ("", "forgetting"))
    assert float(whole["difference"]) == row["forgetting"]["difference"]["value"]
    assert whole["one_verdict"] == row["verdict"]["one"]["verdict"]
    for group in row["groups"]:
        (line,) = (
            n for n in lines if (n["group"], n["number"]) == (group["group"], "biased forgetting")
        )
        assert float(line["one_low"]) == group["biased"]["one"]["low"]


def test_verdicts_stand_side_by_side_in_every_form(world: World) -> None:
    found = world.http.get(world.address(world.one, world.elsewhere)).json()
    (row,) = found["rows"]
    assert row["verdict"]["one"]["verdict"] in {"pass", "breach", "underpowered"}
    assert row["verdict"]["caution"] == "judged on different items"
    assert found["same_verdicts"] + len(found["changed_verdicts"]) == 1 + 2 * len(row["groups"])
    page = world.http.get(world.address(world.one, world.elsewhere, "/report")).text
    assert "What changed" in page
    assert page.count("verdict word") == 2 + 2 * len(row["groups"])


def test_experiments_on_other_items_stand_side_by_side(world: World) -> None:
    found = world.http.get(world.address(world.one, world.elsewhere)).json()
    assert {t["task"]: t["same_items"] for t in found["tasks"]} == {
        "safety": False,
        "capability": True,
    }
    (row,) = found["rows"]
    assert row["forgetting"]["difference"]["value"] is None
    assert row["forgetting"]["other"]["value"] is not None
    assert "/tasks/safety/evaluation_examples" in {s["pointer"] for s in found["settings"]}


def test_an_experiment_that_is_unknown_or_not_finished_is_a_problem(world: World) -> None:
    nowhere = NOWHERE.rsplit("/", 1)[-1]
    for rest in ("", "/report"):
        for pair in ((world.one, nowhere), (nowhere, world.one)):
            problem(world.http.get(world.address(*pair, rest)), 404, "not-found")
        for pair in ((world.one, world.queued), (world.queued, world.one)):
            body = problem(world.http.get(world.address(*pair, rest)), 404, "not-found")
            assert world.queued in body["detail"] and "queued" in body["detail"]
        problem(world.http.get(world.address(world.one, "no-id", rest)), 404, "not-found")


def test_the_page_needs_nothing_else_and_runs_nothing(world: World) -> None:
    response = world.http.get(world.address(world.one, world.other, "/report"))
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    policy = response.headers["content-security-policy"]
    assert policy.startswith("sandbox") and "allow-scripts" not in policy
    page = Page(response.text)
    assert not {"script", "link", "iframe", "img", "object", "embed", "base"} & set(page.tags)
    assert all(v.startswith("#") for t, n, v in page.attributes if n in LOADING)
    assert {v[1:] for v in page.values("href")} <= set(page.values("id"))
    assert page.text.count(HOSTILE) == 3
    (label,) = [v for t, n, v in page.attributes if (t, n) == ("svg", "aria-label")]
    assert "safety after safety → capability" in label
    assert page.text.count("coral") == 1
    assert "do not show that there is no difference" in page.text
    again = world.http.get(world.address(world.one, world.other, "/report"))
    assert again.content == response.content


def test_the_client_has_every_form(world: World) -> None:
    with Client(world.gateway.url) as client:
        assert client.compare(world.one, world.other).other.name == HOSTILE
        assert client.compare_html(world.one, world.other).startswith("<!doctype html>")
        table = world.http.get(world.address(world.one, world.other, "/csv"))
        assert client.compare_csv(world.one, world.other) == table.text
        with pytest.raises(NotFound):
            client.compare(world.one, world.queued)


def test_the_command_prints_tables_or_json_or_saves_page_and_table(
    world: World, tmp_path: Path
) -> None:
    def run(*arguments: str, status: int = 0) -> str:
        runner = CliRunner(env={"FORGETSCOPE_URL": world.gateway.url, "COLUMNS": "160"})
        result = runner.invoke(app, ["compare", world.one, *arguments])
        assert result.exit_code == status, result.output
        return result.output

    tables = run(world.other)
    for words in (
        "Forgetting in points",
        "coral",
        "/seeds",
        "Only in the first: chains",
        "verdict",
        "Note:",
    ):
        assert words in tables
    assert Comparison.model_validate_json(run(world.other, "--json")).one.id == world.one
    target = tmp_path / "new folder" / "c.html"
    assert run(world.other, "--html", str(target)).strip() == str(target)
    assert target.read_text("utf-8").startswith("<!doctype html>")
    table = tmp_path / "c.csv"
    said = run(world.other, "--csv", str(table), "--html", str(target)).split("\n")
    assert said == [str(target), str(table), ""]
    lines = list(csv.DictReader(table.read_text("utf-8").splitlines()))
    assert "biased forgetting" in {line["number"] for line in lines}
    assert "cannot write" in run(world.other, "--html", "/dev/null/x", status=1)
    assert "queued" in run(world.queued, status=3)
