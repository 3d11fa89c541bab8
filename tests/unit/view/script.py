"""Traces written by hand: what two hosts would have reported, packet by packet."""

from __future__ import annotations

from ipaddress import ip_address

from synfin.tcp.states import NAMES
from synfin.tcp.trace import (
    CAUSE_SEGMENT,
    CAUSE_TIMER,
    CAUSE_USER,
    Event,
    NoteEvent,
    PacketEvent,
    SampleEvent,
    TransitionEvent,
)
from synfin.wire.key import reverse_key
from synfin.wire.pieces import Piece
from synfin.wire.segment import Burst, Segment, build, build_head
from synfin.wire.tcp_header import ACK, FIN, PSH, RST, SYN

CAUSES = {"segment": CAUSE_SEGMENT, "user": CAUSE_USER, "timer": CAUSE_TIMER}
BITS = {"FIN": FIN, "SYN": SYN, "RST": RST, "PSH": PSH, "ACK": ACK}
MS = 1000


class Script:
    """A conversation of "client" and "server". Times are in milliseconds, numbers are relative to the ISNs."""

    def __init__(
        self,
        client: str = "10.0.0.1",
        server: str = "10.0.0.2",
        ports: tuple[int, int] = (49152, 80),
        isns: tuple[int, int] = (3405691582, 305419896),
        delay: float = 10,
    ) -> None:
        a, b = ip_address(client).packed, ip_address(server).packed
        p, q = ports[0].to_bytes(2, "big"), ports[1].to_bytes(2, "big")
        self.keys = {"client": b + a + q + p, "server": a + b + p + q}  # at this host: peer, local, ports alike
        self.isns = {"client": isns[0], "server": isns[1]}
        self.delay = delay
        self._events: list[tuple[float, Event]] = []

    def events(self, *hosts: str) -> list[Event]:
        """All events in the order of time; of the named hosts only, if any are named."""
        ordered = [event for _, event in sorted(self._events, key=lambda pair: pair[0])]
        return [event for event in ordered if not hosts or event.host in hosts]

    def add(self, ms: float, event: Event) -> None:
        self._events.append((ms, event))

    def state(self, ms: float, host: str, change: str, why: str, rfc: str, cause: str = "segment") -> None:
        before, after = (NAMES.index(name) for name in change.split(" -> "))
        at = round(ms * MS)
        self.add(ms, TransitionEvent(at, host, self.keys[host], before, after, why, rfc, CAUSES[cause]))

    def note(self, ms: float, host: str, what: str, rfc: str = "") -> None:
        self.add(ms, NoteEvent(round(ms * MS), host, self.keys[host], what, rfc))

    def sample(
        self, ms: float, host: str, cwnd: int, ssthresh: int, in_flight: int, rtt: int = 0, srtt: int = 0,
        pacing: float = 0.0, phase: int = 0,
    ) -> None:  # fmt: skip
        event = SampleEvent(
            round(ms * MS), host, self.keys[host], cwnd, ssthresh, in_flight, pacing, rtt, srtt, phase
        )  # fmt: skip
        self.add(ms, event)

    def segment(self, host: str, flags: str, seq: int, ack: int, length: int = 0, **fields: object) -> Segment:
        other = "server" if host == "client" else "client"
        segment = Segment()
        segment.key = reverse_key(self.keys[host])
        segment.flags = sum(BITS[name] for name in flags.split(","))
        segment.seq = (self.isns[host] + seq) & 0xFFFFFFFF
        segment.ack = (self.isns[other] + ack) & 0xFFFFFFFF if "ACK" in flags else 0
        segment.window = 64240 if "SYN" in flags else 0 if "RST" in flags else 502
        segment.payload = bytes(i & 0xFF for i in range(length))
        if "SYN" in flags:
            segment.mss, segment.wscale, segment.sack_permitted = 1460, 7, True
        if "RST" not in flags:
            segment.has_ts = True
        for name, value in fields.items():
            setattr(segment, name, value)
        return segment

    def send(
        self,
        ms: float,
        host: str,
        flags: str,
        seq: int,
        ack: int = 0,
        length: int = 0,
        lost: bool = False,
        delay: float = -1,
        **fields: object,
    ) -> float:
        """One segment (with gso_size: a burst) leaves the host, and arrives at the other. Returns when it arrives."""
        segment = self.segment(host, flags, seq, ack, length, **fields)
        head = build_head(segment, length)
        pieces: list[Piece] = [segment.payload] if length else []
        start = 20 if len(segment.key) == 12 else 40
        burst = Burst(head, pieces, length, segment.gso_size, start)
        self.add(ms, PacketEvent(round(ms * MS), host, True, self.keys[host], burst))
        then = ms + (self.delay if delay < 0 else delay)
        if not lost:
            self.arrive(then, "server" if host == "client" else "client", build(segment), segment.gso_size)
        return then

    def arrive(self, ms: float, host: str, packet: bytes, gso_size: int = 0) -> None:
        self.add(ms, PacketEvent(round(ms * MS), host, False, self.keys[host], Burst(packet, [], 0, gso_size, 0)))


def opened(script: Script) -> Script:
    """A three-way handshake; both ends are ESTABLISHED after 20 ms (client) and 30 ms (server)."""
    d = script.delay
    script.state(0, "client", "CLOSED -> SYN-SENT", "active OPEN / SYN", "9293 3.10.1", "user")
    script.send(0, "client", "SYN", 0)
    script.state(d, "server", "LISTEN -> SYN-RCVD", "SYN / SYN,ACK", "9293 3.10.7.2")
    script.send(d, "server", "SYN,ACK", 0, 1)
    script.state(2 * d, "client", "SYN-SENT -> ESTABLISHED", "SYN,ACK / ACK", "9293 3.10.7.3")
    script.send(2 * d, "client", "ACK", 1, 1)
    script.state(3 * d, "server", "SYN-RCVD -> ESTABLISHED", "ACK of SYN", "9293 3.10.7.4")
    return script


def closed(script: Script, ms: float, client: int, server: int) -> Script:
    """The four-way close, begun by the client; `client` and `server` are the next numbers to send."""
    d = script.delay
    script.state(ms, "client", "ESTABLISHED -> FIN-WAIT-1", "CLOSE / FIN", "9293 3.10.4", "user")
    script.send(ms, "client", "FIN,ACK", client, server)
    script.state(ms + d, "server", "ESTABLISHED -> CLOSE-WAIT", "FIN / ACK", "9293 3.10.7.4")
    script.send(ms + d, "server", "ACK", server, client + 1)
    script.state(ms + 2 * d, "client", "FIN-WAIT-1 -> FIN-WAIT-2", "ACK of FIN", "9293 3.10.7.4")
    script.state(ms + 2 * d, "server", "CLOSE-WAIT -> LAST-ACK", "CLOSE / FIN", "9293 3.10.4", "user")
    script.send(ms + 2 * d, "server", "FIN,ACK", server, client + 1)
    script.state(ms + 3 * d, "client", "FIN-WAIT-2 -> TIME-WAIT", "FIN / ACK", "9293 3.10.7.4")
    script.send(ms + 3 * d, "client", "ACK", client + 1, server + 1)
    script.state(ms + 4 * d, "server", "LAST-ACK -> CLOSED", "ACK of FIN", "9293 3.10.7.4")
    script.state(ms + 3 * d + 60_000, "client", "TIME-WAIT -> CLOSED", "2MSL", "9293 3.10.8", "timer")
    return script
