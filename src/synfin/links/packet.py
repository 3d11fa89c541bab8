"""A network interface as a link: packets of Ethernet frames, hundreds for one system call, bursts with their offload.

The frames lie in memory shared with the kernel (`packet_ring`, `packet_sockets`), neighbours are found and own
addresses defended by `neighbours`; `interface_watch` tells when the interface carries again after it did not. Any
Ethernet interface will do, one end of a veth pair for one; it takes CAP_NET_RAW, which whoever has entered a private
network has there.

What fails, and who hears of it: as for TunLink; and an own address that somebody else has raises OSError(EADDRINUSE)
from receive() while it is verified.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from typing import Any, Final

from synfin.links import ethernet
from synfin.links.interface_watch import InterfaceWatch
from synfin.links.link import PacketSink, check_mtu
from synfin.links.neighbours import NEVER, Neighbours, unreachable_error
from synfin.links.packet_interface import check_not_the_kernels, look_up, parse_interfaces
from synfin.links.packet_ring import CAPTURED, ETHERNET, FRAME, LENGTH, ReceiveRing, RefusedFrames, check_processor
from synfin.links.packet_sockets import PacketSockets
from synfin.links.vnet import CHECKSUM_KNOWN, complete, counts_by_cwr, framed, partial
from synfin.stack.flood import LEAST, ROW, Flood
from synfin.wire.pieces import Piece
from synfin.wire.segment import Burst, finish, split

FLOOD_BATCH: Final = 4096  # frames that are looked at together
QUEUE_LIMIT: Final = 1024  # frames that wait while the device is full
WAYS_LIMIT: Final = 4096  # destinations whose next hop is remembered

# Words of a slot, from its beginning: what stands there of vnet header and frame (x86-64 is little-endian).
_FLAGS: Final = (FRAME - 10) // 4
_GSO: Final = (FRAME - 6) // 4
_KIND: Final = (FRAME + 12) // 4
_IS_IPV4: Final = 0x0008
_IS_IPV6: Final = 0xDD86
_IS_ARP: Final = 0x0608

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
        interfaces = parse_interfaces(addresses)
        gateways = [ip_address(one) for one in ([gateway] if isinstance(gateway, str) else gateway)]
        mac, its_mtu = look_up(interface)
        self.mtu = check_mtu(its_mtu if mtu is None else mtu, any(one.version == 6 for one in interfaces))
        if self.mtu > its_mtu:
            raise ValueError(f"{interface!r} carries {its_mtu} bytes, not {mtu}: ip link set {interface} mtu {mtu}")
        for one in interfaces:
            check_not_the_kernels(one.ip)
        self.name = interface
        self.offload = offload
        self.neighbours = Neighbours(mac, interfaces, gateways, verify)
        self.overflowed = 0  # packets lost because the queue was full
        self.refused = 0  # packets lost because the device did not want them
        self.last_error: OSError | None = None  # why, for the last one refused
        self._ways: dict[bytes, bytes] = {}  # the Ethernet header by destination; what is there needs no thought
        self._queue: deque[list[Piece]] = deque()  # vnet header and frame, in pieces; not empty only while it is full
        self._unverified = verify
        self._closed = False
        self._gone = False  # the interface was deleted, and each call says so
        self._sockets = sockets = PacketSockets(
            interface, [one.ip.packed for one in interfaces], self.mtu, offload, bypass_queue
        )
        try:
            self._watch = InterfaceWatch(interface)
        except BaseException:
            sockets.close()
            raise
        self._sent, self._received, self._bursts = sockets.sent, sockets.received, sockets.bursts

    @property
    def timed(self) -> PacketLink:
        """It has deadlines of its own."""
        return self

    @property
    def dropped(self) -> int:
        """Packets that found the rings full, so far."""
        return 0 if self._closed else self._sockets.dropped()

    def fileno(self) -> int:
        """The descriptor to poll; -1 once closed."""
        return -1 if self._closed else self._sockets.small.fileno()

    @property
    def further_descriptors(self) -> tuple[int, ...]:
        """That of the SYNs in a flood, and that of the kernel's news of interfaces."""
        return () if self._closed else (self._sockets.syns.fileno(), self._watch.fileno())

    def has_come_back(self) -> bool:
        """The interface carries again after it did not; once."""
        return self._watch.has_come_back()

    def close(self) -> None:
        """Hear and send no more. What waits is dropped."""
        if not self._closed:
            self._closed = True
            self._queue.clear()
            self._sockets.close()
            self._watch.close()

    # ---- in ----

    def receive(self, stack: PacketSink, clock: Callable[[], int], limit: int) -> int:
        """Give up to `limit` packets to the stack, stamped alike. How many frames there were. OSError once the
        interface is gone, or somebody else has an address."""
        self._check_there()
        answers = getattr(stack, "flood", None)
        flood = answers() if answers is not None else None
        if flood is not None:
            goes_on = flood.has_begun() and flood.goes_on(clock())
            if goes_on or self._sockets.syns_are_apart:
                count = self._receive_in_flood(stack, flood, goes_on, clock, limit)
                if not count:
                    self._check_alive()
                return count
        frames = self._read(self._received, limit)
        if not frames:
            self._check_alive()
            return 0
        self._deliver(frames, stack, clock())
        return len(frames)

    def _receive_in_flood(
        self, stack: PacketSink, flood: Flood, goes_on: bool, clock: Callable[[], int], limit: int
    ) -> int:
        """Both rings, what is no SYN first. The SYNs are heard apart as long as it goes on."""
        if goes_on != self._sockets.syns_are_apart:
            self._sockets.set_syns_apart(goes_on)
        count = 0
        for ring in (self._received, self._sockets.received_syns):
            done = self._receive_flood(ring, stack, flood, clock()) if flood.numpy is not None else 0
            if not done:
                frames = self._read(ring, limit)
                done = len(frames)
                self._deliver(frames, stack, clock())
            count += done
        return count

    def _deliver(self, frames: list[tuple[int, bytes, int, int]], stack: PacketSink, now: int) -> None:
        deliver = stack.receive
        for kind, packet, flags, gso_size in frames:
            if kind == _IS_IPV4 or (kind == _IS_IPV6 and not ethernet.is_ndp(packet)):
                deliver(packet, now, flags & CHECKSUM_KNOWN != 0, gso_size)
            else:
                self._on_message(kind, packet, now)

    def _receive_flood(self, ring: ReceiveRing, stack: PacketSink, flood: Flood, now: int) -> int:
        """What lies side by side, if it is a batch: SYNs are answered together, all else goes its usual way."""
        np = flood.numpy
        slots = ring.side_by_side(np, FLOOD_BATCH)
        if len(slots) < LEAST:
            return 0
        words = slots.view(np.uint32)
        flags = words[:, _FLAGS] >> 16
        kinds = words[:, _KIND] & 0xFFFF
        plain = (words[:, LENGTH] == words[:, CAPTURED]) & (flags <= 0xFF) & ((kinds == _IS_IPV4) | (kinds == _IS_IPV6))
        lengths = np.where(plain, words[:, LENGTH].astype(np.int64) - ETHERNET, 0)
        rows = slots[:, FRAME + ETHERNET : FRAME + ETHERNET + ROW]
        done, answers = flood.answer(rows, lengths, flags & CHECKSUM_KNOWN != 0, now)
        begin = ring.at
        frames: list[tuple[int, bytes, int, int]] = []
        for place in np.flatnonzero(~done).tolist():
            ring.at = begin + place * ring.slot
            frames += self._read(ring, 1)
        words[done, 0] = 0
        ring.at = (begin + len(slots) * ring.slot) % ring.end
        for packets in answers:
            self._send_rows(np, packets)
        self._flush_ring()
        self._deliver(frames, stack, now)
        return len(slots)

    def _read(self, ring: ReceiveRing, limit: int) -> list[tuple[int, bytes, int, int]]:
        """Up to `limit` frames: what is in them, the packet without Ethernet header, flags and gso_size."""
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
                packet: bytes | None = memory[start + ETHERNET : start + captured]
            else:
                packet = self._bursts.take(length, memory[start : start + captured])
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
        if self._unverified and not self._is_verified():
            self.refused += len(bursts)
            return True
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

    def _is_verified(self) -> bool:
        """RFC 4862 5.4: nothing is sent from an address that may be somebody else's."""
        self._unverified = self.neighbours.is_tentative()
        if self._unverified:
            self.last_error = OSError(errno.EADDRNOTAVAIL, "the addresses are still being verified")
        return not self._unverified

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
                self._put(complete(ETHERNET + len(packet)), way + packet)
        if way:
            if len(self._ways) >= WAYS_LIMIT:
                self._ways.clear()
            self._ways[target] = way

    def _send(self, way: bytes, burst: Burst) -> None:
        if not self.offload:
            for packet in split(burst):
                self._put(complete(ETHERNET + len(packet)), way + packet)
            return
        csum_start = burst.csum_start
        size = ETHERNET + len(burst.head) + burst.payload_len
        cut = 0 < burst.gso_size < burst.payload_len
        if cut and (not csum_start or counts_by_cwr(burst)):
            for packet in split(burst):
                self._put(complete(ETHERNET + len(packet)), way + packet)
        elif cut or size > self._sent.room:
            self._write(framed(burst, way))
        elif csum_start:
            self._put(partial(size, ETHERNET + csum_start), b"".join((way, burst.head, *burst.pieces)))
        else:
            self._put(complete(size), way + finish(burst))

    def _send_rows(self, np: Any, packets: Any) -> None:
        """Packets of equal length, a row each: those by the gateway together, those to neighbours one by one."""
        start, size = (16, 4) if packets[0, 0] < 0x60 else (24, 16)
        near = self.neighbours.are_near(np, packets[:, start : start + size])
        if near.any():
            self.send([Burst(row.tobytes(), [], 0) for row in packets[near]])
            packets = packets[~near]
        hop = self.neighbours.gateways.get(size, b"")
        way = self.neighbours.way(hop, packets[0].tobytes()) if hop and len(packets) else b""
        if not way:
            self.neighbours.counters["unresolved_discards"] += len(packets)
            return
        vnet = complete(ETHERNET + packets.shape[1])
        while len(packets):
            count = self._sent.put_rows(np, vnet, way, packets)
            packets = packets[count:]
            if not count and not self._flush_ring():
                self.overflowed += len(packets)
                return

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
                self._sockets.small.socket.sendmsg(iovec)
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
                    self._sockets.small.socket.sendmsg(iovec)
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
            stack.receive(unreachable_error(packet), now, True, 0)
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
            self._put(complete(len(frame)), frame)
        if frames:
            self._flush_ring()

    # ---- the end ----

    def _check_there(self) -> None:
        if self._gone or self._closed:
            what = "is closed" if self._closed else "is gone: its interface was deleted"
            raise OSError(errno.ENODEV, f"the link on {self.name!r} {what}")

    def _check_alive(self) -> None:
        """It was readable, and nothing is there: an error is, or news."""
        self._watch.read()
        number = self._sockets.take_error()
        if number:
            self._lost(OSError(number, os.strerror(number)), 0)

    def _lost(self, error: OSError, packets: int) -> None:
        """Packets were refused: count them. Or the interface is gone: say so to whoever called."""
        self.refused += packets
        self.last_error = error
        self._gone = error.errno in _GONE or not self._sockets.small.is_bound()
        self._check_there()
