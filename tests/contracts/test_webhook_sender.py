"""The sender of webhooks against real servers on this machine."""

import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from webhook_receiver import Receiver, receiving, status

from forgetscope.adapters.webhooks_http import HttpSender
from forgetscope.core.webhook_targets import AllowList
from forgetscope.ports.webhooks import Sender
from forgetscope.schema.errors import TargetNotAllowed


def sender_to(*hosts: str, seconds: float = 20) -> HttpSender:
    return HttpSender(AllowList(hosts), seconds=seconds, user_agent="forgetscope/test")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[list[str]]]:
    """Names that resolve to one list of addresses after the other; the last one stays."""
    known: dict[str, list[list[str]]] = {}
    real = socket.getaddrinfo

    def resolve(host: str, port: int, *args: Any, **options: Any) -> Any:
        if host not in known:
            return real(host, port, *args, **options)
        answers = known[host]
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [found for a in addresses for found in real(a, port, *args, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return known


def test_the_adapter_is_a_sender_and_what_it_sends_arrives(receiver: Receiver) -> None:
    sender: Sender = sender_to("127.0.0.1")
    sender.check(receiver.url)
    answer = sender.send(f"{receiver.url}?a=b", {"webhook-id": "evt_1"}, b'{"a":1}')
    assert (answer.status, answer.error) == (204, None)
    (one,) = receiver.arrived
    assert (one.path, one.body, one.id) == ("/in?a=b", b'{"a":1}', "evt_1")
    assert one.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert one.headers["user-agent"] == "forgetscope/test"


def test_a_private_address_is_refused_unless_it_is_listed(receiver: Receiver) -> None:
    for sender in (sender_to(), sender_to("ci.example"), sender_to(f"127.0.0.1:{1}")):
        with pytest.raises(TargetNotAllowed):
            sender.check(receiver.url)
        assert "127.0.0.1" in str(sender.send(receiver.url, {}, b"").error)
    assert receiver.arrived == []


def test_a_name_that_does_not_resolve_is_refused(names: dict[str, list[list[str]]]) -> None:
    with pytest.raises(TargetNotAllowed, match="resolved"):
        sender_to("nowhere.invalid").check("https://nowhere.invalid/")


def test_a_name_that_becomes_private_after_the_check_is_not_connected_to(
    receiver: Receiver, names: dict[str, list[list[str]]]
) -> None:
    names["rebind.example"] = [["93.184.215.14"], ["127.0.0.1"]]
    sender, url = sender_to(), f"http://rebind.example:{receiver.port}/"
    sender.check(url)
    answer = sender.send(url, {}, b"")
    assert (answer.status, receiver.arrived) == (None, [])
    assert "not a public address" in str(answer.error)


def test_one_private_address_among_public_ones_refuses_the_name(
    receiver: Receiver, names: dict[str, list[list[str]]]
) -> None:
    names["both.example"] = [["93.184.215.14", "127.0.0.1"]]
    with pytest.raises(TargetNotAllowed, match=r"127\.0\.0\.1"):
        sender_to().check(f"http://both.example:{receiver.port}/")


def test_the_name_is_resolved_once_for_a_connection_and_kept_in_the_request(
    receiver: Receiver, names: dict[str, list[list[str]]]
) -> None:
    names["ci.example"] = [["127.0.0.1"], ["169.254.169.254"]]
    sender, url = sender_to("ci.example"), f"http://ci.example:{receiver.port}/"
    assert sender.send(url, {}, b"").status == 204
    assert receiver.arrived[0].headers["host"] == f"ci.example:{receiver.port}"
    assert "169.254.169.254" in str(sender.send(url, {}, b"").error)


def test_the_next_address_is_tried_when_one_does_not_answer(
    receiver: Receiver, names: dict[str, list[list[str]]]
) -> None:
    names["ci.example"] = [["127.0.0.2", "127.0.0.1"]]  # nobody listens at the first
    url = f"http://ci.example:{receiver.port}/"
    assert sender_to("ci.example").send(url, {}, b"").status == 204


def test_a_redirect_is_an_answer_and_is_not_followed(receiver: Receiver) -> None:
    receiver.answers = [status(307, Location=f"http://127.0.0.1:{receiver.port}/private")]
    answer = sender_to("127.0.0.1").send(receiver.url, {}, b"")
    assert (answer.status, [one.path for one in receiver.arrived]) == (307, ["/in"])


def test_proxies_of_the_environment_are_not_used(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiving() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert sender_to("127.0.0.1").send(receiver.url, {}, b"").status == 204
        assert proxy.arrived == []


def test_of_a_large_answer_a_short_begin_is_kept(receiver: Receiver) -> None:
    receiver.answers = [status(500, b"oh no \xff\n " + b"x" * 3_000_000)]
    answer = sender_to("127.0.0.1").send(receiver.url, {}, b"")
    assert answer.status == 500 and answer.excerpt is not None
    assert answer.excerpt.startswith("oh no \ufffd x") and len(answer.excerpt) == 200


@pytest.mark.parametrize("slow", ["head", "body", "silent"])
def test_an_answer_that_trickles_is_given_up(receiver: Receiver, slow: str) -> None:
    def trickle(handler: BaseHTTPRequestHandler) -> None:
        if slow == "body":
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not (slow == "silent" and handler.connection.recv(1) == b""):
            handler.wfile.write(b"x")
            handler.wfile.flush()
            handler.connection.settimeout(0.05)
            try:
                if handler.connection.recv(1) == b"":
                    return
            except TimeoutError:
                continue

    receiver.answers = [trickle]
    answer = sender_to("127.0.0.1", seconds=0.5).send(receiver.url, {}, b"")
    assert (answer.status, answer.error) == (None, "no answer within 0.5 s")


def test_what_is_no_http_is_a_failed_attempt(receiver: Receiver) -> None:
    receiver.answers = [lambda handler: handler.connection.close()]
    assert "broke off" in str(sender_to("127.0.0.1").send(receiver.url, {}, b"").error)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    answer = sender_to("127.0.0.1").send(f"http://127.0.0.1:{port}/", {}, b"")
    assert answer.status is None and answer.error
    answer = sender_to("127.0.0.1").send(f"https://127.0.0.1:{receiver.port}/", {}, b"")
    assert answer.status is None and answer.error


def certificate(folder: Path, name: str) -> ssl.SSLContext:
    """A server's context with a certificate of its own for `name`, kept as folder/cert.pem."""
    key = ec.generate_private_key(ec.SECP256R1())
    own = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(own)
        .issuer_name(own)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


def test_the_certificate_has_to_be_that_of_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: dict[str, list[list[str]]]
) -> None:
    names["ci.example"] = names["other.example"] = [["127.0.0.1"]]
    context = certificate(tmp_path, "ci.example")
    asked: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    with receiving(tls=context) as server:
        untrusting = sender_to("ci.example")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
        trusting = sender_to("*.example")
        url = f"https://ci.example:{server.port}/"
        assert trusting.send(url, {}, b"").status == 204
        assert asked == ["ci.example"]
        for sender, other in ((untrusting, url), (trusting, url.replace("ci.", "other."))):
            assert "CERTIFICATE_VERIFY_FAILED" in str(sender.send(other, {}, b"").error)
        assert len(server.arrived) == 1
