"""Several processes behind one TUN device: each has a queue of it, a Host, and the connections that are its own.

The kernel steers by flow, and changes its mind: after some seconds of silence a flow may come out at another queue.
Whose a packet is says `stack.team`; what comes out at another's queue goes to its owner by a datagram between the two
processes, and the owner's answer teaches the kernel the way.

    crew = Crew(TunLink.queues(4, "synfin0"))
    raise SystemExit(crew.run(work))         # work(member) -> exit status, once in each of four processes

and there `Host(addresses, link=member, entropy=member.entropy)`. The number of processes is that of the queues, for
good.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import shake_256
from typing import Any, Final

from synfin.links.link import PacketSink
from synfin.links.tun import TunLink
from synfin.stack.team import Team
from synfin.wire.segment import Burst

_Handlers = dict[signal.Signals, Any]

_HEAD: Final = struct.Struct("=?H")  # checksum_ok, gso_size
_LARGEST: Final = _HEAD.size + 10 + 40 + 65535
_SOCKET_BUFFER: Final = 4 << 20  # bytes that wait for a member: then what is handed to it is lost, as on any link
_SECRETS: Final = 1024  # bytes of entropy; a Stack takes some at its construction
_PR_SET_PDEATHSIG: Final = 1
_PASSED_ON: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Member(Team):
    """One process's part of a crew: the link of its Host, and how that reaches the other members.

    handed_over, handed_lost: packets given to their owner, and those that it had no room for.
    """

    def __init__(
        self, link: TunLink, index: int, secret: bytes, inbox: socket.socket, mates: Sequence[socket.socket]
    ) -> None:
        super().__init__(len(mates), index, secret)
        self.handed_over = 0
        self.handed_lost = 0
        self._link = link
        self._inbox = inbox
        self._mates = mates
        self._poll: select.epoll | None = None  # made in the process that uses it
        self._full = False  # some packets wait for the device
        self._secrets = shake_256(secret).digest(_SECRETS)

    @property
    def name(self) -> str:
        """Of the interface."""
        return self._link.name

    @property
    def mtu(self) -> int:
        """Of the interface, in bytes."""
        return self._link.mtu

    @property
    def offload(self) -> bool:
        """Bursts cross the device whole."""
        return self._link.offload

    def entropy(self, count: int) -> bytes:
        """For Host(entropy=): every member makes the same secrets, for sequence numbers and cookies as well."""
        given, self._secrets = self._secrets[:count], self._secrets[count:]
        if len(given) < count:
            raise RuntimeError("one Host is made of a member, and it asks for less")
        return given

    # ---- the link ----

    def fileno(self) -> int:
        """Readable when packets wait, from the device or from another member, and when the device can take more."""
        if self._link.fileno() < 0:
            return -1
        if self._poll is None:
            self._poll = select.epoll()
            self._poll.register(self._link.fileno(), select.EPOLLIN)
            self._poll.register(self._inbox.fileno(), select.EPOLLIN)
        return self._poll.fileno()

    def receive(self, stack: PacketSink, clock: Callable[[], int], limit: int) -> int:
        """From the device, and as much again from the other members."""
        if self._full and self._is_writable():
            self.flush()
        count = self._link.receive(stack, clock, limit)
        return count + self._receive_handed(stack, clock, limit)

    def _is_writable(self) -> bool:
        """The device can take more, or is up again; a link that is flushed before takes itself for that."""
        assert self._poll is not None
        return (self._link.fileno(), select.EPOLLOUT) in [
            (fd, mask & select.EPOLLOUT) for fd, mask in self._poll.poll(0)
        ]

    def _receive_handed(self, stack: PacketSink, clock: Callable[[], int], limit: int) -> int:
        for count in range(limit):
            try:
                message = self._inbox.recv(_LARGEST)
            except BlockingIOError:
                return count
            checksum_ok, gso_size = _HEAD.unpack_from(message)
            stack.receive(message, clock(), checksum_ok, gso_size, _HEAD.size)
        return limit

    def send(self, bursts: list[Burst]) -> bool:
        """Always True: what waits in the link's own queue is sent by receive(), for which fileno() is readable then."""
        self._watch(not self._link.send(bursts))
        return True

    def flush(self) -> bool:
        """Send what waited for the device; always True, as send() is."""
        self._watch(not self._link.flush())
        return True

    def has_come_back(self) -> bool:
        """The device's."""
        return self._link.has_come_back()

    def _watch(self, full: bool) -> None:
        if full != self._full and self._poll is not None:
            self._full = full
            self._poll.modify(self._link.fileno(), select.EPOLLIN | (select.EPOLLOUT if full else 0))

    def close(self) -> None:
        """Of this process; the other members keep their queues of the device."""
        if self._poll is not None:
            self._poll.close()
        self._link.close()
        self._inbox.close()

    # ---- the team ----

    def hand_over(self, owner: int, packet: bytes, start: int, checksum_ok: bool, gso_size: int) -> None:
        """As Team says; a member that has no room, or has gone, loses it like a network."""
        try:
            self._mates[owner].sendmsg([_HEAD.pack(checksum_ok, gso_size), memoryview(packet)[start:]])
        except OSError:  # full, or gone: the network loses packets too
            self.handed_lost += 1
        else:
            self.handed_over += 1


class Crew:
    """The processes to be; `links` are the queues of one device. Raises ValueError for none."""

    def __init__(self, links: Sequence[TunLink]) -> None:
        if not links:
            raise ValueError("a crew has at least one queue")
        secret = os.urandom(32)
        pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in links]
        for outbox, inbox in pairs:
            outbox.setblocking(False)
            inbox.setblocking(False)
            outbox.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BUFFER)
        self._outboxes = [outbox for outbox, _ in pairs]
        self.members = [
            Member(link, index, secret, pairs[index][1], self._outboxes) for index, link in enumerate(links)
        ]
        """One for each process."""

    def run(self, work: Callable[[Member], int]) -> int:
        """Run `work` in a process of its own for each member, until all have ended; the first status that is not 0.

        INT, TERM and HUP go on to all, once; when one process fails, or this one dies, the others are ended by TERM.
        Call it before there is an event loop or a thread: it forks.
        """
        children: set[int] = set()
        with _passing_on(children) as before:
            for member in self.members:
                pid = os.fork()
                if pid == 0:
                    self._become(member, work, before)
                children.add(pid)
            self.close()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _PASSED_ON)
            return _wait(children)

    def _become(self, member: Member, work: Callable[[Member], int], handlers: _Handlers) -> None:
        """In the child, for good."""
        status = 1
        try:
            os.setpgid(0, 0)  # or the terminal's signals would come twice
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            for number, handler in handlers.items():
                signal.signal(number, handler)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _PASSED_ON)
            for other in self.members:
                if other is not member:
                    other.close()
            status = work(member)
        except KeyboardInterrupt:
            status = 128 + signal.SIGINT
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def close(self) -> None:
        """Give all descriptors back in this process."""
        for member in self.members:
            member.close()
        for outbox in self._outboxes:
            outbox.close()


@contextmanager
def _passing_on(children: set[int]) -> Iterator[_Handlers]:
    """Signals that end this process go to the children instead, once they are unblocked; one that was ignored stays so.

    Gives the handlers that were there.
    """

    def pass_on(number: int, frame: object) -> None:
        for pid in children:
            os.kill(pid, number)

    signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED_ON)
    before: _Handlers = {number: signal.getsignal(number) for number in _PASSED_ON}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, pass_on)
    try:
        yield before
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _PASSED_ON)


def _wait(children: set[int]) -> int:
    """Until the last has ended; the first status that was not 0."""
    first = 0
    while children:
        pid, state = os.wait()
        if pid not in children:
            continue
        children.discard(pid)
        status = os.waitstatus_to_exitcode(state)
        if status and not first:
            first = status if status > 0 else 128 - status
            for other in children:
                os.kill(other, signal.SIGTERM)
    return first
