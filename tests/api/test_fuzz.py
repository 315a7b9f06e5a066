"""Schemathesis: whatever the document admits or forbids, the gateway answers as it says."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from api.conftest import Gateway, running_gateway
from hypothesis import HealthCheck, Phase, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from forgetscope.api.openapi import text

EXAMPLES = 15
# A schema cannot know which names the catalogue has, nor which cursors were handed out: nearly
# every specification and cursor made from it is rightly refused.
NAMED_IN_THE_CATALOGUE = ("/v1/experiments", "/v1/plans")


@pytest.fixture(scope="module")
def roomy_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(tmp_path_factory.mktemp("fuzz"), max_body_bytes=1 << 20) as gateway:
        yield gateway


schema = schemathesis.openapi.from_dict(json.loads(text()))


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_as_documented(case: Any, roomy_gateway: Gateway) -> None:
    unknowable = (case.method == "POST" and case.path in NAMED_IN_THE_CATALOGUE) or (
        "cursor" in (case.query or {})
    )
    case.call_and_validate(
        base_url=roomy_gateway.url,
        timeout=20,
        excluded_checks=[positive_data_acceptance] if unknowable else [],
    )
