"""Where the experiments take place: two real stacks on one link in virtual time, a program on each, and a forger.

Nothing of TCP is here. A host that crashes is a new Stack; a duplicate is a packet that the link held back.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from synfin.links.faults import Faults
from synfin.links.memory import MemoryLink
from synfin.stack.stack import Stack
from synfin.tcp.config import Config
from synfin.tcp.connection import Connection
from synfin.tcp.isn import IsnFunction
from synfin.tcp.states import NAMES
from synfin.tcp.trace import Event, PacketEvent, TransitionEvent
from synfin.tcp.turn import CONNECTED, EOF
from synfin.wire.ip import IpHeader
from synfin.wire.ip import parse_untrusted as parse_ip
from synfin.wire.key import make_key
from synfin.wire.segment import Segment, build, parse_untrusted, split

MS = 1000
SECOND = 1_000_000
CLIENT = "10.0.0.1"
SERVER = "10.0.0.2"
CLIENT_BYTES = bytes((10, 0, 0, 1))
SERVER_BYTES = bytes((10, 0, 0, 2))
PORT = 80
HALF_OPEN_BYTES = 31 + 12  # an entry of the SYN queue, packed, and its key (IPv4)


def entropy(seed: int, label: str) -> Callable[[int], bytes]:
    """Secrets of one host, the same in every run of this seed."""
    generator = random.Random(f"{seed} {label}")
    return generator.randbytes


class Program:
    """What runs on a host: accepts, reads, and does what the experiment sets.

    text: sent as soon as a connection is there. at_end: what to do when the peer's FIN has come; close, unless told.
    """

    def __init__(self) -> None:
        self.text = b""
        self.at_end: Callable[[Connection, int], None] = lambda connection, now: connection.close(now)
        self.connections: list[Connection] = []
        self.received: dict[Connection, bytearray] = {}
        self.errors: dict[Connection, int] = {}

    def __call__(self, stack: Stack, now: int) -> None:
        while (listener := stack.accepting()) is not None:
            while (accepted := listener.accept()) is not None:
                self.connections.append(accepted)
                accepted.remind()
                if self.text:
                    accepted.write(self.text)
        while (connection := stack.ready()) is not None:
            events = connection.take_events()
            if events & CONNECTED and connection not in self.connections:
                self.connections.append(connection)
                if self.text:
                    connection.write(self.text)
            self.received.setdefault(connection, bytearray()).extend(b"".join(connection.read(now)))
            if connection.error:
                self.errors[connection] = connection.error
            if events & EOF:
                self.at_end(connection, now)

    def last(self) -> Connection:
        """The connection that came last."""
        return self.connections[-1]

    def text_of(self, connection: Connection) -> bytes:
        """All that was read from it."""
        return bytes(self.received.get(connection, b""))


class World:
    """client | link | server, each with a Program, one list of events."""

    def __init__(
        self,
        seed: int,
        *,
        client: Config | None = None,
        server: Config | None = None,
        client_isn: IsnFunction | None = None,
        server_isn: IsnFunction | None = None,
        delay_us: int = 10 * MS,
        traced: bool = True,
    ) -> None:
        self.events: list[Event] = []
        self.muted = not traced
        self.hide_packets = False  # of segments that are on no wire
        self.third: list[Event] = []  # the third segment of `opened`, as a diagram of what follows may begin
        self._seed = seed
        self._lives = 0
        self._settings = {"client": (CLIENT, client, client_isn), "server": (SERVER, server, server_isn)}
        self.client = self._boot("client")
        self.server = self._boot("server")
        self.at_client = Program()
        self.at_server = Program()
        self.link = MemoryLink(self.client, self.server, seed=seed, faults=Faults(delay_us=delay_us))
        self.link.users = {self.client: self.at_client, self.server: self.at_server}
        self.held: list[bytes] = []

    def _boot(self, name: str) -> Stack:
        address, config, isn = self._settings[name]
        self._lives += 1
        secrets = entropy(self._seed, f"{name} {self._lives}")
        return Stack([address], config, entropy=secrets, name=name, isn=isn, trace=self._record)

    def _record(self, event: Event) -> None:
        if not self.muted and not (self.hide_packets and isinstance(event, PacketEvent)):
            self.events.append(event)

    @property
    def now(self) -> int:
        """Virtual time, µs."""
        return self.link.now

    # ---- what happens ----

    def listen(self) -> None:
        """The server listens on port 80."""
        self.server.listen(PORT)

    def connect(self, port: int = 40000) -> Connection:
        """The client opens a connection to the server."""
        return self.client.connect(SERVER, PORT, self.now, local_port=port)

    def opened(self, port: int = 40000) -> tuple[Connection, Connection]:
        """A connection, established: the client's end and the server's."""
        mine = self.connect(port)
        begin = len(self.events)
        self.advance(100 * MS)
        packets = [event for event in self.events[begin:] if isinstance(event, PacketEvent)]
        self.third = list(packets[4:6])  # SYN and SYN,ACK: sent and received
        return mine, self.at_server.last()

    def advance(self, microseconds: int) -> None:
        """Let time pass, with all that happens in it."""
        self.link.advance(microseconds)

    def crash(self, name: str) -> None:
        """Power off, power on: all that the host knew is gone, and nobody is told."""
        old = self.client if name == "client" else self.server
        old.set_trace(None)
        program = self.link.users.pop(old)
        new = self._boot(name)
        if name == "client":
            self.client = self.link.left = new
        else:
            self.server = self.link.right = new
        self.link.users[new] = program

    def lose(self, which: Callable[[str, Segment], bool], times: int = 1 << 30) -> None:
        """Lose the first `times` segments for which `which(sender's name, segment)` holds."""
        self._take(which, times, False)

    def hold(self, which: Callable[[str, Segment], bool], times: int = 1) -> None:
        """Keep them in the network instead: `release` lets them arrive, as old duplicates. Their first copy goes on."""
        self._take(which, times, True)

    def _take(self, which: Callable[[str, Segment], bool], times: int, hold: bool) -> None:
        left = times

        def rule(sender: Stack, packet: bytes) -> bool:
            nonlocal left
            if left <= 0 or not which(sender.name, parsed(packet)):
                return False
            left -= 1
            if hold:
                self.held.append(packet)
            return not hold

        self.link.drop = rule

    def release(self, to: Stack) -> None:
        """What was held back arrives."""
        for packet in self.held:
            to.receive(packet, self.now)
        self.held.clear()


def parsed(packet: bytes) -> Segment:
    """A TCP packet, read."""
    ip, seg = IpHeader(), Segment()
    parse_ip(packet, ip)
    parse_untrusted(packet, ip, seg, False, 0)
    return seg


def forged(
    flags: int, seq: int, ack: int = 0, text: bytes = b"", *, port: int = 40000, source: bytes = CLIENT_BYTES
) -> bytes:
    """A packet to the server that some host wrote in another's name."""
    seg = Segment()
    seg.key = make_key(source, SERVER_BYTES, port, PORT)
    seg.flags = flags
    seg.seq = seq & 0xFFFFFFFF
    seg.ack = ack & 0xFFFFFFFF
    seg.window = 65535
    seg.payload = text
    return build(seg)


def answers(stack: Stack, now: int) -> list[Segment]:
    """What the stack sends now, for experiments without a link."""
    found: list[Segment] = []
    while bursts := stack.poll(now, 1 << 20):
        found += [parsed(packet) for burst in bursts for packet in split(burst)]
    return found


def sent(events: list[Event]) -> list[tuple[int, str, Segment]]:
    """(time, host, segment) of every segment that a host sent."""
    found: list[tuple[int, str, Segment]] = []
    for event in events:
        if isinstance(event, PacketEvent) and event.outgoing and event.key:
            found += [(event.at, event.host, parsed(packet)) for packet in split(event.burst)]
    return found


def life(events: list[Event], host: str) -> list[str]:
    """The states that a host's connection went through."""
    changes = [event for event in events if isinstance(event, TransitionEvent) and event.host == host]
    return [NAMES[changes[0].before], *(NAMES[event.after] for event in changes)] if changes else []
