"""What is kept of a trace for plots: departures, answers, losses, figures; from events and from files."""

from __future__ import annotations

import io
from collections.abc import Iterable

import pytest

from synfin.links.captures import CaptureError
from synfin.links.pcapng import PcapngWriter
from synfin.tcp.trace import Event, PacketEvent
from synfin.view import timeline
from synfin.view.capture import AnnotatedCapture
from synfin.view.recorded import Recording
from synfin.view.timeline import AGAIN, CWND, LATE, NEW, PHASE, Connection, Half, Timelines
from synfin.wire.ip import build_ipv4
from synfin.wire.key import reverse_key
from synfin.wire.segment import build, finish
from tests.unit.view.script import MS, Script, opened
from tests.unit.view.transfer import AGAIN_AT, LOST_AT, MSS, lossy_transfer


def collected(events: Iterable[Event]) -> Timelines:
    timelines = Timelines()
    for event in events:
        timelines(event)
    return timelines


def only(timelines: Timelines) -> Connection:
    [connection] = timelines.connections
    return connection


def client_half(script: Script, *hosts: str) -> Half:
    return only(collected(script.events(*hosts))).half(script.keys["client"])


def kinds(half: Half) -> list[tuple[float, int, int]]:
    """(ms, start, kind) of departures that carry text."""
    return [(at / MS, start, kind) for at, start, end, kind in half.sent if start and end - start == MSS]


def raw(events: Iterable[Event]) -> bytes:
    """The packets of a trace as another program would have captured them."""
    file = io.BytesIO()
    with PcapngWriter(file) as writer:
        for event in events:
            if isinstance(event, PacketEvent):
                writer.write(event.at, finish(event.burst) if event.outgoing else event.burst.head, outgoing=True)
    return file.getvalue()


def test_departures_are_new_or_again() -> None:
    found = kinds(client_half(lossy_transfer()))
    assert found == [(50 + n, 1 + n * MSS, NEW) for n in range(6)] + [(AGAIN_AT, 1 + MSS, AGAIN)]


def test_with_both_ends_the_lost_segment_is_known() -> None:
    assert client_half(lossy_transfer()).lost == [(round(LOST_AT * MS), 1 + MSS, 1 + 2 * MSS)]
    assert client_half(lossy_transfer(), "client").lost == []


def test_a_segment_that_is_still_on_its_way_at_the_end_is_not_lost() -> None:
    script = opened(Script())
    script.send(50, "client", "ACK", 1, 1, MSS, lost=True)
    assert client_half(script).lost == []


def test_answers_come_with_the_window_and_what_sack_tells() -> None:
    half = client_half(lossy_transfer())
    assert (70 * MS, 1 + MSS, 1 + MSS + 502 * 128) in list(half.acks)  # both SYNs agreed on a scale of 7
    assert [(right - left) // MSS for _, left, right in half.sacks] == [1, 2, 3]
    assert {left for _, left, _ in half.sacks} == {1 + 2 * MSS}


def test_in_flight_is_what_was_sent_and_neither_acknowledged_nor_reported() -> None:
    flight = {at: size for at, size in client_half(lossy_transfer()).flight}  # noqa: C416
    assert flight[55 * MS] == 6 * MSS
    assert flight[70 * MS] == 5 * MSS
    assert flight[74 * MS] == 2 * MSS
    assert flight[95 * MS] == 0


def test_a_round_trip_is_told_by_what_went_once_only() -> None:
    assert [(at / MS, us / MS) for at, us in client_half(lossy_transfer()).rtts] == [
        (20, 20),  # the SYN
        (70, 20),
        (72, 20),  # by SACK
        (73, 20),
        (74, 20),
        (95, 40),  # the sixth segment, of which no SACK told
        (120, 20),  # the FIN
    ]


def test_an_ack_of_what_went_twice_or_was_reported_before_tells_no_round_trip() -> None:
    # Karn: the first segment went twice. The second was reported by SACK long before the ACK.
    script = opened(Script())
    script.send(50, "client", "ACK", 1, 1, MSS, lost=True)
    script.send(51, "client", "ACK", 1001, 1, MSS)
    left = script.isns["client"] + 1001
    script.send(61, "server", "ACK", 1, 1, sack=[(left, left + MSS)])
    script.send(80, "client", "ACK", 1, 1, MSS)
    script.send(90, "server", "ACK", 1, 2001)
    script.send(110, "client", "ACK", 2001, 1, MSS, lost=True)
    script.send(400, "client", "ACK", 2001, 1, MSS)
    script.send(410, "server", "ACK", 1, 3001)
    assert [(at / MS, us / MS) for at, us in client_half(script).rtts] == [(20, 20), (71, 20)]


def test_text_is_counted_once() -> None:
    half = client_half(lossy_transfer())
    assert half.text == 6 * MSS
    assert list(half.delivered)[-1][1] == 2 + 6 * MSS


def test_a_gap_filled_at_once_was_overtaken_and_one_filled_later_was_lost_before() -> None:
    # As the receiver sees it: 1,000 is missing for 1 ms, 3,000 for 40 ms.
    script = opened(Script())
    for ms, seq in ((50, 1), (51, 2001), (52, 1001), (60, 4001), (100, 3001)):
        script.send(ms, "client", "ACK", seq, 1, MSS)
    assert [(start, kind) for _, start, kind in kinds(client_half(script, "server"))] == [
        (1, NEW),
        (2001, NEW),
        (1001, LATE),
        (4001, NEW),
        (3001, AGAIN),
    ]


def test_a_burst_is_one_departure_and_the_segment_of_it_that_is_lost_is_told() -> None:
    script = opened(Script())
    script.send(50, "client", "ACK", 1, 1, 3 * MSS, lost=True, gso_size=MSS)
    arrived = [script.segment("client", "ACK", 1 + n * MSS, 1, MSS) for n in (0, 2)]
    for segment in arrived:
        script.arrive(60, "server", build(segment))
    script.send(70, "server", "ACK", 1, 1 + MSS)
    script.send(500, "server", "ACK", 1, 1 + MSS)
    half = client_half(script)
    assert list(half.sent)[-1][1:] == (1, 1 + 3 * MSS, NEW)
    assert half.lost == [(50 * MS, 1 + MSS, 1 + 2 * MSS)]


def test_samples_belong_to_the_end_that_told_them() -> None:
    script = lossy_transfer()
    connection = only(collected(script.events()))
    samples = connection.half(script.keys["client"]).samples
    assert list(samples.column(CWND)) == [10 * MSS, 11 * MSS, 11 * MSS, 11 * MSS, 5 * MSS, 5 * MSS]
    assert list(samples.column(PHASE)) == [0, 0, 0, 0, 1, 0]
    assert len(connection.half(script.keys["server"]).samples) == 0


def test_the_larger_sender_is_the_one_with_more_text() -> None:
    script = opened(Script())
    script.send(50, "client", "ACK", 1, 1, 10)
    script.send(60, "server", "ACK", 1, 11, 2000)
    connection = only(collected(script.events()))
    assert connection.key == script.keys["client"]
    assert connection.larger_sender() == script.keys["server"]
    assert connection.name_of(script.keys["server"]) == "server 10.0.0.2:80"


def test_the_windows_edge_is_unknown_where_no_syn_was_seen() -> None:
    script = Script()
    script.send(50, "client", "ACK", 1, 1, MSS)
    script.send(60, "server", "ACK", 1, 1 + MSS)
    assert [edge for _, _, edge in client_half(script).acks] == [-1]


def test_a_syn_after_the_end_begins_another_connection() -> None:
    first, second = lossy_transfer(), opened(Script(isns=(7, 8)))
    again = [event for event in second.events() if isinstance(event, PacketEvent)]
    for event in again:
        event.at += 500 * MS
    timelines = collected([*first.events(), *again])
    assert [connection.packets for connection in timelines.connections] == [35, 6]


def test_what_is_over_the_limits_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    timelines = Timelines(limit=10)
    for event in lossy_transfer().events():
        timelines(event)
    assert (timelines.packets, timelines.dropped) == (10, 25)
    monkeypatch.setattr(timeline, "MAX_CONNECTIONS", 1)
    two = [*lossy_transfer().events("client"), *opened(Script(ports=(1, 2))).events("client")]
    assert len(collected(two).connections) == 1
    assert collected(two).dropped == 3


# ---- files ----


def test_a_capture_of_another_stack_tells_the_same_as_the_trace() -> None:
    script = lossy_transfer()
    half = client_half(script, "client")
    recording = Recording(io.BytesIO(raw(script.events("client"))))
    read = only(recording.timelines).half(script.keys["client"])
    assert list(read.sent) == list(half.sent)
    assert list(read.acks) == list(half.acks)
    assert list(read.sacks) == list(half.sacks)
    assert list(read.rtts) == list(half.rtts)


@pytest.mark.parametrize("hosts", [(), ("client",)], ids=["both ends", "one end"])
def test_an_annotated_capture_brings_samples_and_losses_back(hosts: tuple[str, ...]) -> None:
    script = lossy_transfer()
    file = io.BytesIO()
    with AnnotatedCapture(file, both_ends=not hosts, samples=True) as capture:
        for event in script.events(*hosts):
            capture(event)
    read = only(Recording(io.BytesIO(file.getvalue())).timelines)
    half = read.half(script.keys["client"])
    assert list(half.samples) == list(client_half(script).samples)
    assert [(at, start) for at, start, _ in half.lost] == ([] if hosts else [(LOST_AT * MS, 1 + MSS)])
    assert read.name_of(script.keys["client"]).startswith("client ")


def test_a_packet_seen_on_two_interfaces_counts_once() -> None:
    script = lossy_transfer()
    file = io.BytesIO()
    with PcapngWriter(file) as writer:
        numbers = [writer.add_interface("eth0"), writer.add_interface("bridge0")]
        for event in script.events("client"):
            if isinstance(event, PacketEvent):
                for number in numbers:
                    packet = finish(event.burst) if event.outgoing else event.burst.head
                    writer.write(event.at + number, packet, interface=number, outgoing=True)
    half = only(Recording(io.BytesIO(file.getvalue())).timelines).half(script.keys["client"])
    assert list(half.sent) == list(client_half(script, "client").sent)


def test_packets_cut_at_the_snap_length_still_tell_their_size() -> None:
    script = lossy_transfer()
    file = io.BytesIO()
    with PcapngWriter(file, snaplen=80) as writer:
        for event in script.events("client"):
            if isinstance(event, PacketEvent):
                packet = finish(event.burst) if event.outgoing else event.burst.head
                writer.write(event.at, packet, outgoing=True)
    assert only(Recording(io.BytesIO(file.getvalue())).timelines).half(script.keys["client"]).text == 6 * MSS


def test_each_section_of_a_file_is_a_story_of_its_own() -> None:
    data = raw(lossy_transfer().events("client"))
    assert len(Recording(io.BytesIO(data + data)).timelines.connections) == 2


def test_a_capture_without_tcp_says_so() -> None:
    udp = build_ipv4(bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2]), 17, 8) + bytes(8)
    file = io.BytesIO()
    with PcapngWriter(file) as writer:
        writer.write(1, udp, outgoing=True)
    with pytest.raises(CaptureError, match="no TCP in it: 1 other"):
        Recording(io.BytesIO(file.getvalue()))
    with pytest.raises(CaptureError, match="no packet in it"):
        Recording(io.BytesIO(raw([])))


def test_other_packets_are_skipped_and_counted() -> None:
    script = lossy_transfer()
    file = io.BytesIO(raw(script.events("client")))
    udp = build_ipv4(bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2]), 17, 8) + bytes(8)
    file.seek(0, io.SEEK_END)
    with PcapngWriter(file) as writer:
        writer.write(1, udp, outgoing=True)
    file.seek(0)
    assert Recording(file).skipped == 1


def test_the_other_direction_is_there_too() -> None:
    script = lossy_transfer()
    connection = only(collected(script.events()))
    theirs = connection.half(reverse_key(script.keys["client"]))
    assert theirs.text == 0
    assert [name for _, _, name in theirs.marks] == ["SYN", "FIN"]
