"""The document on webhooks: its receivers are run on a message that is signed here."""

import json
import re
import subprocess
import time
from pathlib import Path
from typing import Any, get_args

import pytest

from forgetscope.core.webhooks import headers_of, pause_before
from forgetscope.schema.signature import secret_of
from forgetscope.schema.webhooks import MessageType, WebhookMessage
from forgetscope.wiring.settings import Settings

TEXT = (Path(__file__).parents[3] / "docs" / "webhooks.md").read_text(encoding="utf-8")
SECRET = secret_of(b"k" * 32)


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)
    return str(found)


BODY = WebhookMessage.model_validate_json(block("json")).model_dump_json().encode()


def signed(body: bytes = BODY, at: float | None = None) -> dict[str, str]:
    timestamp = int(time.time() if at is None else at)
    return dict(headers_of("evt_1", body, timestamp=timestamp, secrets=[secret_of(b"o"), SECRET]))


def in_python(body: bytes, headers: dict[str, str]) -> bool:
    scope: dict[str, Any] = {}
    exec(block("python"), scope)
    return bool(scope["receive"](body, headers, SECRET) == 204)


def in_node(body: bytes, headers: dict[str, str]) -> bool:
    asked = json.dumps([body.decode(), headers, SECRET])
    call = f"const [b, h, s] = {asked}; console.log(verify(Buffer.from(b), h, s).type);"
    done = subprocess.run(
        ["node", "-e", block("js") + call], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 or "Error: " in done.stderr
    return done.returncode == 0 and done.stdout == "audit.succeeded\n"


@pytest.mark.parametrize("accepts", [in_python, in_node])
def test_each_receiver_of_the_document_accepts_what_is_right_and_nothing_else(accepts: Any) -> None:
    assert accepts(BODY, signed())
    assert not accepts(BODY + b" ", signed())
    assert not accepts(BODY, signed(at=time.time() - 1000))
    assert not accepts(BODY, signed() | {"webhook-id": "evt_2"})
    assert not accepts(BODY, signed() | {"webhook-signature": "v1,AAAA"})


def test_the_settings_and_the_schedule_are_as_documented() -> None:
    table = TEXT[TEXT.index("## Where") :]
    names = {n for n in Settings.model_fields if n.startswith("webhook_")}
    assert all(f"_{name.removeprefix('webhook_').upper()}" in table for name in names)
    settings = Settings()
    assert (settings.webhook_timeout_seconds, settings.webhook_attempts) == (10, 10)
    assert (settings.webhook_retry_seconds, settings.webhook_log_days) == (5, 30)

    class Middle:
        def uniform(self, low: float, high: float) -> float:
            return (low + high) / 2

    middle: Any = Middle()
    pauses = [pause_before(n, most=10, first_seconds=5, random=middle) or 0 for n in range(1, 10)]
    assert pauses[:6] == pytest.approx([5, 20, 80, 320, 1280, 5120])
    assert pauses[7:] == [6 * 3600] * 2
    assert sum(pauses) == pytest.approx(20 * 3600, rel=0.1)


def test_every_type_in_the_document_exists() -> None:
    used = set(re.findall(r"\b(?:audit|stage|experiment|webhook)\.[a-z]+\b", TEXT))
    assert used and used <= {*get_args(MessageType)}
