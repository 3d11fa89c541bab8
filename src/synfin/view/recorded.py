"""A capture file -> the timelines of its connections, whichever stack or program wrote it.

A packet may be in the file once for each interface that it passed: of each end's packets those of the first interface
count. Our own annotated captures tell more: their comments carry the sender's figures, and which packets were lost.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from synfin.links.captures import Capture, Captured, CaptureError
from synfin.tcp.trace import PacketEvent
from synfin.view.capture import LOST
from synfin.view.events import key_of
from synfin.view.samples import from_text
from synfin.view.timeline import Timelines
from synfin.wire.key import reverse_key
from synfin.wire.segment import Burst


class Recording:
    """What a file holds. skipped: packets that were no TCP; cut: it ends within a packet."""

    def __init__(self, file: BinaryIO) -> None:
        self.timelines = Timelines()
        self.skipped = 0
        self._interfaces: dict[bytes, str] = {}  # where each end's packets count, by the key at that end
        self._section = 0
        capture = Capture(file)
        for found in capture:
            self._take(found, capture.application == "synfin")
        self.cut = capture.cut
        self.skipped += capture.skipped
        if not self.timelines.packets:
            raise CaptureError(_why_nothing(capture, self.skipped))

    def _take(self, found: Captured, ours: bool) -> None:
        if found.section != self._section:
            self._section = found.section
            self._interfaces.clear()
            self.timelines.forget()
        key = key_of(found.packet)
        if not key:
            self.skipped += 1
            return
        sender = reverse_key(key)
        if self._interfaces.setdefault(sender, found.interface) != found.interface:
            return
        # A capture is no host: all that is in it was sent by somebody.
        self.timelines(PacketEvent(found.at, "", True, sender, Burst(found.packet, [], 0, 0, 0)))
        if ours:
            self.timelines.name(sender if found.outgoing else key, found.interface)  # each host is an interface
            for line in found.comment.splitlines():
                self._comment(found, key, line)

    def _comment(self, found: Captured, key: bytes, line: str) -> None:
        if line == LOST:
            self.timelines.mark_lost()
            return
        host, separator, _ = line.partition(" at ")
        if not separator:
            return
        # The packet left the host that is its interface, or came to it.
        at_sender = (host == found.interface) == (found.outgoing is not False)
        sample = from_text(line, reverse_key(key) if at_sender else key)
        if sample is not None:
            self.timelines(sample)


def load(path: Path) -> Recording:
    """Read a capture. Raises OSError, and CaptureError for what is none, is broken, or holds no TCP."""
    with path.open("rb") as file:
        return Recording(file)


def _why_nothing(capture: Capture, skipped: int) -> str:
    if capture.unknown_links:
        types = ", ".join(map(str, sorted(capture.unknown_links)))
        return (
            f"no packet can be read: link type {types} is not known (Ethernet, raw IP, loopback and Linux cooked are)"
        )
    if skipped:
        return f"there is no TCP in it: {skipped:,} other packets"
    return "there is no packet in it"
