"""A network interface as a link: packets of Ethernet frames, hundreds for one system call, bursts with their offload.

The frames lie in memory shared with the kernel (`packet_ring`), neighbours are found and own addresses defended by
`neighbours`. Any Ethernet interface will do, one end of a veth pair for one; it takes CAP_NET_RAW, which whoever has
entered a private network has there.

Two sockets hear the interface. The first has slots for a packet, thousands of them, and takes each frame; of one that
is too long for a slot (a burst) it takes the beginning, which marks its place. The second has a few large slots for
those. The kernel gives a frame first to the socket that was bound last, so that a burst is there when its mark is.

What fails, and who hears of it: as for TunLink; and an own address that somebody else has raises OSError(EADDRINUSE)
from receive() while it is verified.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections import deque
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_interface
from typing import Final

from synfin.links import ethernet, packet_filter
from synfin.links.link import PacketSink, check_mtu
from synfin.links.neighbours import NEVER, Interface, Neighbours
from synfin.links.packet_ring import (
    CAPTURED,
    ETHERNET,
    FRAME,
    LENGTH,
    SLOT,
    BurstRing,
    PacketSocket,
    RefusedFrames,
    check_processor,
)  # fmt: skip
from synfin.wire import icmp
from synfin.wire.pieces import Piece
from synfin.wire.segment import Burst, finish, split

RECEIVE_BYTES: Final = 16 << 20  # of the ring of frames that come in: 8192 of Ethernet's usual size
LARGE_SLOT: Final = 68 * 1024  # the largest IP packet, its headers and the slot's
LARGE_SLOTS: Final = 120
SEND_BYTES: Final = 2 << 20  # of the ring of frames to be sent
QUEUE_LIMIT: Final = 1024  # frames that wait while the device is full
WAYS_LIMIT: Final = 4096  # destinations whose next hop is remembered
IOV_LIMIT: Final = 1000  # below IOV_MAX, 1024; longer bursts are joined
_SEND_BUFFER: Final = 4 << 20

_MARK: Final = 128  # bytes of a burst in the small ring
_GSO_TCPV4, _GSO_TCPV6, _GSO_ECN = 1, 4, 0x80
_NEEDS_CSUM: Final = 1
_CHECKSUM_KNOWN: Final = 1 | 2
_TCP_CSUM_OFFSET: Final = 16
_TCP_FLAGS_OFFSET: Final = 13
_CWR: Final = 0x80
_VNET: Final = struct.Struct("=BBHHHH")  # flags, gso_type, hdr_len, gso_size, csum_start, csum_offset

# Words of a slot, from its beginning: what stands there of vnet header and frame (x86-64 is little-endian).
_FLAGS: Final = (FRAME - 10) // 4
_GSO: Final = (FRAME - 6) // 4
_KIND: Final = (FRAME + 12) // 4
_IS_IPV4: Final = 0x0008
_IS_IPV6: Final = 0xDD86
_IS_ARP: Final = 0x0608

_SIOCGIFFLAGS: Final = 0x8913
_SIOCGIFMTU: Final = 0x8921
_SIOCGIFHWADDR: Final = 0x8927
_IFF_UP: Final = 1
_ARPHRD_ETHER: Final = 1
_GONE: Final = frozenset({errno.EBADF, errno.ENODEV, errno.ENXIO})


class PacketLink:
    """The packets of some addresses at one Ethernet interface.

    addresses: those of the Host, with their networks ("10.9.0.2/24"); whoever is in none of them is reached by the
    gateway of his family. mtu: bytes, None: the interface's. offload: bursts are given to the kernel whole, which has
    them cut by the device or cuts them itself. verify: that nobody else has the addresses is found out first, which
    takes a second. bypass_queue: past the interface's traffic control; False for one that others use as well.
    Raises ValueError for a bad address or mtu, and OSError (PermissionError, ...) that says what to do.
    """

    def __init__(
        self,
        interface: str,
        addresses: str | Iterable[str],
        *,
        gateway: str | Iterable[str] = (),
        mtu: int | None = None,
        offload: bool = True,
        verify: bool = True,
        bypass_queue: bool = True,
    ) -> None:
        check_processor()
        interfaces = _interfaces(addresses)
        gateways = [ip_address(one) for one in ([gateway] if isinstance(gateway, str) else gateway)]
        mac, its_mtu = _look_up(interface)
        self.mtu = check_mtu(its_mtu if mtu is None else mtu, any(one.version == 6 for one in interfaces))
        if self.mtu > its_mtu:
            raise ValueError(f"{interface!r} carries {its_mtu} bytes, not {mtu}: ip link set {interface} mtu {mtu}")
        for one in interfaces:
            _check_not_the_kernels(one.ip)
        self.name = interface
        self.offload = offload
        self.neighbours = Neighbours(mac, interfaces, gateways, verify)
        self.overflowed = 0  # packets lost because the queue was full
        self.refused = 0  # packets lost because the device did not want them
        self.last_error: OSError | None = None  # why, for the last one refused
        self._ways: dict[bytes, bytes] = {}  # the Ethernet header by destination; what is there needs no thought
        self._queue: deque[list[Piece]] = deque()  # vnet header and frame, in pieces; not empty only while it is full
        self._closed = False
        self._gone = False  # the interface was deleted, and each call says so
        self._open(interface, interfaces, bypass_queue)

    def _open(self, interface: str, interfaces: list[Interface], bypass_queue: bool) -> None:
        slot = SLOT
        while slot < self.mtu + 256:
            slot *= 2
        small = slot - FRAME
        ring = SEND_BYTES // slot
        own = [one.ip.packed for one in interfaces]
        try:
            # Without offload all goes by the ring. With it bursts go by sendmsg(), which a socket with such a ring has
            # not, and the first socket is the one that is polled.
            self._small = PacketSocket(RECEIVE_BYTES // slot, 0 if self.offload else ring, slot, slot)
        except PermissionError as error:
            raise PermissionError(error.errno, _HOW_TO_BE_ALLOWED) from error
        try:
            self._large = PacketSocket(LARGE_SLOTS, ring if self.offload else 0, LARGE_SLOT, slot)
        except BaseException:
            self._small.close()
            raise
        try:
            self._small.filter(packet_filter.up_to(small, _MARK, own))
            self._large.filter(packet_filter.longer_than(small, own))
            index = socket.if_nametoindex(interface)
            for address in own:
                if len(address) == 16:
                    self._small.join(index, ethernet.group_mac(ethernet.solicited_node(address)))
            for one in (self._small, self._large):  # in this order: see above
                one.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
                if bypass_queue:
                    one.bypass_queue()
                one.bind(interface)
        except BaseException:
            self._small.close()
            self._large.close()
            raise
        sent = (self._large if self.offload else self._small).sent
        received, bursts = self._small.received, self._large.received
        assert sent is not None and received is not None and bursts is not None
        self._sent, self._received, self._bursts = sent, received, BurstRing(bursts)

    @property
    def timed(self) -> PacketLink:
        """It has deadlines of its own."""
        return self

    @property
    def dropped(self) -> int:
        """Packets that found the rings full, so far."""
        return 0 if self._closed else self._small.count() + self._large.count()

    def fileno(self) -> int:
        return -1 if self._closed else self._small.fileno()

    def close(self) -> None:
        """Hear and send no more. What waits is dropped."""
        if not self._closed:
            self._closed = True
            self._queue.clear()
            self._small.close()
            self._large.close()

    # ---- in ----

    def receive(self, stack: PacketSink, clock: Callable[[], int], limit: int) -> int:
        """Give up to `limit` packets to the stack, stamped alike. How many frames there were. OSError once the
        interface is gone, or somebody else has an address."""
        self._check_there()
        frames = self._read(limit)
        if not frames:
            self._check_alive()
            return 0
        now = clock()
        deliver = stack.receive
        for kind, packet, flags, gso_size in frames:
            if kind == _IS_IPV4 or (kind == _IS_IPV6 and not ethernet.is_ndp(packet)):
                deliver(packet, now, flags & _CHECKSUM_KNOWN != 0, gso_size)
            else:
                self._on_message(kind, packet, now)
        return len(frames)

    def _read(self, limit: int) -> list[tuple[int, bytes, int, int]]:
        """Up to `limit` frames: what is in them, the packet without Ethernet header, flags and gso_size."""
        ring = self._received
        words, memory, slot, end = ring.words, ring.memory, ring.slot, ring.end
        frames: list[tuple[int, bytes, int, int]] = []
        at = ring.at
        while len(frames) < limit:
            word = at >> 2
            if not words[word] & 1:
                break
            length, captured = words[word + LENGTH], words[word + CAPTURED]
            kind = words[word + _KIND] & 0xFFFF
            flags = words[word + _FLAGS] >> 16  # and gso_type above them
            gso_size = words[word + _GSO] >> 16 if flags > 0xFF else 0
            start = at + FRAME
            if length == captured:
                packet: bytes | None = bytes(memory[start + ETHERNET : start + captured])
            else:
                packet = self._bursts.take(length, bytes(memory[start : start + captured]))
            words[word] = 0
            at = at + slot if at + slot != end else 0
            if packet is not None:  # its burst found no room
                frames.append((kind, packet, flags, gso_size))
        ring.at = at
        return frames

    def _on_message(self, kind: int, packet: bytes, now: int) -> None:
        """Of the network itself: ARP or neighbour discovery."""
        if kind == _IS_ARP:
            message = ethernet.parse_arp_untrusted(packet)
        else:
            message = ethernet.parse_ndp_untrusted(packet) if kind == _IS_IPV6 else None
        if message is not None:
            self.neighbours.on_message(message, now)
            self._act()

    # ---- out ----

    def send(self, bursts: list[Burst]) -> bool:
        """Send all bursts; False if some wait for flush(). OSError once the interface is gone."""
        self._check_there()
        if self._queue:
            self.flush()
        ways = self._ways
        for burst in bursts:
            head = burst.head
            way = ways.get(head[16:20] if head[0] < 0x60 else head[24:40])
            if way is not None:
                self._send(way, burst)
            else:
                self._send_first(burst)
        return self._flush_ring() and not self._queue

    def _send_first(self, burst: Burst) -> None:
        """To somebody who is not known to be reachable."""
        head = burst.head
        target = head[16:20] if head[0] < 0x60 else head[24:40]
        hop = self.neighbours.next_hop(target) if not ethernet.group_mac(target) else target
        if not hop:
            self.refused += 1
            self.last_error = OSError(errno.ENETUNREACH, f"no network and no gateway leads to {ip_address(target)}")
            return
        for packet in split(burst):
            way = self.neighbours.way(hop, packet)
            if way:
                self._put(_plain(ETHERNET + len(packet)), way + packet)
        if way:
            if len(self._ways) >= WAYS_LIMIT:
                self._ways.clear()
            self._ways[target] = way

    def _send(self, way: bytes, burst: Burst) -> None:
        if not self.offload:
            for packet in split(burst):
                self._put(_plain(ETHERNET + len(packet)), way + packet)
            return
        csum_start = burst.csum_start
        size = ETHERNET + len(burst.head) + burst.payload_len
        cut = 0 < burst.gso_size < burst.payload_len
        if cut and (not csum_start or _counts_by_cwr(burst)):
            for packet in split(burst):
                self._put(_plain(ETHERNET + len(packet)), way + packet)
        elif cut or size > self._sent.room:
            self._write(_framed(way, burst, cut))
        elif csum_start:
            vnet = _VNET.pack(_NEEDS_CSUM, 0, size, 0, ETHERNET + csum_start, _TCP_CSUM_OFFSET)
            self._put(vnet, b"".join((way, burst.head, *burst.pieces)))
        else:
            self._put(_plain(size), way + finish(burst))

    def _put(self, vnet: bytes, frame: bytes) -> None:
        """A frame into the ring; behind those that wait, if there are some."""
        if len(frame) > self._sent.room:
            self._write([vnet + frame])
        elif self._queue or not (self._sent.put(vnet, frame) or (self._flush_ring() and self._sent.put(vnet, frame))):
            self._wait([vnet, frame])

    def _write(self, iovec: list[Piece]) -> None:
        """A burst by a call of its own, after what is in the ring."""
        if not self._queue and self._flush_ring():
            try:
                self._small.socket.sendmsg(iovec)
            except BlockingIOError:
                self._wait(iovec)
            except OSError as error:
                self._lost(error, 1)
        else:
            self._wait(iovec)

    def _wait(self, iovec: list[Piece]) -> None:
        if len(self._queue) < QUEUE_LIMIT:
            self._queue.append(iovec)
        else:
            self.overflowed += 1

    def flush(self) -> bool:
        """Send what waits, oldest first; True when nothing waits any more. OSError once the interface is gone."""
        queue = self._queue
        while queue:
            iovec = queue[0]
            if not self.offload:
                vnet, frame = iovec
                if not self._sent.put(bytes(vnet), bytes(frame)):
                    if not self._flush_ring():
                        return False
                    continue
            elif not self._flush_ring():
                return False
            else:
                try:
                    self._small.socket.sendmsg(iovec)
                except BlockingIOError:
                    return False
                except OSError as error:
                    self._lost(error, 1)
            queue.popleft()
        return self._flush_ring()

    def _flush_ring(self) -> bool:
        try:
            return self._sent.flush()
        except RefusedFrames as error:
            self._lost(error, error.lost)
            return True

    # ---- time ----

    def next_deadline(self) -> int | None:
        """When on_timer() wants to be called, microseconds."""
        deadline = self.neighbours.deadline
        return deadline if deadline < NEVER else None

    def on_timer(self, stack: PacketSink, now: int) -> None:
        """Do what is due with the neighbours. OSError once the interface is gone."""
        self._check_there()
        neighbours = self.neighbours
        if neighbours.deadline <= now:
            neighbours.on_timer(now)
        self._act()
        for packet in neighbours.unreachable:
            stack.receive(_unreachable(packet), now, True, 0)
        neighbours.unreachable.clear()

    def is_tentative(self) -> bool:
        """Some own address is not verified yet: nothing is to be sent."""
        return self.neighbours.is_tentative()

    def _act(self) -> None:
        """What the neighbours have changed and want to send."""
        neighbours = self.neighbours
        if neighbours.changed:
            neighbours.changed.clear()
            self._ways.clear()
        frames = neighbours.take()
        for frame in frames:
            self._put(_plain(len(frame)), frame)
        if frames:
            self._flush_ring()

    # ---- the end ----

    def _check_there(self) -> None:
        if self._gone or self._closed:
            what = "is closed" if self._closed else "is gone: its interface was deleted"
            raise OSError(errno.ENODEV, f"the link on {self.name!r} {what}")

    def _check_alive(self) -> None:
        """It was readable, and nothing is there: an error is."""
        number = self._small.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        self._large.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            self._lost(OSError(number, os.strerror(number)), 0)

    def _lost(self, error: OSError, packets: int) -> None:
        """Packets were refused: count them. Or the interface is gone: say so to whoever called."""
        self.refused += packets
        self.last_error = error
        self._gone = error.errno in _GONE or not self._small.is_bound()
        self._check_there()


def _plain(size: int) -> bytes:
    """The vnet header of a frame with complete checksums; hdr_len: see packet_ring."""
    return _VNET.pack(0, 0, size, 0, 0, 0)


def _framed(way: bytes, burst: Burst, cut: bool) -> list[Piece]:
    """A burst, or a packet too long for the ring: vnet header and head first, then the payload pieces."""
    head = burst.head
    csum_start = burst.csum_start
    length = ETHERNET + len(head)
    if not csum_start:
        return [_VNET.pack(0, 0, length, 0, 0, 0) + way + head, *burst.pieces]
    gso_type = 0
    if cut:
        gso_type = _GSO_TCPV4 if head[0] >> 4 == 4 else _GSO_TCPV6
        if head[csum_start + _TCP_FLAGS_OFFSET] & _CWR:
            gso_type |= _GSO_ECN
    gso_size = burst.gso_size if cut else 0
    start = ETHERNET + csum_start
    first = _VNET.pack(_NEEDS_CSUM, gso_type, length, gso_size, start, _TCP_CSUM_OFFSET) + way + head
    if len(burst.pieces) > IOV_LIMIT:
        return [first, b"".join(burst.pieces)]
    return [first, *burst.pieces]


def _counts_by_cwr(burst: Burst) -> bool:
    """Whoever cuts it for us would leave CWR on the first segment only: the vnet header knows nothing of RFC 9768."""
    return burst.ace and burst.head[burst.csum_start + _TCP_FLAGS_OFFSET] & _CWR != 0


def _unreachable(packet: bytes) -> bytes:
    """What tells its own sender that the next hop does not answer (RFC 1122 3.3.2.2, RFC 4861 7.2.2)."""
    if packet[0] >> 4 == 4:
        own = packet[12:16]
        return icmp.build_error(4, icmp.V4_UNREACHABLE, icmp.V4_HOST_UNREACHABLE, own, own, packet)
    own = packet[8:24]
    return icmp.build_error(6, icmp.V6_UNREACHABLE, icmp.V6_ADDRESS_UNREACHABLE, own, own, packet)


# ---- what there is ----

_HOW_TO_BE_ALLOWED: Final = (
    "this user may not open packet sockets (CAP_NET_RAW): call synfin.links.netns.enter_private_network() first, "
    "run as root, or give the right to the interpreter (setcap cap_net_raw+ep)"
)


def _interfaces(addresses: str | Iterable[str]) -> list[Interface]:
    interfaces = [ip_interface(one) for one in ([addresses] if isinstance(addresses, str) else addresses)]
    if not interfaces:
        raise ValueError("a link needs at least one address, such as '10.9.0.2/24'")
    return interfaces


def _look_up(interface: str) -> tuple[bytes, int]:
    """MAC address and mtu of an interface that is up. Raises OSError."""
    from fcntl import ioctl

    request = struct.pack("16s24x", interface.encode()[:15])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        try:
            flags, mtu, hardware = (
                ioctl(control, what, request) for what in (_SIOCGIFFLAGS, _SIOCGIFMTU, _SIOCGIFHWADDR)
            )
        except OSError as error:
            there = ", ".join(name for _, name in socket.if_nameindex())
            raise OSError(error.errno, f"there is no interface {interface!r}, but {there}") from error
    if struct.unpack_from("H", hardware, 16)[0] != _ARPHRD_ETHER:
        raise OSError(errno.EINVAL, f"{interface!r} is no Ethernet interface: for TUN devices there is TunLink")
    if not struct.unpack_from("H", flags, 16)[0] & _IFF_UP:
        raise OSError(errno.ENETDOWN, f"{interface!r} is down: ip link set {interface} up")
    return hardware[18:24], struct.unpack_from("i", mtu, 16)[0]


def _check_not_the_kernels(address: IPv4Address | IPv6Address) -> None:
    """OSError(EADDRINUSE) if the kernel has the address: it would answer as well, and reset what is not its own."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return
    raise OSError(errno.EADDRINUSE, f"{address} is an address of the kernel's own here: choose another")
