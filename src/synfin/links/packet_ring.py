"""Packet sockets whose packets lie in memory shared with the kernel: TPACKET_V2 rings, packet(7).

One slot is one frame, handed from one side to the other by a word. Version 3 hands over whole blocks by a timer, which
costs a request and its answer up to a millisecond each.
Rules for the next editor:
- A slot is the kernel's until its word says otherwise, and again from the moment it is given back: copy first.
- No memory barriers can be had from Python. The processor must itself keep loads in order, stores in order, and no
  store before an older load, as x86-64 does (total store order). `check_processor` refuses the others.
- A frame that is sent is copied whole by the kernel: `hdr_len` of its vnet header covers it. Else the kernel would send
  the pages of the ring themselves, and on a veth pair give the slot back while the other end has yet to read them.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import platform
import socket
import struct
from typing import Any, Final

from synfin.links.vnet import VNET_LEN

SLOT: Final = 2048  # bytes: a frame of Ethernet's usual size with what stands before it

_SOL_PACKET: Final = 263
_PACKET_RX_RING: Final = 5
_PACKET_STATISTICS: Final = 6
_PACKET_VERSION: Final = 10
_PACKET_TX_RING: Final = 13
_PACKET_LOSS: Final = 14
_PACKET_VNET_HDR: Final = 15
_PACKET_QDISC_BYPASS: Final = 20
_PACKET_IGNORE_OUTGOING: Final = 23
_PACKET_ADD_MEMBERSHIP: Final = 1
_PACKET_MR_MULTICAST: Final = 0
_SO_ATTACH_FILTER: Final = 26
_TPACKET_V2: Final = 1
_ETH_P_ALL: Final = 3

# Of a slot: struct tpacket2_hdr, in words of 4 bytes. The frame stands where packet(7) puts it for Ethernet: its IP
# header on a multiple of 16, moved on by the vnet header.
LENGTH: Final = 1
CAPTURED: Final = 2
ETHERNET: Final = 14
PASSES: Final = 3  # after so many a frame is given up: what asks for it was lost
FRAME: Final = 80 + VNET_LEN - ETHERNET
_SEND_REQUEST: Final = 1
_TX_DATA: Final = 32  # where a frame to be sent begins: TPACKET2_HDRLEN without its address
_BLOCK: Final = 1 << 20
_PAGE: Final = mmap.PAGESIZE


def check_processor() -> None:
    """OSError(ENOTSUP) where slots can't be handed over without memory barriers."""
    if platform.machine() not in ("x86_64", "AMD64"):
        raise OSError(
            errno.ENOTSUP,
            f"mapped packet rings need a processor that keeps the order of its stores, as x86-64 does, and this is "
            f"{platform.machine()}: use synfin.links.tun.TunLink",
        )


class PacketSocket:
    """A packet socket for one interface, with the rings asked for. It hears nothing before bind().

    receive, send: slots of each ring, 0: none. receive_slot, send_slot: bytes of one. Raises OSError.
    """

    def __init__(self, receive: int, send: int, receive_slot: int = SLOT, send_slot: int = SLOT) -> None:
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        self.dropped = 0  # frames that found the ring full
        try:
            self.socket.setblocking(False)
            for option, value in (
                (_PACKET_VERSION, _TPACKET_V2),
                (_PACKET_VNET_HDR, 1),
                (_PACKET_LOSS, 1),  # a frame that makes no sense is skipped, else it would stop the ring
                (_PACKET_IGNORE_OUTGOING, 1),
            ):
                self.socket.setsockopt(_SOL_PACKET, option, value)
            sizes = [_ask_ring(self.socket, _PACKET_RX_RING, receive, receive_slot)]
            sizes.append(_ask_ring(self.socket, _PACKET_TX_RING, send, send_slot))
            self._memory = mmap.mmap(self.socket.fileno(), sum(sizes)) if sum(sizes) else mmap.mmap(-1, _PAGE)
        except BaseException:
            self.socket.close()
            raise
        self.received = ReceiveRing(self._memory, sizes[0], receive_slot) if receive else None
        self.sent = SendRing(self.socket, self._memory, sizes[0], sum(sizes), send_slot) if send else None

    def fileno(self) -> int:
        """The socket's."""
        return self.socket.fileno()

    def filter(self, program: list[tuple[int, int, int, int]]) -> None:
        """Hear only what this classic BPF program lets through."""
        code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in program))
        attached = struct.pack("HxxxxxxP", len(program), ctypes.addressof(code))
        self.socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, attached)

    def join(self, index: int, mac: bytes) -> None:
        """Have the interface take frames to this multicast address."""
        request = struct.pack("iHH8s", index, _PACKET_MR_MULTICAST, len(mac), mac)
        self.socket.setsockopt(_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, request)

    def bypass_queue(self) -> None:
        """Give frames to the device itself, past its traffic control."""
        self.socket.setsockopt(_SOL_PACKET, _PACKET_QDISC_BYPASS, 1)

    def bind(self, interface: str) -> None:
        """Hear what comes in at the interface, from now on."""
        self.socket.bind((interface, _ETH_P_ALL))

    def is_bound(self) -> bool:
        """Its interface is still there."""
        return bool(self.socket.getsockname()[0])

    def count(self) -> int:
        """Frames that found the ring full, since it began."""
        _, dropped = struct.unpack("II", self.socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))
        self.dropped += dropped
        return self.dropped

    def close(self) -> None:
        """Give all back. May be called twice."""
        for ring in (self.received, self.sent):
            if ring is not None:
                ring.release()
        self._memory.close()
        self.socket.close()


def _ask_ring(sock: socket.socket, option: int, slots: int, slot: int) -> int:
    """Have the kernel make a ring; its bytes. Slots lie side by side, which asks for blocks that they fill."""
    if not slots:
        return 0
    block = slot * max(1, min(slots, _BLOCK // slot))
    if block % _PAGE or slots * slot % block:
        raise ValueError(f"{slots} slots of {slot} bytes do not fill blocks of pages")
    sock.setsockopt(_SOL_PACKET, option, struct.pack("IIII", block, slots * slot // block, slot, slots))
    return slots * slot


class RefusedFrames(OSError):
    """The device did not want them."""

    def __init__(self, why: OSError, lost: int) -> None:
        super().__init__(why.errno, why.strerror)
        self.lost = lost


class ReceiveRing:
    """Frames that came in, oldest first.

    The loop over it is its user's, who has no time for calls: while `words[at >> 2] & 1` a frame is there. It begins
    FRAME bytes behind `at`, with its vnet header before it; the words LENGTH and CAPTURED are its bytes by the wire and
    in the slot. Once copied, the word is set to 0, and `at` goes on by `slot`, to 0 at `end`.
    """

    def __init__(self, memory: mmap.mmap, end: int, slot: int) -> None:
        self.memory = memory
        self.words = memoryview(memory).cast("I")
        self.slot = slot
        self.end = end
        self.at = 0

    def side_by_side(self, np: Any, most: int) -> Any:
        """The slots from `at` on that have a frame, at most so many, as an array of bytes, a row each. np: numpy."""
        slots = np.frombuffer(self.memory, np.uint8, self.end).reshape(-1, self.slot)
        first = self.at // self.slot
        ready = slots[first : first + most].view(np.uint32)[:, 0] & 1
        return slots[first : first + (len(ready) if ready.all() else int(ready.argmin()))]

    def release(self) -> None:
        """Let go of the memory, so that it can be closed."""
        self.words.release()


class BurstRing:
    """Frames that are asked for by their beginnings, nearly in the order in which they came in.

    Processors that put frames in at the same time may finish in another order than they began.
    """

    def __init__(self, ring: ReceiveRing) -> None:
        self._ring = ring
        self._passed: dict[int, int] = {}  # slots whose frame nobody asked for: how often somebody found nothing

    def take(self, length: int, mark: bytes) -> bytes | None:
        """The frame of that length which begins so, without its Ethernet header; None: no such."""
        ring = self._ring
        words, memory = ring.words, ring.memory
        at = ring.at
        others: list[int] = []
        for _ in range(ring.end // ring.slot):
            word = at >> 2
            following = at + ring.slot if at + ring.slot != ring.end else 0
            if words[word] & 1:
                start = at + FRAME
                if words[word + LENGTH] == length and memory[start : start + len(mark)] == mark:
                    packet = memory[start + ETHERNET : start + words[word + CAPTURED]]
                    words[word] = 0
                    ring.at = following
                    return packet
                others.append(at)
            at = following
        self._passed = {at: self._passed.get(at, 0) + 1 for at in others}
        for at, passed in self._passed.items():
            if passed >= PASSES:
                words[at >> 2] = 0
        return None


class SendRing:
    """Frames that go out by one system call. `room` bytes fit into a slot behind the vnet header."""

    def __init__(self, sock: socket.socket, memory: mmap.mmap, begin: int, end: int, slot: int) -> None:
        self.room = slot - _TX_DATA - VNET_LEN
        self._socket = sock
        self._memory = memory
        self._words = memoryview(memory).cast("I")
        self._slot = slot
        self._begin = begin
        self._end = end
        self._at = begin  # the next slot
        self._first = begin  # the first that is not known to be sent
        self._waiting = 0  # from there on

    def put(self, vnet: bytes, frame: bytes) -> bool:
        """Queue a frame, which is to fit; vnet: its header, whose `hdr_len` is the frame's length. False: no room."""
        at = self._at
        word = at >> 2
        if self._words[word] != 0:
            return False
        start = at + _TX_DATA
        middle = start + VNET_LEN
        end = middle + len(frame)
        self._memory[start:middle] = vnet
        self._memory[middle:end] = frame
        self._words[word + LENGTH] = end - start
        self._words[word] = _SEND_REQUEST
        self._at = self._after(at)
        self._waiting += 1
        return True

    def put_rows(self, np: Any, vnet: bytes, header: bytes, rows: Any) -> int:
        """Queue as many frames as find room: a header and a row of bytes each. How many."""
        slots = np.frombuffer(self._memory, np.uint8)[self._begin : self._end].reshape(-1, self._slot)
        first = (self._at - self._begin) // self._slot
        words = slots[first : first + len(rows)].view(np.uint32)
        taken = words[:, 0] != 0
        count = int(taken.argmax()) if taken.any() else len(taken)
        start = _TX_DATA + VNET_LEN + len(header)
        part = slots[first : first + count]
        part[:, _TX_DATA:start] = np.frombuffer(vnet + header, np.uint8)
        part[:, start : start + rows.shape[1]] = rows[:count]
        words[:count, LENGTH] = start + rows.shape[1] - _TX_DATA
        words[:count, 0] = _SEND_REQUEST
        self._at += count * self._slot
        if self._at == self._end:
            self._at = self._begin
        self._waiting += count
        return count

    def flush(self) -> bool:
        """Have the kernel send what is queued; False: some waits until the socket is writable.

        OSError: what it refused is lost, with all that was queued behind it; `error.lost` frames.
        """
        while self._waiting:
            before = self._waiting
            try:
                self._socket.send(b"", socket.MSG_DONTWAIT)
            except BlockingIOError:
                return False
            except OSError as error:
                if self._advance() == before:
                    raise RefusedFrames(error, self._withdraw()) from error
            else:
                if self._advance():
                    return False
        return True

    def _advance(self) -> int:
        """Find the first frame that the kernel has not taken yet; how many there are from there on."""
        while self._waiting and self._words[self._first >> 2] != _SEND_REQUEST:
            self._first = self._after(self._first)
            self._waiting -= 1
        return self._waiting

    def _withdraw(self) -> int:
        """Take back all from the first on, which is where the kernel will look next; how many."""
        lost, self._waiting = self._waiting, 0
        at = self._first
        for _ in range(lost):
            self._words[at >> 2] = 0
            at = self._after(at)
        self._at = self._first
        return lost

    def _after(self, at: int) -> int:
        at += self._slot
        return at if at != self._end else self._begin

    def release(self) -> None:
        """Let go of the memory, so that it can be closed."""
        self._words.release()
