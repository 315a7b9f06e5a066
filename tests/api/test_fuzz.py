"""Schemathesis: whatever the document admits or forbids, the gateway answers as it says."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from api.conftest import Gateway, finish_all, running_gateway, spec_with
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from schemathesis.specs.openapi.checks import (
    negative_data_rejection,
    positive_data_acceptance,
)

from forgetscope.api.openapi import text

EXAMPLES = 15
# A schema cannot know which names the catalogue has, which cursors were handed out, nor what a file
# holds: nearly every specification, cursor and upload made from it is rightly refused.
BEYOND_A_SCHEMA = (
    *("/v1/experiments", "/v1/plans", "/v1/plans/power", "/v1/datasets"),
    *("/v1/tasks", "/v1/tasks/preview", "/v1/searches", "/v1/audits", "/v1/webhooks"),
    "/v1/baselines/{name}",
)


@pytest.fixture(scope="module")
def roomy_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(tmp_path_factory.mktemp("fuzz"), max_body_bytes=1 << 20) as gateway:
        yield gateway


_lines = st.builds(
    lambda row: json.dumps(row).encode() + b"\n", st.dictionaries(st.text(), st.text())
)
schemathesis.openapi.media_type("application/x-ndjson", st.binary() | _lines)
schemathesis.openapi.media_type("application/vnd.apache.parquet", st.binary())

schema = schemathesis.openapi.from_dict(json.loads(text()))


bounded = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@schema.parametrize()
@bounded
def test_every_answer_is_as_documented(case: Any, roomy_gateway: Gateway) -> None:
    unknowable = (case.method in {"POST", "PUT"} and case.path in BEYOND_A_SCHEMA) or bool(
        {"cursor", "parameters"} & {*(case.query or {})}
    )
    case.call_and_validate(
        base_url=roomy_gateway.url,
        timeout=20,
        excluded_checks=[positive_data_acceptance] if unknowable else [],
    )


@pytest.fixture(scope="module")
def finished(roomy_gateway: Gateway) -> str:
    with httpx.Client(base_url=roomy_gateway.url) as http:
        experiment = str(http.post("/v1/experiments", json=spec_with(1)).json()["id"])
    finish_all(roomy_gateway.platform, roomy_gateway.home)
    return experiment


@schema.include(method="GET", path_regex="experiments/{id}").parametrize()
@bounded
def test_every_view_of_a_finished_experiment_is_as_documented(
    case: Any, roomy_gateway: Gateway, finished: str
) -> None:
    if (case.path_parameters or {}).get("id"):
        case.path_parameters["id"] = finished
    case.call_and_validate(
        base_url=roomy_gateway.url,
        timeout=20,
        excluded_checks=[positive_data_acceptance, negative_data_rejection],
    )
