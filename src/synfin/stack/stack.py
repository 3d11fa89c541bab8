"""A TCP/IP host without I/O: packets and times in, packets and deadlines out.

The driver's loop: receive() each packet of a batch, let the users woken by ready() and accepting() run once, then
poll() for as much as the link can take now; sleep until next_deadline() or the next packet; on_timer().
Rules for the next editor: what concerns one connection belongs into tcp/, what concerns bytes into wire/; what owns a
table is a part of its own, which gives back what it found and does not know this shell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from mypy_extensions import i64

from synfin.stack import icmp_input
from synfin.stack.addresses import Address, Reach, check_backlog, check_port, own_addresses, packed
from synfin.stack.admission import Admission, check_verdict
from synfin.stack.connections import Connections
from synfin.stack.datagrams import DatagramPort, Datagrams
from synfin.stack.destinations import Destinations
from synfin.stack.flood import Flood
from synfin.stack.icmp_errors import IcmpErrors
from synfin.stack.icmp_input import IcmpInput
from synfin.stack.icmp_limits import IcmpLimits
from synfin.stack.memory import Memory
from synfin.stack.ports import EphemeralPorts
from synfin.stack.team import Team
from synfin.stack.timers import TimerQueue
from synfin.tcp.challenge import ChallengeBudget
from synfin.tcp.config import Config
from synfin.tcp.connection import Connection
from synfin.tcp.counters import Counters
from synfin.tcp.environment import Environment
from synfin.tcp.isn import IsnFunction, Rfc6528, TimestampOffset
from synfin.tcp.listener import Listener
from synfin.tcp.output import Output
from synfin.tcp.states import CLOSED, SYN_SENT, TIME_WAIT
from synfin.tcp.syn_cookies import SynCookies
from synfin.tcp.timer import earlier
from synfin.tcp.trace import MOVES, Follower, Trace, Tracer
from synfin.wire import ip as ip_layer
from synfin.wire import udp
from synfin.wire.errors import ChecksumError, WireError
from synfin.wire.icmp import IcmpMessage
from synfin.wire.ip import PROTO_ICMP, PROTO_ICMPV6, PROTO_TCP, PROTO_UDP, FragmentError, IpHeader
from synfin.wire.key import key_src, reverse_key
from synfin.wire.segment import Burst, Segment, finish, parse_untrusted


class Stack:
    """One host: its addresses, listeners and connections.

    addresses: str, bytes or ipaddress objects. entropy: n -> n random bytes (os.urandom), used at construction only.
    isn: (key, now) -> 32-bit number, default RFC 6528. team: other stacks with the same addresses.
    any_destination: hear what comes for each address that another host could have, as a gateway does.
    Raises ValueError for an address that is none.
    """

    def __init__(
        self,
        addresses: Iterable[Address],
        config: Config | None = None,
        *,
        entropy: Callable[[int], bytes],
        name: str = "host",
        isn: IsnFunction | None = None,
        trace: Trace | None = None,
        team: Team | None = None,
        any_destination: bool = False,
    ) -> None:
        self.config: Config = config if config is not None else Config()
        self.name = name
        self.addresses: set[bytes] = own_addresses(addresses, self.config.mtu)
        self.counters: Counters = Counters()
        self.reach: Reach = Reach(self.addresses, any_destination)
        self._output: Output = Output(self.counters, self.config.outbox_limit)
        number: IsnFunction = isn if isn is not None else Rfc6528(entropy(32))
        offset = TimestampOffset(entropy(32))
        cookies = SynCookies(entropy(32))
        ports = EphemeralPorts(entropy(32), self.config.port_first, self.config.port_last)
        secret = entropy(32)  # each of its users hashes with a name of his own
        challenges = ChallengeBudget(secret, self.config.challenge_ack_limit)
        limits = IcmpLimits(
            secret,
            self.config.icmp_msgs_per_sec,
            self.config.icmp_msgs_burst,
            self.config.icmp_ratelimit_us,
            self.counters,
        )
        self._env: Environment = Environment(
            self.config, self.counters, self._output, number, offset, cookies, challenges
        )
        self._timers: TimerQueue = TimerQueue()
        self._destinations: Destinations = Destinations(self.config.mtu, self.counters)
        self._memory: Memory = Memory(self.config.tcp_mem, self._env.pressure, self.counters)
        self._team: Team | None = team
        self._icmp: IcmpErrors = IcmpErrors(self.addresses, self._output, limits)
        self.admission: Admission = Admission(self.config.held_syn_limit, self.counters)
        self._connections: Connections = Connections(
            self.reach,
            self._env,
            ports,
            self._destinations,
            self._timers,
            self._memory,
            self.admission,
            self._icmp,
            team,
        )
        self.datagrams: Datagrams = Datagrams(self.reach, self._output, self.counters, ports, self.config)
        self.icmp_input: IcmpInput = IcmpInput(self.reach, self._output, self.counters)
        self._flood: Flood | None = None
        self._ip: IpHeader = IpHeader()  # reused
        self._seg: Segment = Segment()  # reused
        self.set_trace(trace)

    def set_trace(self, trace: Trace | None) -> None:
        """Have `trace` told of everything from now on; None: no more. Followers stay."""
        if trace is not None or self._env.tracer is not None:
            self._tracer().set_hook(trace)
            self._end_tracer()

    def follow(self, key: bytes, follower: Follower) -> bool:
        """Have a follower told of the connection with this key, b"": of the one that begins next. False: it has one."""
        return self._tracer().follow(key, follower)

    def unfollow(self, follower: Follower) -> None:
        """Tell it no more."""
        if self._env.tracer is not None:
            self._env.tracer.unfollow(follower)
            self._end_tracer()

    def hush(self, follower: Follower, quiet: bool) -> None:
        """A follower has heard enough for now, or wants to hear again."""
        if self._env.tracer is not None:
            self._env.tracer.hush(follower, quiet)

    def _tracer(self) -> Tracer:
        if self._env.tracer is None:
            self._env.tracer = Tracer(self.name)
        return self._env.tracer

    def _end_tracer(self) -> None:
        if self._env.tracer is not None and self._env.tracer.is_idle():
            self._env.tracer = None

    def flood(self) -> Flood:
        """Answers SYNs in batches, for links that offer them so: made when the first of them asks."""
        if self._flood is None:
            self._flood = Flood(self._env, self.addresses, self.receive, self._connections.strangers)
        return self._flood

    # ---- packets ----

    def receive(
        self, packet: bytes, now: i64, checksum_ok: bool = False, gso_size: i64 = 0, start: i64 = 0, text: bytes = b""
    ) -> None:
        """One IP packet of up to 64 KiB, that came in at `now`. Hostile until checked; never raises for what it says.

        checksum_ok: the device vouches for it. gso_size: payload bytes per segment of a burst, 0 for one segment.
        start: of the packet, behind what the device has put before it. text: of TCP, where `packet` has headers only.
        """
        counters = self.counters
        counters.InReceives += 1
        ip = self._ip
        try:
            ip_layer.parse_untrusted(packet, ip, start, len(text))
        except FragmentError:
            counters.ReasmFails += 1
            return
        except WireError:
            counters.InHdrErrors += 1
            return
        if ip.protocol != PROTO_TCP:
            if start:
                packet = packet[start:]
                ip.start = 0
            self._receive_other(packet, ip, now, checksum_ok)
            return
        seg = self._seg
        try:
            parse_untrusted(packet, ip, seg, checksum_ok, gso_size, text)
        except ChecksumError:
            counters.InCsumErrors += 1
            counters.InErrs += 1
            return
        except WireError:
            counters.InErrs += 1
            return
        counters.InSegs += (len(seg.payload) + gso_size - 1) // gso_size if seg.gso_size else 1
        tracer = self._env.tracer
        if tracer is not None and (tracer.attentive or seg.flags & MOVES) and tracer.hears(seg.key, seg.flags):
            csum_start = ip.header_len if checksum_ok else 0
            burst = Burst(packet[start:] + text, [], 0, seg.gso_size, csum_start)
            tracer.packet(now, False, seg.key, seg.flags, burst)
        connection = self._connections.find(seg.key)
        if connection is None or connection.state == CLOSED or connection.state == TIME_WAIT:
            if connection is not None:
                self._connections.retire(connection, now)
            elif self._team is not None and self._handed(seg.key, packet, start, checksum_ok, gso_size):
                return
            connection = self._connections.on_stray(seg, now)
            if connection is None:
                return
        connection.on_segment(seg, now)

    def _handed(self, key: bytes, packet: bytes, start: i64, checksum_ok: bool, gso_size: i64) -> bool:
        """No table here knows what receives under `key`; True: it is another member's, which has the packet now."""
        team = self._team
        if team is None:
            return False
        owner = team.owner(key)
        if owner == team.index:
            return False
        team.hand_over(owner, packet, start, checksum_ok, gso_size)
        return True

    def _receive_other(self, packet: bytes, ip: IpHeader, now: i64, checksum_ok: bool) -> None:
        """UDP and ICMP; other protocols are counted."""
        if ip.protocol == PROTO_UDP:
            code = self.datagrams.on_packet(packet, ip, checksum_ok)
            if code and (self._team is None or not self._handed(udp.key_of(packet, ip), packet, 0, checksum_ok, 0)):
                self._icmp.unreachable(code, packet, now)
        elif ip.protocol == PROTO_ICMP or ip.protocol == PROTO_ICMPV6:
            message = self.icmp_input.on_packet(packet, ip, checksum_ok)
            if message is not None:
                self._on_icmp_error(message, packet, checksum_ok, now)
        else:
            self.counters.InUnknownProtos += 1

    def _on_icmp_error(self, message: IcmpMessage, packet: bytes, checksum_ok: bool, now: i64) -> None:
        """It quotes a packet that this stack, or another member of its team, may have sent."""
        code, hard = icmp_input.icmp_errors(message.version, message.type, message.code)
        if message.quoted_protocol == PROTO_UDP:
            if code:
                self.datagrams.on_unreachable(message.quoted_key, code)
            return
        key = reverse_key(message.quoted_key)
        connection = self._connections.by_key.get(key)
        if connection is None:
            self._handed(key, packet, 0, checksum_ok, 0)
            return
        self.counters.InDestUnreachs += 1
        snd_una = connection.sender.snd_una
        snd_nxt = connection.sender.snd_nxt if connection.state != SYN_SENT else 1
        mtu = icmp_input.path_mtu_of(message)
        if not icmp_input.quotes_flight(message, connection.iss, snd_una, snd_nxt) or (
            mtu and not icmp_input.was_too_big(message, mtu, snd_nxt - snd_una)
        ):
            self.counters.OutOfWindowIcmps += 1
        elif mtu:
            self._destinations.learn(key_src(connection.key), mtu, now)
            connection.on_path_mtu(mtu, now)
        elif code:
            connection.on_unreachable(code, hard, now)
        self._timers.note(connection)

    def poll(self, now: i64, budget: i64) -> list[Burst]:
        """What may go out now: all replies, then at most about `budget` bytes of data, one burst a connection a turn.

        Packets for addresses of this stack are delivered here and not returned. An empty list: nothing is left to send
        until something happens.
        """
        env = self._env
        active = env.active
        while True:
            while active and budget > 0:
                connection = active.popleft()
                connection.active = False
                assert isinstance(connection, Connection)
                if connection.state == CLOSED or connection.state == TIME_WAIT:
                    self._connections.retire(connection, now)
                    continue
                if connection.path_news:
                    self._connections.share_path(connection, now)
                sent = connection.poll_output(now, budget)
                if sent:
                    budget -= sent
                    connection.touch()
                self._timers.note(connection)
                change = connection.settle()
                if change:
                    self._memory.settle(change, connection, self._connections.by_key, now)
            packets = self._output.take()
            if not packets:
                return packets
            packets = self._deliver_own(packets, now)
            if packets:
                return packets

    def _deliver_own(self, packets: list[Burst], now: i64) -> list[Burst]:
        """Take out what is for this stack itself, and receive it. Returns what goes to the link."""
        tracer = self._env.tracer
        if tracer is not None:
            for burst in packets:
                if not burst.csum_start:
                    continue
                head = burst.head
                flags: i64 = head[burst.csum_start + 13]
                if tracer.attentive or flags & MOVES:
                    key = reverse_key(head[12:24] if burst.csum_start == 20 else head[8:44])
                    if tracer.hears(key, flags):
                        tracer.packet(now, True, key, flags, burst)
        addresses = self.addresses
        own: list[Burst] | None = None
        for burst in packets:
            head = burst.head
            if (head[16:20] if head[0] < 0x60 else head[24:40]) in addresses:
                if own is None:
                    own = []
                own.append(burst)
        if own is None:
            return packets
        mine = set(own)
        outside = [burst for burst in packets if burst not in mine]
        for burst in own:
            self.receive(finish(burst), now, True, burst.gso_size)
        return outside

    def has_output(self) -> bool:
        """poll() stopped at its budget, or something has happened since."""
        return bool(self._env.active or self._output.packets)

    def has_events(self) -> bool:
        """ready(), accepting() or datagrams_ready() has something."""
        return bool(self._env.ready or self._connections.accepting or self.datagrams.ready or self.datagrams.begun)

    # ---- time ----

    def next_deadline(self) -> int | None:
        """When on_timer() wants to be called, microseconds; None: nothing is waited for."""
        deadline = self.deadline()
        return deadline if deadline else None

    def deadline(self) -> i64:
        """The same as a number; 0: nothing is waited for."""
        return earlier(self._timers.next(), self._connections.time_wait.deadline())

    def on_timer(self, now: i64) -> None:
        """Do all that is due at `now`."""
        self._connections.expire_time_wait(now)
        while True:
            timed = self._timers.due(now)
            if timed is None:
                return
            timed.on_timer(now)
            self._timers.note(timed)

    # ---- users ----

    def ready(self) -> Connection | None:
        """The next connection with something for its user; take_events() tells what. None: no more."""
        ready = self._env.ready
        while ready:
            connection = ready.popleft()
            if connection.waiting:
                assert isinstance(connection, Connection)
                return connection
        return None

    def accepting(self) -> Listener | None:
        """The next listener with connections to accept; None: no more."""
        if not self._connections.accepting:
            return None
        listener = self._connections.accepting.popleft()
        listener.waiting = False
        return listener

    def datagrams_ready(self) -> DatagramPort | None:
        """The next UDP port with datagrams or errors; None: no more."""
        return self.datagrams.next_ready()

    def datagrams_begun(self) -> DatagramPort | None:
        """The next UDP flow that has begun, by leave of `datagrams.ask`; None: no more."""
        return self.datagrams.next_begun()

    def connect(
        self, remote: Address, port: int, now: i64, local: Address | None = None, local_port: int = 0
    ) -> Connection:
        """Active OPEN to `remote`:`port`; local_port 0 chooses one.

        Raises ValueError or TypeError for a bad address or port; OSError: ENETUNREACH (no address of that family),
        EADDRNOTAVAIL (`local` is not ours, or no port is free), EADDRINUSE, ENOBUFS (connection_limit, tcp_mem).
        """
        check_port(port, 1)
        check_port(local_port, 0)
        here = None if local is None else packed(local)
        return self._connections.connect(packed(remote), port, here, local_port, now)

    def listen(self, port: int, address: Address | None = None, backlog: int = 128) -> Listener:
        """Passive OPEN; address None: any of this stack's, 0.0.0.0 or ::: any of that family. Where several listen on
        one port, the most exact address is asked. port 0 chooses one (see Listener.port).

        Raises ValueError or TypeError for a bad argument; OSError: EADDRINUSE, EADDRNOTAVAIL.
        """
        check_port(port, 0)
        check_backlog(backlog)
        return self._connections.listen(b"" if address is None else packed(address), port, backlog)

    def listen_everywhere(self, address: Address | None = None, backlog: int = 128) -> Listener:
        """Passive OPEN on each port that has no listener of its own; its connections know where they were meant to go.

        Raises as listen().
        """
        check_backlog(backlog)
        return self._connections.listen_everywhere(b"" if address is None else packed(address), backlog)

    def settle(self, key: bytes, verdict: int, now: i64) -> bool:
        """Answer the SYN that is held under `key` since `admission.ask` said LATER. False: it is not, any more.

        Raises ValueError or TypeError for what is no verdict.
        """
        return self._connections.settle(key, check_verdict(verdict), now)

    def tell_of_lost(self, lost: Callable[[bytes], object] | None) -> None:
        """Have `lost` told the key of each half-open entry that became no connection: reset, or never answered."""
        self._env.on_half_open_lost = lost

    def unreachable(self, code: int, packet: bytes, now: i64) -> None:
        """Tell the sender of a datagram or a ping that came in, by the error that is errno `code` to him, that it
        arrived nowhere. Few go out to one destination: Config.icmp_ratelimit_us."""
        self._icmp.unreachable(code, packet, now)

    def answer_echo(self, packet: bytes) -> None:
        """Answer a ping that `icmp_input.on_echo` was given."""
        ip = IpHeader()
        ip_layer.parse_untrusted(packet, ip)
        self.icmp_input.echo_reply(packet, ip)

    def close_listener(self, listener: Listener, now: i64) -> None:
        """End a passive OPEN: what nobody accepted is reset."""
        self._connections.close_listener(listener, now)

    def open_datagrams(
        self, address: Address | None = None, port: int = 0, remote: tuple[Address, int] | None = None
    ) -> DatagramPort:
        """A UDP port; address 0.0.0.0: each of IPv4, "::": each of both families, None: each that there is; with a
        remote, the one that speaks to it. port 0: a free one.

        Raises ValueError or TypeError for a bad argument; OSError: EADDRINUSE, EADDRNOTAVAIL, ENETUNREACH.
        """
        check_port(port, 0)
        there: tuple[bytes, int] | None = None
        if remote is not None:
            check_port(remote[1], 1)
            there = (packed(remote[0]), remote[1])
        return self.datagrams.open(None if address is None else packed(address), port, there)

    def close_datagrams(self, port: DatagramPort) -> None:
        """Give a UDP port back."""
        self.datagrams.close(port)

    def abort_all(self, now: i64) -> None:
        """Close every listener, reset every connection and forget TIME-WAIT: the host ends."""
        self._connections.abort_all(now)
        while (begun := self.datagrams.next_begun()) is not None:
            self.datagrams.close(begun)

    def link_is_up(self, now: i64) -> None:
        """The link carries again, of which this host knows by itself: what was sent into the dead one goes at once."""
        self._connections.link_is_up(now)

    def forget_output(self) -> None:
        """Nothing is sent any more, by nobody: whoever stands in the queue for it stands there in vain."""
        for turn in self._env.active:
            turn.active = False
        self._env.active.clear()

    def connections(self) -> list[Connection]:
        """All connections, in order of opening; TIME-WAIT is counted by census() only."""
        return list(self._connections.by_key.values())

    def find(self, key: bytes) -> Connection | None:
        """The connection with this key."""
        return self._connections.by_key.get(key)

    def census(self) -> dict[str, int]:
        """How many entries each table holds: all zero once everything has ended."""
        return self._connections.census() | {
            "datagram_ports": len(self.datagrams),
            "datagram_flows": self.datagrams.flows(),
            "datagram_bytes": self.datagrams.waiting(),
            "timers": len(self._timers),
            "active": len(self._env.active),
            "ready": len(self._env.ready),
            "memory": self._memory.used,
            "outbox": len(self._output.packets),
        }
