"""The commands around audits that need no platform: usage, policies, certificates."""

import json
import stat
from pathlib import Path

import jsonschema
import pytest
import yaml
from audit_values import policy, results, row
from typer.testing import CliRunner

from forgetscope.cli.main import app
from forgetscope.schema.policy import Policy

NOBODY = "http://127.0.0.1:9"  # the discard port: nobody listens there


def run(*arguments: str, status: int, text: str | None = None, **environment: str) -> str:
    runner = CliRunner(env={"COLUMNS": "160", **environment})
    result = runner.invoke(app, list(arguments), input=text)
    assert result.exit_code == status, result.output
    assert "Traceback" not in result.output
    return result.output


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "audit.yaml"
    whole = {
        "reference": {"source": "builtin", "name": "tiny"},
        "candidate": {"source": "builtin", "name": "tiny"},
        "tasks": ["synthetic_safety"],
        "policy": {"name": "release", "tasks": [{"task": "synthetic_safety"}]},
    }
    path.write_text(yaml.safe_dump(whole))
    return path


def test_the_help_of_an_audit_says_what_its_exit_codes_mean() -> None:
    text = " ".join(run("audit", "--help", status=0).split())
    for words in ("0 pass", "1 breach", "2 underpowered or inconclusive", "3 usage", "4 platform"):
        assert words in text


def test_wrong_usage_of_an_audit_leaves_with_3(spec: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("tasks: [")
    wrong = tmp_path / "policy.yaml"
    wrong.write_text("{name: release, tasks: [{task: a, margin: 5}]}")
    run("audit", "--bogus", status=3)
    run("audit", str(spec), "one too many", status=3)
    assert "the audit has no reference" in run("audit", status=3)
    assert "cannot be read" in run("audit", str(tmp_path / "absent.yaml"), status=3)
    assert "neither YAML nor JSON" in run("audit", str(broken), status=3)
    assert "tasks.0.margin" in run("audit", str(spec), "--policy", str(wrong), status=3)
    assert "names no commit" in run("audit", str(spec), "--candidate", "hub:a/b", status=3)
    nameless = ("--candidate", "endpoint:http://gpu:8000")
    assert "which of the server's models" in run("audit", str(spec), *nameless, status=3)
    both = ("--reference", "builtin:tiny", "--baseline", "production")
    assert "both name the reference" in run("audit", str(spec), *both, status=3)
    here = ("--embedded", *both[2:])
    assert "a temporary platform has no" in run("audit", str(spec), *here, status=3)
    assert "--home goes with --embedded" in run("audit", str(spec), "--home", "x", status=3)


def test_wrong_usage_of_other_commands_still_leaves_with_2() -> None:
    run("results", "--bogus", status=2)


def test_a_server_that_does_not_answer_leaves_with_4(spec: Path) -> None:
    run("audit", str(spec), "--server", NOBODY, status=4)


def test_a_policy_is_explained_in_words(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    waiver = {"task": "safety", "reason": "old", "approved_by": "Ada", "expires": "2020-01-01"}
    path.write_text(
        yaml.safe_dump(
            policy().model_dump(mode="json", exclude={"waivers"}) | {"waivers": [waiver]}
        )
    )
    text = run("policy", "check", str(path), status=0)
    assert "As a whole it may lose up to 5 points." in text
    assert "expired on 2020-01-01" in text


def test_a_wrong_policy_is_refused_with_the_place(tmp_path: Path) -> None:
    text = run("policy", "check", "-", text="{name: a, tasks: [{task: b, margn: 0.1}]}", status=3)
    assert "tasks.0.margn" in text


def test_the_schema_of_policies_accepts_and_refuses_as_the_platform_does() -> None:
    schema = json.loads(run("policy", "schema", status=0))
    checker = jsonschema.Draft202012Validator(schema)
    checker.check_schema(schema)
    checker.validate(policy().model_dump(mode="json"))
    for wrong in ({"margin": 5}, {"margn": 0.1}, {"tier": "loud"}):
        broken = {"name": "a", "tasks": [{"task": "b"} | wrong]}
        assert not checker.is_valid(broken)
        with pytest.raises(ValueError, match="tasks"):
            Policy.model_validate(broken)


def test_a_certificate_is_made_checked_and_shown(tmp_path: Path) -> None:
    secret, public = tmp_path / "key.pem", tmp_path / "pub.pem"
    audit, signed = tmp_path / "audit.json", tmp_path / "certificate.json"
    audit.write_text(results(row(), row(group="velin")).model_dump_json())
    keys = ("--private", str(secret), "--public", str(public))
    word = {"FORGETSCOPE_KEY_PASSPHRASE": "open sesame"}
    run("certificate", "keygen", *keys, status=0, **word)
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert "not overwritten" in run("certificate", "keygen", *keys, status=3)
    make = ("certificate", "create", str(audit), "--key", str(secret), "-o", str(signed))
    assert "passphrase is wrong or missing" in run(*make, status=3)
    run(*make, "--days", "30", status=0, **word)
    check = ("certificate", "verify", str(signed), "--key", str(public))
    text = run(*check, status=0)
    assert "ForgetScope audit passed" in text
    assert f"{'a' * 64}  model.safetensors" in text
    card = run("certificate", "card", *check[2:], "--name", "my-model", status=0)
    assert card.startswith("---\nmodel-index:\n- name: my-model\n")

    assert "has expired" in run(*check, "--at", "2999-01-01", status=1)
    run("certificate", "card", *check[2:], "--name", "m", "--at", "2999-01-01", status=1)
    other = tmp_path / "other.pem"
    more = ("--private", str(tmp_path / "b.pem"), "--public", str(other))
    run("certificate", "keygen", *more, status=0)
    text = run("certificate", "verify", str(signed), "--key", str(other), status=1)
    assert "by another key" in text
    whole = bytearray(signed.read_bytes())
    whole[len(whole) // 2] ^= 1
    signed.write_bytes(whole)
    assert "Not valid." in run(*check, status=1)


def test_a_key_of_the_wrong_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_text("nothing")
    verify = ("certificate", "verify", str(path), "--key")
    assert "is no public key" in run(*verify, str(path), status=3)
    assert "cannot be read" in run(*verify, str(tmp_path / "absent.pem"), status=3)


def test_no_certificate_is_made_for_a_breach(tmp_path: Path) -> None:
    secret, audit = tmp_path / "key.pem", tmp_path / "audit.json"
    run(
        "certificate", "keygen", "--private", str(secret), "--public", str(tmp_path / "p"), status=0
    )
    audit.write_text(results(row("breach"), outcome="breach").model_dump_json())
    target = tmp_path / "certificate.json"
    make = ("certificate", "create", str(audit), "--key", str(secret), "-o", str(target))
    assert "the outcome is breach" in run(*make, status=1)
    assert not target.exists()
