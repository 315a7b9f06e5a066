"""Models behind endpoints: their addresses, their fingerprints, their scores, and their audits."""

import json
from datetime import date
from typing import Any

import pytest
from pydantic import ValidationError
from unit.test_audit_plan import spec
from unit.test_plan import facts

from forgetscope.core.audit_plan import build_audit_plan
from forgetscope.core.endpoints import (
    PROBES,
    Echo,
    Refused,
    allowed_by,
    describe_endpoint,
    difference,
    score_options,
)
from forgetscope.schema.endpoint import EndpointInfo, EndpointModel, ServedModel
from forgetscope.schema.errors import InvalidSpec
from forgetscope.schema.example import Example
from forgetscope.schema.plan import Plan
from forgetscope.wiring.settings import Settings

MODEL = EndpointModel(source="endpoint", url="http://gpu:8000", model="m")
EXAMPLE = Example(
    id="e", prompt="Is it?", options=(" yes", " no"), answer=0, target=" yes", cluster="c"
)


def echo(*tokens: tuple[str, float | None]) -> Echo:
    return Echo(tuple(t for t, _ in tokens), tuple(p for _, p in tokens))


STEM = echo(("Is", None), (" it?", -1.0))
YES = echo(("Is", None), (" it?", -1.0), (" y", -0.5), ("es", -0.25))
NO = echo(("Is", None), (" it?", -1.0), (" no", -3.0))


def scores(yes: Echo | Refused = YES, no: Echo | Refused = NO, stem: Echo | Refused = STEM) -> Any:
    return score_options(EXAMPLE, {"Is it?": stem, "Is it? yes": yes, "Is it? no": no})


def probed(
    shift: float = 0.0, spread: float = 0.0, length: int | None = 100, **answers: Any
) -> EndpointInfo:
    served = ServedModel(id="m", max_model_len=length)
    alone = [echo(("a", None), ("b", -1.0 + shift)) for _ in PROBES]
    together = [echo(("a", None), ("b", -1.0 + shift + spread)) for _ in PROBES]
    return describe_endpoint(MODEL, served, alone, together)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("http://GPU:80/", "http://gpu/v1"),
        ("https://gpu:443/a/v1/", "https://gpu/a/v1"),
        ("http://[::1]:8000", "http://[::1]:8000/v1"),
    ],
)
def test_an_address_is_written_in_one_way(written: str, meant: str) -> None:
    assert EndpointModel(source="endpoint", url=written, model="m").url == meant


@pytest.mark.parametrize(
    "url",
    [
        "http://gpu@evil",
        "http://gpu/../x",
        "ftp://gpu",
        "http://gpu?x=1",
        "http://gpu#x",
        "http:///",
        "http://gpu\\@evil",
        "http://gpu/%2e%2e",
        "http://gpu\n",
    ],
)
def test_what_could_be_read_in_two_ways_is_no_address(url: str) -> None:
    with pytest.raises(ValidationError):
        EndpointModel(source="endpoint", url=url, model="m")


def test_an_allowed_address_covers_its_server_and_what_is_below_its_path() -> None:
    assert allowed_by("http://gpu:8000", MODEL.url)
    assert allowed_by("HTTP://GPU:8000/v1/".replace("HTTP", "http"), MODEL.url)
    for other in ("http://gpu", "http://gpu:80", "http://gpu:8000/v", "https://gpu:8000"):
        assert not allowed_by(other, MODEL.url)


def test_settings_refuse_what_is_no_address_and_never_show_a_token() -> None:
    found = Settings(endpoints="http://gpu:8000, https://api.example/x")
    assert found.endpoint_prefixes == ("http://gpu:8000", "https://api.example/x")
    with pytest.raises(ValidationError, match="not the address of a server"):
        Settings(endpoints="gpu:8000")
    tokens = Settings.model_validate({"endpoint_tokens": json.dumps({"http://gpu": "s3cret"})})
    assert tokens.endpoint_secrets["http://gpu"].get_secret_value() == "s3cret"
    assert "s3cret" not in repr(tokens)
    for wrong in ('{"gpu": "s3cret"}', '["s3cret"]', '{"http://gpu": {"s3cret": 1}}'):
        with pytest.raises(ValidationError) as error:
            Settings.model_validate({"endpoint_tokens": wrong})
        assert "s3cret" not in str(error.value)


def test_an_option_gets_the_sum_of_what_follows_the_stem() -> None:
    assert scores() == (-0.75, -3.0)


def test_an_option_that_has_no_chance_leaves_the_item_to_be_unscored() -> None:
    for nothing in (-9999.0, None):
        none = echo(("Is", None), (" it?", -1.0), (" no", nothing))
        assert scores(no=none) == (-0.75, float("-inf"))


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"yes": echo(("Is", None), (" it? y", -1.0), ("es", -1.0))}, "begins within the prompt"),
        ({"yes": STEM}, "no token of its own"),
        ({"yes": NO}, "the same tokens"),
        ({"no": Refused("too long")}, "option 1: too long"),
        ({"stem": Refused("too long")}, "too long"),
        ({"stem": Echo((), ())}, "no token in the prompt"),
    ],
)
def test_what_has_no_score_says_why(asked: dict[str, Any], reason: str) -> None:
    assert reason in scores(**asked)


def test_the_servers_own_noise_is_not_taken_for_another_model() -> None:
    calm, noisy = probed(), probed(spread=0.1)
    assert calm.fingerprint == noisy.fingerprint == probed().fingerprint
    assert (calm.tolerance, noisy.tolerance) == (0.001, 0.3)
    assert difference(noisy, probed(shift=0.2)) is None
    assert "moved by up to 0.2" in (difference(calm, probed(shift=0.2)) or "")
    assert probed(shift=0.2).fingerprint != calm.fingerprint
    assert "describes" in (difference(calm, probed(length=200)) or "")


def test_what_the_records_cannot_hold_does_not_reach_them() -> None:
    odd = [echo(("a\x00", None), ("b", float("nan"))) for _ in PROBES]
    info = describe_endpoint(MODEL, ServedModel(id="m"), odd, odd)
    assert EndpointInfo.model_validate_json(info.model_dump_json()) == info
    assert "\\u0000" not in info.model_dump_json()
    assert info.answers[0].logprobs == (None, None)


def plan(*, reference: bool = True, candidate: bool = True, **changes: Any) -> Plan:
    def of(served: bool, shift: float) -> Any:
        info = probed(shift)
        return facts(endpoint=info, model_fingerprint=info.fingerprint) if served else facts()

    asked = spec(
        **{
            side: MODEL.model_dump() | {"model": side}
            for side, served in (("reference", reference), ("candidate", candidate))
            if served
        },
        **changes,
    )
    day = date(2026, 3, 1)
    return build_audit_plan(asked, of(reference, 0.0), of(candidate, 0.1), judged_on=day)


def test_servers_score_both_models_or_neither() -> None:
    found = plan()
    assert found.engine == "endpoint"
    assert {json.dumps(s.params) for s in found.stages if s.kind == "evaluate"} == {
        '{"engine": "endpoint"}'
    }
    prepared = [s.params for s in found.stages if s.kind == "prepare_model"]
    assert all(params["endpoint"]["fingerprint"] == params["fingerprint"] for params in prepared)
    assert found.notes == ()
    for sides, where in (
        ({"reference": False}, "/reference"),
        ({"candidate": False}, "/candidate"),
    ):
        with pytest.raises(InvalidSpec, match="not compared") as error:
            plan(**sides)
        assert error.value.where == where and "vllm serve" in (error.value.hint or "")


def test_the_noise_floor_is_that_of_the_references_server() -> None:
    found = plan(evaluation={"noise_floor": {"items": 40}})
    noisy = [s for s in found.stages if s.kind == "noise_floor"]
    audit = found.stages[-1]
    assert [s.key for s in noisy] == [audit.inputs["noise-0"], audit.inputs["noise-1"]]
    for stage in noisy:
        assert stage.params == {"engine": "endpoint", "items": 40, "other_engine": None}
        assert stage.inputs["base"] == audit.inputs["reference"]
    without = plan(evaluation={"noise_floor": None})
    assert not [s for s in without.stages if s.kind == "noise_floor"]
    with pytest.raises(InvalidSpec, match="no other engine") as error:
        plan(evaluation={"noise_floor": {"other_engine": True}})
    assert error.value.where == "/evaluation/noise_floor/other_engine"


def test_an_engine_of_the_platform_cannot_score_what_it_does_not_see() -> None:
    with pytest.raises(InvalidSpec) as error:
        plan(evaluation={"engine": "vllm"})
    assert error.value.where == "/evaluation/engine"


def test_another_behaviour_is_another_stage() -> None:
    same = {"reference": MODEL.model_dump(), "candidate": MODEL.model_dump()}
    keys = []
    for shift in (0.0, 0.0, 0.1):
        info = probed(shift)
        known = facts(endpoint=info, model_fingerprint=info.fingerprint)
        found = build_audit_plan(spec(**same), known, known, judged_on=date(2026, 3, 1))
        keys.append({s.key for s in found.stages if s.kind == "evaluate"})
    assert keys[0] == keys[1] and not keys[0] & keys[2]
