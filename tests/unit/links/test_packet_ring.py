"""Rings over memory of our own: the kernel's part is played by the test."""

from __future__ import annotations

import errno
import mmap
import platform

import pytest

from synfin.links.packet_ring import (
    CAPTURED,
    FRAME,
    LENGTH,
    PASSES,
    BurstRing,
    ReceiveRing,
    RefusedFrames,
    SendRing,
    check_processor,
)  # fmt: skip

SLOT, SLOTS = 2048, 4
VNET = bytes(10)


class Kernel:
    """Sends what is in the ring, in order, as tpacket_snd() does."""

    def __init__(self) -> None:
        self.memory = mmap.mmap(-1, SLOT + SLOT * SLOTS)
        self.words = memoryview(self.memory).cast("I")
        self.at = SLOT
        self.taken: list[bytes] = []  # frames that the device has not let go of yet
        self.sent: list[bytes] = []
        self.room = 1000  # frames that it takes
        self.refuses = b""  # a frame that it does not take

    def send(self, data: bytes, flags: int) -> int:
        count = 0
        while self.words[self.at // 4] == 1:
            start = self.at + 32 + len(VNET)
            frame = bytes(self.memory[start : self.at + 32 + self.words[self.at // 4 + 1]])
            if frame == self.refuses:
                raise OSError(errno.ENOBUFS, "no")
            if not self.room:
                if count:
                    return count
                raise BlockingIOError
            self.room -= 1
            self.sent.append(frame)
            self.words[self.at // 4] = 0
            self.at = self.at + SLOT if self.at < SLOT * SLOTS else SLOT
            count += 1
        return count


def ring_and_kernel() -> tuple[SendRing, Kernel]:
    kernel = Kernel()
    return SendRing(kernel, kernel.memory, SLOT, SLOT * (SLOTS + 1), SLOT), kernel  # type: ignore[arg-type]


def put(ring: SendRing, *frames: bytes) -> list[bool]:
    return [ring.put(VNET, frame) for frame in frames]


def test_frames_go_out_in_order_by_one_call_round_and_round() -> None:
    ring, kernel = ring_and_kernel()
    frames = [bytes((number,)) * 60 for number in range(11)]
    for start in range(0, len(frames), 3):
        assert all(put(ring, *frames[start : start + 3]))
        assert ring.flush()
    assert kernel.sent == frames


def test_a_full_ring_takes_no_more_until_it_was_flushed() -> None:
    ring, kernel = ring_and_kernel()
    assert put(ring, b"1", b"2", b"3", b"4", b"5") == [True] * 4 + [False]
    assert ring.flush()
    assert put(ring, b"5") == [True]
    assert ring.flush()
    assert kernel.sent == [b"1", b"2", b"3", b"4", b"5"]


def test_what_the_device_has_no_room_for_waits_in_the_ring() -> None:
    ring, kernel = ring_and_kernel()
    kernel.room = 2
    put(ring, b"1", b"2", b"3")
    assert not ring.flush()
    put(ring, b"4")
    assert not ring.flush()
    kernel.room = 9
    assert ring.flush()
    assert kernel.sent == [b"1", b"2", b"3", b"4"]


def test_a_frame_that_is_refused_is_lost_with_those_behind_it_and_the_ring_goes_on() -> None:
    ring, kernel = ring_and_kernel()
    kernel.refuses = b"2"
    put(ring, b"1", b"2", b"3")
    with pytest.raises(RefusedFrames) as caught:
        ring.flush()
    assert (caught.value.errno, caught.value.lost) == (errno.ENOBUFS, 2)
    assert ring.flush()
    for _ in range(2):
        assert all(put(ring, b"4", b"5", b"6"))
        assert ring.flush()
    assert kernel.sent == [b"1"] + [b"4", b"5", b"6"] * 2


class Wire:
    """Puts frames into a ring, as the kernel does."""

    def __init__(self) -> None:
        self.memory = mmap.mmap(-1, SLOT * SLOTS)
        self.words = memoryview(self.memory).cast("I")
        self.ring = BurstRing(ReceiveRing(self.memory, SLOT * SLOTS, SLOT))
        self.at = 0

    def begin(self) -> int:
        """A processor takes the next slot."""
        at = self.at
        assert self.words[at // 4] == 0
        self.at = (at + SLOT) % len(self.memory)
        return at

    def finish(self, at: int, frame: bytes) -> None:
        self.words[at // 4 + LENGTH] = self.words[at // 4 + CAPTURED] = len(frame)
        self.memory[at + FRAME : at + FRAME + len(frame)] = frame
        self.words[at // 4] = 1

    def put(self, *frames: bytes) -> None:
        for frame in frames:
            self.finish(self.begin(), frame)

    def take(self, frame: bytes) -> bytes | None:
        return self.ring.take(len(frame), frame[:20])


def frame(number: int, size: int = 100) -> bytes:
    return bytes(14) + bytes((number,)) * size


def test_a_burst_is_taken_without_its_ethernet_header() -> None:
    wire = Wire()
    for number in range(7):  # round and round
        wire.put(frame(number), frame(number, 200))
        assert wire.take(frame(number)) == frame(number)[14:]
        assert wire.take(frame(number, 200)) == frame(number, 200)[14:]


def test_a_burst_is_found_before_one_that_came_in_earlier_and_is_still_being_copied() -> None:
    wire = Wire()
    late = wire.begin()
    wire.put(frame(2))
    assert wire.take(frame(2)) == frame(2)[14:]
    wire.finish(late, frame(1))
    assert wire.take(frame(1)) == frame(1)[14:]
    wire.put(frame(3))
    assert wire.take(frame(3)) == frame(3)[14:]


def test_a_burst_that_nobody_asks_for_is_given_up_once_its_slot_is_missed() -> None:
    wire = Wire()
    wire.put(frame(1), frame(2), frame(3), frame(4))
    assert [wire.take(frame(number)) for number in (2, 3, 4)] == [frame(number)[14:] for number in (2, 3, 4)]
    for _ in range(PASSES):
        assert wire.take(frame(5)) is None  # it found no room
    wire.put(frame(6))
    assert wire.take(frame(6)) == frame(6)[14:]


def test_a_mark_whose_burst_was_lost_takes_no_other() -> None:
    wire = Wire()
    assert wire.take(frame(1)) is None
    wire.put(frame(2))
    assert wire.take(frame(1)) is None
    assert wire.take(frame(2, 99)) is None
    assert wire.take(frame(2)) == frame(2)[14:]


def test_only_processors_that_keep_their_stores_in_order_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    for machine in ("x86_64", "AMD64"):
        monkeypatch.setattr(platform, "machine", lambda machine=machine: machine)
        check_processor()
    for machine in ("aarch64", "riscv64", "i686", ""):
        monkeypatch.setattr(platform, "machine", lambda machine=machine: machine)
        with pytest.raises(OSError, match=f"keeps the order of its stores.*{machine}.*TunLink"):
            check_processor()
