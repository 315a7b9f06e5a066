"""An audit as JUnit XML: a suite per task, a test case per group. Pure.

The format has no standard; this is the part that GitLab, Jenkins and GitHub's reporters share:
`testsuites/testsuite/testcase`, `failure`, `error`, `skipped`, `properties`, `system-out`.
"""

import re
from xml.etree import ElementTree as ET

from forgetscope.core.audit_outputs.cases import Case, cases, line, standing, why_tolerated
from forgetscope.schema.audit import AuditResults

__all__ = ["junit_xml"]

# What XML 1.0 (section 2.2) has no place for, not even escaped.
UNWRITABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_xml(results: AuditResults) -> str:
    """One test case per task and group: `failure` for a breach that fails the audit and for a
    required task that is missing, `error` for what could not be judged and therefore fails,
    `skipped` for what did not pass and is tolerated (tier warn or inform, or waived)."""
    found = cases(results)
    root = ET.Element("testsuites", {"name": _clean(results.name)})
    for task in dict.fromkeys([case.task for case in found] + list(results.missing)):
        suite = ET.SubElement(root, "testsuite", {"name": task})
        if not len(root) - 1:
            _properties(suite, results)
        for case in (case for case in found if case.task == task):
            _add_case(suite, case, results)
        if task in results.missing:
            _add_missing(suite, task)
        _count(suite)
    _count(root)
    ET.indent(root)
    text = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _properties(suite: ET.Element, results: AuditResults) -> None:
    properties = ET.SubElement(suite, "properties")
    values = {
        "outcome": results.outcome,
        "judged_on": results.judged_on.isoformat(),
        "policy": results.policy.name,
        "policy_digest": results.policy_digest,
        "reference": results.reference.fingerprint,
        "candidate": results.candidate.fingerprint,
        "engine": results.engine,
    }
    for name, value in values.items():
        ET.SubElement(
            properties, "property", {"name": f"forgetscope.{name}", "value": _clean(value)}
        )


def _add_case(suite: ET.Element, case: Case, results: AuditResults) -> None:
    node = ET.SubElement(
        suite,
        "testcase",
        {"classname": f"forgetscope.{case.task}", "name": _clean(case.name), "time": "0"},
    )
    text = "\n".join(line(row) for row in case.rows)
    tag = {"failed": "failure", "undecided": "error", "tolerated": "skipped"}.get(case.standing)
    if tag is not None:
        telling = [row for row in case.rows if standing(row, results.policy) == case.standing]
        messages = [
            f"{why_tolerated(row)}: {line(row)}" if tag == "skipped" else line(row)
            for row in telling
        ]
        attributes = {"message": _clean(" | ".join(messages))}
        if tag != "skipped":
            attributes["type"] = telling[0].verdict
        ET.SubElement(node, tag, attributes).text = _clean(text)
    ET.SubElement(node, "system-out").text = _clean(text)


def _add_missing(suite: ET.Element, task: str) -> None:
    node = ET.SubElement(
        suite, "testcase", {"classname": f"forgetscope.{task}", "name": "all items", "time": "0"}
    )
    message = "the policy requires this task, and the audit does not have it"
    ET.SubElement(node, "failure", {"message": message, "type": "missing"}).text = message


def _count(node: ET.Element) -> None:
    node.set("tests", str(len(list(node.iter("testcase")))))
    for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        node.set(name, str(len(list(node.iter(tag)))))
    node.set("time", "0")


def _clean(text: str) -> str:
    return UNWRITABLE.sub("\ufffd", text)
