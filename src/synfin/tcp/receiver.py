"""RCV.*: what arrived, in order, and the window that invites more. RFC 9293 3.8.6.2.2 and 3.10.7.4 (seventh, eighth).

It owns RCV.NXT, the advertised right edge, the bytes that wait for the reader, reassembly, the peer's FIN and the ACK
policy. Offsets count from IRS (the peer's SYN is 0, its first data byte 1).
"""

from __future__ import annotations

from typing import Final, cast

from mypy_extensions import i64, mypyc_attr

from synfin.tcp.ack_policy import AckPolicy
from synfin.tcp.config import Config
from synfin.tcp.ecn import Echo
from synfin.tcp.pressure import FULL, Pressure
from synfin.tcp.reassembly import NO_ROOM, Reassembly
from synfin.tcp.receive_rtt import WindowTimer, approached, bounded
from synfin.wire.pieces import Piece, cut, joined

# what on_data() says
ADVANCED: Final = 1  # RCV.NXT moved
FIN_REACHED: Final = 2  # ... over the peer's FIN: no more will come
ACK_AT_ONCE: Final = 4  # out of order, duplicate, or it filled a hole: an ACK of its own (RFC 5681 4.2)
QUEUED: Final = 8  # kept out of order
DROPPED: Final = 16  # kept nowhere: no room in reassembly
AFTER_FIN: Final = 32  # bytes beyond the peer's own FIN: refused
REFUSED: Final = 64  # kept nowhere: the stack's memory is full
TOLD: Final = QUEUED | DROPPED | AFTER_FIN | REFUSED  # what a reader of the trace would ask about

JOIN_BELOW: Final = 2048
COMPACT_AT: Final = 64  # pieces gone from the front of a list, before what is left moves up
MAX_WINDOW_FIELD: Final = 65535
UNKNOWN_RTT_US: Final = 100_000
MENDING_ROUNDS: Final = 4  # for so many round trips a hole may keep what came from the reader
SEGMENTS_UNDER_PRESSURE: Final = 4  # what a reader who is behind is offered then (as Linux)

NOTHING_READY: Final[list[Piece]] = []  # what receivers share that hold nothing; nothing is appended to it


@mypyc_attr(acyclic=True)
class Receiver:
    """RFC 9293 3.3.1 receive sequence variables; rcv_wnd is rcv_adv - rcv_nxt."""

    def __init__(self, config: Config, window: i64, pressure: Pressure) -> None:
        # First what each segment asks for, side by side: see Tcb.
        self.rcv_nxt: i64 = 1  # next offset expected
        self.rcv_adv: i64 = 1 + window  # right edge advertised; never moves left (RFC 9293 3.8.6, SHLD-14)
        self.acks: AckPolicy = AckPolicy(config.ack_delay_us)
        self.echo: Echo | None = None  # where ECN was agreed on
        self.fin_reached: bool = False
        self.sack: bool = False  # agreed on: ACKs tell what waits behind a hole (RFC 2018)
        self.fin_offset: i64 = -1  # where the peer's FIN stands; -1 until seen
        self.ready_bytes: i64 = 0
        self._reassembly: Reassembly | None = None
        self._pressure: Pressure = pressure
        self._windows: WindowTimer | None = None  # where no timestamp tells the round trip
        self._ready: list[Piece] = NOTHING_READY
        self._taken: i64 = 0  # pieces at the front of it that are gone already
        self._begun: i64 = 0  # bytes of the piece after them that are gone
        self.rtt: i64 = 0  # the round trip of the path, microseconds; 0: unknown
        self._round_at: i64 = 0  # when the present measure of the reader's speed began
        self._round_bytes: i64 = 0  # what was read since then
        self._space: i64 = config.receive_buffer // 4  # the most read in a round trip; the first: needs no more
        self._buffer: i64 = config.receive_buffer
        self.wscale: i64 = 0
        self.max_wnd: i64 = window  # the largest rcv_wnd ever offered
        self._twice_start: i64 = 0  # what came twice, for the next ACK to tell (RFC 2883); empty: nothing did
        self._twice_end: i64 = 0
        self._buffer_max: i64 = config.receive_buffer_max
        self._runs_max: i64 = config.reassembly_limit
        self.adv_mss: i64 = 0  # the segment size that our SYN tells

    def establish(self, rtt: i64, timestamps: bool) -> None:
        """The handshake took `rtt` (0: nobody knows), and agreed on timestamps or not."""
        if rtt > 0:
            self.rtt = bounded(rtt)
        if not timestamps:
            self._windows = WindowTimer()

    def on_echo(self, sample: i64) -> None:
        """A round trip told by the echo in a data segment."""
        self.rtt = approached(self.rtt, sample)

    def on_data(self, start: i64, data: Piece, fin: bool, push: bool, segment: i64, now: i64) -> i64:
        """Take a segment's text and FIN (RFC 9293 3.10.7.4 seventh, eighth). segment: gso_size of a burst, else 0."""
        size: i64 = len(data)
        end = start + size
        if self.fin_reached:
            return AFTER_FIN | ACK_AT_ONCE if end > self.rcv_nxt - 1 and size else ACK_AT_ONCE
        if self.fin_offset >= 0 and end > self.fin_offset:
            return AFTER_FIN | ACK_AT_ONCE
        whole = size
        if end > self.rcv_adv:  # right of the window: cut, and the FIN with it
            if start >= self.rcv_adv:
                return ACK_AT_ONCE
            data = cut(data, 0, self.rcv_adv - start)
            end = self.rcv_adv
            fin = False
        if self._pressure.level == FULL and size and (self.ready_bytes or start > self.rcv_nxt):
            # A reader who keeps up gets on even now, a segment at a time; what he has not taken does not become more.
            return REFUSED | ACK_AT_ONCE
        if fin and self.fin_offset < 0 and end >= self.rcv_nxt and end >= self._highest():
            self.fin_offset = end
        if start > self.rcv_nxt:
            return self._out_of_order(start, data)
        if start < self.rcv_nxt:
            self.on_duplicate(start, end)
            self.acks.on_gap()
        if end < self.rcv_nxt or (end == self.rcv_nxt and self.fin_offset != end):
            return ACK_AT_ONCE  # nothing new in it
        result: i64 = 0
        before = self.rcv_nxt
        if end > self.rcv_nxt:
            if start < self.rcv_nxt:
                data = cut(data, self.rcv_nxt - start, end - start)
                result = ACK_AT_ONCE
            self._keep(data)
            self.rcv_nxt = end
            result |= ADVANCED
        if self._reassembly is not None:
            self._fill()
            result |= ACK_AT_ONCE
        if self.fin_offset == self.rcv_nxt:
            self.fin_reached = True
            self._reassembly = None
            self.rcv_nxt += 1
            if self.rcv_adv < self.rcv_nxt:  # the text before it had filled the window
                self.rcv_adv = self.rcv_nxt
            self.acks.due = True
            result |= FIN_REACHED | ADVANCED
        else:
            if self.acks.on_in_order(self.rcv_nxt - before, segment if segment else whole, push, now):
                result |= ACK_AT_ONCE
            windows = self._windows
            if windows is not None and self.rcv_nxt > windows.edge:
                self.rtt = windows.on_window(self.rtt, self.rcv_nxt, self.rcv_adv, self._buffer, now)
        return result

    def _highest(self) -> i64:
        """End of the data held; a FIN below it contradicts what came first and is ignored."""
        return self.rcv_nxt if self._reassembly is None else self._reassembly.ends[-1]

    def _out_of_order(self, start: i64, data: Piece) -> i64:
        if not data:
            return ACK_AT_ONCE
        self.acks.on_gap()
        if self._reassembly is None:
            self._reassembly = Reassembly()
        kept = self._reassembly.insert(start, data, self._runs_max, self._buffer)
        if kept == NO_ROOM:
            if not self._reassembly.starts:
                self._reassembly = None  # it exists only while it holds something
            return DROPPED | ACK_AT_ONCE
        self._on_known(self._reassembly)
        return QUEUED | ACK_AT_ONCE

    def on_duplicate(self, start: i64, end: i64) -> None:
        """Text or FIN that was here before came again: the next ACK tells the sender so (D-SACK, RFC 2883 4)."""
        if self.sack:
            self._twice_start = start
            self._twice_end = end if end < self.rcv_nxt else self.rcv_nxt

    def _on_known(self, reassembly: Reassembly) -> None:
        """Part of a segment had waited behind a hole already. Of several parts the first is told (RFC 2883 4.2)."""
        if self.sack and self._twice_start == self._twice_end:
            self._twice_start = reassembly.known_start
            self._twice_end = reassembly.known_end

    def sack_blocks(self, limit: i64) -> list[tuple[int, int]] | None:
        """The SACK option of an ACK sent now, in offsets: what came twice, then what waits behind holes; or None."""
        if not self.sack:
            return None
        blocks: list[tuple[int, int]] = []
        if self._twice_start < self._twice_end:
            blocks.append((self._twice_start, self._twice_end))
            self._twice_start = self._twice_end = 0  # told once
        if self._reassembly is not None:
            blocks += self._reassembly.blocks(limit - len(blocks))
        return blocks if blocks else None

    def _fill(self) -> None:
        reassembly = self._reassembly
        assert reassembly is not None
        filled: list[Piece] = []
        self.rcv_nxt = reassembly.take(self.rcv_nxt, filled)
        for piece in filled:
            self._keep(piece)
        self._on_known(reassembly)
        if not reassembly.starts:
            self._reassembly = None

    def _keep(self, data: Piece) -> None:
        ready = self._ready
        if not ready:
            self._ready = [data]
        else:
            last = ready[-1]
            if len(last) + len(data) <= JOIN_BELOW:
                ready[-1] = joined([last, data])
            else:
                ready.append(data)
        self.ready_bytes += len(data)

    def read(self, now: i64) -> list[bytes]:
        """All that is ready, as it came; the window grows with the reader's speed."""
        return self.read_some(self.ready_bytes, now) if self.ready_bytes else []

    def read_some(self, limit: i64, now: i64) -> list[bytes]:
        """At most `limit` bytes of what is ready."""
        taken = self._take(limit, now)
        for place in range(len(taken)):
            piece = taken[place]
            if not isinstance(piece, bytes):
                taken[place] = bytes(piece)
        return cast(list[bytes], taken)

    def read_joined(self, limit: i64, now: i64) -> bytes:
        """The same as one: what is large, or came in parts, is copied once, here."""
        return joined(self._take(limit, now))

    def read_into(self, room: memoryview, now: i64) -> i64:
        """The same, copied into the reader's own memory; how many bytes."""
        at: i64 = 0
        for piece in self._take(len(room), now):
            end = at + len(piece)
            room[at:end] = piece
            at = end
        return at

    def _take(self, limit: i64, now: i64) -> list[Piece]:
        """Bytes that are ready go to the reader, at most `limit`; the window grows with his speed."""
        if self.ready_bytes == 0:
            return []
        taken: list[Piece] = []
        if self.ready_bytes <= limit:
            limit = self.ready_bytes
            taken = self._ready[self._taken :] if self._taken else self._ready
            if self._begun:
                taken[0] = cut(taken[0], self._begun, len(taken[0]))
            self._forget_ready()
        else:
            left = limit
            while left > 0:
                piece = self._ready[self._taken]
                if len(piece) - self._begun > left:
                    taken.append(cut(piece, self._begun, self._begun + left))
                    self._begun += left
                    break
                left -= len(piece) - self._begun
                taken.append(self._take_first())
        self.ready_bytes -= limit
        self._tune(limit, now)
        return taken

    def _take_first(self) -> Piece:
        """What is left of the first piece. The others move seldom: a reader that stayed away may have thousands."""
        piece = self._ready[self._taken]
        if self._begun:
            piece = cut(piece, self._begun, len(piece))
            self._begun = 0
        self._ready[self._taken] = b""
        self._taken += 1
        count: i64 = len(self._ready)
        if self._taken == count:
            self._forget_ready()
        elif self._taken >= COMPACT_AT and self._taken * 2 >= count:
            del self._ready[: self._taken]
            self._taken = 0
        return piece

    def _forget_ready(self) -> None:
        self._ready = NOTHING_READY
        self._taken = 0
        self._begun = 0

    def _tune(self, size: i64, now: i64) -> None:
        """Dynamic right-sizing by what the reader takes in a round trip: tcp_rcv_space_adjust of Linux.

        A window of twice that, since a loss holds a round trip's bytes back while the next one's come; and up to six
        times while it doubles, since the window is for the round trips to come. Never smaller than before: what was
        offered cannot be taken back (RFC 9293 3.8.6, SHLD-14), and what the peer does not send takes no memory.
        """
        self._round_bytes += size
        elapsed = now - self._round_at
        rtt = self.rtt
        if rtt == 0:
            rtt = UNKNOWN_RTT_US
        if elapsed < rtt:
            return
        copied = self._round_bytes
        if elapsed > MENDING_ROUNDS * rtt:  # a slow reader, and no holes that had to be mended first
            copied = copied * rtt // elapsed
        if copied > self._buffer_max:
            copied = self._buffer_max
        if copied > self._space and not self._pressure.level:
            grown = copied - self._space
            if grown > self._space:
                grown = self._space  # no slow start does more than double
            wanted = 2 * copied + 4 * copied * grown // self._space
            self._space = copied
            if wanted > self._buffer:
                self._buffer = wanted if wanted < self._buffer_max else self._buffer_max
        self._round_at = now
        self._round_bytes = 0

    def window_field(self, mss: i64) -> i64:
        """The window for a segment sent now, scaled. Moves the right edge by no crumbs (RFC 9293 3.8.6.2.2)."""
        edge = self.rcv_nxt + self._buffer - self.ready_bytes
        if self._pressure.level:
            edge = self._edge_under_pressure(edge, mss)
        step = self._buffer // 2
        if mss < step:
            step = mss
        if edge - self.rcv_adv >= step:
            self.rcv_adv = edge
        # Rounded up: rounding down would move the right edge left (RFC 7323 2.4). But a peer that always leaves a crumb
        # of the window moves it right each time, past any buffer; from half a buffer too much on, it has to go left.
        field = scaled(self.rcv_adv - self.rcv_nxt, self.wscale)
        if field > MAX_WINDOW_FIELD:
            field = MAX_WINDOW_FIELD
        rounded = self.rcv_nxt + (field << self.wscale)
        if rounded > self.rcv_adv and rounded > edge + self._buffer // 2 and self._offers_too_much(rounded):
            return (self.rcv_adv - self.rcv_nxt) >> self.wscale
        self.rcv_adv = rounded
        if rounded - self.rcv_nxt > self.max_wnd:
            self.max_wnd = rounded - self.rcv_nxt
        return field

    def _offers_too_much(self, edge: i64) -> bool:
        """The buffer may have been larger once: what is still offered of that is no crumb."""
        return edge + self.ready_bytes > self.rcv_nxt + self.max_wnd + self.max_wnd // 2

    def _edge_under_pressure(self, edge: i64, mss: i64) -> i64:
        """Memory is short: whoever holds more than half of what he might is offered little."""
        little = self.rcv_nxt + SEGMENTS_UNDER_PRESSURE * mss
        return little if little < edge and self.held() * 2 > self._buffer else edge

    def update_due(self, mss: i64) -> bool:
        """The reader made room worth telling: two segments or half the buffer more than the peer was told of."""
        window = self._buffer - self.ready_bytes
        if self._pressure.level:
            window = self._edge_under_pressure(self.rcv_nxt + window, mss) - self.rcv_nxt
        most: i64 = MAX_WINDOW_FIELD << self.wscale
        if window > most:
            window = most  # the field can say no more, and an ACK that says nothing new looks like a sign of loss
        gain = self.rcv_nxt + window - self.rcv_adv
        step = self._buffer // 2
        if 2 * mss < step:
            step = 2 * mss
        # A window more than half open needs no update: data or its ACK will carry the news.
        return gain >= step and (self.rcv_adv - self.rcv_nxt) * 2 <= self._buffer

    def buffer(self) -> i64:
        """What the window is offered from."""
        return self._buffer

    def hold_buffer(self, size: i64) -> None:
        """It is so large from now on, and not tuned; a window that was offered before stays until it is used up."""
        self._buffer = size
        self._buffer_max = size

    def offer_first(self, size: i64) -> None:
        """Nothing was offered yet: the SYN will tell of `size` bytes, as far as it can."""
        window = size if size < MAX_WINDOW_FIELD else MAX_WINDOW_FIELD
        self.rcv_adv = 1 + window
        self.max_wnd = window

    def held(self) -> i64:
        """Memory held: what waits for the reader, and what waits behind holes."""
        return self.ready_bytes if self._reassembly is None else self.ready_bytes + self._reassembly.memory

    def out_of_order_bytes(self) -> i64:
        """Memory held by reassembly."""
        return 0 if self._reassembly is None else self._reassembly.memory

    def forget_out_of_order(self) -> None:
        """The holes will never be filled; what is ready stays with the reader."""
        self._reassembly = None

    def discard(self) -> None:
        """Nobody will read: forget all that is held."""
        self._forget_ready()
        self.ready_bytes = 0
        self._reassembly = None


def scaled(window: i64, wscale: i64) -> i64:
    """The field that tells at least this window."""
    return (window + (1 << wscale) - 1) >> wscale
