import io
from xml.etree import ElementTree as ET

import pytest
from audit_values import HARD_NAMES, mixed, policy, results, row
from junitparser import Error, Failure, JUnitXml, Skipped
from junitparser import TestCase as Read

from forgetscope.core.audit_outputs.junit import junit_xml
from forgetscope.schema.audit import AuditResults


def read(of: AuditResults) -> dict[tuple[str, str], Read]:
    """The cases as a parser of other people sees them."""
    xml = JUnitXml.fromroot(ET.fromstring(junit_xml(of)))
    return {(suite.name, case.name): case for suite in xml for case in suite}


def kind(case: Read) -> type | None:
    return type(case.result[0]) if case.result else None


def test_each_task_and_group_is_one_case_with_what_it_did_to_the_audit() -> None:
    found = {key: kind(case) for key, case in read(mixed()).items()}
    assert found == {
        ("safety", "all items"): None,
        ("safety", "velin"): Failure,
        ("safety", "dorrak"): Error,
        ("safety", "warned"): Skipped,
        ("safety", "shown"): Skipped,
        ("safety", "waived"): Skipped,
        ("safety", "fine"): None,
        ("bias", "all items"): Failure,
    }


def test_a_failure_says_the_numbers_and_the_reason() -> None:
    failed = read(mixed())["safety", "velin"].result[0]
    assert failed.type == "breach"
    for words in ("+20.0 [+17.0, +23.0] points", "margin 5.0", "lies above the margin"):
        assert words in failed.message
    undecided = read(mixed())["safety", "dorrak"].result[0]
    assert "1600 items in 320 clusters would decide it" in undecided.message
    waived = read(mixed())["safety", "waived"].result[0]
    assert waived.message.startswith("waived: known, approved by Ada until 2026-12-01")


def test_the_counts_are_those_of_the_cases() -> None:
    root = ET.fromstring(junit_xml(mixed()))
    for node, tests, failures, errors, skipped in (
        (root, 8, 2, 1, 3),
        (root[0], 7, 1, 1, 3),
        (root[1], 1, 1, 0, 0),
    ):
        counts = [int(node.get(n, "")) for n in ("tests", "failures", "errors", "skipped")]
        assert counts == [tests, failures, errors, skipped]


def test_what_cannot_be_judged_is_skipped_where_the_policy_lets_it_pass() -> None:
    lenient = results(row("underpowered"), policy=policy(underpowered="warn"))
    assert kind(read(lenient)["safety", "all items"]) is Skipped


def test_properties_name_policy_and_models() -> None:
    suite = next(iter(JUnitXml.fromroot(ET.fromstring(junit_xml(mixed())))))
    found = {p.name: p.value for p in suite.properties()}
    assert found["forgetscope.policy_digest"] == mixed().policy_digest
    assert found["forgetscope.candidate"] == "candidate-print"
    assert found["forgetscope.outcome"] == "breach"


@pytest.mark.parametrize("name", [*HARD_NAMES, 'a "quoted" name'])
def test_any_name_of_a_group_survives(name: str) -> None:
    assert ("safety", name) in read(results(row(group=name)))


def test_characters_that_xml_cannot_hold_are_replaced() -> None:
    of = results(row("breach", reason="a\x0bb\x1b[31mc\ufffe"), outcome="breach")
    text = junit_xml(of)
    assert kind(read(of)["safety", "all items"]) is Failure
    assert "a\ufffdb\ufffd[31mc\ufffd" in text
    ET.parse(io.BytesIO(text.encode()))
