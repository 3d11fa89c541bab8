"""UDP, the minimum: ports that datagrams come to, each with a bounded queue. Tunnels and name look-ups need it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final

from synfin.stack.addresses import Reach, check_families, endpoint, is_any, is_group, overlapping, source_for
from synfin.stack.admission import ACCEPT, REFUSE, error_of
from synfin.stack.ports import EphemeralPorts
from synfin.tcp import errors
from synfin.tcp.config import Config
from synfin.tcp.counters import Counters
from synfin.tcp.output import Output
from synfin.wire.errors import WireError
from synfin.wire.ip import IpHeader
from synfin.wire.key import key_dst, key_dst_port, key_src, key_src_port, make_key, reverse_key
from synfin.wire.udp import HEADER_LEN, Datagram, build, parse_untrusted

QUEUE_LIMIT: Final = 256  # datagrams that wait for the reader of one port
KEPT: Final = 256  # bytes that one takes beside its text: its objects, and its place in the queue


class Waiting:
    """What waits for the readers of all ports of a stack. limit: bytes, beyond which nothing more is kept."""

    def __init__(self, limit: int) -> None:
        self.bytes = 0
        self._limit = limit

    def has_room(self, size: int) -> bool:
        """A datagram with so much text may be kept, and is counted."""
        if self.bytes + size + KEPT > self._limit:
            return False
        self.bytes += size + KEPT
        return True

    def taken(self, size: int) -> None:
        """One was given to its reader, or dropped."""
        self.bytes -= size + KEPT


class DatagramPort:
    """A port on a local address, or on each that its stack has: of IPv4 on 0.0.0.0, of both families on "::".

    own: the stack's addresses. remote: only datagrams from there are taken, and errors are reported.

    flow: the key of the datagrams of a flow, which has its address and port with others; b"": it has them for itself.
    received: (data, address, port) in order of arrival, for take(); errno values of ICMP errors in `errors`.
    held: what waits in all ports of the stack.
    """

    def __init__(
        self,
        address: bytes,
        port: int,
        remote: tuple[bytes, int] | None,
        own: set[bytes],
        output: Output,
        counters: Counters,
        ready: deque[DatagramPort],
        mtu: int,
        held: Waiting,
        flow: bytes = b"",
    ) -> None:
        self.flow = flow
        self.address = address
        self.port = port
        self.remote = remote
        self.received: deque[tuple[bytes, bytes, int]] = deque()
        self.errors: deque[int] = deque()
        self.waiting = False
        self.user: object | None = None
        self._own = own
        self._output = output
        self._counters = counters
        self._ready = ready
        self._mtu = mtu
        self._held = held

    def send(self, data: bytes, address: bytes, port: int) -> None:
        """Queue a datagram. Raises OSError(EMSGSIZE) if it is larger than one packet, ENETUNREACH, EINVAL."""
        source = self._source_for(address)
        headers = HEADER_LEN + (20 if len(address) == 4 else 40)
        if len(data) + headers > self._mtu:
            raise errors.oserror(errors.MESSAGE_SIZE, f"{len(data)} bytes, at most {self._mtu - headers} fit the MTU")
        self._counters.OutDatagrams += 1
        self._output.raw(build(make_key(source, address, self.port, port), data))

    def _source_for(self, address: bytes) -> bytes:
        if not is_any(self.address):
            source = self.address
        elif len(self.address) == 16 or len(address) == 4:
            source = source_for(self._own, address)
        else:
            source = b""
        if len(source) != len(address):
            raise errors.oserror(errors.NETWORK_UNREACHABLE, "the address is of another family than the port's")
        return source

    def on_datagram(self, datagram: Datagram) -> None:
        """One for this port."""
        sender, port = key_src(datagram.key), int(key_src_port(datagram.key))
        if self.remote is not None and self.remote != (sender, port):
            self._counters.NoPorts += 1
            return
        if len(self.received) >= QUEUE_LIMIT or not self._held.has_room(len(datagram.payload)):
            self._counters.RcvbufErrors += 1
            return
        self._counters.InDatagrams += 1
        self.received.append((datagram.payload, sender, port))
        self._tell()

    def take(self) -> tuple[bytes, bytes, int]:
        """The oldest of `received`, which is not empty, for its reader."""
        oldest = self.received.popleft()
        self._held.taken(len(oldest[0]))
        return oldest

    def on_unreachable(self, code: int) -> None:
        """ICMP says of a datagram of ours that it did not arrive."""
        if self.remote is not None and len(self.errors) < QUEUE_LIMIT:
            self.errors.append(code)
            self._tell()

    def quote(self) -> bytes:
        """A flow's datagram as it came in, without its text: what an ICMP error quotes."""
        return build(self.flow, b"")

    def remind(self) -> None:
        """Tell the user once more, at the next turn, of what is there."""
        if self.received or self.errors:
            self._tell()

    def _tell(self) -> None:
        if not self.waiting:
            self.waiting = True
            self._ready.append(self)


class Datagrams:
    """All UDP ports of one stack, which hears what is within `reach`. ready: those with datagrams or errors for users.

    ask: given the key of a datagram that no port hears, gives a verdict (see `admission`). What it accepts begins a
    flow, a port for what comes under this key: in `begun` until somebody takes it. None: there are no flows.
    """

    def __init__(self, reach: Reach, output: Output, counters: Counters, ports: EphemeralPorts, config: Config) -> None:
        self.ask: Callable[[bytes], int] | None = None
        self.ready: deque[DatagramPort] = deque()
        self.begun: deque[DatagramPort] = deque()
        self._open: dict[bytes, DatagramPort] = {}  # by endpoint
        self._flows: dict[bytes, DatagramPort] = {}  # by key
        self._flow_limit = config.datagram_flow_limit
        self._reach: Reach = reach
        self._own: set[bytes] = reach.own
        self._output = output
        self._counters = counters
        self._ports = ports
        self._mtu = config.mtu
        self._waiting = Waiting(config.udp_mem)

    def on_packet(self, packet: bytes, ip: IpHeader, checksum_ok: bool) -> int:
        """One that came in. An errno: it arrived nowhere, and its sender is to be told so; 0: he is not."""
        try:
            datagram = parse_untrusted(packet, ip, checksum_ok)
        except WireError:
            self._counters.InErrs += 1
            return 0
        local = key_dst(datagram.key)
        if not self._reach.hears(local) or is_group(key_src(datagram.key)):
            self._counters.InAddrErrors += 1
            return 0
        port = self._flows.get(datagram.key) if self._flows else None
        if port is None:
            port = self._port(local, int(key_dst_port(datagram.key)))
        if port is None and self.ask is not None:
            return self._on_first(datagram, self.ask(datagram.key))
        if port is None:
            self._counters.NoPorts += 1
            return errors.REFUSED
        port.on_datagram(datagram)
        return 0

    def _on_first(self, datagram: Datagram, verdict: int) -> int:
        """The first of a flow, if it is welcome."""
        if verdict == ACCEPT:
            if len(self._flows) >= self._flow_limit:
                self._counters.UdpFlowDrops += 1
                return 0
            key = datagram.key
            begun = DatagramPort(
                key_dst(key), int(key_dst_port(key)), (key_src(key), int(key_src_port(key))),
                self._own, self._output, self._counters, self.ready, self._mtu, self._waiting, key,
            )  # fmt: skip
            self._flows[key] = begun
            self.begun.append(begun)
            begun.on_datagram(datagram)
            return 0
        self._counters.NoPorts += 1
        return errors.REFUSED if verdict == REFUSE else int(error_of(verdict))

    def on_unreachable(self, key: bytes, code: int) -> None:
        """ICMP says of a datagram that went out under `key` that it did not arrive."""
        port = self._flows.get(reverse_key(key)) if self._flows else None
        if port is None:
            port = self._port(key_src(key), int(key_src_port(key)))
        if port is not None:
            self._counters.InDestUnreachs += 1
            port.on_unreachable(code)

    def flows(self) -> int:
        """How many there are."""
        return len(self._flows)

    def waiting(self) -> int:
        """Bytes that datagrams take which wait for their readers."""
        return self._waiting.bytes

    def _port(self, local: bytes, number: int) -> DatagramPort | None:
        """Of those that hear what comes to `local`: the one on this address, on its family, on both (RFC 3493 5.3)."""
        for address in (local, bytes(len(local)), bytes(16)):
            port = self._open.get(endpoint(address, number))
            if port is not None:
                return port
        return None

    def open(self, local: bytes | None, port: int, remote: tuple[bytes, int] | None) -> DatagramPort:
        """A port, all numbers within their range; see Stack.open_datagrams."""
        if local is None:
            local = bytes(16) if any(len(one) == 16 for one in self._own) else bytes(4)
        if remote is not None:
            if is_any(local) and len(local) >= len(remote[0]):
                local = source_for(self._own, remote[0])
            check_families(local, remote[0])
        self._reach.check_or_any(local)
        port = self._free_port(local, port, remote)
        opened = DatagramPort(
            local, port, remote, self._own, self._output, self._counters, self.ready, self._mtu, self._waiting
        )
        self._open[endpoint(local, port)] = opened
        return opened

    def _free_port(self, local: bytes, port: int, remote: tuple[bytes, int] | None) -> int:
        rivals = overlapping(self._own, local)
        if port == 0:
            port = self._ports.choose(local, b"udp", 0, partial(self._is_free, local, rivals, remote))
            if remote is not None and remote[0] == local:
                self._ports.freed(local, b"udp", 0, remote[1])  # it was refused to this remote only
            if port == 0:
                raise errors.oserror(errors.ADDRESS_NOT_AVAILABLE, "no port is free for datagrams")
        elif not self._is_free(local, rivals, None, port):
            raise errors.oserror(errors.ADDRESS_IN_USE, f"UDP port {port}")
        return port

    def _is_free(self, local: bytes, rivals: list[bytes], remote: tuple[bytes, int] | None, candidate: int) -> bool:
        """Nobody hears there, and it is not its own remote."""
        if (local, candidate) == remote:
            return False
        return all(endpoint(address, candidate) not in self._open for address in rivals)

    def close(self, port: DatagramPort) -> None:
        """Give a port back, with what nobody has read."""
        while port.received:
            port.take()
        if port.flow:
            if self._flows.get(port.flow) is port:
                del self._flows[port.flow]
            return
        name = endpoint(port.address, port.port)
        if self._open.get(name) is port:
            del self._open[name]
            self._ports.freed_everywhere(port.port)

    def next_begun(self) -> DatagramPort | None:
        """The next flow that nobody has taken yet; None: no more."""
        return self.begun.popleft() if self.begun else None

    def next_ready(self) -> DatagramPort | None:
        """The next port with datagrams or errors; None: no more."""
        if not self.ready:
            return None
        port = self.ready.popleft()
        port.waiting = False
        return port

    def __len__(self) -> int:
        return len(self._open)
