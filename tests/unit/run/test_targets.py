from __future__ import annotations

import pytest

from synfin.run.policy import DENY, HOST, PASS, Policy
from synfin.run.publish import Published, parse_published
from synfin.run.targets import parse_target

NAMES = {"db": "10.1.2.3", "six": "2001:db8::3"}


@pytest.mark.parametrize(
    ("text", "address", "port", "has"),
    [
        ("db", "10.1.2.3", 5432, True),
        ("db:5432", "10.1.2.3", 5432, True),
        ("db:5432", "10.1.2.3", 5433, False),
        ("six:80", "2001:db8::3", 80, True),
        ("10.0.0.0/8", "10.200.0.1", 1, True),
        ("10.0.0.0/8", "11.0.0.1", 1, False),
        ("10.0.0.0/8:53", "10.0.0.1", 53, True),
        ("[2001:db8::1]:443", "2001:db8::1", 443, True),
        ("2001:db8::/32", "2001:db8::1", 443, True),
        ("2001:db8::/32", "10.0.0.1", 443, False),
        ("*", "10.0.0.1", 0, True),
        ("*:53", "2001:db8::1", 53, True),
        (":53", "2001:db8::1", 53, True),
        ("*:53", "2001:db8::1", 0, False),
    ],
)
def test_a_place_is_told_by_name_address_network_or_port(text: str, address: str, port: int, has: bool) -> None:
    assert parse_target(text, NAMES).has(address, port) is has


@pytest.mark.parametrize(
    "text", ["", "[]", "nobody", "db:0", "db:x", "db:70000", "[::1", "[::1]x", "10.0.0.300", "db:-1", "1:2:3"]
)
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no place|a port is"):
        parse_target(text, NAMES)


def judge(address: str, port: int = 80, *, deny: str = "", allow: str = "", allow_host: bool = False) -> str:
    policy = Policy(
        deny=[parse_target(text, NAMES) for text in deny.split()],
        allow=[parse_target(text, NAMES) for text in allow.split()],
        host=["198.18.0.1"],
        allow_host=allow_host,
    )
    return policy.judge(address, port)


def test_everything_but_this_machine_is_reachable_unless_something_is_said() -> None:
    assert [judge(to) for to in ("10.1.2.3", "127.0.0.1", "::1", "0.0.0.0", "198.18.0.1")] == [PASS, *[DENY] * 4]
    assert judge("198.18.0.1", allow_host=True) == HOST


def test_what_is_denied_is_but_for_what_is_allowed() -> None:
    assert [judge(to, deny="10.0.0.0/8", allow="db:80") for to in ("10.1.2.4", "10.1.2.3", "11.0.0.1")] == [
        DENY,
        PASS,
        PASS,
    ]
    assert judge("10.1.2.3", 81, deny="10.0.0.0/8", allow="db:80") == DENY


def test_allowed_alone_leaves_nothing_else() -> None:
    assert [judge(to, allow="db:80") for to in ("10.1.2.3", "11.0.0.1")] == [PASS, DENY]


def test_what_is_allowed_does_not_open_this_machines_loopback() -> None:
    assert [judge(to, allow="* 127.0.0.0/8") for to in ("127.0.0.1", "198.18.0.1")] == [DENY, DENY]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8080:80", Published("127.0.0.1", 8080, 80)),
        ("0.0.0.0:8080:80", Published("0.0.0.0", 8080, 80)),
        ("[::]:53:53/udp", Published("::", 53, 53, udp=True)),
        ("80:80/tcp", Published("127.0.0.1", 80, 80)),
    ],
)
def test_a_published_port_is_this_machines_loopbacks_unless_an_address_is_given(text: str, expected: Published) -> None:
    assert parse_published(text) == expected


@pytest.mark.parametrize("text", ["80", "80:", ":80", "a:b", "80:80/sctp", "host:80:80", "0:80", "80:70000", ""])
def test_what_is_no_published_port_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_published(text)
