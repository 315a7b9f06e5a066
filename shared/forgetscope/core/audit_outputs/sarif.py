"""An audit as SARIF 2.1.0, for code scanning: a rule per task and group, a result per row that did
not pass. Pure.

OASIS, Static Analysis Results Interchange Format (SARIF) Version 2.1.0, Errata 01 (2023).
"""

import json
import re
from collections.abc import Iterator
from urllib.parse import quote

from forgetscope.core.audit_outputs.cases import Case, cases, heading, line, standing
from forgetscope.core.identity import digest_of
from forgetscope.core.policy import rule_of
from forgetscope.schema.audit import AuditResults, AuditRow
from forgetscope.schema.base import JsonObject
from forgetscope.schema.policy import Policy, Tier

__all__ = ["sarif_json"]

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
LEVELS: dict[Tier, str] = {"block": "error", "warn": "warning", "inform": "note"}


def sarif_json(results: AuditResults, *, version: str, policy_file: str) -> str:
    """The log as JSON text.

    `version` is that of this program. `policy_file` is the place that results point to: code
    scanning shows none without a file, and the policy is what the repository has of an audit; a
    path relative to the repository.
    """
    log: JsonObject = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [_run(results, version, policy_file)],
    }
    return json.dumps(log, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _run(results: AuditResults, version: str, policy_file: str) -> JsonObject:
    found = cases(results)
    rules = [_rule(results.policy, case.task, case.group) for case in found]
    rules += [_rule(results.policy, task, None) for task in results.missing]
    # A missing task has no rows, hence no case: the ids are distinct.
    index = {str(rule["id"]): number for number, rule in enumerate(rules)}
    told: list[JsonObject] = []
    for case in found:
        told += [
            _result(case, row, results.policy, index, policy_file)
            for row in case.rows
            if row.verdict != "pass"
        ]
    told += [_missing(task, index, policy_file) for task in results.missing]
    driver: JsonObject = {
        "name": "ForgetScope",
        "semanticVersion": version,
        "informationUri": "https://arxiv.org/abs/2412.16469",
        "rules": list(rules),
    }
    return {
        "tool": {"driver": driver},
        "automationDetails": {"id": f"forgetscope/{quote(results.name, safe=' ')}/"},
        "columnKind": "unicodeCodePoints",
        "results": list(told),
        "properties": {
            "outcome": results.outcome,
            "heading": heading(results),
            "policyDigest": results.policy_digest,
            "judgedOn": results.judged_on.isoformat(),
            "reference": results.reference.fingerprint,
            "candidate": results.candidate.fingerprint,
        },
    }


def _rule(policy: Policy, task: str, group: str | None) -> JsonObject:
    about = rule_of(policy, task)
    own = about.groups.get(group or "") if about is not None else None
    tier = (own.tier if own is not None else None) or (about.tier if about is not None else "block")
    whom = "" if group is None else f" about {group}"
    text = f"The candidate keeps what the reference knows of {task}{whom}."
    return {
        "id": _rule_id(task, group),
        "name": "".join(part.capitalize() for part in re.split(r"\W+", f"{task} {group or 'all'}")),
        "shortDescription": {"text": text},
        "fullDescription": {
            "text": f"{text} Judged by the margins of the policy {policy.name!r} with intervals "
            f"that hold together at {100 * policy.confidence:g} %."
        },
        "help": {
            "text": "Look at the items that changed, train with a mitigation, or have the breach "
            "waived in the policy until a day."
        },
        "defaultConfiguration": {"level": LEVELS[tier]},
    }


def _rule_id(task: str, group: str | None) -> str:
    # A slash separates the parts of a hierarchical id (section 3.5.4).
    return task if group is None else f"{task}/{quote(group, safe=' ')}"


def _result(
    case: Case, row: AuditRow, policy: Policy, index: dict[str, int], policy_file: str
) -> JsonObject:
    rule = _rule_id(case.task, case.group)
    tolerated_block = (
        row.tier == "block"
        and row.verdict == "underpowered"
        and (standing(row, policy) == "tolerated")
    )
    found: JsonObject = {
        "ruleId": rule,
        "ruleIndex": index[rule],
        "level": "warning" if tolerated_block else LEVELS[row.tier],
        "message": {"text": f"{case.task}, {case.name}: {line(row)}"},
        "locations": [_location(case.task, case.group, policy_file)],
        "partialFingerprints": {"row/v1": digest_of([case.task, case.group, row.what])},
        "properties": dict(_numbers(row)),
    }
    if row.waived is not None:
        found["suppressions"] = [
            {"kind": "external", "status": "accepted", "justification": row.waived}
        ]
    return found


def _numbers(row: AuditRow) -> Iterator[tuple[str, float | str | None]]:
    yield "what", row.what
    yield "tier", row.tier
    yield "verdict", row.verdict
    yield "estimate", row.estimate.value
    yield "low", row.estimate.low
    yield "high", row.estimate.high
    yield "margin", row.margin
    yield "items", row.items
    yield "clusters", row.clusters


def _missing(task: str, index: dict[str, int], policy_file: str) -> JsonObject:
    return {
        "ruleId": task,
        "ruleIndex": index[task],
        "level": "error",
        "message": {"text": f"{task}: the policy requires this task, and the audit has it not."},
        "locations": [_location(task, None, policy_file)],
        "partialFingerprints": {"row/v1": digest_of([task, None, "missing"])},
    }


def _location(task: str, group: str | None, policy_file: str) -> JsonObject:
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": quote(policy_file)},
            "region": {"startLine": 1},
        },
        "logicalLocations": [
            {
                "name": task if group is None else group,
                "fullyQualifiedName": _rule_id(task, group),
                "kind": "member" if group is not None else "module",
            }
        ],
    }
