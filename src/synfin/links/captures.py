"""Captures read: pcapng (draft-ietf-opsawg-pcapng) and classic pcap, of any byte order, as IP packets.

Why a reader of our own: dpkt 1.9.8 (BSD) knows one interface and one section, takes every packet for that one's, and
gives times as floats; python-pcapng 2.1.1 (Apache-2.0) reads no classic pcap; both had their last release in 2022, and
scapy is GPL. Our own captures have an interface for each host, and comments.
Rules for the next editor: a file is hostile bytes; whatever they are, only CaptureError and OSError come out, and no
more is taken into memory than the block in hand.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO, Final

MAX_BLOCK: Final = 1 << 24  # bytes: more is no packet, but a broken file
MAX_INTERFACES: Final = 4096

_SECTION_HEADER: Final = b"\x0a\x0d\x0d\x0a"
_INTERFACE: Final = 1
_OLD_PACKET: Final = 2
_SIMPLE_PACKET: Final = 3
_ENHANCED_PACKET: Final = 6
_COMMENT: Final = 1
_SHB_USERAPPL: Final = 4
_EPB_FLAGS: Final = 2
_IF_NAME: Final = 2
_IF_TSRESOL: Final = 9
_IF_TSOFFSET: Final = 14

# Classic pcap: the first four bytes tell byte order and unit.
_CLASSIC: Final = {
    b"\xa1\xb2\xc3\xd4": (">", 1_000_000),
    b"\xd4\xc3\xb2\xa1": ("<", 1_000_000),
    b"\xa1\xb2\x3c\x4d": (">", 1_000_000_000),
    b"\x4d\x3c\xb2\xa1": ("<", 1_000_000_000),
}

# Link types (tcpdump.org/linktypes.html) of which an IP packet can be found.
_NULL, _ETHERNET, _RAW, _LOOP, _SLL, _IPV4, _IPV6, _SLL2 = 0, 1, 101, 108, 113, 228, 229, 276
_RAW_TYPES: Final = frozenset((_RAW, 12, 14, _IPV4, _IPV6))
_VLAN_TAGS: Final = frozenset((b"\x81\x00", b"\x88\xa8", b"\x91\x00"))
_IP_TYPES: Final = frozenset((b"\x08\x00", b"\x86\xdd"))
_KNOWN: Final = _RAW_TYPES | {_NULL, _ETHERNET, _LOOP, _SLL, _SLL2}


class CaptureError(ValueError):
    """The file is no capture, or is broken at a place from which one can't go on."""


class Captured:
    """An IP packet of a capture, without its link's header."""

    __slots__ = ("at", "comment", "interface", "length", "outgoing", "packet", "section")

    def __init__(
        self, at: int, packet: bytes, length: int, interface: str, outgoing: bool | None, comment: str, section: int
    ) -> None:
        self.at = at  # microseconds since 1970
        self.packet = packet  # as much as was captured
        self.length = length  # bytes that it had
        self.interface = interface  # its name, or its number; "": none is told
        self.outgoing = outgoing  # None: not told
        self.comment = comment  # several are separated by line feeds
        self.section = section  # of the file: each may have a clock of its own


class Capture:
    """Iterate over it once: the IP packets of a file, in its order.

    Raises CaptureError at construction for what is no capture, and while reading for what is broken. `skipped` counts
    what was no IP packet; `cut`: the file ends within a packet, as one does whose writer was stopped.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.skipped = 0
        self.cut = False
        self.unknown_links: set[int] = set()  # link types of which no packet can be read
        self.application = ""  # that wrote it, if it says so
        self._file = file
        self._sections = 0
        magic = file.read(4)
        if magic != _SECTION_HEADER and magic not in _CLASSIC:
            raise CaptureError(_what_it_is(magic))
        self._packets = self._pcapng() if magic == _SECTION_HEADER else self._classic(*_CLASSIC[magic])

    def __iter__(self) -> Iterator[Captured]:
        return self._packets

    def _found(
        self, link: int, at: int, frame: bytes, length: int, interface: str, outgoing: bool | None, comment: str
    ) -> Captured | None:
        if link not in _KNOWN:
            self.unknown_links.add(link)
            self.skipped += 1
            return None
        start = _ip_start(link, frame)
        if start < 0:
            self.skipped += 1
            return None
        if link == _SLL2:
            interface = f"#{int.from_bytes(frame[4:8], 'big')}"
        return Captured(
            at, frame[start:], max(length, len(frame)) - start, interface, outgoing, comment, self._sections
        )

    def _read(self, size: int) -> bytes | None:
        data = self._file.read(size)
        if len(data) < size:
            self.cut = self.cut or bool(data)
            return None
        return data

    # ---- classic pcap ----

    def _classic(self, order: str, ticks: int) -> Iterator[Captured]:
        head = self._read(20)
        if head is None:
            raise CaptureError("the file ends within its header")
        link = struct.unpack(f"{order}HHIIII", head)[5] & 0xFFFF
        record = struct.Struct(f"{order}IIII")
        while (head := self._read(record.size)) is not None:
            seconds, fraction, size, length = record.unpack(head)
            if size > MAX_BLOCK:
                raise CaptureError(f"a packet of {size:,} bytes can't be: the file is broken")
            frame = self._read(size)
            if frame is None:
                self.cut = True
                return
            at = seconds * 1_000_000 + fraction * 1_000_000 // ticks
            found = self._found(link, at, frame, length, "", None, "")
            if found is not None:
                yield found

    # ---- pcapng ----

    def _pcapng(self) -> Iterator[Captured]:
        section = self._section()
        while section is not None and (head := self._read(4)) is not None:
            if head == _SECTION_HEADER:
                section = self._section()
                continue
            kind = struct.unpack(f"{section.order}I", head)[0]
            body = self._body(section.order)
            if body is None:
                return
            try:
                found = self._block(section, kind, body)
            except struct.error:
                raise CaptureError(f"a block of type {kind} is shorter than its fields") from None
            if found is not None:
                yield found

    def _section(self) -> _Section | None:
        """After the type of a Section Header Block. None: the file ends within it."""
        head = self._read(8)
        if head is None:
            self.cut = True
            return None
        for order in "<>":
            if struct.unpack(f"{order}I", head[4:])[0] == 0x1A2B3C4D:
                size = struct.unpack(f"{order}I", head[:4])[0]
                rest = self._rest(size, 12)
                if rest is None:
                    return None
                named = dict(_options(order, rest, 12)).get(_SHB_USERAPPL, b"")
                self.application = named.decode(errors="replace")
                self._sections += 1
                return _Section(order)
        raise CaptureError("a section of the pcapng file has no byte order")

    def _body(self, order: str) -> bytes | None:
        head = self._read(4)
        if head is None:
            self.cut = True
            return None
        return self._rest(struct.unpack(f"{order}I", head)[0], 8)

    def _rest(self, size: int, had: int) -> bytes | None:
        """What follows in a block of `size` bytes of which `had` are read, without the size at its end."""
        if size < had + 4 or size > MAX_BLOCK:
            raise CaptureError(f"a block of {size:,} bytes can't be: the pcapng file is broken")
        rest = self._read(size - had + (-size) % 4)
        if rest is None:
            self.cut = True
            return None
        return rest[: size - had - 4]

    def _block(self, section: _Section, kind: int, body: bytes) -> Captured | None:
        order = section.order
        if kind == _INTERFACE:
            if len(section.interfaces) >= MAX_INTERFACES:
                raise CaptureError(f"more than {MAX_INTERFACES} interfaces")
            section.interfaces.append(_Interface(order, body, f"#{len(section.interfaces)}"))
            return None
        if kind == _ENHANCED_PACKET:
            number, high, low, size, length = struct.unpack_from(f"{order}IIIII", body)
            start = 20
        elif kind == _OLD_PACKET:
            number, _, high, low, size, length = struct.unpack_from(f"{order}HHIIII", body)
            start = 20
        elif kind == _SIMPLE_PACKET:
            number, high, low = 0, 0, 0
            length = struct.unpack_from(f"{order}I", body)[0]
            size = min(length, len(body) - 4)
            start = 4
        else:
            return None
        if number >= len(section.interfaces):
            raise CaptureError(f"a packet is of interface {number}, of {len(section.interfaces)}")
        interface = section.interfaces[number]
        frame = body[start : start + size]
        if len(frame) < size:
            raise CaptureError("a packet is longer than its block")
        at = section.last if kind == _SIMPLE_PACKET else interface.microseconds(high << 32 | low)
        section.last = at
        comments: list[str] = []
        outgoing: bool | None = None
        if kind != _SIMPLE_PACKET:
            for code, value in _options(order, body, start + size + (-size) % 4):
                if code == _COMMENT:
                    comments.append(value.decode(errors="replace"))
                elif code == _EPB_FLAGS and len(value) == 4:
                    outgoing = {1: False, 2: True}.get(struct.unpack(f"{order}I", value)[0] & 3)
        return self._found(interface.link, at, frame, length, interface.name, outgoing, "\n".join(comments))


class _Section:
    """What the blocks of one section of a pcapng file refer to."""

    def __init__(self, order: str) -> None:
        self.order = order
        self.interfaces: list[_Interface] = []
        self.last = 0  # time of the last packet: a Simple Packet Block has none of its own


class _Interface:
    """One interface: its link type, its name, and how it counts time."""

    def __init__(self, order: str, body: bytes, name: str) -> None:
        self.link = struct.unpack_from(f"{order}HHI", body)[0]
        self.name = name
        self._ticks = 1_000_000  # a second
        self._offset = 0  # seconds
        for code, value in _options(order, body, 8):
            if code == _IF_NAME:
                self.name = value.decode(errors="replace")
            elif code == _IF_TSRESOL and len(value) == 1:
                self._ticks = 2 ** (value[0] & 0x7F) if value[0] & 0x80 else 10 ** value[0]
            elif code == _IF_TSOFFSET and len(value) == 8:
                self._offset = struct.unpack(f"{order}q", value)[0]

    def microseconds(self, ticks: int) -> int:
        return ticks * 1_000_000 // self._ticks + self._offset * 1_000_000


def _options(order: str, body: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    """(code, value) of the options from `at` on; what is cut off ends them."""
    while at + 4 <= len(body):
        code, size = struct.unpack_from(f"{order}HH", body, at)
        if code == 0 or at + 4 + size > len(body):
            return
        yield code, body[at + 4 : at + 4 + size]
        at += 4 + size + (-size) % 4


def _ip_start(link: int, frame: bytes) -> int:
    """Where the IP packet of a frame begins; -1: there is none."""
    if link in _RAW_TYPES:
        start = 0
    elif link in (_NULL, _LOOP):
        start = 4
    elif link == _ETHERNET:
        at = 12
        while frame[at : at + 2] in _VLAN_TAGS:
            at += 4
        start = at + 2 if frame[at : at + 2] in _IP_TYPES else -1
    elif link == _SLL:
        start = 16 if frame[14:16] in _IP_TYPES else -1
    else:
        start = 20 if frame[0:2] in _IP_TYPES else -1
    if start < 0 or start >= len(frame) or frame[start] >> 4 not in (4, 6):
        return -1
    return start


def _what_it_is(magic: bytes) -> str:
    if not magic:
        return "the file is empty"
    if magic[:2] == b"\x1f\x8b":
        return "the file is compressed: unpack it first (gunzip)"
    if magic[:4] == b"\x28\xb5\x2f\xfd":
        return "the file is compressed: unpack it first (unzstd)"
    return "the file is neither pcapng nor pcap"
