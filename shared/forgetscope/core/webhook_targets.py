"""Where webhooks may be sent: addresses taken apart, the allow-list, public IP addresses. Pure.

Only one parser reads an address, and what it does not understand is refused: two that disagree
about the host are how such checks are passed by.
"""

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import NamedTuple

from forgetscope.schema.errors import TargetNotAllowed

__all__ = ["AllowList", "Target", "check_addresses", "check_listed", "is_public", "target_of"]

Address = IPv4Address | IPv6Address

_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/[!-~]*|\?[!-~]*)?"
)
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_PORTS = {"http": 80, "https": 443}

# Links between IPv4 and IPv6 through which an IPv4 address is reached: RFC 4291 section 2.5.5.2,
# RFC 6052 section 2.1, RFC 3056 section 2. The number of bits to the right of the IPv4 address.
_EMBEDDING = (
    (IPv6Network("::ffff:0:0/96"), 0),
    (IPv6Network("64:ff9b::/96"), 0),
    (IPv6Network("2002::/16"), 80),
)
_GLOBAL_UNICAST = IPv6Network("2000::/3")
# Services of clouds that hand out credentials: the usual link-local one is refused with its range.
_METADATA = (
    IPv4Network("100.100.100.200/32"),
    IPv4Network("168.63.129.16/32"),
    IPv6Network("fd00:ec2::254/128"),
)


class Target(NamedTuple):
    """The parts of an address. `host` is in lower case, an IPv6 address without brackets."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """For the header Host: without the port that the scheme implies."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def target_of(url: str) -> Target:
    """Take an address apart. Raises TargetNotAllowed."""
    found = _URL.fullmatch(url.partition("#")[0])
    if found is None:
        raise _refused(
            "this is not an http or https address of a host",
            "Write https://host/path in ASCII, without user name; international names as xn--….",
        )
    host = found["host"].lower().strip("[]")
    port = int(found["port"] or _PORTS[found["scheme"]])
    if not (0 < port < 65536 and _is_host(host)):
        raise _refused(f"{found['host']}:{port} is no host and port", "Correct the address.")
    path = found["path"] or "/"
    return Target(found["scheme"], host, port, path if path.startswith("/") else f"/{path}")


def _is_host(host: str) -> bool:
    last = host.rstrip(".").rpartition(".")[2]
    if ":" in host or last.isdigit() or last.startswith("0x"):
        # Resolvers take many spellings of numbers for addresses; here there is one.
        try:
            ip_address(host)
        except ValueError:
            return False
        return True
    return len(host) <= 253 and all(map(_LABEL.fullmatch, host.removesuffix(".").split(".")))


class AllowList(NamedTuple):
    """Hosts, `host:port`s and `*.suffix`es; empty: every host with a public address."""

    entries: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "AllowList":
        """Entries between commas. Raises ValueError for what can match no host."""
        entries = tuple(e.strip().lower() for e in text.split(",") if e.strip())
        for entry in entries:
            host, _ = _split(entry)
            if not _is_host(host.removeprefix("*.")):
                raise ValueError(f"{entry!r} is neither a host, nor host:port, nor *.suffix")
        return cls(entries)

    def has(self, target: Target) -> bool:
        """Whether an entry names the target."""
        return any(_matches(*_split(entry), target) for entry in self.entries)


def _split(entry: str) -> tuple[str, int | None]:
    host, colon, port = entry.rpartition(":")
    if colon and port.isdigit() and (":" not in host or host.endswith("]")):
        return host.strip("[]"), int(port)
    return entry.strip("[]"), None


def _matches(host: str, port: int | None, target: Target) -> bool:
    if port not in {None, target.port}:
        return False
    name = target.host.removesuffix(".")
    if host.startswith("*."):
        return name.endswith(host[1:])
    return _same(name, host)


def _same(one: str, other: str) -> bool:
    try:
        return ip_address(one) == ip_address(other)
    except ValueError:
        return one == other


def is_public(address: Address) -> bool:
    """Whether the address belongs to the public internet, by the registries of RFC 6890.

    An IPv4 address inside of an IPv6 one is judged itself; beside those, only global unicast.
    """
    inner = _inner(address)
    if any(inner in network for network in _METADATA if network.version == inner.version):
        return False
    if isinstance(inner, IPv6Address) and inner not in _GLOBAL_UNICAST:
        return False
    return inner.is_global and not inner.is_multicast


def _never(address: Address) -> bool:
    """Where no allow-list reaches: metadata services, many receivers at once, nobody."""
    inner = _inner(address)
    return (
        inner.is_link_local
        or inner.is_multicast
        or inner.is_unspecified
        or any(inner in network for network in _METADATA if network.version == inner.version)
    )


def _inner(address: Address) -> Address:
    if isinstance(address, IPv6Address):
        for network, shift in _EMBEDDING:
            if address in network:
                return IPv4Address((int(address) >> shift) & 0xFFFFFFFF)
    return address


def check_addresses(target: Target, found: Iterable[str], allowed: AllowList) -> None:
    """Refuse a target unless it may be connected to at every address that its name stands for.

    Raises TargetNotAllowed.
    """
    listed = check_listed(target, allowed)
    for text in found:
        address = ip_address(text.partition("%")[0])
        if _never(address) or not (listed or is_public(address)):
            raise _refused(
                f"{target.host} stands for {address}, which is not a public address",
                "An operator can allow a private host: FORGETSCOPE_WEBHOOK_HOSTS. Link-local and "
                "metadata addresses are never allowed.",
            )


def check_listed(target: Target, allowed: AllowList) -> bool:
    """Whether the list names the target. Raises TargetNotAllowed when it names only others."""
    listed = allowed.has(target)
    if allowed.entries and not listed:
        raise _refused(
            f"{target.host}:{target.port} is not on the server's allow-list",
            "An operator can add it to FORGETSCOPE_WEBHOOK_HOSTS.",
        )
    return listed


def _refused(detail: str, hint: str) -> TargetNotAllowed:
    return TargetNotAllowed(detail, where="/url", hint=hint)
