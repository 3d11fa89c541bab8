"""A TCP/IP host without I/O: packets and times in, packets and deadlines out.

The driver's loop: receive() each packet of a batch, let the users woken by ready() and accepting() run once, then
poll() for as much as the link can take now; sleep until next_deadline() or the next packet; on_timer().
Rule for the next editor: what concerns one connection belongs into tcp/, what concerns bytes into wire/.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address

from mypy_extensions import i64

from synfin.stack.datagrams import DatagramPort
from synfin.stack.path_mtu import PathMtu
from synfin.stack.ports import EphemeralPorts
from synfin.stack.time_wait_table import TimeWaitTable
from synfin.stack.timers import TimerQueue
from synfin.tcp import errors, time_wait
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
from synfin.tcp.timestamps import ts_clock
from synfin.tcp.trace import CAUSE_SEGMENT, CAUSE_TIMER, CAUSE_USER, Trace, Tracer
from synfin.wire import icmp, udp
from synfin.wire import ip as ip_layer
from synfin.wire.errors import ChecksumError, WireError
from synfin.wire.ip import PROTO_ICMP, PROTO_ICMPV6, PROTO_TCP, PROTO_UDP, FragmentError, IpHeader
from synfin.wire.key import key_dst, key_dst_port, key_src, key_src_port, make_key, reverse_key
from synfin.wire.segment import Burst, Segment, finish, parse_untrusted
from synfin.wire.seq import unwrap
from synfin.wire.tcp_header import ACK

Address = str | bytes | IPv4Address | IPv6Address
MIN_PATH_MTU_IPV4 = 552  # below this a "packet too big" is an attack rather than a path (Linux: min_pmtu)
MIN_PATH_MTU_IPV6 = 1280  # RFC 8200 5


def packed(address: Address) -> bytes:
    """An address as 4 or 16 bytes. Raises ValueError for what is none."""
    if isinstance(address, bytes):
        if len(address) not in (4, 16):
            raise ValueError(f"a packed address has 4 or 16 bytes, not {len(address)}")
        return address
    if isinstance(address, str):
        return ip_address(address).packed
    if isinstance(address, (IPv4Address, IPv6Address)):
        return address.packed
    raise TypeError(f"an address is a str, bytes or an ipaddress object, not {type(address).__name__}")


# Callers that are not compiled check before they call: a compiled signature refuses a wrong type by itself, in words
# that do not name the argument.


def check_port(port: object, lowest: int) -> None:
    """Raise ValueError or TypeError for what is no port from `lowest` on."""
    if isinstance(port, bool) or not isinstance(port, int):
        raise TypeError(f"a port is an int, not {type(port).__name__}")
    if not lowest <= port <= 65535:
        raise ValueError(f"a port is within {lowest} and 65535, not {port}")


def check_backlog(backlog: object) -> None:
    """Raise ValueError or TypeError for what is no number of connections that may wait."""
    if isinstance(backlog, bool) or not isinstance(backlog, int):
        raise TypeError(f"backlog is an int, not {type(backlog).__name__}")
    if backlog < 1:
        raise ValueError(f"backlog is at least 1, not {backlog}")


class Stack:
    """One host: its addresses, listeners and connections.

    addresses: str, bytes or ipaddress objects. entropy: n -> n random bytes (os.urandom), used at construction only.
    isn: (key, now) -> 32-bit number, default RFC 6528. Raises ValueError for an address that is none.
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
    ) -> None:
        if isinstance(addresses, (str, bytes)):
            raise TypeError("addresses is a list of addresses, not one of them")
        self.config: Config = config if config is not None else Config()
        self.name = name
        self.addresses: set[bytes] = {packed(address) for address in addresses}
        if not self.addresses:
            raise ValueError("a stack needs at least one address")
        if self.config.mtu < MIN_PATH_MTU_IPV6 and any(len(address) == 16 for address in self.addresses):
            raise ValueError(f"IPv6 needs an MTU of at least 1280 (RFC 8200 5), not {self.config.mtu}")
        self.counters: Counters = Counters()
        self._output: Output = Output(self.counters, self.config.outbox_limit)
        number: IsnFunction = isn if isn is not None else Rfc6528(entropy(32))
        offset = TimestampOffset(entropy(32))
        cookies = SynCookies(entropy(32))
        self._ports: EphemeralPorts = EphemeralPorts(entropy(32), self.config.port_first, self.config.port_last)
        challenges = ChallengeBudget(entropy(32), self.config.challenge_ack_limit)
        self._env: Environment = Environment(
            self.config, self.counters, self._output, number, offset, cookies, challenges
        )
        self._connections: dict[bytes, Connection] = {}
        self._listeners: dict[bytes, Listener] = {}  # address | port; the address may be empty: any
        self._accepting: deque[Listener] = deque()
        self._datagram_ports: dict[bytes, DatagramPort] = {}
        self._datagrams_ready: deque[DatagramPort] = deque()
        self._time_wait: TimeWaitTable = TimeWaitTable(self.counters, self.config.time_wait_limit)
        self._timers: TimerQueue = TimerQueue()
        self._path_mtu: PathMtu = PathMtu(self.config.mtu)
        self._ip: IpHeader = IpHeader()  # reused
        self._seg: Segment = Segment()  # reused
        self.set_trace(trace)

    def set_trace(self, trace: Trace | None) -> None:
        """Watch everything from now on, or nothing (None)."""
        self._env.tracer = None if trace is None else Tracer(self.name, trace)

    # ---- packets ----

    def receive(self, packet: bytes, now: i64, checksum_ok: bool = False, gso_size: i64 = 0) -> None:
        """One IP packet of up to 64 KiB, that came in at `now`. Hostile until checked; never raises for what it says.

        checksum_ok: the device vouches for it. gso_size: payload bytes per segment of a burst, 0 for one segment.
        """
        counters = self.counters
        counters.InReceives += 1
        ip = self._ip
        try:
            ip_layer.parse_untrusted(packet, ip)
        except FragmentError:
            counters.ReasmFails += 1
            return
        except WireError:
            counters.InHdrErrors += 1
            return
        if ip.protocol != PROTO_TCP:
            self._receive_other(packet, ip, now, checksum_ok)
            return
        seg = self._seg
        try:
            parse_untrusted(packet, ip, seg, checksum_ok, gso_size)
        except ChecksumError:
            counters.InCsumErrors += 1
            counters.InErrs += 1
            return
        except WireError:
            counters.InErrs += 1
            return
        counters.InSegs += (len(seg.payload) + gso_size - 1) // gso_size if seg.gso_size else 1
        tracer = self._env.tracer
        if tracer is not None:
            csum_start = ip.header_len if checksum_ok else 0
            tracer.packet(now, False, seg.key, Burst(packet, [], 0, seg.gso_size, csum_start))
        connection = self._connections.get(seg.key)
        if connection is not None:
            if connection.state != CLOSED and connection.state != TIME_WAIT:
                connection.on_segment(seg, now)
                return
            self._retire(connection, now)
        self._on_stray(seg, now)

    def _on_stray(self, seg: Segment, now: i64) -> None:
        """A segment that belongs to no connection: TIME-WAIT, a listener, or nothing (RFC 9293 3.10.7.1)."""
        key = seg.key
        local = key_dst(key)
        if local not in self.addresses:
            self.counters.InAddrErrors += 1
            return
        src = key_src(key)
        if _is_group(src):
            self.counters.InAddrErrors += 1  # RFC 9293 3.9.2.3: no segment from a multicast or broadcast address
            return
        iss_above: i64 = -1
        listener = self._listener(local, key_dst_port(key))
        record = self._time_wait.get(key)
        if record is not None and (listener is None or not listener.holds(key)):
            verdict = time_wait.judge(record, seg)
            if verdict != time_wait.REUSE or listener is None:
                self._on_time_wait(key, record, verdict, now)
                return
            iss_above = record.snd_nxt
        if listener is None:
            self._output.reset_for(seg)
            return
        if len(self._connections) >= self.config.connection_limit:
            self.counters.ListenDrops += 1
            return
        connection = listener.on_segment(seg, self._path_mtu.to(src, now), now, iss_above)
        self._timers.note(listener)
        if record is not None and iss_above >= 0 and listener.holds(key):
            # TIME-WAIT ends with the third segment: until then the SYN may still prove to be an old duplicate.
            record.deadline = now + 2 * self.config.msl_us
            self._file_time_wait(key, record, now)
        if connection is not None:
            if record is not None:
                self._time_wait.remove(key)
                self.counters.TWRecycled += 1
            self._connections[key] = connection
            if not listener.waiting:
                listener.waiting = True
                self._accepting.append(listener)
            connection.on_segment(seg, now)

    def _on_time_wait(self, key: bytes, record: time_wait.TimeWait, verdict: i64, now: i64) -> None:
        if verdict == time_wait.IGNORE:
            return
        if verdict == time_wait.RESTART:
            record.deadline = now + 2 * self.config.msl_us
            self._file_time_wait(key, record, now)
        elif verdict != time_wait.ACK_AGAIN:
            if not self._env.answers.challenge_stranger(now):
                return
        seg = self._output.blank(reverse_key(key))
        seg.seq = record.snd_nxt
        seg.ack = record.rcv_nxt
        seg.flags = ACK
        seg.window = record.window
        if record.timestamps:
            seg.has_ts = True
            seg.ts_val = ts_clock(now, record.ts_offset)
            seg.ts_ecr = record.ts_recent
        self._output.reply(seg)

    def _receive_other(self, packet: bytes, ip: IpHeader, now: i64, checksum_ok: bool) -> None:
        """ICMP: echo is answered, errors are checked against what they quote. Other protocols are counted."""
        counters = self.counters
        if ip.protocol == PROTO_UDP:
            self._receive_datagram(packet, ip, checksum_ok)
            return
        if ip.protocol != PROTO_ICMP and ip.protocol != PROTO_ICMPV6:
            counters.InUnknownProtos += 1
            return
        local = packet[16:20] if ip.version == 4 else packet[24:40]
        if local not in self.addresses:
            counters.InAddrErrors += 1
            return
        try:
            message = icmp.parse_untrusted(packet, ip, checksum_ok)
        except WireError:
            counters.InErrs += 1
            return
        if icmp.is_echo_request(message):
            counters.InEchos += 1
            counters.OutEchoReps += 1
            self._output.raw(icmp.build_echo_reply(packet, ip))
            return
        if message.quoted_protocol == PROTO_UDP and message.quoted_key:
            self._on_datagram_unreachable(message)
            return
        if message.quoted_protocol != PROTO_TCP or not message.quoted_key:
            return
        connection = self._connections.get(reverse_key(message.quoted_key))
        if connection is None or message.quoted_seq < 0:
            return
        counters.InDestUnreachs += 1
        # RFC 5927 4.1: believe only who has seen a number that is in flight now.
        sender = connection.sender
        offset = unwrap(message.quoted_seq, connection.iss, sender.snd_una)
        if not sender.snd_una <= offset < (sender.snd_nxt if connection.state != SYN_SENT else 1):
            counters.OutOfWindowIcmps += 1
            return
        if (message.version == 4 and message.type == 3 and message.code == 4) or (
            message.version == 6 and message.type == 2
        ):
            self._on_packet_too_big(connection, message.mtu, now)
        else:
            code, hard = icmp_errors(message.version, message.type, message.code)
            if code:
                connection.on_unreachable(code, hard, now)
        self._timers.note(connection)

    def _receive_datagram(self, packet: bytes, ip: IpHeader, checksum_ok: bool) -> None:
        try:
            datagram = udp.parse_untrusted(packet, ip, checksum_ok)
        except WireError:
            self.counters.InErrs += 1
            return
        local = key_dst(datagram.key)
        if local not in self.addresses or _is_group(key_src(datagram.key)):
            self.counters.InAddrErrors += 1
            return
        port = self._datagram_ports.get(_name(local, key_dst_port(datagram.key)))
        if port is not None:
            port.on_datagram(datagram)
            return
        self.counters.NoPorts += 1  # and its sender is told (RFC 1122 4.1.3.1)
        kind = icmp.V4_UNREACHABLE if ip.version == 4 else icmp.V6_UNREACHABLE
        code = 3 if ip.version == 4 else 4
        self._output.raw(icmp.build_error(ip.version, kind, code, local, key_src(datagram.key), packet))

    def _on_datagram_unreachable(self, message: icmp.IcmpMessage) -> None:
        key = message.quoted_key
        port = self._datagram_ports.get(_name(key_src(key), key_src_port(key)))
        code, _ = icmp_errors(message.version, message.type, message.code)
        if port is not None and code:
            self.counters.InDestUnreachs += 1
            port.on_unreachable(code)

    def _on_packet_too_big(self, connection: Connection, mtu: i64, now: i64) -> None:
        floor = MIN_PATH_MTU_IPV4 if len(connection.key) == 12 else MIN_PATH_MTU_IPV6
        if mtu < floor:
            mtu = floor  # RFC 5927 7.2: no forged message may make segments tiny
        self._path_mtu.learn(key_src(connection.key), mtu, now)
        connection.on_path_mtu(mtu, now)

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
                    self._retire(connection, now)
                    continue
                sent = connection.poll_output(now, budget)
                if sent:
                    budget -= sent
                    connection.touch()
                self._timers.note(connection)
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
                if burst.csum_start:
                    head = burst.head
                    key = head[12:24] if burst.csum_start == 20 else head[8:44]
                    tracer.packet(now, True, reverse_key(key), burst)
        own: list[Burst] = []
        outside: list[Burst] = []
        addresses = self.addresses
        for burst in packets:
            head = burst.head
            if (head[16:20] if head[0] < 0x60 else head[24:40]) in addresses:
                own.append(burst)
            else:
                outside.append(burst)
        for burst in own:
            self.receive(finish(burst), now, True, burst.gso_size)
        return outside

    def has_output(self) -> bool:
        """poll() stopped at its budget, or something has happened since."""
        return bool(self._env.active or self._output.packets)

    def has_events(self) -> bool:
        """ready() or accepting() has something."""
        return bool(self._env.ready or self._accepting or self._datagrams_ready)

    # ---- time ----

    def next_deadline(self) -> int | None:
        """When on_timer() wants to be called, microseconds; None: nothing is waited for."""
        timers = self._timers.next()
        oldest = self._time_wait.deadline()
        if oldest == 0:
            return timers
        return oldest if timers is None or oldest < timers else timers

    def on_timer(self, now: i64) -> None:
        """Do all that is due at `now`."""
        for key in self._time_wait.expire(now):
            self._trace_end_of_time_wait(key, "2MSL", "9293 3.10.8", CAUSE_TIMER, now)
        while True:
            timed = self._timers.due(now)
            if timed is None:
                return
            timed.on_timer(now)
            self._timers.note(timed)

    def _trace_end_of_time_wait(self, key: bytes, reason: str, rfc: str, cause: int, now: i64) -> None:
        if self._env.tracer is not None:
            self._env.tracer.transition(now, key, TIME_WAIT, CLOSED, reason, rfc, cause)

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
        if not self._accepting:
            return None
        listener = self._accepting.popleft()
        listener.waiting = False
        return listener

    def connect(
        self, remote: Address, port: int, now: i64, local: Address | None = None, local_port: int = 0
    ) -> Connection:
        """Active OPEN to `remote`:`port`; local_port 0 chooses one.

        Raises ValueError or TypeError for a bad address or port; OSError: ENETUNREACH (no address of that family),
        EADDRNOTAVAIL (`local` is not ours, or no port is free), EADDRINUSE, ENOBUFS (connection_limit).
        """
        check_port(port, 1)
        check_port(local_port, 0)
        there = packed(remote)
        if _is_group(there):
            raise ValueError(f"{ip_address(there)} names no single host (RFC 9293 3.9.2.3)")
        here = self._source_for(there) if local is None else packed(local)
        if here not in self.addresses:
            raise errors.oserror(errors.ADDRESS_NOT_AVAILABLE, f"{ip_address(here)} is not an address of this stack")
        if len(here) != len(there):
            raise ValueError("local and remote address are of different families")
        if len(self._connections) >= self.config.connection_limit:
            raise errors.oserror(errors.NO_BUFFERS, f"Config.connection_limit is {self.config.connection_limit}")

        def free(candidate: int) -> bool:
            key = make_key(there, here, port, candidate)
            if key in self._connections or key in self._time_wait:
                return False
            listener = self._listener(here, candidate)
            return listener is None or not listener.holds(key)

        if local_port:
            if not free(local_port):
                raise errors.oserror(errors.ADDRESS_IN_USE, f"port {local_port} to {ip_address(there)}:{port}")
        else:
            local_port = self._ports.choose(here, there, port, free)
            if local_port == 0:
                raise errors.oserror(errors.ADDRESS_NOT_AVAILABLE, "no ephemeral port is free for this destination")
        key = make_key(there, here, port, local_port)
        connection = Connection(self._env, key, self._env.isn(key, now), self._path_mtu.to(there, now), now)
        self._connections[key] = connection
        connection.open(now)
        return connection

    def _source_for(self, remote: bytes) -> bytes:
        if remote in self.addresses:
            return remote
        candidates = sorted(address for address in self.addresses if len(address) == len(remote))
        # RFC 6724 5, rule 2: what has only the host's own scope is no address to be answered at by others.
        candidates.sort(key=_is_loopback)
        if not candidates:
            family = "IPv4" if len(remote) == 4 else "IPv6"
            raise errors.oserror(errors.NETWORK_UNREACHABLE, f"this stack has no {family} address")
        return candidates[0]

    def listen(self, port: int, address: Address | None = None, backlog: int = 128) -> Listener:
        """Passive OPEN; address None: any of this stack's. port 0 chooses one (see Listener.port).

        Raises ValueError or TypeError for a bad argument; OSError: EADDRINUSE, EADDRNOTAVAIL.
        """
        check_port(port, 0)
        check_backlog(backlog)
        local = b"" if address is None else packed(address)
        if local and local not in self.addresses:
            raise errors.oserror(errors.ADDRESS_NOT_AVAILABLE, f"{ip_address(local)} is not an address of this stack")
        if port == 0:
            port = self._ports.choose(local, b"", 0, lambda candidate: _name(local, candidate) not in self._listeners)
            if port == 0:
                raise errors.oserror(errors.ADDRESS_NOT_AVAILABLE, "no port is free to listen on")
        elif _name(local, port) in self._listeners:
            raise errors.oserror(errors.ADDRESS_IN_USE, f"port {port} has a listener")
        listener = Listener(self._env, local, port, backlog)
        self._listeners[_name(local, port)] = listener
        return listener

    def open_datagrams(
        self, address: Address | None = None, port: int = 0, remote: tuple[Address, int] | None = None
    ) -> DatagramPort:
        """A UDP port; address None: this stack's first (of the remote's family), port 0 a free one.

        Raises ValueError or TypeError for a bad argument; OSError: EADDRINUSE, EADDRNOTAVAIL, ENETUNREACH.
        """
        check_port(port, 0)
        there: tuple[bytes, int] | None = None
        if remote is not None:
            check_port(remote[1], 1)
            there = (packed(remote[0]), remote[1])
        if address is not None:
            local = packed(address)
        elif there is not None:
            local = self._source_for(there[0])
        else:
            local = min(self.addresses, key=lambda one: (len(one), one))
        if local not in self.addresses:
            raise errors.oserror(errors.ADDRESS_NOT_AVAILABLE, f"{ip_address(local)} is not an address of this stack")
        if there is not None and len(there[0]) != len(local):
            raise ValueError("local and remote address are of different families")
        if port == 0:
            port = self._ports.choose(
                local, b"udp", 0, lambda candidate: _name(local, candidate) not in self._datagram_ports
            )
            if port == 0:
                raise errors.oserror(errors.ADDRESS_NOT_AVAILABLE, "no port is free for datagrams")
        elif _name(local, port) in self._datagram_ports:
            raise errors.oserror(errors.ADDRESS_IN_USE, f"UDP port {port}")
        opened = DatagramPort(local, port, there, self._output, self.counters, self._datagrams_ready, self.config.mtu)
        self._datagram_ports[_name(local, port)] = opened
        return opened

    def close_datagrams(self, port: DatagramPort) -> None:
        """Give a UDP port back."""
        if self._datagram_ports.get(_name(port.address, port.port)) is port:
            del self._datagram_ports[_name(port.address, port.port)]

    def datagrams_ready(self) -> DatagramPort | None:
        """The next UDP port with datagrams or errors; None: no more."""
        if not self._datagrams_ready:
            return None
        port = self._datagrams_ready.popleft()
        port.waiting = False
        return port

    def close_listener(self, listener: Listener, now: i64) -> None:
        """End a passive OPEN: what nobody accepted is reset."""
        name = _name(listener.address, listener.port)
        if self._listeners.get(name) is listener:  # closed before, its port may be another's by now
            del self._listeners[name]
        listener.close(now)

    def abort_all(self, now: i64) -> None:
        """Close every listener, reset every connection and forget TIME-WAIT: the host ends."""
        for listener in list(self._listeners.values()):
            self.close_listener(listener, now)
        for connection in list(self._connections.values()):
            connection.abort(now)
            self._retire(connection, now)
        for key in self._time_wait.clear():
            self._trace_end_of_time_wait(key, "ABORT", "9293 3.10.5", CAUSE_USER, now)

    def connections(self) -> list[Connection]:
        """All connections, in order of opening; TIME-WAIT is counted by census() only."""
        return list(self._connections.values())

    def census(self) -> dict[str, int]:
        """How many entries each table holds: all zero once everything has ended."""
        return {
            "connections": len(self._connections),
            "listeners": len(self._listeners),
            "half_open": sum(listener.half_open() for listener in self._listeners.values()),
            "accept_queue": sum(listener.pending() for listener in self._listeners.values()),
            "datagram_ports": len(self._datagram_ports),
            "time_wait": len(self._time_wait),
            "timers": len(self._timers),
            "active": len(self._env.active),
            "ready": len(self._env.ready),
            "outbox": len(self._output.packets),
        }

    # ---- helpers ----

    def _listener(self, local: bytes, port: i64) -> Listener | None:
        name = _name(local, port)
        listener = self._listeners.get(name)
        return listener if listener is not None else self._listeners.get(name[len(local) :])

    def _retire(self, connection: Connection, now: i64) -> None:
        """The protocol part has ended: its place in the table is free, or TIME-WAIT's record takes it."""
        key = connection.key
        if self._connections.get(key) is not connection:
            return
        del self._connections[key]
        holder = connection.user
        if connection.error and isinstance(holder, Listener):
            holder.forget(connection)
        if connection.state == TIME_WAIT:
            self._file_time_wait(key, connection.time_wait_record(now), now)

    def _file_time_wait(self, key: bytes, record: time_wait.TimeWait, now: i64) -> None:
        oldest = self._time_wait.add(key, record)
        if oldest:
            self._trace_end_of_time_wait(oldest, "made room: TIME-WAIT is full", "", CAUSE_SEGMENT, now)


def _is_loopback(address: bytes) -> bool:
    """127.0.0.0/8 or ::1."""
    return address[0] == 127 if len(address) == 4 else address == bytes(15) + b"\x01"


def _is_group(address: bytes) -> bool:
    """Multicast, broadcast or unspecified: no host of its own."""
    if len(address) == 16:
        return address[0] == 0xFF or address == bytes(16)
    return address[0] == 0 or address[0] >= 224


def _name(address: bytes, port: i64) -> bytes:
    return address + int(port).to_bytes(2, "big")


def icmp_errors(version: i64, kind: i64, code: i64) -> tuple[int, bool]:
    """(errno, hard). Hard errors end an attempt to connect at once (RFC 5461 4), never a connection (RFC 5927 5.2)."""
    if version == 4 and kind == 3:
        if code == 2 or code == 3:
            return errors.REFUSED, True
        if code == 0 or code == 6 or code == 9:
            return errors.NETWORK_UNREACHABLE, False
        return errors.HOST_UNREACHABLE, False
    if version == 6 and kind == 1:
        if code == 4:
            return errors.REFUSED, True
        if code == 0:
            return errors.NETWORK_UNREACHABLE, False
        return errors.HOST_UNREACHABLE, code == 1
    if (version == 4 and kind == 11) or (version == 6 and kind == 3):
        return errors.HOST_UNREACHABLE, False
    return errors.NONE, False
