"""A stage for packet-level tests that read like a trace: one Stack, virtual time, peers that say what they are told.

    def test_a_listener_answers_a_syn(stage: Stage) -> None:
        scene = stage()
        host, peer = scene.host, scene.peer
        host.listens()
        peer.sends(SYN, mss=1460)
        host.emits(SYN | ACK, seq=0, ack=1, mss=1460)

Numbers are relative: each side's SYN is 0, its first byte 1. What a test leaves out of `sends` is what a well-behaved
peer would say next; what it leaves out of `emits` must be what a host says next. Output is exact: every packet must be
claimed by one `emits`, and a step that finds one unclaimed fails. Text is a fixed pattern of its number, so a length is
enough, and what arrives at the wrong place is noticed.

Packets and user calls in a row are one batch, as a link would read it; the host is polled when the test looks at its
output (`emits`, `is_silent`, `tick`). Each step is printed, so that pytest shows the whole history of a failing test.

Held in every test, besides what it says: checksums are right, the right edge of the window never moves left, ACKs never
go back, no deadline is in the past, and who waits for the peer has a deadline, the account of
memory is what the connections hold.
"""

from __future__ import annotations

from typing import Final

from synfin.stack.stack import Stack
from synfin.tcp import states
from synfin.tcp.config import Config
from synfin.tcp.connection import Connection
from synfin.tcp.listener import Listener
from synfin.tcp.status import ConnectionSnapshot
from synfin.tcp.trace import Event, NoteEvent, SampleEvent, TransitionEvent
from synfin.wire import icmp
from synfin.wire.ip import IpHeader
from synfin.wire.ip import parse_untrusted as parse_ip
from synfin.wire.key import make_key
from synfin.wire.segment import Segment, build, parse_untrusted, split
from synfin.wire.tcp_header import ACK, FIN, PSH, RST, SYN, flag_names

Packet = Segment  # as it came out of the host, parsed

PORT: Final = 80
MSS: Final = 1000
MS: Final = 1000
SECOND: Final = 1_000_000
RTT: Final = 10 * MS  # of the handshakes in opened() and connected()
RTO: Final = 200 * MS  # what follows from that RTT: the minimum
HOST_ISN: Final = 0xFFFFFF00  # both wrap within the first bytes
PEER_ISN: Final = 0xFFFFFE00
START: Final = 1_000_000_000  # virtual time does not begin at 0

_PATTERN: Final = bytes((n * 7 + n // 251) & 0xFF for n in range(251 * 256))


def text(at: int, length: int) -> bytes:
    """The bytes of the pattern at number `at`."""
    start = at % len(_PATTERN)
    repeated = _PATTERN * ((start + length) // len(_PATTERN) + 1)
    return repeated[start : start + length]


def plain(**settings: object) -> Config:
    """A Config without options that would clutter a trace, and with the congestion control that RFC 5681 tells."""
    values: dict[str, object] = {
        "timestamps": False,
        "window_scale": False,
        "receive_buffer": 65535,
        "pacing": False,
        "congestion_control": "newreno",
    }
    values.update(settings)
    values.setdefault("receive_buffer_max", values["receive_buffer"])
    return Config(**values)  # type: ignore[arg-type]


def entropy(n: int) -> bytes:
    """Secrets that are the same in every run."""
    return bytes(range(7, 7 + n))


class Peer:
    """The other end, which does what the test says. `seq`: its next number; `heard`: the host's next number."""

    def __init__(self, scene: Scene, address: bytes, port: int, host_port: int, isn: int) -> None:
        self.seq = 0
        self.heard = 0
        self.window = 65535
        self.address = address
        self.port = port
        self.host_port = host_port
        self.timestamps = False
        self.ts_recent = 0
        self.acked = -1  # highest ACK the host sent
        self.right_edge = -1  # highest right edge the host advertised
        self.host_wscale = -1
        self.wscale = -1
        self._scene = scene
        self._isn = isn

    @property
    def key(self) -> bytes:
        """The key of the packets this peer sends."""
        return make_key(self.address, self._scene.address_of(self), self.port, self.host_port)

    def wire(self, number: int) -> int:
        """A number of this peer's on the wire."""
        return (self._isn + number) & 0xFFFFFFFF

    def relative(self, wire: int, isn: int) -> int:
        """A wire number as this test writes it."""
        number = (wire - isn) & 0xFFFFFFFF
        return number - (1 << 32) if number >= 1 << 31 else number

    def sends(
        self, flags: int, data: int | bytes = b"", *, seq: int | None = None, ack: int | None = None,
        win: int | None = None, mss: int = -1, wscale: int = -1, ts: tuple[int, int] | bool | None = None,
        urgent: int = 0, gso: int = 0, sack: list[tuple[int, int]] | None = None, sack_ok: bool = False,
        ecn: int = 0, accecn: tuple[int, ...] | None = None,
    ) -> None:  # fmt: skip
        """One segment to the host. ts: (TSval, TSecr); True: the right ones; False: none although agreed.

        sack: blocks of the host's numbers. sack_ok: SACK-permitted. ecn: the field of the IP header. accecn: the
        option, its order and fields.
        """
        scene = self._scene
        scene.nothing_unclaimed("before the peer sends")
        seg = Segment()
        seg.key = self.key
        at = self.seq if seq is None else seq
        seg.payload = text(at, data) if isinstance(data, int) else data
        seg.flags = flags
        seg.seq = self.wire(at)
        if flags & ACK:
            seg.ack = (HOST_ISN + (self.heard if ack is None else ack)) & 0xFFFFFFFF
        seg.window = self.window if win is None else win
        seg.urgent = urgent
        seg.traffic_class = ecn
        if accecn is not None:
            fields = (*accecn, -1, -1, -1)
            seg.accecn_order, seg.accecn_first, seg.accecn_ceb, seg.accecn_last = fields[:4]
        seg.mss = mss
        seg.wscale = wscale
        seg.sack_permitted = sack_ok
        if sack is not None:
            seg.sack = [((HOST_ISN + left) & 0xFFFFFFFF, (HOST_ISN + right) & 0xFFFFFFFF) for left, right in sack]
        if isinstance(ts, tuple):
            seg.has_ts, seg.ts_val, seg.ts_ecr = True, ts[0], ts[1]
        elif ts or (ts is None and self.timestamps):
            seg.has_ts, seg.ts_val, seg.ts_ecr = True, self.ts_now(), self.ts_recent
        if flags & SYN:
            self.wscale = wscale
            self.timestamps = seg.has_ts
        length = len(seg.payload) + (1 if flags & SYN else 0) + (1 if flags & FIN else 0)
        if not flags & RST:
            self.seq = max(self.seq, at + length)
        scene.say(f"peer sends {describe(seg, self, from_peer=True)}")
        scene.stack.receive(build(seg), scene.now, False, gso)

    def ts_now(self) -> int:
        """This peer's timestamp clock, a tick a millisecond."""
        return self._scene.now // MS & 0xFFFFFFFF

    def sends_icmp(self, kind: int, code: int, *, seq: int, mtu: int = 0, size: int = 1460) -> None:
        """An ICMP error about the host's segment with that number and so much text, as a router would send it."""
        scene = self._scene
        scene.nothing_unclaimed("before ICMP")
        quoted = Segment()
        local = scene.address_of(self)
        quoted.key = make_key(local, self.address, self.host_port, self.port)
        quoted.seq = (HOST_ISN + seq) & 0xFFFFFFFF
        quoted.flags = ACK
        quoted.payload = bytes(size)
        version = 4 if len(local) == 4 else 6
        scene.say(f"a router sends ICMP type {kind} code {code} about seq={seq} mtu={mtu}")
        packet = icmp.build_error(version, kind, code, self.address, local, build(quoted), mtu)
        scene.stack.receive(packet, scene.now)


class Host:
    """The stack under test and its user."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._connection: Connection | None = None
        self._listener: Listener | None = None
        self._written = 1  # number of the next byte the user writes
        self._read = 1  # number of the next byte the user reads

    # ---- what comes out ----

    def emits(
        self, flags: int, data: int | bytes = b"", *, seq: int | None = None, ack: int | None = None,
        win: int | None = None, mss: int = -1, wscale: int = -1, ts: tuple[int, int] | None = None,
        sack: list[tuple[int, int]] | None = None, ecn: int = 0,
        accecn: tuple[int, ...] | None = None, to: Peer | None = None,
    ) -> Packet:  # fmt: skip
        """The next packet must be this one. seq left out: the host's next number; ack left out: not looked at.

        sack: its blocks, in the peer's numbers; left out: none. ecn: the field of the IP header. accecn: the option,
        its order and fields.
        """
        scene = self._scene
        peer = scene.peer if to is None else to
        expected_seq = peer.heard if seq is None else seq
        payload = text(expected_seq, data) if isinstance(data, int) else data
        wanted = f"{flag_names(flags)} seq={expected_seq} ack={'any' if ack is None else ack} len={len(payload)}"
        seen = scene.next_packet()
        if seen is None:
            scene.fail(f"expected {wanted}, but nothing came out")
        assert seen is not None
        scene.say(f"host emits {describe(seen, peer, from_peer=False)}")
        if seen.key != make_key(scene.address_of(peer), peer.address, peer.host_port, peer.port):
            scene.fail(f"expected {wanted} to port {peer.port}, but the packet goes to port {seen.dst_port}")
        differences: list[str] = []
        number = peer.relative(seen.seq, HOST_ISN)

        def compare(what: str, is_: object, should: object) -> None:
            if is_ != should:
                differences.append(f"{what} is {is_}, not {should}")

        compare("flags", flag_names(seen.flags), flag_names(flags))
        if not (flags & RST and seq is None):
            compare("seq", number, expected_seq)
        compare("ecn", seen.traffic_class & 3, ecn)
        compare("length", len(seen.payload), len(payload))
        if len(seen.payload) == len(payload):
            compare("text", seen.payload.hex()[:64], payload.hex()[:64])
            if seen.payload != payload and not differences:
                differences.append("the text differs after its first bytes")
        if ack is not None:
            compare("ack", peer.relative(seen.ack, peer.wire(0)), ack)
        if win is not None:
            compare("window", seen.window, win)
        if mss >= 0 or not flags & SYN:
            compare("mss", seen.mss, mss)
        if wscale >= 0 or not flags & SYN:
            compare("wscale", seen.wscale, wscale)
        if ts is not None:
            compare("timestamps", (seen.ts_val, seen.ts_ecr), ts)
        blocks = None
        if seen.sack is not None:
            base = peer.wire(0)
            blocks = [(peer.relative(left, base), peer.relative(right, base)) for left, right in seen.sack]
        compare("sack", blocks, sack)
        fields = (seen.accecn_order, seen.accecn_first, seen.accecn_ceb, seen.accecn_last)
        compare("accecn", tuple(field for field in fields if field >= 0), accecn if accecn is not None else ())
        if differences:
            scene.fail(f"expected {wanted}: " + "; ".join(differences))
        return seen

    def is_silent(self) -> None:
        """Nothing comes out now."""
        self._scene.poll()
        self._scene.nothing_unclaimed("where silence is expected")

    # ---- its user ----

    @property
    def connection(self) -> Connection:
        """The connection that the test is about: the last one opened or accepted."""
        assert self._connection is not None, "no connection was opened or accepted"
        return self._connection

    @property
    def listener(self) -> Listener:
        """The listener that the test is about."""
        assert self._listener is not None, "listens() comes first"
        return self._listener

    def listens(self, backlog: int = 128, port: int = PORT) -> Listener:
        """Passive OPEN."""
        self._scene.say(f"user listens on {port}")
        self._listener = self._scene.stack.listen(port, backlog=backlog)
        return self._listener

    def connects(self, port: int = PORT, local_port: int = 0) -> Connection:
        """Active OPEN to the peer, whose side of the scene learns the port that was chosen."""
        scene = self._scene
        scene.say("user connects")
        peer = scene.peer
        self._connection = scene.stack.connect(peer.address, port, scene.now, local_port=local_port)
        peer.port = port
        peer.host_port = int.from_bytes(self._connection.key[-2:], "big")
        return self._connection

    def accepts(self) -> Connection:
        """The listener has one connection, which the user takes."""
        self._scene.say("user accepts")
        connection = self.listener.accept()
        assert connection is not None, "nothing to accept"
        self._connection = connection
        return connection

    def has_nothing_to_accept(self) -> None:
        """accept() gives nothing."""
        assert self.listener.accept() is None

    def writes(self, size: int) -> None:
        """The next bytes of the pattern."""
        self._scene.say(f"user writes {size} bytes")
        self.connection.write(text(self._written, size))
        self._written += size

    def reads(self, size: int, limit: int = -1) -> None:
        """Exactly this many bytes are read, and they are the right ones."""
        taken = b"".join(self.connection.read(self._scene.now, limit))
        self._scene.say(f"user reads {len(taken)} bytes")
        assert len(taken) == size, f"{len(taken)} bytes were ready, not {size}"
        assert taken == text(self._read, size), "other bytes than were sent"
        self._read += size

    def shuts(self) -> None:
        """Half-close."""
        self._scene.say("user shuts down its direction")
        self.connection.shutdown(self._scene.now)

    def closes(self) -> None:
        """CLOSE."""
        self._scene.say("user closes")
        self.connection.close(self._scene.now)

    def aborts(self) -> None:
        """ABORT."""
        self._scene.say("user aborts")
        self.connection.abort(self._scene.now)

    def hears(self, *, all_of: int = 0, none_of: int = 0) -> int:
        """The user takes its events."""
        events = self.connection.take_events()
        self._scene.say(f"user hears events {events}")
        assert events & all_of == all_of, f"events {events}, without {all_of & ~events}"
        assert not events & none_of, f"events {events}, with {none_of & events}"
        return events

    def is_in(self, state: int) -> None:
        """STATUS tells this state."""
        name = self.connection.snapshot().state
        assert name == states.NAMES[state], f"in {name}, not {states.NAMES[state]}"

    def status(self) -> ConnectionSnapshot:
        """STATUS."""
        return self.connection.snapshot()

    def counted(self, **expected: int) -> None:
        """The counters of that name have these values."""
        counters = self._scene.stack.counters.as_dict()
        assert {name: counters[name] for name in expected} == expected

    def has(self, **expected: int) -> None:
        """The census of that name has these values."""
        census = self._scene.stack.census()
        assert {name: census[name] for name in expected} == expected

    def has_forgotten_all(self) -> None:
        """No connection, record, timer or queue entry is left."""
        self.is_silent()
        assert self._scene.stack.next_deadline() is None
        while self._scene.stack.ready() is not None:
            pass
        census = self._scene.stack.census()
        census.pop("listeners")
        assert not any(census.values()), census


class Scene:
    """One host, its peers, virtual time and the history so far."""

    def __init__(self, config: Config | None = None, *, address: bytes = b"\x0a\x00\x00\x01") -> None:
        self.now = START
        self.notes: list[str] = []
        self.samples: list[SampleEvent] = []
        self.transitions: list[tuple[int, int]] = []
        self._address = address
        self._packets: list[Packet] = []
        self._failed = False
        self.config = config if config is not None else plain()
        self.stack = Stack(
            [address], self.config, entropy=entropy, isn=lambda _key, _now: HOST_ISN, trace=self._on_event
        )
        self.host = Host(self)
        self.peers: list[Peer] = []
        self.peer = self.another_peer()

    def another_peer(self, port: int | None = None) -> Peer:
        """One more remote end, with a port of its own."""
        address = self._address[:-1] + b"\x02"
        peer = Peer(self, address, 50000 + len(self.peers) if port is None else port, PORT, PEER_ISN)
        self.peers.append(peer)
        return peer

    def address_of(self, peer: Peer) -> bytes:
        """The host's address that `peer` speaks to."""
        return self._address[: len(peer.address)]

    def say(self, line: str) -> None:
        """A line of the history."""
        print(f"{(self.now - START) / MS:12.3f} ms  {line}")

    def fail(self, why: str) -> None:
        """End the test."""
        self.say(f"FAILED: {why}")
        self._failed = True
        raise AssertionError(why)

    def _on_event(self, event: Event) -> None:
        if isinstance(event, TransitionEvent):
            self.transitions.append((event.before, event.after))
            self.say(
                f"    {states.NAMES[event.before]} -> {states.NAMES[event.after]}: {event.reason} (RFC {event.rfc})"
            )
        elif isinstance(event, NoteEvent):
            self.notes.append(event.what)
            self.say(f"    {event.what}")
        elif isinstance(event, SampleEvent):
            self.samples.append(event)

    # ---- output ----

    def poll(self) -> None:
        """Take all that the host sends now."""
        while True:
            bursts = self.stack.poll(self.now, 1 << 20)
            if not bursts:
                break
            for burst in bursts:
                for packet in split(burst):
                    self._packets.append(self._check(packet))
        deadline = self.stack.next_deadline()
        assert deadline is None or deadline > self.now, "a deadline is not in the future of an idle stack"
        connections = self.stack.connections()
        assert not any(connection.settle() for connection in connections), "a turn ended without telling the account"
        assert self.stack.census()["memory"] == sum(connection.charged for connection in connections)
        for connection in connections:
            snapshot = connection.snapshot()
            waits = snapshot.state in ("SYN-SENT", "SYN-RCVD", "FIN-WAIT-1", "CLOSING", "LAST-ACK")
            if waits or snapshot.unacknowledged > 0 or snapshot.unsent > 0:
                assert snapshot.deadline > self.now, f"{snapshot.state} waits for its peer without a deadline"
                assert deadline is not None and deadline <= snapshot.deadline

    def _check(self, packet: bytes) -> Packet:
        """What holds for every packet."""
        header = IpHeader()
        parse_ip(packet, header)
        assert len(packet) <= self.stack.config.mtu, "a packet larger than the MTU"
        seg = Segment()
        parse_untrusted(packet, header, seg, False, 0)
        for peer in self.peers:
            if peer.port == seg.dst_port and peer.host_port == seg.src_port:
                self._follow(peer, seg)
        return seg

    def _follow(self, peer: Peer, seg: Packet) -> None:
        if seg.flags & RST:
            return
        if seg.flags & SYN:
            peer.host_wscale = seg.wscale
            peer.acked = peer.right_edge = -1
        if seg.has_ts:
            peer.ts_recent = seg.ts_val
        if seg.flags & ACK:
            ack = peer.relative(seg.ack, peer.wire(0))
            scaled = peer.wscale >= 0 and peer.host_wscale >= 0 and not seg.flags & SYN
            edge = ack + (seg.window << peer.host_wscale if scaled else seg.window)
            assert ack >= peer.acked, "an ACK went back"
            assert edge >= peer.right_edge, f"the right edge of the window moved left, {peer.right_edge} to {edge}"
            peer.acked = ack
            peer.right_edge = edge

    def next_packet(self) -> Packet | None:
        """The next packet out, which is then claimed."""
        if not self._packets:
            self.poll()
        if not self._packets:
            return None
        seg = self._packets.pop(0)
        for peer in self.peers:
            if peer.port == seg.dst_port and peer.host_port == seg.src_port:
                length = len(seg.payload) + (1 if seg.flags & SYN else 0) + (1 if seg.flags & FIN else 0)
                if not seg.flags & RST:
                    peer.heard = max(peer.heard, peer.relative(seg.seq, HOST_ISN) + length)
        return seg

    def nothing_unclaimed(self, when: str) -> None:
        """Exactly-once: what came out was claimed by the test."""
        if self._packets:
            lines = [describe(seg, self.peer, from_peer=False) for seg in self._packets]
            self.fail(f"unclaimed output {when}: " + "; ".join(lines))

    # ---- time ----

    def tick(self, microseconds: int) -> None:
        """Let time pass, with every timer in it at its own time. What the last steps caused must be claimed before."""
        self.poll()
        self.nothing_unclaimed("before time passes")
        end = self.now + microseconds
        self.say(f"tick {microseconds / MS:g} ms")
        while True:
            deadline = self.stack.next_deadline()
            if deadline is None or deadline > end:
                break
            self.now = max(self.now, deadline)
            self.stack.on_timer(self.now)
            self.poll()
        self.now = end

    def tick_until_output(self, limit: int = 3600 * SECOND) -> int:
        """Let time pass until something comes out; how long that took."""
        self.poll()
        self.nothing_unclaimed("before time passes")
        began = self.now
        while not self._packets:
            deadline = self.stack.next_deadline()
            if deadline is None or deadline > began + limit:
                self.fail(f"nothing comes out within {limit / SECOND:g} s")
            assert deadline is not None
            self.now = deadline
            self.stack.on_timer(self.now)
            self.poll()
        self.say(f"tick {(self.now - began) / MS:g} ms, until output")
        return self.now - began

    def ends(self) -> None:
        """After the last step: nothing more comes out."""
        if self._failed:
            return
        self.poll()
        self.nothing_unclaimed("at the end of the test")


def describe(seg: Packet, peer: Peer, *, from_peer: bool) -> str:
    """A segment in one line, in relative numbers."""
    mine, other = (peer.wire(0), HOST_ISN) if from_peer else (HOST_ISN, peer.wire(0))
    parts = [flag_names(seg.flags) or "-", f"seq={peer.relative(seg.seq, mine)}"]
    if seg.flags & ACK:
        parts.append(f"ack={peer.relative(seg.ack, other)}")
    parts.append(f"win={seg.window} len={len(seg.payload)}")
    if seg.traffic_class & 3:
        parts.append(("", "ECT(1)", "ECT(0)", "CE")[seg.traffic_class & 3])
    if seg.mss >= 0:
        parts.append(f"mss={seg.mss}")
    if seg.wscale >= 0:
        parts.append(f"wscale={seg.wscale}")
    if seg.has_ts:
        parts.append(f"ts={seg.ts_val},{seg.ts_ecr}")
    if seg.sack is not None:
        parts.append(f"sack={[(peer.relative(left, other), peer.relative(right, other)) for left, right in seg.sack]}")
    return " ".join(parts)


class Stage:
    """Makes scenes for one test, and sees that each ends in silence."""

    def __init__(self) -> None:
        self._scenes: list[Scene] = []

    def __call__(self, config: Config | None = None, *, address: bytes = b"\x0a\x00\x00\x01") -> Scene:
        """An empty stage."""
        scene = Scene(config, address=address)
        self._scenes.append(scene)
        return scene

    def opened(
        self, config: Config | None = None, *, mss: int = MSS, win: int = 65535, sack_ok: bool = False
    ) -> tuple[Scene, Host, Peer]:
        """A connection that the peer opened, RTT 10 ms, accepted and quiet."""
        scene = self(config)
        host, peer = scene.host, scene.peer
        peer.window = win
        host.listens()
        peer.sends(SYN, mss=mss, sack_ok=sack_ok)
        host.emits(SYN | ACK, ack=1)
        scene.tick(RTT)
        peer.sends(ACK)
        host.accepts()
        host.is_silent()
        return scene, host, peer

    def connected(self, config: Config | None = None, *, mss: int = MSS, win: int = 65535) -> tuple[Scene, Host, Peer]:
        """A connection that the host opened, RTT 10 ms, and quiet."""
        scene = self(config)
        host, peer = scene.host, scene.peer
        peer.window = win
        host.connects()
        host.emits(SYN, seq=0)
        scene.tick(RTT)
        peer.sends(SYN | ACK, mss=mss)
        host.emits(ACK, seq=1, ack=1)
        return scene, host, peer

    def end(self) -> None:
        """What every test ends with."""
        for scene in self._scenes:
            scene.ends()


DATA: Final = ACK | PSH
