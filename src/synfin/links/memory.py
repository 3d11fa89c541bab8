"""Two stacks joined in memory, in virtual time: every packet takes the time and suffers the faults that a seed decides.

The same seed gives the same packets on every Python, compiled or not: one generator, drawn from in order of sending.
Bursts are cut before faults apply, as they would be on a wire without offload.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from heapq import heappop, heappush

from synfin.links.faults import Faults
from synfin.stack.stack import Stack
from synfin.wire.ip import marked
from synfin.wire.segment import finish, split

__all__ = ["Faults", "MemoryLink", "Tap", "User"]

Tap = Callable[[int, Stack, bytes], None]
User = Callable[[Stack, int], None]


class MemoryLink:
    """Joins `left` and `right`. Set `users[stack]` to a function that serves what the stack has for its user.

    `drop` may be set to a function (stack that sends, packet) -> bool for packets that are to be lost by rule; `tap`
    sees each packet as it is sent.
    """

    def __init__(
        self, left: Stack, right: Stack, *, seed: int = 0, faults: Faults | None = None, offload: bool = False
    ) -> None:
        self.left = left
        self.right = right
        self.now = 0
        self.users: dict[Stack, User] = {}
        self.tap: Tap | None = None
        self.drop: Callable[[Stack, bytes], bool] | None = None
        self.faults = faults if faults is not None else Faults()
        self.delivered = 0
        self.lost = 0
        self._offload = offload
        self._random = random.Random(seed)
        self._serial = 0
        self._in_flight: list[tuple[int, int, Stack, list[bytes], int]] = []  # the packets of a burst lie together

    def in_flight(self) -> int:
        """Packets under way."""
        return sum([len(packets) for _, _, _, packets, _ in self._in_flight])

    def flush(self) -> None:
        """Send what both stacks have to send now."""
        for stack in (self.left, self.right):
            while True:
                bursts = stack.poll(self.now, 1 << 20)
                if not bursts:
                    break
                for burst in bursts:
                    packets = [finish(burst)] if self._offload else split(burst)
                    self._send(stack, packets, burst.gso_size if self._offload else 0)

    def step(self) -> bool:
        """Send, then go on to the next event: arrivals or a timer. False: nothing will ever happen again."""
        self._serve()
        self.flush()
        upcoming = self._next()
        if upcoming is None:
            return False
        if upcoming > self.now:
            self.now = upcoming
        heap = self._in_flight
        while heap and heap[0][0] <= self.now:
            _, _, stack, packets, gso_size = heappop(heap)
            self.delivered += len(packets)
            for packet in packets:
                stack.receive(packet, self.now, False, gso_size)
        for stack in (self.left, self.right):
            deadline = stack.next_deadline()
            if deadline is not None and deadline <= self.now:
                stack.on_timer(self.now)
        self._serve()
        self.flush()
        return True

    def run(self, until: Callable[[], bool] | None = None, limit_us: int = 1 << 60) -> bool:
        """Step until `until()` holds, nothing can happen any more, or virtual time passes `limit_us`.

        True if `until()` holds at the end (with no `until`: if all came to rest).
        """
        while True:
            if until is not None and until():
                return True
            upcoming = self._next()
            if upcoming is not None and upcoming > limit_us:
                return False
            if not self.step():
                return until is None or until()

    def advance(self, microseconds: int) -> None:
        """Let this much time pass, with all that happens in it."""
        self._serve()
        self.flush()
        end = self.now + microseconds
        while True:
            upcoming = self._next()
            if upcoming is None or upcoming > end:
                break
            self.step()
        self.now = end

    def _next(self) -> int | None:
        times = [deadline for deadline in (self.left.next_deadline(), self.right.next_deadline()) if deadline]
        if self._in_flight:
            times.append(self._in_flight[0][0])
        return min(times) if times else None

    def _serve(self) -> None:
        for stack, user in self.users.items():
            user(stack, self.now)

    def _send(self, sender: Stack, packets: list[bytes], gso_size: int) -> None:
        """The packets of a burst leave. Each is seen by `tap` before `drop` is asked about it."""
        target = self.right if sender is self.left else self.left
        whole = self.drop is None and self.faults.is_none()
        if self.tap is not None or not whole:
            for packet in packets:
                if self.tap is not None:
                    self.tap(self.now, sender, packet)
                if not whole:
                    self._send_through_faults(sender, target, packet, gso_size)
        if whole:
            self._put(self.now + self.faults.delay_us, target, packets, gso_size)

    def _send_through_faults(self, sender: Stack, target: Stack, packet: bytes, gso_size: int) -> None:
        faults = self.faults
        draw = self._random.random
        copies = 1
        if faults.loss and draw() < faults.loss:
            copies = 0
        if faults.duplicate and draw() < faults.duplicate:
            copies += 1
        if self.drop is not None and self.drop(sender, packet):
            copies = 0
        if copies == 0:
            self.lost += 1
        if faults.mark and draw() < faults.mark:
            packet = marked(packet)
        for _ in range(copies):
            arrival = self.now + faults.delay_us
            if faults.jitter_us:
                arrival += int(draw() * faults.jitter_us)
            if faults.reorder and draw() < faults.reorder:
                arrival += faults.reorder_us
            self._put(arrival, target, [packet], gso_size)

    def _put(self, arrival: int, target: Stack, packets: list[bytes], gso_size: int) -> None:
        self._serial += 1
        heappush(self._in_flight, (arrival, self._serial, target, packets, gso_size))
