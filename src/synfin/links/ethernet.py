"""Ethernet frames, and what hosts of one network tell each other in them about who has which address.

ARP for IPv4 (RFC 826), neighbour solicitation and advertisement for IPv6 (RFC 4861 4.3, 4.4). Bytes to fields and back,
no state. Rule for the next editor: a frame is hostile bytes; what is no message, or breaks a rule of RFC 4861 7.1, is
None, and nothing is raised.
"""

from __future__ import annotations

from typing import Final

from synfin.wire.checksum import complement, fold, ones_sum

HEADER_LEN: Final = 14
BROADCAST: Final = b"\xff" * 6
IPV4: Final = b"\x08\x00"
ARP: Final = b"\x08\x06"
IPV6: Final = b"\x86\xdd"

# What a message is, in either family. RFC 5227: a probe asks for an address whose asker has none.
QUESTION: Final = 1
ANSWER: Final = 2

NDP_TYPES: Final = frozenset((133, 134, 135, 136, 137))  # ICMPv6: a link's own affairs, none of them a stack's
_SOLICITATION: Final = 135
_ADVERTISEMENT: Final = 136
_ROUTER: Final = 0x80
_SOLICITED: Final = 0x40
_OVERRIDE: Final = 0x20
_SOURCE_OPTION: Final = 1
_TARGET_OPTION: Final = 2
_ICMPV6: Final = 58
_ETHERNET_ARP: Final = b"\x00\x01\x08\x00\x06\x04"  # hardware, protocol and their lengths
_ALL_NODES: Final = b"\xff\x02" + bytes(13) + b"\x01"
_ANY_IPV6: Final = bytes(16)


class Message:
    """Who asks for an address, or says that he has it.

    sender: his address, all zero if he has none yet. mac: his, b"" if he does not tell it. target: the address asked
    for, or spoken of. solicited: it answers a question to him alone. override: it may replace what is known.
    """

    __slots__ = ("kind", "mac", "override", "sender", "solicited", "target")

    def __init__(self, kind: int, sender: bytes, mac: bytes, target: bytes, solicited: bool, override: bool) -> None:
        self.kind = kind
        self.sender = sender
        self.mac = mac
        self.target = target
        self.solicited = solicited
        self.override = override


def mac_text(mac: bytes) -> str:
    """As people write it."""
    return mac.hex(":")


def group_mac(address: bytes) -> bytes:
    """Where frames to a multicast address go (RFC 1112 6.4, RFC 2464 7); b"": it is none."""
    if len(address) == 16:
        return b"\x33\x33" + address[12:] if address[0] == 0xFF else b""
    if address == b"\xff\xff\xff\xff":
        return BROADCAST
    return bytes((0x01, 0x00, 0x5E, address[1] & 0x7F)) + address[2:] if address[0] & 0xF0 == 0xE0 else b""


def solicited_node(address: bytes) -> bytes:
    """The group that whoever has this address listens to (RFC 4291 2.7.1)."""
    return b"\xff\x02" + bytes(9) + b"\x01\xff" + address[13:]


# ---- to bytes ----


def question(mac: bytes, sender: bytes, target: bytes, to: bytes = b"") -> bytes:
    """Who has `target`? Whole frame. sender all zero: it asks for itself whether the address is free.

    to: the MAC address of one who had it before; else all are asked.
    """
    if len(target) == 4:
        return (to or BROADCAST) + mac + ARP + _arp(QUESTION, mac, sender, bytes(6), target)
    group = solicited_node(target)
    # RFC 4861 4.3: a node without an address must not tell its MAC address, so that nobody notes it.
    option = b"" if sender == _ANY_IPV6 else bytes((_SOURCE_OPTION, 1)) + mac
    body = bytes((_SOLICITATION, 0, 0, 0, 0, 0, 0, 0)) + target + option
    return (to or group_mac(group)) + mac + IPV6 + _ndp(sender, target if to else group, body)


def answer(mac: bytes, own: bytes, to: bytes, asker: bytes) -> bytes:
    """I have `own`: a whole frame to who asked. asker all zero: he checks whether it is free, and all hear it."""
    if len(own) == 4:
        return to + mac + ARP + _arp(ANSWER, mac, own, to, asker)
    if asker == _ANY_IPV6:  # RFC 4861 7.2.4
        return _advertisement(mac, own, group_mac(_ALL_NODES), _ALL_NODES, _OVERRIDE)
    return _advertisement(mac, own, to, asker, _SOLICITED | _OVERRIDE)


def announcement(mac: bytes, own: bytes) -> bytes:
    """I have `own` now, to all: RFC 5227 2.3, RFC 4861 7.2.6."""
    if len(own) == 4:
        return BROADCAST + mac + ARP + _arp(QUESTION, mac, own, bytes(6), own)
    return _advertisement(mac, own, group_mac(_ALL_NODES), _ALL_NODES, _OVERRIDE)


def _arp(operation: int, mac: bytes, sender: bytes, to: bytes, target: bytes) -> bytes:
    return _ETHERNET_ARP + operation.to_bytes(2, "big") + mac + sender + to + target


def _advertisement(mac: bytes, own: bytes, to: bytes, address: bytes, flags: int) -> bytes:
    body = bytes((_ADVERTISEMENT, 0, 0, 0, flags, 0, 0, 0)) + own + bytes((_TARGET_OPTION, 1)) + mac
    return to + mac + IPV6 + _ndp(own, address, body)


def _ndp(src: bytes, dst: bytes, body: bytes) -> bytes:
    """An IPv6 packet that no router forwards: hop limit 255 proves that it comes from this network."""
    total = ones_sum(src + dst) + len(body) + _ICMPV6 + ones_sum(body)
    head = b"\x60\x00\x00\x00" + len(body).to_bytes(2, "big") + bytes((_ICMPV6, 255)) + src + dst
    return head + body[:2] + int(complement(total)).to_bytes(2, "big") + body[4:]


# ---- from bytes ----


def is_ndp(packet: bytes) -> bool:
    """An IPv6 packet is one of neighbour discovery's."""
    return len(packet) > 40 and packet[6] == _ICMPV6 and packet[40] in NDP_TYPES


def parse_arp_untrusted(packet: bytes) -> Message | None:
    """What stands behind the Ethernet header of an ARP frame."""
    if len(packet) < 28 or packet[:6] != _ETHERNET_ARP:
        return None
    kind = int.from_bytes(packet[6:8], "big")
    mac, sender, target = packet[8:14], packet[14:18], packet[24:28]
    if kind not in (QUESTION, ANSWER) or not _is_host(mac):
        return None
    if kind == ANSWER:
        return Message(ANSWER, sender, mac, sender, target != sender, True)
    return Message(QUESTION, sender, mac, target, False, True)


def parse_ndp_untrusted(packet: bytes) -> Message | None:
    """A neighbour solicitation or advertisement that is valid by RFC 4861 7.1.1, 7.1.2."""
    if len(packet) < 64 or packet[0] >> 4 != 6 or packet[7] != 255 or packet[41] != 0:
        return None
    end = 40 + int.from_bytes(packet[4:6], "big")
    src, dst, body = packet[8:24], packet[24:40], packet[40:end]
    if not 24 <= len(body) == end - 40:
        return None
    if fold(ones_sum(src + dst) + len(body) + _ICMPV6 + ones_sum(body)) != 0xFFFF:
        return None
    target = body[8:24]
    options = _options_untrusted(body[24:])
    if target[0] == 0xFF or options is None:
        return None
    if body[0] == _SOLICITATION:
        mac = options.get(_SOURCE_OPTION, b"")
        if src == _ANY_IPV6 and (mac or dst != solicited_node(target)):
            return None
        return Message(QUESTION, src, mac, target, False, True)
    if body[0] != _ADVERTISEMENT or (dst[0] == 0xFF and body[4] & _SOLICITED):
        return None
    solicited, override = body[4] & _SOLICITED != 0, body[4] & _OVERRIDE != 0
    return Message(ANSWER, target, options.get(_TARGET_OPTION, b""), target, solicited, override)


def _options_untrusted(data: bytes) -> dict[int, bytes] | None:
    """The MAC addresses by option; None: an option without length, so that all is void."""
    found: dict[int, bytes] = {}
    at = 0
    while at + 2 <= len(data):
        size = 8 * data[at + 1]
        if size == 0 or at + size > len(data):
            return None
        mac = data[at + 2 : at + 8]
        if size == 8 and _is_host(mac):
            found.setdefault(data[at], mac)
        at += size
    return found


def _is_host(mac: bytes) -> bool:
    return mac[0] & 1 == 0 and mac != bytes(6)
