"""What a user may set on one connection at any time, from its first SYN on or for the rest of its life. RFC 9293 3.9.1.

Whatever is no sensible value raises at the call, as in `config`, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from mypy_extensions import i64

from synfin.tcp.config import (
    check_keepalive,
    check_notsent_lowat,
    check_receive_buffer,
    check_send_buffer,
    check_send_mss_max,
    check_tos,
    check_user_timeout,
)
from synfin.tcp.congestion.base import CongestionControl
from synfin.tcp.congestion.choice import factory
from synfin.tcp.keepalive import KeepAlive
from synfin.tcp.syn_options import scale_for
from synfin.tcp.tcb import Tcb
from synfin.wire.ip import ECN


class UserOptions(Tcb):
    """The setters of a connection."""

    def set_keepalive(self, idle_us: int, interval_us: int, probes: int, now: i64) -> None:
        """Turn keep-alive on (RFC 9293 3.8.4); idle_us 0 turns it off. Raises ValueError or TypeError, as Config."""
        check_keepalive(idle_us, interval_us, probes)
        self.keepalive = KeepAlive(idle_us, interval_us, probes, now) if idle_us else None
        self._update_deadline()
        self.touch()

    def set_nodelay(self, nodelay: bool) -> None:
        """Switch Nagle's algorithm off or on (RFC 9293 3.7.4); what it held back goes out when it is off."""
        self.sender.nodelay = nodelay
        self.touch()

    def set_cork(self, cork: bool) -> None:
        """Send full segments only, until it is taken out, the end comes, or nothing went for a timeout (TCP_CORK)."""
        self.sender.ask().cork = cork
        self.touch()

    def set_user_timeout(self, microseconds: int) -> None:
        """RFC 9293 3.9.1: fail when sent data stays unacknowledged this long; 0: only `Config.retries` decides.

        Raises ValueError or TypeError, as Config does.
        """
        check_user_timeout(microseconds)
        self.sender.user_timeout_us = microseconds
        self._update_deadline()
        self.touch()

    def set_congestion_control(self, choice: str | Callable[[int], CongestionControl]) -> None:
        """Exchange the congestion control, as in Config; the new one goes on with the windows of the old.

        Raises ValueError or TypeError, as Config does.
        """
        old = self.sender.losses.congestion()
        new = factory(choice)(old.mss)
        new.take_over(old)
        self.sender.losses.exchange(new)

    def set_send_buffer(self, size: int) -> None:
        """Keep so many bytes for the writer, and have no more out, from now on; it tunes itself no more (SO_SNDBUF).

        Raises ValueError or TypeError for what is not within LEAST_SEND_BUFFER and Config.send_buffer_max.
        """
        check_send_buffer(size, self.env.config)
        self.sender.ask().send_buffer = size
        self._let_writer_go_on()

    def set_notsent_lowat(self, size: int) -> None:
        """Hold the writer back while more bytes than these wait to be sent; 0: as many as are kept for him.

        Raises ValueError or TypeError, as for any size.
        """
        check_notsent_lowat(size)
        self.sender.ask().notsent_lowat = size
        self._let_writer_go_on()

    def _let_writer_go_on(self) -> None:
        self.tell_writable()
        self.touch()

    def set_receive_buffer(self, size: int) -> None:
        """Offer a window of so many bytes from now on, and tune it no more (SO_RCVBUF).

        What was offered is not taken back. Before the first SYN it also decides the window scale (RFC 7323 2.2). Raises
        ValueError or TypeError for what is not within LEAST_RECEIVE_BUFFER and Config.receive_buffer_max.
        """
        config = self.env.config
        check_receive_buffer(size, config)
        handshake = self.handshake
        if handshake is not None and handshake.is_untold():
            self.receiver.offer_first(size)
            if config.window_scale:
                handshake.offer.wscale = scale_for(size)
        self.receiver.hold_buffer(size)
        self.touch()

    def set_tos(self, tos: int) -> None:
        """Send packets with this TOS byte, or traffic class; its lower two bits are ECN's and not taken (RFC 3168 5).

        Raises ValueError or TypeError for what is no byte.
        """
        check_tos(tos)
        self.sender.ask().tos = tos & ~ECN

    def set_send_mss_max(self, size: int) -> None:
        """Send no larger segments from now on, as if the peer had announced this MSS (TCP_MAXSEG); 0: no limit.

        Raises ValueError or TypeError, as Config does.
        """
        check_send_mss_max(size)
        self.sender.ask().mss_max = size
        if self.peer_mss == 0:
            return  # the handshake is not done
        path = self.sender.losses.path
        mss = self._mss(self.mtu)
        if path is None:
            if mss != self.sender.mss:
                self.sender.resize(mss)
            return
        path.limit(self._mss(self.env.config.mtu))
        self.sender.follow(path)
