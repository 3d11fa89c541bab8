"""Captures: a pcapng writer (draft-ietf-opsawg-pcapng), and a tap that records what passes on a link.

Why a writer of our own: python-pcapng 2.1.1 (Apache-2.0) writes right files with comments, but takes 97 µs a packet
(this one: 5), carries no types and has had no release since August 2022; dpkt 1.9.8 (BSD) is as old, takes 58 µs and
can't state the original length of a packet cut at the snap length.
Rules for the next editor: a capture never changes, delays or ends what it records; times are the caller's microseconds.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from synfin.links.link import Link, PacketSink, Timed
from synfin.wire.checksum import complement, ones_sum, pseudo_sum
from synfin.wire.errors import WireError
from synfin.wire.ip import PROTO_TCP, PROTO_UDP, IpHeader, parse_untrusted
from synfin.wire.segment import Burst, finish, split

if TYPE_CHECKING:
    from synfin.stack.flood import Flood

_SECTION_HEADER: Final = 0x0A0D0D0A
_INTERFACE_DESCRIPTION: Final = 1
_ENHANCED_PACKET: Final = 6
_BYTE_ORDER_MAGIC: Final = 0x1A2B3C4D
_LINKTYPE_RAW: Final = 101  # packets start with an IPv4 or IPv6 header
_OPT_END: Final = b"\0\0\0\0"
_OPT_COMMENT: Final = 1
_SHB_USERAPPL: Final = 4
_IF_NAME: Final = 2
_IF_TSRESOL: Final = 9
_MICROSECONDS: Final = b"\6"
_EPB_FLAGS: Final = 2
_INBOUND: Final = struct.pack("<HHI", _EPB_FLAGS, 4, 1)
_OUTBOUND: Final = struct.pack("<HHI", _EPB_FLAGS, 4, 2)
_OPTION_MAX: Final = 0xFFFF
_PADDING: Final = (b"", b"\0\0\0", b"\0\0", b"\0")  # by length mod 4

_BLOCK: Final = struct.Struct("<II")  # type, total length
_SECTION: Final = struct.Struct("<IHHq")  # byte-order magic, version, length unknown
_INTERFACE: Final = struct.Struct("<HHI")  # link type, reserved, snap length
_PACKET: Final = struct.Struct("<IIIIIII")  # type, total length, interface, time (high, low), captured, original length
_TRAILER: Final = struct.Struct("<I")  # total length again


class PcapngWriter:
    """Writes IP packets to a pcapng file that Wireshark and tshark open.

    target: a path, or a binary file that stays the caller's to close. snaplen: bytes kept of each packet, 0 for all.
    epoch_us: what is added to every time, in microseconds since 1970; 0 for virtual time, which then starts in 1970.
    """

    def __init__(self, target: str | Path | BinaryIO, snaplen: int = 0, epoch_us: int = 0) -> None:
        if snaplen < 0 or epoch_us < 0:
            raise ValueError("snaplen and epoch_us can't be negative")
        self._owned = isinstance(target, str | Path)
        # close() closes it
        self._file: BinaryIO | None = open(target, "wb") if isinstance(target, str | Path) else target  # noqa: SIM115
        self._snaplen = snaplen
        self._epoch_us = epoch_us
        self._interfaces = 0
        options = _option(_SHB_USERAPPL, b"synfin") + _OPT_END
        self._put(_block(_SECTION_HEADER, _SECTION.pack(_BYTE_ORDER_MAGIC, 1, 0, -1) + options))

    def add_interface(self, name: str) -> int:
        """A further interface of this capture; the number by which write() takes it, from 0 up."""
        options = _option(_IF_NAME, _utf8(name)) + _option(_IF_TSRESOL, _MICROSECONDS) + _OPT_END
        self._put(_block(_INTERFACE_DESCRIPTION, _INTERFACE.pack(_LINKTYPE_RAW, 0, self._snaplen) + options))
        self._interfaces += 1
        return self._interfaces - 1

    def write(
        self,
        at_us: int,
        packet: bytes,
        comment: str = "",
        original_length: int | None = None,
        interface: int = 0,
        *,
        outgoing: bool,
    ) -> None:
        """One packet, at `at_us` microseconds after the epoch; times may go back, as they do between two hosts.

        comment: shown by Wireshark as the packet's comment, cut after 65,535 bytes. original_length: in bytes, where
        `packet` is only the first part. A capture without interfaces gets one, "synfin", with its first packet.
        Raises ValueError for an unknown interface, a time before 1970 or a closed writer, and OSError from the file.
        """
        if interface >= self._interfaces and interface == 0:
            self.add_interface("synfin")
        if not 0 <= interface < self._interfaces:
            raise ValueError(f"interface {interface} is unknown: this capture has {self._interfaces}")
        at = self._epoch_us + at_us
        if at < 0:
            raise ValueError(f"a time before 1970: {at} µs")
        length = len(packet)
        if original_length is None:
            original_length = length
        elif original_length < length:
            raise ValueError(f"original_length {original_length} is below the {length} bytes given")
        if 0 < self._snaplen < length:
            packet = packet[: self._snaplen]
            length = self._snaplen
        options = _OUTBOUND if outgoing else _INBOUND
        if comment:
            options += _option(_OPT_COMMENT, _utf8(comment))
        padding = _PADDING[length & 3]
        total = _PACKET.size + length + len(padding) + len(options) + len(_OPT_END) + _TRAILER.size
        head = _PACKET.pack(_ENHANCED_PACKET, total, interface, at >> 32, at & 0xFFFFFFFF, length, original_length)
        self._put(b"".join((head, packet, padding, options, _OPT_END, _TRAILER.pack(total))))

    def flush(self) -> None:
        """Let readers of the file see all that was written."""
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Write out what is buffered, and close the file if it was given as a path. May be called twice."""
        file, self._file = self._file, None
        if file is not None:
            if self._owned:
                file.close()
            else:
                file.flush()

    def __enter__(self) -> PcapngWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _put(self, block: bytes) -> None:
        if self._file is None:
            raise ValueError("the capture is closed")
        self._file.write(block)


class PcapTap:
    """A link around a link: the same packets, recorded on their way.

    clock: the time of outgoing packets; incoming ones carry the clock that receive() is given. Bursts are recorded as
    they cross the device: whole with offload, else cut. Partial checksums are completed in the capture, so that none
    looks bad. Once the file can't be written any more, recording ends and `error` says why; the link goes on.
    The writer stays the caller's to close: several taps may share one.
    """

    def __init__(self, link: Link, writer: PcapngWriter, clock: Callable[[], int], interface: int = 0) -> None:
        self._link = link
        self._writer = writer
        self._clock = clock
        self._interface = interface
        self.error: OSError | None = None  # why recording has ended

    @property
    def mtu(self) -> int:
        """The link's."""
        return self._link.mtu

    @property
    def offload(self) -> bool:
        """The link's."""
        return self._link.offload

    @property
    def timed(self) -> Timed | None:
        """The link's, where it has one."""
        return getattr(self._link, "timed", None)

    def has_come_back(self) -> bool:
        """The link's, where it notices."""
        asked: Callable[[], bool] | None = getattr(self._link, "has_come_back", None)
        return asked is not None and asked()

    def is_down(self) -> bool:
        """The link is, where it notices."""
        asked: Callable[[], bool] | None = getattr(self._link, "is_down", None)
        return asked is not None and asked()

    @property
    def further_descriptors(self) -> tuple[int, ...]:
        """The link's."""
        return getattr(self._link, "further_descriptors", ())

    def fileno(self) -> int:
        """The link's."""
        return self._link.fileno()

    def receive(self, stack: PacketSink, clock: Callable[[], int], limit: int) -> int:
        """Link.receive(); each packet is recorded before the stack gets it."""
        return self._link.receive(_Recorder(self, stack), clock, limit)

    def send(self, bursts: list[Burst]) -> bool:
        """Link.send(); recorded when handed over, also what the device takes only later."""
        for burst in bursts:
            for packet in [finish(burst)] if self._link.offload else split(burst):
                self.record(self._clock(), packet, outgoing=True)
        return self._link.send(bursts)

    def flush(self) -> bool:
        """Link.flush()"""
        return self._link.flush()

    def close(self) -> None:
        """Close the link; the writer stays open."""
        self._link.close()

    def record(self, at_us: int, packet: bytes, *, outgoing: bool) -> None:
        """Write one packet with complete checksums, unless recording has ended."""
        if self.error is None:
            try:
                self._writer.write(at_us, packet, interface=self._interface, outgoing=outgoing)
            except OSError as error:
                self.error = error


class _Recorder:
    """Stands where the stack would, for one PcapTap.receive()."""

    def __init__(self, tap: PcapTap, stack: PacketSink) -> None:
        self._tap = tap
        self._stack = stack

    def flood(self) -> _RecordedFlood | None:
        """The stack's, recorded; None where it has none."""
        answers = getattr(self._stack, "flood", None)
        return None if answers is None else _RecordedFlood(self._tap, answers())

    def receive(self, packet: bytes, now: int, checksum_ok: bool, gso_size: int, start: int = 0, /) -> None:
        plain = packet[start:]
        self._tap.record(now, completed(plain) if checksum_ok else plain, outgoing=False)
        self._stack.receive(packet, now, checksum_ok, gso_size, start)


class _RecordedFlood:
    """Stands where the stack's Flood would: what is answered in a batch is recorded, the SYNs and then the answers.

    Each packet that is done with is a SYN without text, of which a row holds all.
    """

    def __init__(self, tap: PcapTap, flood: Flood) -> None:
        self._tap = tap
        self._flood = flood
        self.has_begun = flood.has_begun
        self.goes_on = flood.goes_on

    @property
    def numpy(self) -> Any:
        return self._flood.numpy

    def answer(self, rows: Any, lengths: Any, vouched: Any, now: int) -> tuple[Any, list[Any]]:
        """Flood.answer()"""
        np, record = self._flood.numpy, self._tap.record
        done, answers = self._flood.answer(rows, lengths, vouched, now)
        for place in np.flatnonzero(done).tolist():
            packet = rows[place, : lengths[place]].tobytes()
            record(now, completed(packet) if vouched[place] else packet, outgoing=False)
        for packets in answers:
            for packet in packets:
                record(now, packet.tobytes(), outgoing=True)
        return done, answers


def completed(packet: bytes) -> bytes:
    """The packet with its TCP or UDP checksum filled in, whatever an offloading device left in the field.

    What isn't TCP or UDP, carries no UDP checksum, or can't be read comes back as it is.
    """
    header = IpHeader()
    try:
        parse_untrusted(packet, header)
    except WireError:
        return packet
    start, end = int(header.header_len), int(header.total_len)
    at = start + (16 if header.protocol == PROTO_TCP else 6)
    if header.protocol not in (PROTO_TCP, PROTO_UDP) or at + 2 > end:
        return packet
    if header.protocol == PROTO_UDP and packet[at : at + 2] == b"\0\0":
        return packet
    addresses = packet[12:20] if header.version == 4 else packet[8:40]
    total = pseudo_sum(addresses, header.protocol, end - start) + ones_sum(packet[start:at] + packet[at + 2 : end])
    check = int(complement(total))
    if check == 0 and header.protocol == PROTO_UDP:
        check = 0xFFFF  # RFC 768: zero would mean that there is none
    return b"".join((packet[:at], check.to_bytes(2, "big"), packet[at + 2 :]))


def _block(kind: int, body: bytes) -> bytes:
    total = _BLOCK.size + len(body) + _TRAILER.size
    return _BLOCK.pack(kind, total) + body + _TRAILER.pack(total)


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + value + _PADDING[len(value) & 3]


def _utf8(text: str) -> bytes:
    """At most what an option holds, cut between characters."""
    encoded = text.encode(errors="replace")
    if len(encoded) > _OPTION_MAX:
        encoded = encoded[:_OPTION_MAX].decode(errors="ignore").encode()
    return encoded
