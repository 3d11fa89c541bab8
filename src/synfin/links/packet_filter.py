"""Which frames a packet socket hears: a classic BPF program (packet(7), the kernel's networking/filter.rst).

What is for others never wakes this process: frames to other MAC addresses, VLANs, other protocols, other IP addresses.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from synfin.wire.tcp_header import ACK, FIN, RST, SYN

Step = tuple[int, int, int, int]  # code, jump if true, jump if false, operand

MAX_ADDRESSES: Final = 16  # of each family: jumps are one byte long
ALL: Final = 0xFFFFFFFF

_LOAD_BYTE: Final = 0x30
_LOAD_HALF: Final = 0x28
_LOAD_WORD: Final = 0x20
_LOAD_LENGTH: Final = 0x80
_JUMP_EQUAL: Final = 0x15
_JUMP_ABOVE: Final = 0x25
_AND: Final = 0x54
_RETURN: Final = 0x06
_AUXILIARY: Final = 0xFFFFF000
_PACKET_TYPE: Final = _AUXILIARY + 4  # to this host 0, broadcast 1, multicast 2
_VLAN_TAG: Final = _AUXILIARY + 48

# In an Ethernet frame; the flags of TCP where the IP header has no options.
_KIND, _IPV4_TO, _IPV6_NEXT, _IPV6_TO = 12, 30, 20, 38
_IPV4_LENGTH, _IPV4_FRAGMENT, _IPV4_PROTOCOL, _IPV4_FLAGS, _IPV6_FLAGS = 14, 20, 23, 47, 67
_TCP: Final = 6
_ICMPV6: Final = 58


def up_to(limit: int, mark: int, addresses: Iterable[bytes], but_syns_up_to: int = 0) -> list[Step]:
    """Frames of at most `limit` bytes whole, of longer ones the first `mark` bytes.

    but_syns_up_to: what bare_syns() with that limit lets through is not heard.
    """
    rest: list[tuple[int | str, ...]] = [(_LOAD_LENGTH, 0), (_JUMP_ABOVE, limit, "long", "whole")]
    if but_syns_up_to:
        rest = [*_is_bare_syn(but_syns_up_to, "drop", "other"), ("other",), *rest]
    return _program(addresses, rest, mark)


def bare_syns(limit: int, addresses: Iterable[bytes]) -> list[Step]:
    """Frames of at most `limit` bytes that ask for a connection: SYN, and no ACK, RST or FIN."""
    return _program(addresses, _is_bare_syn(limit, "whole", "drop"), 0)


def nothing() -> list[Step]:
    """No frame."""
    return [(_RETURN, 0, 0, 0)]


def longer_than(limit: int, addresses: Iterable[bytes]) -> list[Step]:
    """Longer frames only."""
    return _program(addresses, [(_LOAD_LENGTH, 0), (_JUMP_ABOVE, limit, "whole", "drop")], 0)


def _is_bare_syn(limit: int, yes: str, no: str) -> list[tuple[int | str, ...]]:
    """An IP header with options or extensions is no reason to look further: such frames are rare, and lose nothing."""
    return [
        (_LOAD_LENGTH, 0),
        (_JUMP_ABOVE, limit, no, "short"),
        ("short",),
        (_LOAD_HALF, _KIND),
        (_JUMP_EQUAL, 0x86DD, "short IPv6", "no short IPv6"),
        ("no short IPv6",),
        (_JUMP_EQUAL, 0x0800, "short IPv4", no),
        ("short IPv4",),
        (_LOAD_BYTE, _IPV4_LENGTH),
        (_JUMP_EQUAL, 0x45, "plain", no),
        ("plain",),
        (_LOAD_HALF, _IPV4_FRAGMENT),
        (_AND, 0x3FFF),
        (_JUMP_EQUAL, 0, "unfragmented", no),
        ("unfragmented",),
        (_LOAD_BYTE, _IPV4_PROTOCOL),
        (_JUMP_EQUAL, _TCP, "TCP over IPv4", no),
        ("TCP over IPv4",),
        (_LOAD_BYTE, _IPV4_FLAGS),
        (_AND, SYN | ACK | RST | FIN),
        (_JUMP_EQUAL, SYN, yes, no),
        ("short IPv6",),
        (_LOAD_BYTE, _IPV6_NEXT),
        (_JUMP_EQUAL, _TCP, "TCP over IPv6", no),
        ("TCP over IPv6",),
        (_LOAD_BYTE, _IPV6_FLAGS),
        (_AND, SYN | ACK | RST | FIN),
        (_JUMP_EQUAL, SYN, yes, no),
    ]


def _program(addresses: Iterable[bytes], end: list[tuple[int | str, ...]], mark: int) -> list[Step]:
    """Ours or not; what is ours comes to `end`, which goes on to "whole", "long" or "drop"."""
    addresses = list(addresses)
    lines: list[tuple[int | str, ...]] = [
        (_LOAD_WORD, _VLAN_TAG),
        (_JUMP_EQUAL, 0, "untagged", "drop"),
        ("untagged",),
        (_LOAD_WORD, _PACKET_TYPE),
        (_JUMP_ABOVE, 2, "drop", "here"),
        ("here",),
        (_LOAD_HALF, _KIND),
        (_JUMP_EQUAL, 0x0806, "ours", "no ARP"),
        ("no ARP",),
        (_JUMP_EQUAL, 0x86DD, "IPv6", "no IPv6"),
        ("no IPv6",),
        (_JUMP_EQUAL, 0x0800, "IPv4", "drop"),
        ("IPv4",),
        *_one_of([one for one in addresses if len(one) == 4], _IPV4_TO),
        ("IPv6",),
        (_LOAD_BYTE, _IPV6_TO),
        (_JUMP_EQUAL, 0xFF, "group", "single"),
        ("group",),
        (_LOAD_BYTE, _IPV6_NEXT),
        (_JUMP_EQUAL, _ICMPV6, "ours", "drop"),
        ("single",),
        *_one_of([one for one in addresses if len(one) == 16], _IPV6_TO),
        ("ours",),
        *end,
        ("long",),
        (_RETURN, mark),
        ("whole",),
        (_RETURN, ALL),
        ("drop",),
        (_RETURN, 0),
    ]
    return _assembled(lines)


def _one_of(addresses: list[bytes], at: int) -> list[tuple[int | str, ...]]:
    """To "ours" if one of the addresses stands there, else to "drop". The socket's user sorts out what is too many."""
    if len(addresses) > MAX_ADDRESSES:
        return [(_LOAD_HALF, _KIND), (_JUMP_ABOVE, 0, "ours", "drop")]
    lines: list[tuple[int | str, ...]] = []
    for number, address in enumerate(addresses):
        other = f"{at}-{number}"
        for offset in range(0, len(address), 4):
            word = int.from_bytes(address[offset : offset + 4], "big")
            equal = "ours" if offset + 4 == len(address) else f"{other}-{offset}"
            lines += [(_LOAD_WORD, at + offset), (_JUMP_EQUAL, word, equal, other), (f"{other}-{offset}",)]
        lines.append((other,))
    return [*lines, (_RETURN, 0)]


def _assembled(lines: list[tuple[int | str, ...]]) -> list[Step]:
    """Jumps by name become distances."""
    places: dict[int | str, int] = {}
    steps: list[tuple[int | str, ...]] = []
    for line in lines:
        if len(line) == 1:
            places[line[0]] = len(steps)
        else:
            steps.append(line)
    program: list[Step] = []
    for place, (code, operand, *names) in enumerate(steps):
        true, false = (places[name] - place - 1 for name in names) if names else (0, 0)
        assert isinstance(code, int) and isinstance(operand, int)
        program.append((code, true, false, operand))
    return program
