"""ICMP errors go out at a rate that is limited for each destination, and in all by a budget that nobody can count."""

from __future__ import annotations

from synfin.stack.addresses import packed
from synfin.stack.icmp_limits import HOST_BURST, HOSTS_LIMIT, IcmpLimits
from synfin.stack.stack import Stack
from synfin.tcp.config import Config
from synfin.tcp.counters import Counters
from synfin.wire import icmp, udp
from synfin.wire.ip import IpHeader
from synfin.wire.ip import parse_untrusted as parse_ip
from synfin.wire.key import make_key
from synfin.wire.segment import finish

SECOND = 1_000_000
HOST = packed("10.0.0.2")


def limits(per_second: int = 1000, burst: int = 50, interval_us: int = SECOND) -> tuple[IcmpLimits, Counters]:
    """Limits as Linux's defaults have them, and what they count."""
    counters = Counters()
    return IcmpLimits(bytes(range(32)), per_second, burst, interval_us, counters), counters


def address(number: int) -> bytes:
    """One of very many hosts."""
    return b"\x0a" + number.to_bytes(3, "big")


def drain(budget: IcmpLimits, now: int, first: int) -> int:
    """Errors that many different destinations get at `now`."""
    sent = 0
    while budget.take(address(first + sent), now):
        sent += 1
    return sent


def test_one_destination_gets_six_at_once_and_then_one_a_second() -> None:
    budget, counters = limits()
    assert [budget.take(HOST, 0) for _ in range(10)] == [True] * HOST_BURST + [False] * (10 - HOST_BURST)
    assert not budget.take(HOST, SECOND - 1)
    assert [budget.take(HOST, SECOND) for _ in range(2)] == [True, False]
    assert [budget.take(HOST, 100 * SECOND) for _ in range(7)] == [True] * HOST_BURST + [False]
    assert counters.OutRateLimitHost == 4 + 1 + 1 + 1 and counters.OutRateLimitGlobal == 0


def test_what_one_destination_is_refused_costs_the_others_nothing() -> None:
    budget, counters = limits(burst=100)
    for _ in range(100_000):
        budget.take(HOST, 0)
    assert drain(budget, 0, 1000) > 50
    assert counters.OutRateLimitHost == 100_000 - HOST_BURST


def test_all_destinations_share_a_budget_of_about_fifty_at_once_and_a_thousand_a_second() -> None:
    budget, counters = limits()
    sent = sum(budget.take(address(number), number * 100) for number in range(100_000))
    assert abs(sent - (50 + 10 * 1000)) < 300
    assert counters.OutRateLimitGlobal == 100_000 - sent


def test_nobody_can_tell_from_what_is_left_how_many_errors_went_to_others() -> None:
    # CVE-2020-25705 counts to the fiftieth; here one more or less is far below what is drawn
    budget, _ = limits()
    given = [drain(budget, number * SECOND, 1000 * number) for number in range(500)]
    mean = sum(given) / len(given)
    assert abs(mean - 50) < 2
    assert sum((one - mean) ** 2 for one in given) / len(given) > 4**2
    other = IcmpLimits(bytes(32), 1000, 50, SECOND, Counters())
    assert given != [drain(other, number * SECOND, 1000 * number) for number in range(500)]


def test_no_limit_for_a_destination_leaves_the_one_for_all() -> None:
    budget, counters = limits(interval_us=0)
    assert abs(sum(budget.take(HOST, 0) for _ in range(1000)) - 50) < 25
    assert counters.OutRateLimitHost == 0


def test_destinations_are_remembered_in_bounded_number() -> None:
    budget, _ = limits(per_second=1_000_000, burst=10 * HOSTS_LIMIT)
    for number in range(3 * HOSTS_LIMIT):
        assert budget.take(address(number), number)
        assert len(budget) <= HOSTS_LIMIT


# ---- at the stack ----

OWN4, OWN6 = packed("10.0.0.1"), packed("fd00::1")


def stack() -> Stack:
    return Stack([OWN4, OWN6], Config(), entropy=lambda n: bytes(range(n)))


def errors_to(host: Stack, sender: bytes, count: int, now: int = 0) -> int:
    """Port unreachables that `count` datagrams of one sender to closed ports are answered by, all well made."""
    own = OWN4 if len(sender) == 4 else OWN6
    for number in range(count):
        host.receive(udp.build(make_key(sender, own, 1000 + number, 9), b"anybody?"), now)
    answers = [finish(burst) for burst in host.poll(now, 1 << 20)]
    for packet in answers:
        header = IpHeader()
        parse_ip(packet, header)
        message = icmp.parse_untrusted(packet, header, False)
        assert (message.type, message.code) == ((3, 3) if header.version == 4 else (1, 4))
        assert message.quoted_len == (28 if header.version == 4 else 48) + 8
    return len(answers)


def test_a_flood_of_datagrams_with_one_source_draws_six_errors_and_keeps_no_other_from_its_own() -> None:
    # RFC 4443 2.4 (f); RFC 1812 4.3.2.8
    for sender, other in ((HOST, packed("10.0.0.3")), (packed("fd00::2"), packed("fd00::3"))):
        host = stack()
        assert errors_to(host, sender, 1000) == HOST_BURST
        assert host.counters.OutRateLimitHost == 1000 - HOST_BURST
        assert errors_to(host, other, 1) == 1
        assert errors_to(host, sender, 2, SECOND) == 1


def test_a_flood_of_datagrams_with_many_sources_draws_about_fifty_errors() -> None:
    host = stack()
    sent = sum(errors_to(host, address(number), 1) for number in range(10_000, 11_000))
    assert abs(sent - 50) < 25
    assert host.counters.OutRateLimitGlobal == 1000 - sent


def test_a_host_tells_itself_of_every_closed_port() -> None:
    # as Linux: the loopback has no limit
    host = stack()
    client = host.open_datagrams(OWN4, 5000, (OWN4, 9))
    for _ in range(100):
        client.send(b"anybody?", OWN4, 9)
    host.poll(0, 1 << 20)
    assert len(client.errors) == 100
