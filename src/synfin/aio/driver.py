"""What runs a stack on an event loop: packets in and out, and one timer. It knows no protocol and no user.

The order is the stack's contract: a batch of packets is read and its users are served; then, after the tasks woken by
that have run once, the stack is polled for as much as the link takes now. Nobody is served again before that: whatever
a user was told, the tasks that it woke run before it is told of the next. The clock is the loop's own, so that a loop
with virtual time drives a host as well.

Three ways to carry packets: a link with a descriptor (TunLink) is polled; a function is given each packet; or the
tunnel's owner pulls batches with `outgoing()`; without one, what goes out is lost as on a dead link, so that deadlines
pass and own addresses are reached. Only the first way needs a loop with add_reader.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from mypy_extensions import i64

from synfin.aio.attention import Attention
from synfin.aio.beat import beat_of
from synfin.links.beat import Beat
from synfin.links.link import Link, Timed
from synfin.links.tunnel import Arrival, TunnelLink
from synfin.stack.stack import Stack
from synfin.tcp import errors
from synfin.wire.segment import split

READ_PACKETS = 64  # of one batch at most: then users and output have their turn
SEND_BYTES = 1 << 20  # of one turn: then the link is read again
ASK_SECONDS = 1.0  # that output waits for the first outgoing(): then nobody is there, and it is lost
ASK_AGAIN_SECONDS = 60.0  # that it waits for the next one: so long a slow tunnel may take for a burst
NEVER: Final = 1 << 62
CATCH_UP_PACKETS = 64 * READ_PACKETS  # before a timer: as many as a TunLink's device holds


class Driver:
    """serve: gives to each user what the stack has for it. on_lost: the link is gone. busy_poll: see Host."""

    def __init__(
        self,
        stack: Stack,
        link: Link | TunnelLink | None,
        verify_checksums: bool,
        serve: Callable[[], None],
        on_lost: Callable[[OSError], None],
        busy_poll: int = 0,
    ) -> None:
        self.stack = stack
        self.closed = False
        self._link = None if isinstance(link, TunnelLink) else link
        self._tunnel = link if isinstance(link, TunnelLink) else None
        self._timed: Timed | None = None if self._link is None else getattr(link, "timed", None)
        self._is_down: Callable[[], bool] | None = getattr(self._link, "is_down", None)
        self._has_come_back: Callable[[], bool] | None = getattr(self._link, "has_come_back", None)
        self._trusted = not verify_checksums
        self._serve = serve
        self._on_lost = on_lost
        self._busy_poll = busy_poll
        self._attention: Attention | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._beat: Beat = Beat()  # the loop's
        self._timer: Any = None
        self._timer_at: i64 = 0
        self._serve_scheduled = False
        self._flush_handle: Any = None
        self._users_turn = False  # tasks woken by serving have not run yet; the flush is scheduled behind them
        self._serving = False
        self._at_once = 1  # packets of the next batch: to find that there is no other costs a read, and an exception
        self._writing = False  # the link is full: wait until it is writable
        self._puller: asyncio.Future[None] | None = None  # waits.outgoing() waits
        self._asked = False  # since `_patience` was armed
        self._ask_seconds = ASK_SECONDS
        self._patience: asyncio.TimerHandle | None = None  # while output waits for outgoing()
        self._abandoned = False  # nobody asks for what goes out
        self._after_run: Callable[[], None] | None = None
        self._until_ready: asyncio.Future[None] | None = None  # waits.ready() waits
        # one object each for all transports that keep them
        self.serve_soon = self.schedule_serve
        self.flush_soon = self.schedule_flush
        self._turn_call: Any = self._on_turn
        self._timer_call: Any = self._on_timer

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The loop it runs on; None before open()."""
        return self._loop

    def open(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to run on `loop`."""
        self._loop = loop
        self._beat = beat_of(loop)
        if self._beat.real and self._link is not None and self._busy_poll:
            self._attention = Attention(self._beat, self._busy_poll)
        if self._link is not None:
            for descriptor in _descriptors(self._link):
                loop.add_reader(descriptor, self._on_readable)
        if self._timed is not None:
            self._arm_timer()

    def until_ready(self) -> asyncio.Future[None] | None:
        """Done when the link can be used, or with what takes it away before that; None: it can be used."""
        if self._timed is not None and self._loop is not None and self._timed.is_tentative():
            self._until_ready = self._loop.create_future()
            return self._until_ready
        return None

    def close(self) -> None:
        """Send what is left, stop, and close the link."""
        if self.closed:
            return
        try:
            if self._loop is not None:
                self._flush()
        finally:
            self.stop()

    def stop(self) -> None:
        """Run no more, tell nobody, send nothing. Whom it called is let go, so that no circle outlives it."""
        self.closed = True
        self._serve = self.serve_soon = self.flush_soon = self._turn_call = self._timer_call = _nothing
        self._on_lost = _unheard
        if self._attention is not None:
            self._attention.end()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        if self._puller is not None and not self._puller.done():
            self._puller.set_result(None)
        if self._until_ready is not None and not self._until_ready.done():
            self._until_ready.set_exception(errors.oserror(errors.NOT_CONNECTED, "the host is closed"))
        if self._link is not None:
            if self._loop is not None and self._link.fileno() >= 0:
                for descriptor in _descriptors(self._link):
                    self._loop.remove_reader(descriptor)
                self._loop.remove_writer(self._link.fileno())
            self._link.close()
        if self._tunnel is not None:
            self._tunnel.close()

    def clock(self) -> i64:
        """The loop's time in microseconds; RuntimeError before it was opened."""
        return self._beat.clock()

    def is_full(self) -> bool:
        """The link has taken what was to go out, but not sent it yet; one that is down sends it never."""
        return self._writing and not (self._is_down is not None and self._is_down())

    def after_each_run(self, call: Callable[[], None] | None) -> None:
        """Have `call` called whenever the stack has been polled; None: no more."""
        self._after_run = call

    # ---- packets ----

    def receive(self, packet: bytes) -> None:
        """One packet from the tunnel's owner; its users are served at the loop's next turn."""
        self.stack.receive(packet, self.clock(), self._trusted)
        self.schedule_serve()

    def deliver(self, arrivals: list[Arrival]) -> None:
        """A batch of packets at the top of the loop, in no user's call: its users are served at once."""
        if self.closed:
            return
        now = self.clock()
        stack, trusted = self.stack, self._trusted
        for one in arrivals:
            stack.receive(one.packet, now, trusted or one.vouched, one.gso_size, 0, one.text)
        self._serve_and_flush()

    def link_is_up(self) -> None:
        """It was down, and carries again."""
        self.stack.link_is_up(self.clock())
        self.schedule_flush()

    def turn(self, work: Callable[[], None]) -> None:
        """Do `work` at the top of the loop, in no user's call, and send what came of it in the same turn."""
        if self.closed or self._users_turn or self._serving:
            work()  # whoever is at it sends
            return
        self._serving = True
        try:
            work()
        finally:
            self._serving = False
            if self._is_alone():
                self._run()
            else:
                self.schedule_flush()

    # One user at a time pulls what goes out, by waits.outgoing().

    def begin_to_pull(self) -> None:
        """Somebody asks for what goes out. RuntimeError where it goes another way, or another is asking."""
        if self._link is not None or self._tunnel is not None:
            raise RuntimeError("this host has a link of its own: outgoing() is for hosts without link= and send=")
        if self._puller is not None:
            raise RuntimeError("outgoing() is already being awaited")
        self._asked = True
        self._ask_seconds = ASK_AGAIN_SECONDS
        if self._abandoned:
            self._abandoned = False
            self.stack.link_is_up(self.clock())

    def pull(self) -> list[bytes]:
        """The packets of the next burst, one an element; none: nothing is to go out now."""
        bursts = self.stack.poll(self.clock(), SEND_BYTES)
        self._after_poll()
        return [packet for burst in bursts for packet in split(burst)]

    def until_output(self) -> asyncio.Future[None]:
        """Done when pull() may have something, or the host is closed; end_wait() has to follow."""
        assert self._loop is not None
        self._puller = self._loop.create_future()
        return self._puller

    def end_wait(self) -> None:
        """Nobody waits for output any more."""
        self._puller = None

    def _on_readable(self) -> None:
        link = self._link
        assert link is not None
        if self._attention is not None:
            self._attention.came()
        try:
            count = link.receive(self.stack, self.clock, self._at_once)
        except OSError as error:
            self._lose(error)
            return
        if count < self._at_once:
            self._at_once = max(count, 1)
        elif count < READ_PACKETS:
            self._at_once = 4 * count
        if count == 0:
            self._look_at_link()
        self._serve_and_flush()

    def _look_at_link(self) -> None:
        """It was readable or writable for another reason than a packet's: has it come back?"""
        if self._has_come_back is not None and self._has_come_back():
            self.stack.link_is_up(self.clock())

    def _lose(self, error: OSError) -> None:
        """The link is gone: whoever waits for it is told, else the owner is."""
        if self._until_ready is not None and not self._until_ready.done():
            self._until_ready.set_exception(error)
            self.stop()
        else:
            self._on_lost(error)

    # ---- turns ----

    def schedule_serve(self) -> None:
        """Serve the users at the loop's next turn, and send after that."""
        if not self._serve_scheduled and self._loop is not None and not self.closed:
            self._serve_scheduled = True
            self._loop.call_soon(self._on_serve)

    def schedule_flush(self) -> None:
        """Send at the loop's next turn, after whatever is scheduled now has run."""
        if self._serving:
            return  # sending follows serving anyway
        if self._flush_handle is None and self._loop is not None and not self.closed:
            self._flush_handle = self._beat.soon(self._turn_call)

    def _serve_and_flush(self) -> None:
        """Serve the users, and send: now, if that has woken no task, else after the tasks.

        Not while tasks woken before have not run: their flush, which is on its way, serves the users after it.
        """
        if self._users_turn or self.closed:
            return
        if not self.stack.has_events():
            self._flush_when_users_have_run()
            return
        self._serving = True
        try:
            self._serve()
        finally:
            self._serving = False
            self._flush_when_users_have_run()

    def _flush_when_users_have_run(self) -> None:
        if self._is_alone():
            self._run()
            return
        self._users_turn = True
        if self._flush_handle is not None:
            self._flush_handle.cancel()  # it may stand before the tasks
        self._flush_handle = self._beat.soon(self._turn_call)
        if self.stack.has_events():
            self.schedule_serve()

    def _is_alone(self) -> bool:
        """Nobody else is about to run, of whom something might have to be sent."""
        own = 0 if self._flush_handle is None else 1
        if self._attention is not None and self._attention.turning:
            own += 1
        return self._beat.is_alone(own)

    def _on_serve(self) -> None:
        self._serve_scheduled = False
        self._serve_and_flush()

    def _on_turn(self) -> None:
        self._flush_handle = None  # this is it
        self._run()

    def _run(self) -> None:
        if self._flush_handle is not None:
            self._flush_handle.cancel()
            self._flush_handle = None
        self._users_turn = False
        if self.closed:
            return
        try:
            self._flush()
        finally:  # a tunnel's send() that raises is reported by the loop, and stops nothing
            if not self.closed:
                self._after_poll()
                if self._link is not None or self._tunnel is not None:
                    if self.stack.has_output() and not self._writing:
                        self.schedule_flush()

    def _after_poll(self) -> None:
        if self.stack.has_events():
            self.schedule_serve()
        self._arm_timer()
        if self._after_run is not None:
            self._after_run()
        if self._attention is not None:
            self._attention.rests()

    def _flush(self) -> None:
        if self._writing:
            return
        if self._tunnel is None and self._link is None:
            self._offer()
            return
        bursts = self.stack.poll(self.clock(), SEND_BYTES)
        if not bursts:
            return
        if self._tunnel is not None:
            self._tunnel.send(bursts)
            return
        link = self._link
        assert link is not None and self._loop is not None
        try:
            if not link.send(bursts):
                self._writing = True
                self._loop.add_writer(link.fileno(), self._on_writable)
        except OSError as error:
            self._lose(error)

    def _offer(self) -> None:
        """Wake who awaits outgoing(); wait for him a while if nobody does; without him, poll as a dead link would."""
        if not self.stack.has_output():
            return
        if self._puller is not None:
            if not self._puller.done():
                self._puller.set_result(None)
        elif self._abandoned:
            while bursts := self.stack.poll(self.clock(), SEND_BYTES):
                self.stack.counters.OutDiscards += sum(len(split(burst)) for burst in bursts)
        elif self._patience is None and self._loop is not None and not self.closed:
            self._asked = False
            self._patience = self._loop.call_later(self._ask_seconds, self._on_patience)

    def _on_patience(self) -> None:
        self._patience = None
        self._abandoned = not self._asked and self._puller is None
        self.schedule_flush()

    def _on_writable(self) -> None:
        link = self._link
        assert link is not None and self._loop is not None
        try:
            if not link.flush():
                return
        except OSError as error:
            self._lose(error)
            return
        self._writing = False
        self._loop.remove_writer(link.fileno())
        self._look_at_link()
        self.schedule_flush()

    # ---- time ----

    def _arm_timer(self) -> None:
        """One timer of the loop's for the stack's next deadline; one that comes too early is left to fire."""
        deadline = self.stack.deadline()
        if deadline == 0:
            deadline = NEVER
        if self._timed is not None:
            of_link = self._timed.next_deadline()
            if of_link is not None and of_link < deadline:
                deadline = of_link  # 0: it is due already
        if deadline == NEVER or self.closed:
            return
        if self._timer is not None:
            if self._timer_at <= deadline:
                return
            self._timer.cancel()
        self._timer_at = deadline
        self._timer = self._beat.at(deadline, self._timer_call)

    def _on_timer(self) -> None:
        self._timer = None
        if self.closed or not self._catch_up():
            return
        # call_at counts in floats: the microsecond that was asked for has come.
        now = max(self.clock(), self._timer_at)
        if self._timed is not None and not self._on_link_timer(self._timed, now):
            return
        self.stack.on_timer(now)
        self._serve_and_flush()

    def _on_link_timer(self, timed: Timed, now: int) -> bool:
        """What is due with the link itself. False: it is gone."""
        try:
            timed.on_timer(self.stack, now)
        except OSError as error:
            self._lose(error)
            return False
        if self._until_ready is not None and not self._until_ready.done() and not timed.is_tentative():
            self._until_ready.set_result(None)
        return True

    def _catch_up(self) -> bool:
        """Read all that waits: on a busy machine, what a timer misses may have come long ago. False: the link is gone.

        Without this a process that had no turn for an RTO sends again what its peer has acknowledged.
        """
        link = self._link
        if link is None:
            return True
        try:
            left = CATCH_UP_PACKETS
            while left > 0:
                count = link.receive(self.stack, self.clock, READ_PACKETS)
                if count < READ_PACKETS:
                    break
                left -= count  # in a flood a link may read thousands at once
        except OSError as error:
            self._lose(error)
            return False
        self._look_at_link()
        return True


def _nothing() -> None:
    """What is done for a host that has ended."""


def _unheard(error: OSError) -> None:
    """What is told of its link."""


def _descriptors(link: Link) -> tuple[int, ...]:
    """All that are readable when packets wait."""
    return (link.fileno(), *getattr(link, "further_descriptors", ()))
