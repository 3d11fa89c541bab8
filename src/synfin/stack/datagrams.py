"""UDP, the minimum: ports that datagrams come to, each with a bounded queue. Tunnels and name look-ups need it."""

from __future__ import annotations

from collections import deque
from typing import Final

from synfin.tcp import errors
from synfin.tcp.counters import Counters
from synfin.tcp.output import Output
from synfin.wire.key import key_src, key_src_port, make_key
from synfin.wire.udp import HEADER_LEN, Datagram, build

QUEUE_LIMIT: Final = 256  # datagrams that wait for the reader of one port


class DatagramPort:
    """A local address and port. remote: only datagrams from there are taken, and errors are reported.

    received: (data, address, port) in order of arrival; errno values of ICMP errors in `errors`.
    """

    def __init__(
        self,
        address: bytes,
        port: int,
        remote: tuple[bytes, int] | None,
        output: Output,
        counters: Counters,
        ready: deque[DatagramPort],
        mtu: int,
    ) -> None:
        self.address = address
        self.port = port
        self.remote = remote
        self.received: deque[tuple[bytes, bytes, int]] = deque()
        self.errors: deque[int] = deque()
        self.waiting = False
        self.user: object | None = None
        self._output = output
        self._counters = counters
        self._ready = ready
        self._mtu = mtu

    def send(self, data: bytes, address: bytes, port: int) -> None:
        """Queue a datagram. Raises OSError(EMSGSIZE) if it is larger than one packet, ENETUNREACH, EINVAL."""
        if len(address) != len(self.address):
            raise errors.oserror(errors.NETWORK_UNREACHABLE, "the address is of another family than the port's")
        headers = HEADER_LEN + (20 if len(address) == 4 else 40)
        if len(data) + headers > self._mtu:
            raise errors.oserror(errors.MESSAGE_SIZE, f"{len(data)} bytes, at most {self._mtu - headers} fit the MTU")
        self._counters.OutDatagrams += 1
        self._output.raw(build(make_key(self.address, address, self.port, port), data))

    def on_datagram(self, datagram: Datagram) -> None:
        """One for this port."""
        sender, port = key_src(datagram.key), int(key_src_port(datagram.key))
        if self.remote is not None and self.remote != (sender, port):
            self._counters.NoPorts += 1
            return
        if len(self.received) >= QUEUE_LIMIT:
            self._counters.RcvbufErrors += 1
            return
        self._counters.InDatagrams += 1
        self.received.append((datagram.payload, sender, port))
        self._tell()

    def on_unreachable(self, code: int) -> None:
        """ICMP says of a datagram of ours that it did not arrive."""
        if self.remote is not None and len(self.errors) < QUEUE_LIMIT:
            self.errors.append(code)
            self._tell()

    def _tell(self) -> None:
        if not self.waiting:
            self.waiting = True
            self._ready.append(self)
