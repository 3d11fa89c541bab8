"""Runs of plain data and ACKs: a few are drawn one by one, many are folded into one row."""

from __future__ import annotations

from typing import Final

from synfin.view.labels import bytes_text, count_text, duration_text, rate_text
from synfin.view.numbering import Packet
from synfin.view.rows import BULK, Arrow, Words

FEW: Final = 6  # packets of a run that are drawn one by one


class _Side:
    """What one end sent in a run."""

    def __init__(self) -> None:
        self.segments = 0  # with data
        self.length = 0
        self.low = -1
        self.high = -1
        self.acks = 0  # without data
        self.sacks = 0
        self.ack = 0

    def add(self, packet: Packet) -> None:
        if packet.length:
            self.segments += packet.count
            self.length += packet.length
            self.low = packet.seq if self.low < 0 else min(self.low, packet.seq)
            self.high = max(self.high, packet.end)
        else:
            self.acks += 1
            self.ack = max(self.ack, packet.ack)
            if packet.fields.options_end - packet.fields.options_at > 12 and packet.fields.options.sack:
                self.sacks += 1

    def data_words(self, how: str) -> list[Words]:
        if not self.length:
            return []
        return [
            Words(count_text(self.segments, "segment") + how, "data"),
            Words(bytes_text(self.length)),
            Words(f"seq {self.low:,}..{self.high:,}"),
        ]

    def ack_words(self, how: str) -> list[Words]:
        if not self.acks:
            return []
        sacks = f" ({self.sacks:,} with SACK)" if self.sacks else ""
        return [Words(count_text(self.acks, "ACK") + how + sacks, "ack")]


class Run:
    """Plain packets in a row. The last is kept apart, so that it can still be taken out if something is said of it."""

    def __init__(self) -> None:
        self.first: list[Packet] = []
        self.last: Packet | None = None
        self.last_sender = -1
        self.last_at = 0
        self.packets = 0
        self._data_from = -1
        self._sides = (_Side(), _Side())
        self._began = 0

    def turns(self, packet: Packet) -> bool:
        """Does data begin to flow the other way?"""
        return packet.length > 0 and self._data_from == 1 - packet.sender

    def add(self, packet: Packet) -> None:
        """One more packet of the run, in order."""
        last = self.last
        self.last_at = packet.sent_at
        if packet.length:
            self._data_from = packet.sender
        if last is not None:
            if last.source == packet.source and last.sender == packet.sender and last.end == packet.seq:
                last.count += packet.count
                last.length += packet.length
                last.end = packet.end
                last.flags |= packet.flags
                last.refs += packet.refs
                return
            self._sides[last.sender].add(last)
        if not self.packets:
            self._began = packet.sent_at
        self.last = packet
        self.last_sender = packet.sender
        self.packets += 1
        if self.packets <= FEW:
            self.first.append(packet)

    def take_last(self) -> Packet | None:
        """The last packet, which is drawn by itself; None: there is none."""
        last = self.last
        if last is not None:
            self.last = None
            self.packets -= 1
            if self.first[-1] is last:
                self.first.pop()
        return last

    def row(self, began: int, both_ends: bool) -> Arrow:
        """The whole run as one row, with the end that sent more as the sender."""
        sides = (_copy(self._sides[0]), _copy(self._sides[1]))
        if self.last is not None:
            sides[self.last.sender].add(self.last)
        rightward = (sides[0].length, sides[0].acks) >= (sides[1].length, sides[1].acks)
        main, back = sides if rightward else (sides[1], sides[0])
        words = [*main.data_words(""), *back.data_words(" back")]
        if main.length:
            words += back.ack_words(" back")
        else:
            words += [*main.ack_words(f", ack={main.ack:,}"), *back.ack_words(f" back, ack={back.ack:,}")]
        elapsed = self.last_at - self._began
        if main.length >= 1_000_000 and elapsed > 0:
            words.append(Words(f"{duration_text(elapsed)}, {rate_text(main.length, elapsed)}", "dim"))
        listed = [Words(word.text + ",", word.style) for word in words[:-1]] + words[-1:]
        at = self._began - began
        left_at, right_at = (None, at) if both_ends and not rightward else (at, None)
        return Arrow(rightward, BULK, "data" if main.length else "ack", tuple(listed), left_at, right_at)


def _copy(side: _Side) -> _Side:
    copy = _Side()
    copy.__dict__.update(side.__dict__)
    return copy
