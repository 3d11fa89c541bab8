"""SYN,ACK, the second segment of the handshake: what a listener offers, and says to clients that are half open.

It is made anew each time, of the client's half-open entry and of what the listener's user has set. Which entries there
are, and when they are answered, is `listener`'s.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from synfin.tcp.accurate_ecn import fill_first_option
from synfin.tcp.config import check_receive_buffer, check_tos
from synfin.tcp.ecn import ACCURATE, MODE, TRIES_ACCURATE, accepted, syn_ack_flags
from synfin.tcp.environment import Environment
from synfin.tcp.handshake import fill_syn
from synfin.tcp.receiver import scaled
from synfin.tcp.syn_cookies import stamp
from synfin.tcp.syn_options import Offer, headers_bytes, offer, scale_for
from synfin.tcp.syn_queue import HalfOpen
from synfin.tcp.timestamps import ts_clock
from synfin.wire.ip import ECN
from synfin.wire.segment import Segment
from synfin.wire.seq import seq_add
from synfin.wire.tcp_header import ACK, RST, SYN

MAX_WINDOW_FIELD: Final = 65535
MAX_OFFERS: Final = 64


class SynAcks:
    """Of one listener."""

    def __init__(self, env: Environment) -> None:
        self.receive_buffer: i64 = 0  # that each connection begins with; 0: as Config has it, and tuned
        self.rcv_wscale: i64 = scale_for(env.config.receive_buffer_max) if env.config.window_scale else -1
        self._env: Environment = env
        self._tos: i64 = 0
        self._traffic_class: i64 = 0  # the same for IPv6
        self._offers: dict[int, Offer] = {}  # by the size of segments; few, and each SYN needs one twice

    # ---- what is offered ----

    def set_receive_buffer(self, size: int) -> None:
        """Connections that begin from now on have this receive buffer."""
        config = self._env.config
        check_receive_buffer(size, config)
        self.receive_buffer = size
        if config.window_scale:
            self.rcv_wscale = scale_for(size)
            self._offers.clear()

    def set_tos(self, tos: int, ipv6: bool) -> None:
        """What goes out from now on, in one family."""
        check_tos(tos)
        if ipv6:
            self._traffic_class = tos & ~ECN
        else:
            self._tos = tos & ~ECN

    def offer(self, key: bytes, mtu: i64) -> Offer:
        """The options for a client on a path of this MTU."""
        config = self._env.config
        mss = int(mtu - headers_bytes(key))
        found = self._offers.get(mss)
        if found is None:
            found = offer(key, mtu, config, accepted(config.ecn))
            found.wscale = self.rcv_wscale
            if len(self._offers) >= MAX_OFFERS:
                self._offers.clear()
            self._offers[mss] = found
        return found

    def window(self) -> i64:
        """The window of a SYN,ACK, which is never scaled."""
        buffer = self.receive_buffer if self.receive_buffer else self._env.config.receive_buffer
        return buffer if buffer < MAX_WINDOW_FIELD else MAX_WINDOW_FIELD

    def tos_of(self, key: bytes) -> i64:
        """What packets to this client bear (RFC 2474)."""
        return self._tos if len(key) == 12 else self._traffic_class

    # ---- what is sent ----

    def send(self, key: bytes, entry: HalfOpen, mtu: i64, now: i64, cookie_bits: i64 = -1) -> None:
        """Our number, and the confirmation of theirs. mtu: 0 after the first. cookie_bits: for the timestamp."""
        env = self._env
        if env.output.has_no_room():
            return  # thousands may be due at once, more than the link takes
        proposal = self.offer(key, mtu if mtu else env.config.mtu)
        out = env.output.blank(key)
        out.traffic_class = self.tos_of(key)
        out.seq = entry.iss
        out.ack = seq_add(entry.irs, 1)
        out.flags = SYN | ACK
        if entry.retry < TRIES_ACCURATE or entry.agreed.ecn & MODE != ACCURATE:  # RFC 9768 3.2.3.2.2, as is the next
            out.flags |= syn_ack_flags(entry.agreed.ecn)
        if mtu and entry.agreed.ecn & MODE == ACCURATE:
            fill_first_option(out)
        out.window = self.window()
        ts_val: i64 = ts_clock(now, env.ts_offset(key)) if entry.agreed.timestamps else 0
        if cookie_bits >= 0 and entry.agreed.timestamps:
            ts_val = stamp(ts_val, cookie_bits)
        fill_syn(out, proposal, entry.agreed, ts_val, entry.ts_recent)
        env.output.reply(out)

    def acknowledge(self, key: bytes, entry: HalfOpen, now: i64) -> None:
        """An ACK for what does not fit a half-open entry."""
        out = self._after_syn(key, entry, ACK, now)
        # Scaled as in any segment but a SYN (RFC 7323 2.3); rounded up, since the right edge never moves left.
        out.window = scaled(self.window(), entry.agreed.rcv_wscale)
        self._env.output.reply(out)

    def reset(self, key: bytes, entry: HalfOpen, now: i64) -> None:
        """RST at SND.NXT for a half-open entry (RFC 9293 3.10.5), if there is room: thousands may end at once."""
        if self._env.output.reply(self._after_syn(key, entry, RST | ACK, now)):
            self._env.counters.OutRsts += 1

    def _after_syn(self, key: bytes, entry: HalfOpen, flags: i64, now: i64) -> Segment:
        """A segment behind our SYN,ACK."""
        out = self._env.output.blank(key)
        out.traffic_class = self.tos_of(key)
        out.seq = seq_add(entry.iss, 1)
        out.ack = seq_add(entry.irs, 1)
        out.flags = flags
        if entry.agreed.timestamps:
            out.has_ts = True
            out.ts_val = ts_clock(now, self._env.ts_offset(key))
            out.ts_ecr = entry.ts_recent
        return out
