"""A SYN flood, answered in batches: what `listener` does with a SYN when its queue is full, for thousands at once.

A link whose packets lie side by side offers them as rows of bytes while a flood goes on. Of each kind of SYN (one
listener, one layout of options) the first goes the way of any packet; if it is answered by a cookie, the answers to the
others are copies of that one but for addresses, numbers, timestamps and checksums, which numpy works out together.
Whatever belongs to something that exists, and whatever is of no large kind, is left to the way of any packet.
Rule for the next editor: nothing is decided here. Each answer is, bit for bit, what that way would have given.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

from synfin.tcp.config import MIN_MSS
from synfin.tcp.cookie_batch import encode, stamps
from synfin.tcp.environment import Environment
from synfin.tcp.syn_cookies import NO_SCALE, OPTION_MASK
from synfin.tcp.syn_options import DEFAULT_MSS_IPV4, DEFAULT_MSS_IPV6, MAX_WSCALE
from synfin.wire.ip import PROTO_TCP
from synfin.wire.options import EOL, MSS, NOP, SACK_PERMITTED, TIMESTAMPS, WINDOW_SCALE
from synfin.wire.segment import finish
from synfin.wire.tcp_header import ACK, FIN, RST, SYN

LASTS_US: Final = 1_000_000  # a flood goes on for so long after the last SYN that found its queue full
ROW: Final = 128  # bytes of a packet that are looked at: IPv6 and TCP headers with all options have 100
KINDS: Final = 8  # of one batch: more make no flood
LEAST: Final = 32  # SYNs of a kind that are worth it

_SIZES: Final = {MSS: 4, WINDOW_SCALE: 3, SACK_PERMITTED: 2, TIMESTAMPS: 10}


def find_numpy() -> Any:
    """The module; None: it is not installed."""
    try:
        return import_module("numpy")
    except ImportError:
        return None


class Form:
    """Where things stand in the packets of one family."""

    def __init__(self, version: int) -> None:
        four = version == 4
        self.version = version
        self.tcp = 20 if four else 40
        self.source = 12 if four else 8
        self.size = 4 if four else 16  # of an address
        self.target = self.source + self.size
        self.ports = self.tcp  # behind the addresses, so that from source on stands the connection's key
        self.options = self.tcp + 20
        self.default_mss: int = DEFAULT_MSS_IPV4 if four else DEFAULT_MSS_IPV6


FORMS: Final = (Form(4), Form(6))


class Flood:
    """Of one stack. receive: the way of any packet. strangers: which of many keys, side by side, belong to nothing."""

    def __init__(
        self,
        env: Environment,
        own: set[bytes],
        receive: Callable[[bytes, int, bool], None],
        strangers: Callable[[bytes, int, int], list[int]],
    ) -> None:
        self.numpy: Any = None  # once it was needed, and is there
        self._sought = False
        self.batches = 0
        self.answered = 0  # SYNs, in all batches
        self._env = env
        self._own = own
        self._receive = receive
        self._strangers = strangers

    def has_begun(self) -> bool:
        """There may be one: goes_on() knows."""
        return self._env.flooded_at >= 0

    def goes_on(self, now: int) -> bool:
        """A listener's queue was full a moment ago. `numpy` says whether there is something to be done about it."""
        at = self._env.flooded_at
        if at < 0 or now - at > LASTS_US:
            self._env.flooded_at = -1
            return False
        if not self._sought:
            self._sought = True
            self.numpy = find_numpy()
        return True

    def answer(self, rows: Any, lengths: Any, vouched: Any, now: int) -> tuple[Any, list[Any]]:
        """Which of the packets are done with, and the answers: arrays of packets of equal length, a row each.

        rows: the first ROW bytes of each packet, uint8. lengths: of the packets, 0: not to be looked at. vouched: the
        device has seen to the checksum.
        """
        np = self.numpy
        done = np.zeros(len(rows), bool)
        answers: list[Any] = []
        for form in FORMS:
            left = self._bare_syns(rows, lengths, vouched, form)
            for _ in range(KINDS):
                if len(left) < LEAST:
                    break
                kind = _Kind(np, form, rows[left[0]].tobytes())
                alike = kind.has(rows[left])
                places, left = left[alike], left[~alike]
                if len(places) < LEAST or not kind.is_plain:
                    continue
                keys = rows[places, form.source : form.ports + 4]
                places = places[self._strangers(keys.tobytes(), keys.shape[1], now)]
                if len(places) < LEAST:
                    continue
                done[places[0]] = True
                packets = self._answer_kind(kind, rows[places], int(lengths[places[0]]), now)
                if packets is not None:
                    done[places] = True
                    answers.append(packets)
        return done, answers

    def _bare_syns(self, rows: Any, lengths: Any, vouched: Any, form: Form) -> Any:
        """The places of all sound packets that are a SYN and nothing else, from somebody who can be answered."""
        np = self.numpy
        tcp = form.tcp
        offset, flags = rows[:, tcp + 12], rows[:, tcp + 13]
        header = (offset >> 4).astype(np.int64) * 4
        if form.version == 4:
            ip = (rows[:, 0] == 0x45) & (rows[:, 9] == PROTO_TCP) & (rows[:, 6] & 0x3F == 0) & (rows[:, 7] == 0)
            stated = _number(rows, 2, 2)
        else:
            ip = (rows[:, 0] >> 4 == 6) & (rows[:, 6] == PROTO_TCP)
            stated = _number(rows, 4, 2) + 40
        # Text is not taken here, so that the headers are all there is.
        fits = (header >= 20) & (stated == tcp + header) & (stated <= lengths)
        bare = flags & (SYN | ACK | RST | FIN) == SYN
        places = np.flatnonzero(ip & fits & bare)
        rows = rows[places]
        sender = rows[:, form.source : form.target]
        if form.version == 4:
            good = (sender[:, 0] != 0) & (sender[:, 0] < 224)
            good &= _fold(_sum(np, rows[:, :20])) == 0xFFFF
        else:
            good = (sender[:, 0] != 0xFF) & sender.any(axis=1)
        for own in self._own:
            if len(own) == form.size:
                good &= (sender != np.frombuffer(own, np.uint8)).any(axis=1)
        inside = np.arange(ROW - tcp) < header[places][:, None]
        total = _sum(np, np.where(inside, rows[:, tcp:], 0)) + _pseudo(np, rows, form, header[places])
        return places[good & (vouched[places] | (_fold(total) == 0xFFFF))]

    def _answer_kind(self, kind: _Kind, rows: Any, length: int, now: int) -> Any:
        """The answers to all but the first, which is answered as any packet is; None: that was by no cookie."""
        env = self._env
        counters = env.counters
        waiting = len(env.output.packets)
        sent, full = counters.SyncookiesSent, counters.TCPReqQFullDoCookies
        self._receive(rows[0].tobytes()[:length], now, True)
        if counters.SyncookiesSent == sent or len(env.output.packets) != waiting + 1:
            return None
        template = finish(env.output.packets[-1])
        packets = self._copies(kind, rows, template, now)
        if packets[0].tobytes() != template:
            return None  # it has something that is not known here
        count = len(packets) - 1
        counters.InReceives += count
        counters.InSegs += count
        counters.OutSegs += count
        counters.SyncookiesSent += count
        counters.TCPReqQFullDoCookies += count * (counters.TCPReqQFullDoCookies - full)
        self.batches += 1
        self.answered += count
        if env.tracer is not None:
            key = rows[0, kind.form.source : kind.form.ports + 4].tobytes()
            env.tracer.note(now, key, f"SYN cookies: {count} SYNs more of a flood, answered together", "4987 3.6")
        return packets[1:]

    def _copies(self, kind: _Kind, rows: Any, template: bytes, now: int) -> Any:
        """The template, with what is each row's own."""
        np = self.numpy
        form = kind.form
        keys = rows[:, form.source : form.ports + 4]
        packets = np.tile(np.frombuffer(template, np.uint8), (len(rows), 1))
        packets[:, form.target : form.target + form.size] = rows[:, form.source : form.target]
        packets[:, form.ports + 2 : form.ports + 4] = rows[:, form.ports : form.ports + 2]
        irs = _number(rows, form.tcp + 4, 4)
        bits = np.zeros(len(rows), np.int64)
        _, places = _layout(template[form.options :])
        at = places.get(TIMESTAMPS, 0) + form.options
        if at > form.options:
            first = int.from_bytes(template[at : at + 4], "big") & OPTION_MASK
            bits[:] = first & ~NO_SCALE
            bits |= np.minimum(kind.value(rows, WINDOW_SCALE), MAX_WSCALE) if first & NO_SCALE != NO_SCALE else NO_SCALE
            _put(packets, at, stamps(np, self._env.ts_offset, keys, bits, now))
            packets[:, at + 4 : at + 8] = rows[:, kind.at(TIMESTAMPS) : kind.at(TIMESTAMPS) + 4]
        mss = np.maximum(kind.value(rows, MSS), MIN_MSS)
        _put(packets, form.tcp + 4, encode(np, self._env.cookies, keys, irs, mss, bits, now))
        _put(packets, form.tcp + 8, (irs + 1) & 0xFFFFFFFF)
        if form.version == 4:
            packets[:, 10:12] = 0
            _put(packets, 10, 0xFFFF - _fold(_sum(np, packets[:, :20])), 2)
        packets[:, form.tcp + 16 : form.tcp + 18] = 0
        total = _sum(np, packets[:, form.tcp :]) + _pseudo(np, packets, form, len(template) - form.tcp)
        _put(packets, form.tcp + 16, 0xFFFF - _fold(total), 2)
        return packets


class _Kind:
    """SYNs that a listener can't tell apart but by who sent them and by the values of their options."""

    def __init__(self, np: Any, form: Form, first: bytes) -> None:
        self.form = form
        header = (first[form.tcp + 12] >> 4) * 4
        fixed, self._places = _layout(first[form.options : form.tcp + header])
        self.is_plain = bool(fixed) or header == 20
        columns = [
            *range(form.target, form.target + form.size),
            *range(form.ports + 2, form.ports + 4),
            *range(form.tcp + 12, form.tcp + 14),
            *(form.options + place for place in fixed),
        ]
        self._columns = np.array(columns)
        self._values = np.frombuffer(first, np.uint8)[self._columns]
        self._ecn_bits = 0x03 if form.version == 4 else 0x30
        self._ecn = first[1] & self._ecn_bits

    def has(self, rows: Any) -> Any:
        """Which rows are of this kind."""
        # The ECN field counts, and nothing else of the traffic class (RFC 9768 3.1.3).
        ecn = rows[:, 1] & self._ecn_bits == self._ecn
        return ecn & (rows[:, self._columns] == self._values).all(axis=1)

    def at(self, option: int) -> int:
        """Where the value of an option stands in the packet; it is there."""
        return int(self.form.options + self._places[option])

    def value(self, rows: Any, option: int) -> Any:
        """The value in each row; of MSS where there is none: its default."""
        if option not in self._places:
            return rows[:, 0].astype("int64") * 0 + self.form.default_mss
        return _number(rows, self.at(option), 1 if option == WINDOW_SCALE else 2)


def _layout(options: bytes) -> tuple[list[int], dict[int, int]]:
    """The places of all bytes that say which options there are, and where their values stand.

    Both empty for what is not read here: options out of the ordinary, twice, or broken.
    """
    fixed: list[int] = []
    places: dict[int, int] = {}
    at = 0
    while at < len(options):
        kind = options[at]
        fixed.append(at)
        if kind == EOL:
            break
        if kind == NOP:
            at += 1
            continue
        size = _SIZES.get(kind, 0)
        if not size or kind in places or options[at + 1 : at + 2] != bytes((size,)) or at + size > len(options):
            return [], {}
        fixed.append(at + 1)
        places[kind] = at + 2
        at += size
    return fixed, places


def _number(rows: Any, at: int, size: int) -> Any:
    """The big-endian number that stands there in each row."""
    total = rows[:, at].astype("int64")
    for place in range(at + 1, at + size):
        total = total << 8 | rows[:, place]
    return total


def _put(rows: Any, at: int, numbers: Any, size: int = 4) -> None:
    for place in range(size):
        rows[:, at + place] = numbers >> 8 * (size - 1 - place) & 0xFF


def _sum(np: Any, columns: Any) -> Any:
    """Of the 16-bit words of each row, which has an even number of bytes."""
    words = np.ascontiguousarray(columns).view(">u2")
    return words.sum(axis=1, dtype=np.int64)


def _pseudo(np: Any, rows: Any, form: Form, length: Any) -> Any:
    return _sum(np, rows[:, form.source : form.target + form.size]) + PROTO_TCP + length


def _fold(total: Any) -> Any:
    total = (total & 0xFFFF) + (total >> 16)
    return (total & 0xFFFF) + (total >> 16)
