"""Where webhooks may be sent."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forgetscope.core.webhook_targets import (
    AllowList,
    Target,
    check_addresses,
    check_listed,
    is_public,
    target_of,
)
from forgetscope.schema.errors import TargetNotAllowed

# IANA's special-purpose registries, written down anew; none of these is the public internet.
NOT_PUBLIC = [
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
    *("172.16.0.0/12", "192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24"),
    *("203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
    *("::/128", "::1/128", "64:ff9b:1::/48", "100::/64", "2001:db8::/32", "fc00::/7"),
    *("fe80::/10", "fec0::/10", "ff00::/8"),
]
PUBLIC = ["1.1.1.1", "8.8.8.8", "172.32.0.1", "193.0.6.139", "2606:4700::1111", "2a00:1450::8a"]
PRIVATE_V4 = [n for n in NOT_PUBLIC if "." in n]
inside = (
    st.sampled_from(NOT_PUBLIC)
    .map(ip_network)
    .flatmap(
        lambda network: st.integers(
            int(network.network_address), int(network.broadcast_address)
        ).map(type(network.network_address))
    )
)
private_v4 = (
    st.sampled_from(PRIVATE_V4)
    .map(ip_network)
    .flatmap(
        lambda network: st.integers(int(network.network_address), int(network.broadcast_address))
    )
)


@given(inside)
def test_no_address_of_a_special_range_is_public(address: Any) -> None:
    assert not is_public(address)


@given(private_v4)
def test_a_private_address_is_found_inside_of_an_ipv6_address(number: int) -> None:
    mapped, nat64 = int(IPv6Address("::ffff:0:0")), int(IPv6Address("64:ff9b::"))
    assert not is_public(IPv6Address(mapped | number))
    assert not is_public(IPv6Address(nat64 | number))
    assert not is_public(IPv6Address((0x2002 << 112) | (number << 80) | 1))


@pytest.mark.parametrize("text", PUBLIC)
def test_an_address_of_the_internet_is_public_by_every_way(text: str) -> None:
    address = ip_address(text)
    assert is_public(address)
    if isinstance(address, IPv4Address):
        assert is_public(IPv6Address(f"64:ff9b::{address}"))
        assert is_public(IPv6Address(f"::ffff:{address}"))


@pytest.mark.parametrize(
    "text", ["169.254.169.254", "100.100.100.200", "168.63.129.16", "fd00:ec2::254"]
)
def test_metadata_services_are_refused_even_where_the_host_is_listed(text: str) -> None:
    address = ip_address(text)
    assert not is_public(address)
    target = Target("http", text, 80, "/")
    with pytest.raises(TargetNotAllowed):
        check_addresses(target, [text], AllowList((text,)))


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://Ci.Example/in?x=1", Target("https", "ci.example", 443, "/in?x=1")),
        ("http://ci.example:8080", Target("http", "ci.example", 8080, "/")),
        ("http://[2606:4700::1]:81/a#b", Target("http", "2606:4700::1", 81, "/a")),
        ("http://ci.example?x", Target("http", "ci.example", 80, "/?x")),
        ("https://1.1.1.1/", Target("https", "1.1.1.1", 443, "/")),
    ],
)
def test_an_address_is_taken_apart(url: str, target: Target) -> None:
    assert target_of(url) == target


@pytest.mark.parametrize(
    "url",
    [
        "ftp://ci.example/",
        "https://user@ci.example/",
        "https://user:word@ci.example/",
        "https://ci.example\\@10.0.0.1/",
        "https:///path",
        "https://ci.example:0/",
        "https://ci.example:70000/",
        "http://127.1/",
        "http://0x7f000001/",
        "http://2130706433/",
        "http://0177.0.0.1/",
        "http://127.0.0.1.:80/",
        "http://[::1%25eth0]/",
        "http://[fe80::1",
        "http://exa mple/",
        "http://bücher.example/",
        "http://-a.example/",
        "http://a..example/",
        "file:///etc/passwd",
        "https://ci.example/\r\nHost: other",
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(url: str) -> None:
    with pytest.raises(TargetNotAllowed) as caught:
        target_of(url)
    assert caught.value.where == "/url" and caught.value.hint


def test_without_a_list_every_host_with_public_addresses_only_is_allowed() -> None:
    target, nobody = target_of("https://ci.example/"), AllowList()
    check_addresses(target, PUBLIC, nobody)
    with pytest.raises(TargetNotAllowed, match=r"10\.0\.0\.1"):
        check_addresses(target, [*PUBLIC, "10.0.0.1"], nobody)


def test_a_list_allows_its_hosts_even_if_they_are_private_and_no_others() -> None:
    allowed = AllowList.parse("ci.example, 10.1.2.3:8080, *.corp.example,[::1]:9")
    for url, address in (
        ("https://ci.example:99/", "192.168.0.1"),
        ("http://10.1.2.3:8080/", "10.1.2.3"),
        ("http://a.b.corp.example/", "fd00::1"),
        ("http://[0:0::1]:9/", "::1"),
        ("http://ci.example./", "127.0.0.1"),
    ):
        check_addresses(target_of(url), [address], allowed)
    for url in (
        "https://other.example/",
        "http://10.1.2.3/",
        "http://corp.example/",
        "http://evilcorp.example/",
        "http://ci.example.evil.example/",
        "http://[::1]:10/",
    ):
        with pytest.raises(TargetNotAllowed, match="allow-list"):
            check_listed(target_of(url), allowed)


@pytest.mark.parametrize("text", ["http://a.example", "a b", "*", "a.example/x", "0x7f.1"])
def test_a_list_that_can_match_no_host_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="neither a host"):
        AllowList.parse(text)
