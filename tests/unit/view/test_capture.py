"""The annotated capture: each packet once, with what it caused as its comment."""

from __future__ import annotations

import io
import struct
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from synfin.tcp.congestion.base import LOSS, UNLIMITED
from synfin.tcp.trace import Event, PacketEvent, SampleEvent
from synfin.view.capture import AnnotatedCapture
from synfin.view.samples import as_text, from_text
from synfin.wire.ip import IpHeader
from synfin.wire.ip import parse_untrusted as parse_ip
from synfin.wire.segment import Burst, Segment, build, parse_untrusted
from synfin.wire.tcp_header import flag_names
from tests.unit.view.script import Script, closed, opened
from tests.unit.view.test_diagram import download, lossy, page, simultaneous_close


@dataclass
class Packet:
    at: int
    interface: str
    data: bytes
    comment: str

    @property
    def flags(self) -> str:
        header, segment = IpHeader(), Segment()
        parse_ip(self.data, header)
        parse_untrusted(self.data, header, segment, False, 0)  # raises if a checksum is wrong
        return flag_names(segment.flags)


def read_pcapng(data: bytes) -> list[Packet]:
    packets: list[Packet] = []
    names: list[str] = []
    at = 0
    while at < len(data):
        kind, size = struct.unpack_from("<II", data, at)
        body = data[at + 8 : at + size - 4]
        at += size
        if kind == 1:
            names.append(dict(options(body[8:]))[2].decode())
        elif kind == 6:
            interface, high, low, captured, _ = struct.unpack_from("<IIIII", body)
            padded = captured + (-captured) % 4
            comment = dict(options(body[20 + padded :])).get(1, b"").decode()
            packets.append(Packet(high << 32 | low, names[interface], body[20 : 20 + captured], comment))
    return packets


def options(data: bytes) -> list[tuple[int, bytes]]:
    found: list[tuple[int, bytes]] = []
    at = 0
    while at + 4 <= len(data):
        code, size = struct.unpack_from("<HH", data, at)
        if code == 0:
            break
        found.append((code, data[at + 4 : at + 4 + size]))
        at += 4 + size + (-size) % 4
    return found


def captured(
    events: list[Event], both_ends: bool = False, snaplen: int = 0, samples: bool = False, epoch_us: int = 0
) -> list[Packet]:
    file = io.BytesIO()
    with AnnotatedCapture(file, snaplen, both_ends=both_ends, samples=samples, epoch_us=epoch_us) as capture:
        for event in events:
            capture(event)
    assert capture.error is None
    return read_pcapng(file.getvalue())


def told(packets: list[Packet]) -> list[tuple[str, str]]:
    return [(packet.flags, packet.comment) for packet in packets]


def test_each_packet_of_a_client_carries_the_transition_that_it_caused() -> None:
    assert told(captured(page().events("client"))) == [
        ("SYN", "client: CLOSED -> SYN-SENT: active OPEN / SYN (RFC 9293 3.10.1)"),
        ("SYN,ACK", "client: SYN-SENT -> ESTABLISHED: SYN,ACK / ACK (RFC 9293 3.10.7.3)"),
        ("ACK", ""),
        ("PSH,ACK", ""),
        ("PSH,ACK", ""),
        ("ACK", ""),
        ("FIN,ACK", "client: ESTABLISHED -> FIN-WAIT-1: CLOSE / FIN (RFC 9293 3.10.4)"),
        ("ACK", "client: FIN-WAIT-1 -> FIN-WAIT-2: ACK of FIN (RFC 9293 3.10.7.4)"),
        ("FIN,ACK", "client: FIN-WAIT-2 -> TIME-WAIT: FIN / ACK (RFC 9293 3.10.7.4)"),
        ("ACK", ""),
    ]


def test_with_both_ends_each_packet_is_there_once_with_what_it_caused_at_either() -> None:
    packets = captured(simultaneous_close().events(), both_ends=True)
    assert told(packets) == [
        (
            "SYN",
            "client: CLOSED -> SYN-SENT: active OPEN / SYN (RFC 9293 3.10.1)\n"
            "server: LISTEN -> SYN-RCVD: SYN / SYN,ACK (RFC 9293 3.10.7.2)",
        ),
        ("SYN,ACK", "client: SYN-SENT -> ESTABLISHED: SYN,ACK / ACK (RFC 9293 3.10.7.3)"),
        ("ACK", "server: SYN-RCVD -> ESTABLISHED: ACK of SYN (RFC 9293 3.10.7.4)"),
        (
            "FIN,ACK",
            "client: ESTABLISHED -> FIN-WAIT-1: CLOSE (RFC 9293 3.10.4)\n"
            "server: FIN-WAIT-1 -> CLOSING: FIN (RFC 9293 3.10.7.4)",
        ),
        (
            "FIN,ACK",
            "server: ESTABLISHED -> FIN-WAIT-1: CLOSE (RFC 9293 3.10.4)\n"
            "client: FIN-WAIT-1 -> CLOSING: FIN (RFC 9293 3.10.7.4)",
        ),
        ("ACK", "client: CLOSING -> TIME-WAIT: ACK of FIN (RFC 9293 3.10.7.4)"),
        ("ACK", "server: CLOSING -> TIME-WAIT: ACK of FIN (RFC 9293 3.10.7.4)"),
    ]
    hosts = " ".join(packet.interface for packet in packets)
    assert hosts == "client server client client server server client"
    assert [packet.at for packet in packets] == sorted(packet.at for packet in packets)


def sampled() -> Script:
    script = opened(Script())
    script.send(50, "client", "PSH,ACK", 1, 1, 100)
    script.send(60, "server", "ACK", 1, 101)
    script.sample(70, "client", 14480, UNLIMITED, 0, rtt=20_000, srtt=20_250, pacing=1234567.8)
    script.send(80, "client", "PSH,ACK", 101, 1, 100, lost=True)
    script.sample(300, "client", 1448, 2896, 0, srtt=20_250, phase=LOSS)
    script.send(300, "client", "PSH,ACK", 101, 1, 100)
    return script


def test_samples_are_comments_of_the_ack_or_of_what_a_timer_sends_where_they_are_wanted() -> None:
    events = sampled().events("client")
    assert [packet.comment for packet in captured(events, samples=True)[3:]] == [
        "",
        "client at 70000 us: cwnd 14480, ssthresh unlimited, in flight 0, pacing 1234568 B/s, rtt 20000 us, "
        "srtt 20250 us, open",
        "",
        "client at 300000 us: cwnd 1448, ssthresh 2896, in flight 0, pacing 0 B/s, rtt 0 us, srtt 20250 us, "
        "after a timeout",
    ]
    assert not any(packet.comment for packet in captured(events)[3:])


def test_a_samples_time_is_on_the_captures_clock() -> None:
    packets = captured(sampled().events("client"), samples=True, epoch_us=1_000_000)
    assert packets[4].at == 1_070_000
    assert packets[4].comment.startswith("client at 1070000 us: ")


def test_a_sample_comes_back_from_its_comment_as_it_was() -> None:
    for sample in (event for event in sampled().events("client") if isinstance(event, SampleEvent)):
        back = from_text(as_text(sample), sample.key)
        assert back is not None
        assert (back.at, back.host, back.key, back.phase) == (sample.at, sample.host, sample.key, sample.phase)
        assert (back.cwnd, back.ssthresh, back.in_flight) == (sample.cwnd, sample.ssthresh, sample.in_flight)
        assert (back.pacing_rate, back.rtt, back.srtt) == (round(sample.pacing_rate), sample.rtt, sample.srtt)
    assert from_text("client: retransmission: RTO (RFC 6298 5.4)", b"") is None


def test_a_lost_packet_says_so_and_its_retransmission_says_why() -> None:
    comments = [packet.comment for packet in captured(lossy().events(), both_ends=True) if packet.comment][3:]
    assert comments == [
        "lost: never received",
        "server: retransmission: RACK (RFC 8985 6.2)",
        "lost: never received",
        "client: retransmission: RTO (RFC 6298 5.4)",
    ]


def test_a_transition_waits_for_the_packet_with_its_flag() -> None:
    script = opened(Script())
    script.state(50, "client", "ESTABLISHED -> FIN-WAIT-1", "CLOSE", "9293 3.10.4", "user")
    script.send(50, "client", "PSH,ACK", 1, 1, 100)
    script.send(51, "client", "FIN,ACK", 101, 1)
    comments = [packet.comment for packet in captured(script.events("client"))]
    assert comments[-2:] == ["", "client: ESTABLISHED -> FIN-WAIT-1: CLOSE (RFC 9293 3.10.4)"]


def test_an_abort_belongs_to_its_rst() -> None:
    script = opened(Script())
    script.state(50, "client", "ESTABLISHED -> CLOSED", "ABORT", "9293 3.10.5", "user")
    script.send(50, "client", "RST", 1)
    assert told(captured(script.events("client")))[-1] == (
        "RST",
        "client: ESTABLISHED -> CLOSED: ABORT (RFC 9293 3.10.5)",
    )


def test_the_end_of_time_wait_is_not_told_by_the_next_connections_syn() -> None:
    script = closed(opened(Script()), 50, 1, 1)
    script.state(70_000, "client", "CLOSED -> SYN-SENT", "active OPEN", "9293 3.10.1", "user")
    script.send(70_000, "client", "SYN", 500_000)
    assert captured(script.events("client"))[-1].comment == "client: CLOSED -> SYN-SENT: active OPEN (RFC 9293 3.10.1)"


def test_a_note_about_an_incoming_packet_is_its_comment() -> None:
    script = opened(Script())
    script.send(50, "server", "PSH,ACK", 1, 1, 10)
    script.note(60, "client", "dropped: PAWS", "7323 5.3")
    script.send(60, "client", "ACK", 1, 1)
    assert [packet.comment for packet in captured(script.events("client"))][-2:] == [
        "client: dropped: PAWS (RFC 7323 5.3)",
        "",
    ]


def test_bursts_and_partial_checksums_are_complete_in_the_file() -> None:
    events = download(4).events()
    for packet in captured(events):
        assert packet.flags  # the parser has checked the checksum
    partial = bytearray(build(opened(Script()).segment("server", "PSH,ACK", 1, 1, 100)))
    partial[36:38] = b"\x12\x34"
    key = Script().keys["client"]
    packets = captured([PacketEvent(0, "client", False, key, Burst(bytes(partial), [], 0, 0, 20))])
    assert packets[0].flags == "PSH,ACK"


def test_with_both_ends_a_burst_is_the_segments_that_travel() -> None:
    script = opened(Script())
    segment = script.segment("server", "ACK", 1, 1, 5 * 1448, gso_size=1448)
    script.send(50, "server", "ACK", 1, 1, 5 * 1448, gso_size=1448, lost=True)
    for number in range(5):
        piece = script.segment("server", "ACK", 1 + number * 1448, 1, 1448)
        piece.payload = segment.payload[number * 1448 : (number + 1) * 1448]
        script.arrive(60, "client", build(piece))
    packets = captured(script.events(), both_ends=True)[3:]
    assert [len(packet.data) for packet in packets] == [1500] * 5
    assert not any(packet.comment for packet in packets)


def test_the_snap_length_cuts_packets_in_the_file() -> None:
    assert max(len(packet.data) for packet in captured(download(2).events("server"), snaplen=96)) == 96


def test_a_full_disk_ends_the_recording_and_nothing_else() -> None:
    class Full(io.BytesIO):
        def write(self, data: object) -> int:
            if self.tell() > 200:
                raise OSError(28, "No space left on device")
            return super().write(data)  # type: ignore[arg-type]

    capture = AnnotatedCapture(Full())
    for event in page().events():
        capture(event)
    capture.close()
    assert isinstance(capture.error, OSError)


def test_packets_are_written_while_the_connection_runs() -> None:
    file = io.BytesIO()
    capture = AnnotatedCapture(file)
    for event in page().events("client")[:8]:
        capture(event)
    assert len(read_pcapng(file.getvalue())) >= 4


@pytest.mark.parametrize("both_ends", [False, True])
def test_tshark_finds_nothing_wrong_and_shows_the_comments(
    tmp_path: Path, both_ends: bool, require_program: Callable[[str], str]
) -> None:
    tshark = require_program("tshark")
    file = tmp_path / "page.pcapng"
    with AnnotatedCapture(file, both_ends=both_ends) as capture:
        for event in page().events(*() if both_ends else ("server",)):
            capture(event)
    checks = ["-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"]
    fields = ["-T", "fields", "-e", "frame.comment", "-e", "_ws.malformed", "-e", "tcp.analysis.flags"]
    command = [tshark, "-r", str(file), *checks, *fields, "-e", "tcp.checksum.status", "-e", "tcp.completeness"]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    rows = [line.split("\t") for line in run.stdout.splitlines()]
    assert len(rows) == 10
    assert [row[1:4] for row in rows] == [["", "", "1"]] * 10
    assert rows[-1][4] == "31"  # SYN, SYN,ACK, ACK, data, FIN
    assert "server: LISTEN -> SYN-RCVD: SYN / SYN,ACK (RFC 9293 3.10.7.2)" in rows[0][0]
