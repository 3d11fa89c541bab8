"""The harness blames what is to blame: faults made on purpose, over the memory link."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from synfin.links.memory import MemoryLink
from synfin.links.pcapng import PcapngWriter
from synfin.stack.stack import Stack
from synfin.tcp.config import Config
from synfin.tcp.trace import Event, NoteEvent
from tests.interop.harness import KERNEL, PORT, SYNFIN, Report, Settings
from tests.interop.tshark import COMPLETE, read_capture

pytestmark = pytest.mark.interop

Programs = Callable[[str], str]
Change = Callable[[int, bytes], list[bytes]]


def record(path: Path, lose: int = -1, change: Change = lambda number, packet: [packet]) -> Report:
    """One connection from the synfin side, 20 KB and a close both ways, of which packet number `lose` is lost.

    change: what stands in the capture for the packet of a number. The peer plays the kernel.
    """
    notes: list[tuple[int, bytes, str]] = []

    def watch(event: Event) -> None:
        if isinstance(event, NoteEvent):
            notes.append((event.at, event.key, event.what))

    def entropy(size: int) -> bytes:
        return bytes(range(size))

    mine = Stack([SYNFIN[4]], Config(), entropy=entropy, trace=watch)
    peer = Stack([KERNEL[4]], Config(), entropy=entropy)
    sent = 0

    def drop(_: Stack, __: bytes) -> bool:
        return sent == lose + 1

    with PcapngWriter(path) as writer:

        def tap(now: int, sender: Stack, packet: bytes) -> None:
            nonlocal sent
            for seen in change(sent, packet):
                writer.write(now, seen, outgoing=sender is mine)
            sent += 1

        link = MemoryLink(mine, peer)
        link.tap, link.drop = tap, drop
        listener = peer.listen(PORT)
        connection = mine.connect(KERNEL[4], PORT, link.now)
        connection.write(bytes(20_000))
        connection.shutdown(link.now)
        assert link.run(lambda: listener.pending() > 0)
        accepted = listener.accept()
        assert accepted is not None
        assert link.run(lambda: accepted.receiver.fin_reached)
        accepted.read(link.now)
        accepted.shutdown(link.now)
        link.run(limit_us=link.now + 10_000_000)
    return Report(
        Settings(capture=str(path)), mine.census(), mine.counters.as_dict(), notes, [], 0, 0, 0, {"RetransSegs": 0}, 0
    )


def test_a_faultless_capture_is_complete_and_blamed_for_nothing(require_program: Programs, tmp_path: Path) -> None:
    (stream,) = record(tmp_path / "fine.pcapng").read_conversations(require_program("tshark"))
    assert (stream.completeness, stream.again, stream.gaps) == (COMPLETE, [], [])


def test_a_retransmission_needs_a_note_in_the_trace(require_program: Programs, tmp_path: Path) -> None:
    report = record(tmp_path / "lost.pcapng", lose=5)
    (stream,) = report.read_conversations(require_program("tshark"))
    assert stream.again
    with pytest.raises(AssertionError, match="the trace does not explain"):
        dataclasses.replace(report, notes=[]).read_capture(require_program("tshark"))


def test_a_packet_that_is_missing_in_the_capture_is_a_gap(require_program: Programs, tmp_path: Path) -> None:
    report = record(tmp_path / "gap.pcapng", change=lambda number, packet: [packet] if number != 5 else [])
    (stream,) = read_capture(require_program("tshark"), Path(report.settings.capture), PORT, True).streams.values()
    assert stream.gaps


@pytest.mark.parametrize(
    ("at", "value"), [(10, 0xFF), (36, 0xFF), (32, 0x10)], ids=["IP-checksum", "TCP-checksum", "TCP-header-of-4-bytes"]
)
def test_one_broken_packet_is_the_one_that_is_blamed(
    require_program: Programs, tmp_path: Path, at: int, value: int
) -> None:
    def change(number: int, packet: bytes) -> list[bytes]:
        return [packet if number != 5 else packet[:at] + bytes([value]) + packet[at + 1 :]]

    report = record(tmp_path / "bad.pcapng", change=change)
    (blamed,) = read_capture(require_program("tshark"), Path(report.settings.capture), PORT, True).wrong
    assert "'frame.number': '6'" in blamed
    with pytest.raises(AssertionError, match=r"'frame\.number': '6'"):
        report.read_capture(require_program("tshark"))
