"""Certificates: what they state, and that nothing about them can change unnoticed."""

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from audit_values import policy, results, row
from Crypto.PublicKey import ECC
from Crypto.Signature import eddsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from google.protobuf import json_format
from huggingface_hub import ModelCard
from hypothesis import given
from hypothesis import strategies as st
from in_toto_attestation.v1.statement import Statement as OtherStatement
from in_toto_attestation.v1.statement_pb2 import Statement as StatementMessage  # type: ignore
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey

from forgetscope.cli.card import model_card
from forgetscope.cli.certificate import verified
from forgetscope.cli.envelope import PAYLOAD_TYPE, opened, seal
from forgetscope.core.audit_outputs.statement import Statement, state
from forgetscope.schema.errors import InvalidInput

ISSUED = datetime(2026, 11, 20, 12, tzinfo=UTC)
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32))
RESULTS = results(row(), row(group="velin"), row("breach", group="dorrak", tier="warn"))
STATEMENT = state(RESULTS, issued=ISSUED, days=30, version="0.1.0")
ENVELOPE = seal(STATEMENT.model_dump_json().encode(), KEY)


def test_a_certificate_states_models_data_policy_rows_and_its_end() -> None:
    found = verified(ENVELOPE, KEY.public_key(), now=ISSUED)
    assert found == STATEMENT
    told = found.predicate
    assert [(s.name, s.digest["sha256"]) for s in found.subject] == [
        ("config.json", "b" * 64),
        ("model.safetensors", "a" * 64),
    ]
    assert told.data == {"safety": "d" * 64}
    assert (told.policy, told.policy_digest) == (RESULTS.policy, RESULTS.policy_digest)
    assert told.rows == RESULTS.rows
    assert told.expires == ISSUED + timedelta(days=30)
    assert told.versions["forgetscope"] == "0.1.0"


def test_it_holds_from_its_issue_until_just_before_its_end() -> None:
    key, end = KEY.public_key(), ISSUED + timedelta(days=30)
    moment = timedelta(microseconds=1)
    for now in (ISSUED, end - moment):
        verified(ENVELOPE, key, now=now)
    with pytest.raises(InvalidInput, match="has expired on 2026-12-20 12:00 UTC"):
        verified(ENVELOPE, key, now=end)
    with pytest.raises(InvalidInput, match="was issued later"):
        verified(ENVELOPE, key, now=ISSUED - moment)


def test_another_key_is_refused() -> None:
    with pytest.raises(InvalidInput, match="by another key"):
        opened(ENVELOPE, OTHER.public_key())


def test_every_changed_byte_of_the_file_is_seen() -> None:
    key = KEY.public_key()
    for place in range(len(ENVELOPE)):
        for flip in (0x01, 0x80):
            changed = bytearray(ENVELOPE)
            changed[place] ^= flip
            with pytest.raises(InvalidInput):
                opened(bytes(changed), key)


def test_every_changed_byte_of_the_payload_is_seen_however_well_it_is_wrapped() -> None:
    payload = opened(ENVELOPE, KEY.public_key())
    whole = json.loads(ENVELOPE)
    for place in range(len(payload)):
        changed = bytearray(payload)
        changed[place] ^= 0x01
        whole["payload"] = base64.b64encode(bytes(changed)).decode()
        with pytest.raises(InvalidInput, match="the signature does not fit: it has changed"):
            opened((json.dumps(whole, indent=1) + "\n").encode(), KEY.public_key())


@given(st.binary(max_size=200), st.integers(0, 10_000), st.integers(0, 40))
def test_inserted_and_removed_bytes_are_seen(new: bytes, place: int, removed: int) -> None:
    at = place % len(ENVELOPE)
    changed = ENVELOPE[:at] + new + ENVELOPE[at + removed :]
    if changed != ENVELOPE:
        with pytest.raises(InvalidInput):
            opened(changed, KEY.public_key())


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b"null", b"\xff", b"[" * 100_000])
def test_what_is_no_envelope_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidInput, match="no envelope"):
        opened(text, KEY.public_key())


def test_a_signed_text_that_is_no_certificate_is_refused() -> None:
    for payload in (b"{}", b"not json", STATEMENT.model_dump_json().replace("v1", "v9").encode()):
        with pytest.raises(InvalidInput, match="no certificate"):
            verified(seal(payload, KEY), KEY.public_key(), now=ISSUED)


def test_another_implementation_of_the_signature_agrees() -> None:
    """PyCryptodome has Ed25519 of its own; the encoding is written out from the protocol."""
    whole = json.loads(ENVELOPE)
    payload = base64.standard_b64decode(whole["payload"])
    encoded = f"DSSEv1 {len(PAYLOAD_TYPE)} {PAYLOAD_TYPE} {len(payload)} ".encode() + payload
    signature = base64.standard_b64decode(whole["signatures"][0]["sig"])
    raw = KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    other = eddsa.new(ECC.import_key(eddsa_key(raw)), "rfc8032")
    other.verify(encoded, signature)
    with pytest.raises(ValueError, match="signature"):
        other.verify(encoded + b" ", signature)


def eddsa_key(raw: bytes) -> bytes:
    """A public key in DER: RFC 8410, section 4."""
    return bytes.fromhex("302a300506032b6570032100") + raw


def test_another_implementation_of_the_envelope_agrees() -> None:
    whole = json.loads(ENVELOPE)
    key_id = whole["signatures"][0]["keyid"]
    envelope = Envelope.from_dict(json.loads(ENVELOPE))
    assert envelope.payload_type == "application/vnd.in-toto+json"
    known = SSlibKey.from_crypto(KEY.public_key(), keyid=key_id)
    assert list(envelope.verify([known], 1)) == [key_id]
    envelope.payload += b" "
    with pytest.raises(VerificationError):
        envelope.verify([known], 1)


def test_another_implementation_of_the_statement_agrees() -> None:
    message = json_format.Parse(opened(ENVELOPE, KEY.public_key()), StatementMessage())
    read = OtherStatement.copy_from_pb(message)
    read.validate()
    assert read.pb.predicate_type == "urn:forgetscope:attestation:audit:v1"
    assert read.pb.subject[0].digest["sha256"] == "b" * 64


@pytest.mark.parametrize(
    ("of", "said"),
    [
        (results(row("breach"), outcome="breach"), "the outcome is breach"),
        (results(row("underpowered"), outcome="underpowered"), "the outcome is underpowered"),
        (results(row("breach")), "does not follow"),
        (results(row(), missing=("bias",)), "does not follow"),
        (results(row(), policy_digest="e" * 64), "does not follow"),
        (results(row(), files={}), "no file of the candidate"),
    ],
)
def test_nothing_is_certified_that_did_not_pass_or_contradicts_itself(of, said: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InvalidInput, match=said):
        state(of, issued=ISSUED, days=30, version="0.1.0")


def test_the_policy_is_signed_with_its_waivers() -> None:
    waiver = {
        "task": "safety",
        "group": "velin",
        "reason": "known",
        "approved_by": "Ada",
        "expires": "2026-12-01",
    }
    of = results(row("breach", group="velin", waived="known"), policy=policy(waivers=[waiver]))
    told = state(of, issued=ISSUED, days=30, version="0.1.0").predicate
    assert told.policy.waivers[0].approved_by == "Ada"


def test_the_hub_reads_the_card_of_a_certificate() -> None:
    card = ModelCard(model_card(STATEMENT, "my-model"))
    read = {r.dataset_name: r for r in card.data.eval_results or []}
    assert set(read) == {"safety", "safety: velin", "safety: dorrak"}
    assert read["safety: dorrak"].metric_value == pytest.approx(0.7)
    assert read["safety"].dataset_revision == "d" * 64
    assert card.data.model_name == "my-model"
    assert "| safety | dorrak | 90.0 | 70.0 | +20.0 " in card.text
    assert "the certificate holds until 2026-12-20" in card.text


def test_a_statement_reads_back_as_it_was() -> None:
    assert Statement.model_validate_json(STATEMENT.model_dump_json()) == STATEMENT
