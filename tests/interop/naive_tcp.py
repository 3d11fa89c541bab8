"""The least TCP that the kernel talks to over a link: one connection, no loss, no timers. It tests links, not TCP."""

from __future__ import annotations

import select
import time
from collections.abc import Callable

from synfin.links.link import Link
from synfin.wire import ip as ip_layer
from synfin.wire.icmp import build_echo_reply, is_echo_request
from synfin.wire.icmp import parse_untrusted as parse_icmp
from synfin.wire.ip import PROTO_ICMP, PROTO_ICMPV6, PROTO_TCP, IpHeader
from synfin.wire.pieces import Piece
from synfin.wire.segment import Burst, Segment, build_head, parse_untrusted
from synfin.wire.tcp_header import ACK, FIN, PSH, SYN

BURST_MAX = 65000  # or one segment, where that is longer
WINDOW_SCALE = 4  # 1 MB: less than the device's queue holds, so that nothing is lost


class NaiveTcp:
    """A passive peer: answers SYN, takes what comes, sends `to_send` within the peer's window, then FIN."""

    def __init__(self, mss: int, to_send: bytes = b"", keep: bool = True) -> None:
        self.mss = mss
        self.to_send = to_send
        self.keep = keep  # False: only count what comes
        self.got: list[bytes] = []
        self.got_bytes = 0
        self.largest = 0  # payload of one packet
        self.gso_sizes: set[int] = set()
        self.partial = 0  # packets whose checksum the device vouched for
        self.packets = 0
        self.others: list[bytes] = []  # what is neither TCP nor ping
        self.out: list[Burst] = []
        self.closed = False  # both FINs seen and acknowledged
        self._header = IpHeader()
        self._segment = Segment()
        self._reply = Segment()
        self._rcv_nxt = 0
        self._snd_una = 0  # bytes of to_send
        self._snd_nxt = 0
        self._right_edge = 0
        self._peer_scale = 0
        self._established = False
        self._peer_fin = False
        self._fin_sent = False

    def receive(self, packet: bytes, now: int, checksum_ok: bool, gso_size: int, start: int = 0, /) -> None:
        header, segment = self._header, self._segment
        packet = packet[start:]
        ip_layer.parse_untrusted(packet, header)
        if header.protocol in (PROTO_ICMP, PROTO_ICMPV6):
            if is_echo_request(parse_icmp(packet, header, checksum_ok)):
                self.out.append(Burst(build_echo_reply(packet, header), [], 0))
            return
        if header.protocol != PROTO_TCP:
            self.others.append(packet)
            return
        parse_untrusted(packet, header, segment, checksum_ok, gso_size)
        self.packets += 1
        self.partial += checksum_ok
        if segment.flags & SYN:
            self._peer_scale = max(int(segment.wscale), 0)
            self._rcv_nxt = (int(segment.seq) + 1) % 2**32
            self._send(SYN | ACK, -1, 0)
            return
        self._established = True
        self._snd_una = int(segment.ack) - 1
        self._right_edge = self._snd_una + (int(segment.window) << self._peer_scale)
        length = len(segment.payload)
        if length or segment.flags & FIN:
            assert segment.seq == self._rcv_nxt, "the link lost or reordered something"
            self._rcv_nxt = (self._rcv_nxt + length + (1 if segment.flags & FIN else 0)) % 2**32
            self._peer_fin = self._peer_fin or segment.flags & FIN != 0
            self.got_bytes += length
            self.largest = max(self.largest, length)
            self.gso_sizes.add(int(segment.gso_size))
            if self.keep:
                self.got.append(bytes(segment.payload))
            self._send(ACK, self._snd_nxt, 0)
        self.closed = self._peer_fin and self._fin_sent and self._snd_una > len(self.to_send)

    def poll(self) -> list[Burst]:
        """What may go out now."""
        while self._established and self._snd_nxt < len(self.to_send):
            length = min(len(self.to_send) - self._snd_nxt, self._right_edge - self._snd_nxt, max(BURST_MAX, self.mss))
            if length < min(self.mss, len(self.to_send) - self._snd_nxt):
                break
            self._send(ACK | PSH, self._snd_nxt, length)
            self._snd_nxt += length
        if self._peer_fin and self._snd_nxt == len(self.to_send) and not self._fin_sent:
            self._send(ACK | FIN, self._snd_nxt, 0)
            self._fin_sent = True
            self._snd_nxt += 1
        out, self.out = self.out, []
        return out

    def _send(self, flags: int, offset: int, length: int) -> None:
        got, reply = self._segment, self._reply
        reply.reset()
        half = len(got.src)
        reply.key = got.key[half : 2 * half] + got.key[:half] + got.key[-2:] + got.key[-4:-2]
        reply.flags = flags
        reply.seq = offset + 1
        reply.ack = self._rcv_nxt
        reply.window = 65535
        if flags & SYN:
            reply.mss = self.mss
            reply.wscale = WINDOW_SCALE
        head = build_head(reply, length)
        middle = length // 2
        pieces: list[Piece] = [self.to_send[offset : offset + middle], self.to_send[offset + middle : offset + length]]
        start = 20 if half == 4 else 40
        self.out.append(Burst(head, pieces if length else [], length, self.mss if length else 0, start))


def serve(link: Link, peer: NaiveTcp, until: Callable[[], bool], seconds: float = 30) -> None:
    """Run the peer on the link until `until()`; TimeoutError when that takes too long."""
    poller = select.poll()
    poller.register(link.fileno(), select.POLLIN)
    deadline = time.monotonic() + seconds
    while not until():
        poller.poll(100)
        link.receive(peer, lambda: time.monotonic_ns() // 1000, 64)
        link.send(peer.poll())
        if time.monotonic() > deadline:
            raise TimeoutError("the peer did not get there")
