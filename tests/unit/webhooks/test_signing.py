"""Signatures and pauses of webhooks; the library of the specification is the oracle."""

import base64
import json
import time
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from forgetscope.client import BadSignature, verify_webhook
from forgetscope.core.webhooks import LONGEST_SECONDS, headers_of, pause_before
from forgetscope.schema.signature import secret_of, signature
from forgetscope.schema.webhooks import RunRef, WebhookMessage

KEY = bytes(range(32))
SECRET = secret_of(KEY)
OTHER = secret_of(b"x" * 32)
MESSAGE = WebhookMessage(
    id=3, type="audit.failed", at=1000.5, run=RunRef(id="r", kind="audit", name="ä ✓")
)
BODY = MESSAGE.model_dump_json().encode()


def signed(now: float, *secrets: str) -> dict[str, str]:
    return dict(headers_of("evt_1", BODY, timestamp=int(now), secrets=secrets or (SECRET,)))


def test_a_secret_is_written_as_the_specification_says() -> None:
    assert "whsec_" + base64.b64encode(KEY).decode() == SECRET


@given(st.binary(min_size=24, max_size=64), st.text(max_size=200))
def test_the_library_of_the_specification_agrees_with_every_signature(
    key: bytes, text: str
) -> None:
    body = json.dumps({"text": text})
    headers = headers_of(
        "evt_x", body.encode(), timestamp=int(time.time()), secrets=[secret_of(key)]
    )
    assert Webhook(secret_of(key)).verify(body, dict(headers)) == {"text": text}
    with pytest.raises(WebhookVerificationError):
        Webhook(secret_of(key)).verify(body + " ", dict(headers))


def test_a_receiver_gets_the_message_back() -> None:
    headers = {name.title(): value for name, value in signed(5000).items()}
    assert verify_webhook(BODY, headers, SECRET, now=5100) == MESSAGE


def test_while_a_secret_is_replaced_both_are_accepted() -> None:
    for secret in (SECRET, OTHER):
        verify_webhook(BODY, signed(5000, OTHER, SECRET), secret, now=5000)


@pytest.mark.parametrize("place", range(0, len(BODY), 7))
def test_any_changed_byte_is_noticed(place: int) -> None:
    changed = bytearray(BODY)
    changed[place] ^= 1
    with pytest.raises(BadSignature, match="no signature"):
        verify_webhook(bytes(changed), signed(5000), SECRET, now=5000)


@pytest.mark.parametrize(
    "changes",
    [
        {"webhook-id": "evt_2"},
        {"webhook-timestamp": "5001"},
        {"webhook-signature": "v1,AAAA"},
        {"webhook-signature": ""},
        {"webhook-signature": "v2" + signed(5000)["webhook-signature"][2:]},
        {"webhook-timestamp": "5e3"},
        {"webhook-timestamp": "٥٠٠٠"},
        {"webhook-timestamp": "9" * 400},
    ],
)
def test_headers_that_were_not_signed_so_are_noticed(changes: dict[str, str]) -> None:
    with pytest.raises(BadSignature):
        verify_webhook(BODY, signed(5000) | changes, SECRET, now=5000)


@pytest.mark.parametrize("missing", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_missing_header_is_named(missing: str) -> None:
    headers = signed(5000)
    del headers[missing]
    with pytest.raises(BadSignature, match=missing):
        verify_webhook(BODY, headers, SECRET, now=5000)


@pytest.mark.parametrize("now", [5301, 4699])
def test_a_message_from_another_time_is_refused(now: float) -> None:
    with pytest.raises(BadSignature, match="clock"):
        verify_webhook(BODY, signed(5000), SECRET, now=now)
    verify_webhook(BODY, signed(5000), SECRET, now=now, tolerance_seconds=1000)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_*", "plain words"])
def test_what_is_no_secret_signs_nothing(secret: str) -> None:
    with pytest.raises(ValueError, match="whsec_"):
        signature(secret, "evt", 1, b"")


def test_pauses_grow_up_to_six_hours_and_end() -> None:
    def pauses(random: Random) -> list[float]:
        found = (pause_before(n, most=10, first_seconds=5, random=random) for n in range(1, 10))
        return [pause for pause in found if pause is not None]

    exact = [min(5.0 * 4**n, LONGEST_SECONDS) for n in range(9)]
    for seed in range(50):
        got = pauses(Random(seed))
        assert len(got) == 9
        assert all(0.8 * e <= p <= 1.2 * e for e, p in zip(exact, got, strict=True))
    assert pause_before(10, most=10, first_seconds=5, random=Random(0)) is None
    assert pauses(Random(1)) != pauses(Random(2))
