"""The neighbour table in virtual time, over ARP and over neighbour discovery alike."""

from __future__ import annotations

from importlib import import_module
from ipaddress import ip_address, ip_interface

import pytest

from synfin.links import ethernet, neighbours
from synfin.links.ethernet import ANSWER, QUESTION, Message, announcement, answer, parse_arp_untrusted, question
from synfin.links.neighbours import (
    ANNOUNCE_US,
    DEFEND_US,
    DELAY_US,
    FAILED_US,
    PROBE_US,
    QUEUE_LIMIT,
    REACHABLE_US,
    RETRANS_US,
    STALE_US,
    TABLE_LIMIT,
    Duplicate,
    Neighbours,
)
from tests.conftest import need_library

ME, YOU, OTHER = (bytes.fromhex(f"0200000000{last}") for last in ("0a", "0b", "0c"))
NETWORKS = {4: "10.9.0.2/24", 6: "fd00:9::2/64"}
GATEWAYS = {4: "10.9.0.254", 6: "fd00:9::fe"}
NEAR = {4: "10.9.0.7", 6: "fd00:9::7"}
FAR = {4: "192.0.2.1", 6: "2001:db8::1"}
START = 5_000_000


def packed(text: str) -> bytes:
    return ip_address(text).packed


class Net:
    """A table of one family in virtual time."""

    def __init__(self, version: int, gateway: bool = False, verify: bool = False) -> None:
        self.version = version
        own = ip_interface(NETWORKS[version])
        gateways = [ip_address(GATEWAYS[version])] if gateway else []
        self.table = Neighbours(ME, [own], gateways, verify)
        self.own = own.ip.packed
        self.now = START
        if not verify:
            self.tick(0)
            self.tick(ANNOUNCE_US)

    def tick(self, microseconds: int) -> list[bytes]:
        """Let time pass; the frames that went out."""
        self.now += microseconds
        sent = []
        while self.table.deadline <= self.now:
            self.table.on_timer(self.now)
            sent += self.table.take()
        return sent + self.table.take()

    def packet(self, to: str) -> bytes:
        """Enough of an IP packet."""
        if self.version == 4:
            return bytes(12) + self.own + packed(to)
        return bytes(8) + self.own + packed(to)

    def send(self, to: str) -> bytes:
        """The header of a frame to a neighbour, if it is known."""
        return self.table.way(self.table.next_hop(packed(to)), self.packet(to))

    def hear(self, message: Message | None) -> list[bytes]:
        assert message is not None
        self.table.on_message(message, self.now)
        return self.table.take()

    def answered(self, who: str, mac: bytes = YOU, solicited: bool = True, override: bool = True) -> list[bytes]:
        return self.hear(Message(ANSWER, packed(who), mac, packed(who), solicited, override))

    def asked(self, who: str, mac: bytes = YOU, target: bytes = b"") -> list[bytes]:
        return self.hear(Message(QUESTION, packed(who), mac, target or self.own, False, True))

    def state(self, who: str) -> str:
        found = self.table.table.get(packed(who))
        return "" if found is None else found.state

    def known(self) -> None:
        """NEAR becomes reachable."""
        self.send(NEAR[self.version])
        self.tick(0)
        self.answered(NEAR[self.version])

    def header(self, mac: bytes = YOU) -> bytes:
        return mac + ME + (ethernet.IPV4 if self.version == 4 else ethernet.IPV6)


@pytest.fixture(params=[4, 6])
def net(request: pytest.FixtureRequest) -> Net:
    return Net(request.param)


def test_an_unknown_neighbour_is_asked_for_and_his_packet_waits(net: Net) -> None:
    near = NEAR[net.version]
    assert net.send(near) == b""
    assert net.tick(0) == [question(ME, net.own, packed(near))]
    assert net.answered(near) == [net.header() + net.packet(near)]
    assert net.state(near) == "REACHABLE"
    assert net.send(near) == net.header()


def test_he_is_asked_three_times_a_second_apart_and_then_given_up(net: Net) -> None:
    near = NEAR[net.version]
    net.send(near)
    asked = question(ME, net.own, packed(near))
    assert net.tick(0) == [asked]
    for _ in range(2):
        assert net.tick(RETRANS_US - 1) == []
        assert net.tick(1) == [asked]
    assert net.tick(RETRANS_US - 1) == []
    assert net.state(near) == "INCOMPLETE"
    assert net.tick(1) == []
    assert net.state(near) == "FAILED"
    assert net.table.unreachable == [net.packet(near)]
    assert net.table.counters["res_failed"] == net.table.counters["unresolved_discards"] == 1


def test_who_was_given_up_is_not_asked_again_for_a_while(net: Net) -> None:
    near = NEAR[net.version]
    net.send(near)
    for _ in range(4):
        net.tick(RETRANS_US)
    net.table.unreachable.clear()
    assert net.send(near) == b""
    assert net.tick(FAILED_US - RETRANS_US - 1) == []
    assert net.table.unreachable == [net.packet(near)]
    net.tick(RETRANS_US + 1)
    assert net.state(near) == ""
    net.send(near)
    assert net.tick(0) == [question(ME, net.own, packed(near))]


def test_of_the_packets_that_wait_the_oldest_has_to_go(net: Net) -> None:
    near = NEAR[net.version]
    hop = packed(near)
    for number in range(QUEUE_LIMIT + 3):
        net.table.way(hop, net.packet(near) + bytes((number,)))
    net.tick(0)
    sent = net.answered(near)
    assert [frame[-1] for frame in sent] == list(range(3, QUEUE_LIMIT + 3))
    assert net.table.counters["unresolved_discards"] == 3


def test_a_reachable_neighbour_becomes_stale_and_once_used_is_probed_by_frames_to_him(net: Net) -> None:
    near = NEAR[net.version]
    net.known()
    net.table.changed.clear()
    net.tick(REACHABLE_US - 1)
    assert net.state(near) == "REACHABLE"
    net.tick(1)
    assert (net.state(near), net.table.changed) == ("STALE", [packed(near)])
    assert net.send(near) == net.header()  # it is used at once
    assert net.tick(0) == []
    assert net.state(near) == "DELAY"
    assert net.tick(DELAY_US - 1) == []
    assert net.tick(1) == [question(ME, net.own, packed(near), YOU)]
    assert net.state(near) == "PROBE"
    net.answered(near)
    assert net.state(near) == "REACHABLE"


def test_a_neighbour_who_is_gone_fails_after_three_probes(net: Net) -> None:
    near = NEAR[net.version]
    net.known()
    net.tick(REACHABLE_US)
    net.send(near)
    net.tick(0)
    net.table.changed.clear()
    probes = net.tick(DELAY_US) + net.tick(RETRANS_US) + net.tick(RETRANS_US)
    assert probes == [question(ME, net.own, packed(near), YOU)] * 3
    net.tick(RETRANS_US)
    assert (net.state(near), net.table.changed) == ("FAILED", [packed(near)])
    assert net.send(near) == b""


def test_who_is_not_used_is_forgotten(net: Net) -> None:
    net.known()
    net.tick(REACHABLE_US)
    net.tick(STALE_US - 1)
    assert net.state(NEAR[net.version]) == "STALE"
    net.tick(1)
    assert net.table.table == {}
    assert net.table.counters["destroys"] == 1
    assert net.table.deadline == neighbours.NEVER


def test_who_asks_for_us_is_answered_and_noted(net: Net) -> None:
    near = NEAR[net.version]
    assert net.asked(near) == [answer(ME, net.own, YOU, packed(near))]
    assert net.state(near) == "STALE"
    assert net.send(near) == net.header()


def test_who_asks_for_another_is_neither_answered_nor_noted(net: Net) -> None:
    assert net.asked(NEAR[net.version], target=packed(GATEWAYS[net.version])) == []
    assert net.table.table == {}


def test_who_asks_from_another_network_is_answered_and_not_noted(net: Net) -> None:
    assert len(net.asked(FAR[net.version])) == 1
    assert net.table.table == {}


def test_an_answer_that_nobody_asked_for_makes_no_entry(net: Net) -> None:
    assert net.answered(NEAR[net.version]) == []
    assert net.table.table == {}


def test_who_has_moved_is_found_where_he_is_now(net: Net) -> None:
    near = NEAR[net.version]
    net.known()
    net.table.changed.clear()
    net.answered(near, OTHER, solicited=False)
    assert net.table.changed == [packed(near)]
    assert net.state(near) == "STALE"  # RFC 4861 7.2.5: whether he hears us is not known
    assert net.send(near) == net.header(OTHER)


def test_an_answer_that_may_not_override_makes_a_reachable_neighbour_doubtful(net: Net) -> None:
    near = NEAR[net.version]
    net.known()
    net.answered(near, OTHER, override=False)
    assert net.state(near) == "STALE"
    assert net.send(near) == net.header(YOU)


@pytest.mark.parametrize("version", [4, 6])
def test_who_is_far_is_reached_by_the_gateway(version: int) -> None:
    net = Net(version, gateway=True)
    assert net.send(FAR[version]) == b""
    assert net.answered(GATEWAYS[version], OTHER) == [net.header(OTHER) + net.packet(FAR[version])]


@pytest.mark.parametrize("version", [4, 6])
def test_the_gateway_is_asked_for_before_it_is_needed(version: int) -> None:
    net = Net(version, gateway=True, verify=True)
    sent: list[bytes] = []
    while net.table.is_tentative():
        assert question(ME, net.own, packed(GATEWAYS[version])) not in sent
        sent = net.tick(PROBE_US)
    assert question(ME, net.own, packed(GATEWAYS[version])) in sent
    net.answered(GATEWAYS[version])
    assert net.send(FAR[version]) == net.header()


def test_without_a_gateway_there_is_no_way(net: Net) -> None:
    assert net.table.next_hop(packed(FAR[net.version])) == b""


def test_of_many_addresses_those_in_its_networks_are_near(net: Net) -> None:
    need_library("numpy")
    np = import_module("numpy")
    texts = [NEAR[net.version], GATEWAYS[net.version], FAR[net.version], str(ip_address(net.own))]
    rows = np.frombuffer(b"".join(map(packed, texts)), np.uint8).reshape(len(texts), -1)
    assert net.table.are_near(np, rows).tolist() == [True, True, False, True]


def test_a_gateway_is_in_one_of_the_networks() -> None:
    for wrong in ("10.8.0.1", "10.9.0.2"):
        with pytest.raises(ValueError, match="the gateway"):
            Neighbours(ME, [ip_interface(NETWORKS[4])], [ip_address(wrong)], False)


def test_strangers_fill_the_table_and_put_out_nobody_who_is_talked_to(net: Net) -> None:
    near = NEAR[net.version]
    net.known()
    base = int.from_bytes(packed(NETWORKS[net.version].split("/")[0]), "big")
    if net.version == 4:
        net.table.networks = [(ip_interface("10.0.0.0/8").network, net.own)]
    for number in range(3 * TABLE_LIMIT):
        net.asked(str(ip_address(base + 256 + number)))
    assert len(net.table.table) == TABLE_LIMIT
    assert net.state(near) == "REACHABLE"
    assert net.table.counters["forced_gc_runs"] == 2 * TABLE_LIMIT + 1
    assert len(net.table._deadlines) <= 4 * TABLE_LIMIT


def test_a_table_full_of_neighbours_in_use_takes_no_more(net: Net) -> None:
    base = int.from_bytes(packed(NETWORKS[net.version].split("/")[0]), "big") + 256
    if net.version == 4:
        net.table.networks = [(ip_interface("10.0.0.0/8").network, net.own)]
    for number in range(TABLE_LIMIT):
        who = str(ip_address(base + number))
        net.send(who)
        net.answered(who)
    assert net.send(NEAR[net.version]) == b""
    assert net.tick(0) == []
    assert net.table.counters["table_fulls"] == net.table.counters["unresolved_discards"] == 1


# ---- own addresses ----


def test_an_address_is_probed_for_a_second_and_announced() -> None:
    for version, probes in ((4, 3), (6, 1)):
        net = Net(version, verify=True)
        nobody = bytes(len(net.own))
        assert net.table.is_tentative()
        sent = []
        for _ in range(probes):
            sent += net.tick(0)
            net.now += PROBE_US if version == 4 else RETRANS_US - 1
        assert sent == [question(ME, nobody, net.own)] * probes
        assert net.table.is_tentative()
        assert net.tick(1) == [announcement(ME, net.own)]
        assert not net.table.is_tentative()
        assert net.now - START <= RETRANS_US + 3


def test_an_ipv4_address_is_announced_twice() -> None:
    net = Net(4, verify=True)
    for _ in range(4):
        net.tick(PROBE_US)
    assert net.tick(ANNOUNCE_US - 1) == []
    assert net.tick(1) == [announcement(ME, net.own)]
    assert net.table.deadline == neighbours.NEVER


@pytest.mark.parametrize("version", [4, 6])
def test_an_address_that_somebody_has_is_refused(version: int) -> None:
    net = Net(version, verify=True)
    net.tick(0)
    with pytest.raises(Duplicate, match=r"in use by 02:00:00:00:00:0b on this network"):
        net.hear(Message(ANSWER, net.own, YOU, net.own, False, True))


@pytest.mark.parametrize("version", [4, 6])
def test_of_two_that_probe_at_once_neither_takes_the_address(version: int) -> None:
    net = Net(version, verify=True)
    net.tick(0)
    with pytest.raises(Duplicate):
        net.hear(Message(QUESTION, bytes(len(net.own)), YOU if version == 4 else b"", net.own, False, True))


@pytest.mark.parametrize("version", [4, 6])
def test_a_tentative_address_answers_nobody_who_asks_for_it(version: int) -> None:
    net = Net(version, verify=True)
    net.tick(0)
    assert net.asked(NEAR[version]) == []


def test_who_probes_for_an_address_of_ours_is_told_that_it_is_taken(net: Net) -> None:
    nobody = bytes(len(net.own))
    mac = YOU if net.version == 4 else b""
    assert net.hear(Message(QUESTION, nobody, mac, net.own, False, True)) == [answer(ME, net.own, mac, nobody)]
    assert net.table.table == {}


def test_an_address_is_defended_once_in_ten_seconds(net: Net) -> None:
    theirs = Message(ANSWER, net.own, YOU, net.own, False, True)
    assert net.hear(theirs) == [announcement(ME, net.own)]
    net.now += DEFEND_US - 1
    assert net.hear(theirs) == []
    net.now += 1
    assert net.hear(theirs) == [announcement(ME, net.own)]
    assert net.table.counters["conflicts"] == 3


def test_what_we_said_ourselves_is_no_conflict() -> None:
    net = Net(4, verify=True)
    net.tick(0)
    net.hear(parse_arp_untrusted(announcement(ME, net.own)[14:]))
