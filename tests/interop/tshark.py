"""What tshark says of a capture, stream by stream."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

# tcp.completeness
DATA: Final = 8
COMPLETE: Final = 1 | 2 | 4 | DATA | 16  # SYN, SYN-ACK, ACK, data, FIN; the bit for RST depends on tshark's version

_ERROR: Final = 0x800000  # severity of Wireshark's expert information
_GOOD: Final = "1"  # of a checksum's status
_INBOUND: Final = 1
_FIN: Final = 0x01
_RST: Final = 0x04

_FIELDS: Final = (
    "frame.number frame.time_epoch frame.comment frame.packet_flags_direction "
    "ip.src ipv6.src tcp.srcport tcp.dstport tcp.stream tcp.flags "
    "tcp.completeness tcp.checksum ip.checksum.status tcp.checksum.status icmp.checksum.status icmpv6.checksum.status "
    "tcp.analysis.retransmission tcp.analysis.fast_retransmission tcp.analysis.spurious_retransmission "
    "tcp.analysis.out_of_order tcp.analysis.lost_segment tcp.analysis.ack_lost_segment "
    "_ws.malformed _ws.expert.severity _ws.expert.message"
).split()
_AGAIN: Final = (
    "tcp.analysis.retransmission",
    "tcp.analysis.fast_retransmission",
    "tcp.analysis.spurious_retransmission",
    "tcp.analysis.out_of_order",
)


@dataclass
class Stream:
    """One conversation; times are microseconds since 1970."""

    completeness: int = 0  # as of its last frame
    ports: dict[str, int] = field(default_factory=dict)  # by address
    fins: set[str] = field(default_factory=set)  # addresses that sent one
    resets: set[str] = field(default_factory=set)  # the same
    again: list[tuple[int, str]] = field(default_factory=list)  # retransmissions: when, and from which address
    gaps: list[tuple[int, str]] = field(default_factory=list)  # "previous segment not captured" and the like, the same

    def key_at(self, local: str) -> bytes:
        """As the host `local` names it in its trace: peer | local | peer port | local port."""
        from ipaddress import ip_address

        (peer,) = self.ports.keys() - {local}
        addresses = ip_address(peer).packed + ip_address(local).packed
        return addresses + self.ports[peer].to_bytes(2, "big") + self.ports[local].to_bytes(2, "big")


@dataclass
class Capture:
    """frames: how many of each protocol. wrong: a line for each frame that is malformed or has a bad checksum."""

    frames: int = 0
    tcp_frames: int = 0
    comments: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    streams: dict[int, Stream] = field(default_factory=dict)


def read_capture(tshark: str, path: Path, port: int, whole_packets: bool) -> Capture:
    """Have tshark read a capture of connections to `port`.

    whole_packets: none was cut at a snap length, so every checksum must be good.
    """
    # What TCP carries is not looked at: to tshark it may look like anything.
    command = [tshark, "-n", "-r", str(path), "-d", f"tcp.port=={port},data"]
    for protocol in ("ip", "tcp"):
        command += ["-o", f"{protocol}.check_checksum:TRUE"]
    command += ["-T", "fields", *(part for name in _FIELDS for part in ("-e", name))]
    capture = Capture()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None and running.stderr is not None
        for line in running.stdout:
            _read_frame(capture, dict(zip(_FIELDS, line.rstrip("\n").split("\t"), strict=True)), whole_packets)
        complaints = [complaint for complaint in running.stderr if "as user" not in complaint]
    if running.returncode != 0 or complaints:
        capture.wrong.append(f"tshark ended with status {running.returncode}: {complaints}")
    return capture


def _read_frame(capture: Capture, frame: dict[str, str], whole_packets: bool) -> None:
    capture.frames += 1
    if frame["frame.comment"]:
        capture.comments.append(frame["frame.comment"])
    blamed = any(int(severity) >= _ERROR for severity in _several(frame["_ws.expert.severity"]))
    if frame["_ws.malformed"] or (
        (blamed or (whole_packets and not _checksums_good(frame))) and not _mangled_zero(frame)
    ):
        capture.wrong.append(f"{ {name: value for name, value in frame.items() if value} }")
    if not frame["tcp.flags"]:  # no TCP, or not to be read
        return
    capture.tcp_frames += 1
    stream = capture.streams.setdefault(int(frame["tcp.stream"]), Stream())
    stream.completeness = int(frame["tcp.completeness"], 0) & COMPLETE  # grows with each frame in a single pass
    source = frame["ip.src"] or frame["ipv6.src"]
    stream.ports[source] = int(frame["tcp.srcport"])
    at = int(frame["frame.time_epoch"].replace(".", "")[:-3])
    flags = int(frame["tcp.flags"], 0)
    if flags & _FIN:
        stream.fins.add(source)
    if flags & _RST:
        stream.resets.add(source)
    if any(frame[name] for name in _AGAIN):
        stream.again.append((at, source))
    if frame["tcp.analysis.lost_segment"] or frame["tcp.analysis.ack_lost_segment"]:
        stream.gaps.append((at, source))


def _checksums_good(frame: dict[str, str]) -> bool:
    """Each header that has one is good: IPv4 in any case, and what it carries."""
    upper = [frame[name] for name in ("tcp.checksum.status", "icmp.checksum.status", "icmpv6.checksum.status")]
    statuses = [*([frame["ip.checksum.status"]] if frame["ip.src"] else []), *filter(None, upper)]
    return all(status == _GOOD for status in statuses) and (not frame["tcp.stream"] or upper[0] == _GOOD)


def _mangled_zero(frame: dict[str, str]) -> bool:
    """A zero checksum that Linux wrote as 0xffff, as UDP wants it (CSUM_MANGLED_0): the same sum, but bad to tshark.

    Only packets that come from the kernel; one in 65,536.
    """
    return int(frame["frame.packet_flags_direction"], 0) == _INBOUND and frame["tcp.checksum"] == "0xffff"


def _several(values: str) -> Iterable[str]:
    return values.split(",") if values else ()
