"""ARP and neighbour discovery as bytes: what tshark calls them, and what RFC 4861 7.1 refuses."""

from __future__ import annotations

import pytest

from synfin.links import ethernet
from synfin.links.ethernet import (
    ANSWER,
    QUESTION,
    Message,
    announcement,
    answer,
    group_mac,
    parse_arp_untrusted,
    parse_ndp_untrusted,
    question,
    solicited_node,
)
from synfin.wire.checksum import complement, ones_sum

ME, YOU = bytes.fromhex("02000000000a"), bytes.fromhex("02000000000b")
MINE = {4: bytes((10, 9, 0, 2)), 6: bytes.fromhex("fd000009000000000000000000000002")}
YOURS = {4: bytes((10, 9, 0, 1)), 6: bytes.fromhex("fd000009000000000000000000abcdef")}


def parse(frame: bytes) -> Message | None:
    kind, packet = frame[12:14], frame[14:]
    if kind == ethernet.ARP:
        return parse_arp_untrusted(packet)
    assert kind == ethernet.IPV6
    assert ethernet.is_ndp(packet)
    return parse_ndp_untrusted(packet)


def fields(frame: bytes) -> tuple[int, bytes, bytes, bytes, bool]:
    message = parse(frame)
    assert message is not None
    return message.kind, message.sender, message.mac, message.target, message.solicited


@pytest.mark.parametrize("version", [4, 6])
def test_a_question_names_its_asker_and_goes_to_all_who_may_have_the_address(version: int) -> None:
    frame = question(ME, MINE[version], YOURS[version])
    assert fields(frame) == (QUESTION, MINE[version], ME, YOURS[version], False)
    assert frame[:6] == (b"\xff" * 6 if version == 4 else bytes.fromhex("3333ffabcdef"))
    assert frame[6:12] == ME


@pytest.mark.parametrize("version", [4, 6])
def test_a_question_to_one_who_had_the_address_goes_to_him_alone(version: int) -> None:
    frame = question(ME, MINE[version], YOURS[version], YOU)
    assert frame[:6] == YOU
    assert fields(frame) == (QUESTION, MINE[version], ME, YOURS[version], False)


@pytest.mark.parametrize("version", [4, 6])
def test_a_probe_tells_no_address_of_its_own(version: int) -> None:
    nobody = bytes(len(MINE[version]))
    kind, sender, mac, target, _ = fields(question(ME, nobody, MINE[version]))
    assert (kind, sender, target) == (QUESTION, nobody, MINE[version])
    assert mac == (ME if version == 4 else b"")  # RFC 5227 2.1.1 wants it, RFC 4861 4.3 forbids it


@pytest.mark.parametrize("version", [4, 6])
def test_an_answer_goes_to_the_asker(version: int) -> None:
    frame = answer(ME, MINE[version], YOU, YOURS[version])
    assert frame[:6] == YOU
    assert fields(frame) == (ANSWER, MINE[version], ME, MINE[version], True)


def test_who_probes_for_an_ipv6_address_is_answered_in_the_hearing_of_all() -> None:
    frame = answer(ME, MINE[6], b"", bytes(16))
    assert frame[:6] == bytes.fromhex("333300000001")
    assert fields(frame) == (ANSWER, MINE[6], ME, MINE[6], False)


@pytest.mark.parametrize("version", [4, 6])
def test_an_announcement_is_heard_by_all_and_answers_nobody(version: int) -> None:
    frame = announcement(ME, MINE[version])
    assert frame[0] & 1
    _, sender, mac, target, solicited = fields(frame)
    assert (sender, mac, target, solicited) == (MINE[version], ME, MINE[version], False)


def test_groups_have_addresses_of_their_own() -> None:
    assert group_mac(bytes((224, 129, 2, 3))) == bytes.fromhex("01005e010203")
    assert group_mac(solicited_node(YOURS[6])) == bytes.fromhex("3333ffabcdef")
    assert group_mac(b"\xff" * 4) == b"\xff" * 6
    assert group_mac(MINE[4]) == group_mac(MINE[6]) == b""


def summed(packet: bytes) -> bytes:
    """The packet with the checksum that its ICMPv6 message now needs."""
    body = packet[40:42] + bytes(2) + packet[44:]
    total = ones_sum(packet[8:40]) + len(body) + 58 + ones_sum(body)
    return packet[:42] + int(complement(total)).to_bytes(2, "big") + packet[44:]


SOLICITATION = question(ME, MINE[6], YOURS[6])[14:]
ADVERTISEMENT = answer(ME, MINE[6], YOU, YOURS[6])[14:]
DAD = question(ME, bytes(16), YOURS[6])[14:]


@pytest.mark.parametrize(
    ("why", "packet"),
    [
        ("a router may have forwarded it", SOLICITATION[:7] + b"\xfe" + SOLICITATION[8:]),
        ("wrong checksum", SOLICITATION[:-1] + b"\x00"),
        ("a code", summed(SOLICITATION[:41] + b"\x01" + SOLICITATION[42:])),
        ("a group is asked for", summed(SOLICITATION[:48] + b"\xff" + SOLICITATION[49:])),
        ("an option without length", summed(SOLICITATION[:65] + b"\x00" + SOLICITATION[66:])),
        ("an option longer than the message", summed(SOLICITATION[:65] + b"\x02" + SOLICITATION[66:])),
        ("cut off", SOLICITATION[:60]),
        ("shorter than it says", SOLICITATION[:-8]),
        ("a probe that is sent to one host", summed(DAD[:24] + YOURS[6] + DAD[40:])),
        ("an answer to all, said to be solicited", summed(ADVERTISEMENT[:24] + b"\xff\x02" + ADVERTISEMENT[26:])),
    ],
)
def test_what_breaks_a_rule_of_rfc_4861_7_1_is_no_message(why: str, packet: bytes) -> None:
    assert parse_ndp_untrusted(packet) is None, why


@pytest.mark.parametrize(
    "change",
    [
        lambda arp: arp[:27],
        lambda arp: b"\x00\x06" + arp[2:],  # not Ethernet's
        lambda arp: arp[:6] + b"\x00\x03" + arp[8:],  # RARP
        lambda arp: arp[:8] + b"\xff" * 6 + arp[14:],  # all hosts at once
        lambda arp: arp[:8] + bytes(6) + arp[14:],
    ],
)
def test_what_is_no_arp_of_one_host_is_no_message(change: object) -> None:
    arp = question(ME, MINE[4], YOURS[4])[14:]
    assert parse_arp_untrusted(arp) is not None
    assert callable(change)
    assert parse_arp_untrusted(change(arp)) is None


def test_ethernets_padding_belongs_to_no_message() -> None:
    assert parse_arp_untrusted(question(ME, MINE[4], YOURS[4])[14:] + bytes(18)) is not None
    assert parse_ndp_untrusted(SOLICITATION + bytes(3)) is not None
