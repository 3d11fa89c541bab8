"""A crew of processes: what one member hands to another, and how they end together."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator

import pytest

from synfin.links.crew import Crew, Member
from synfin.links.tun import MAX_QUEUES, TunLink
from synfin.wire.segment import Burst
from tests.conftest import need

need(sys.platform == "linux", "TUN devices are Linux's")

Got = tuple[bytes, bool, int]


class Stack:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.got: list[Got] = []

    def receive(self, packet: bytes, now: int, checksum_ok: bool, gso_size: int, start: int = 0, /) -> None:
        self.got.append((packet[start:], checksum_ok, gso_size))


@pytest.fixture
def members() -> Iterator[list[Member]]:
    """Two members, whose devices are sockets."""
    pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2)]
    crew = Crew([TunLink.from_fd(os.dup(ours.fileno()), name="tun9") for ours, _ in pairs])
    yield crew.members
    crew.close()
    for pair in pairs:
        for end in pair:
            end.close()


def taken(member: Member) -> list[Got]:
    stack = Stack()
    member.receive(stack, lambda: 0, 64)
    return stack.got


def readable(member: Member) -> bool:
    return bool(select.select([member.fileno()], [], [], 0)[0])


def test_a_packet_comes_out_at_its_owner_with_all_that_is_known_of_it(members: list[Member]) -> None:
    first, second = members
    assert not readable(second)
    first.hand_over(1, b"0123456789packet", 10, True, 1448)
    first.hand_over(1, bytes(65535), 0, False, 0)
    assert readable(second)
    assert not readable(first)
    assert taken(second) == [(b"packet", True, 1448), (bytes(65535), False, 0)]
    assert not readable(second)
    assert (first.handed_over, first.handed_lost) == (2, 0)


def test_what_a_member_has_no_room_for_is_lost_and_counted(members: list[Member]) -> None:
    first, second = members
    while not first.handed_lost:
        assert first.handed_over < 100_000
        first.hand_over(1, bytes(65535), 0, False, 0)
    assert first.handed_over > 0
    second.close()
    first.hand_over(1, b"gone", 0, False, 0)
    assert first.handed_lost == 2


def test_whose_a_key_is_all_members_say_alike(members: list[Member]) -> None:
    first, second = members
    owners = [first.owner(bytes([number]) * 12) for number in range(64)]
    assert owners == [second.owner(bytes([number]) * 12) for number in range(64)]
    assert set(owners) == {0, 1}


def test_all_members_have_the_same_secrets_and_each_has_enough_for_one_host(members: list[Member]) -> None:
    first, second = members
    assert [first.entropy(32) for _ in range(3)] == [second.entropy(32) for _ in range(3)]
    assert first.entropy(32) != first.entropy(32)
    with pytest.raises(RuntimeError, match="one Host is made of a member"):
        first.entropy(1024)


def test_a_member_is_as_large_and_as_able_as_its_link(members: list[Member]) -> None:
    assert (members[0].name, members[0].mtu, members[0].offload) == ("tun9", 1500, False)
    members[0].close()
    assert members[0].fileno() == -1
    members[0].close()


@pytest.mark.parametrize("count", [0, MAX_QUEUES + 1])
def test_a_device_has_some_queues_and_not_too_many(count: int) -> None:
    with pytest.raises(ValueError, match=f"from 1 to 256 queues, not {count}"):
        TunLink.queues(count)


def test_a_crew_of_nobody_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one queue"):
        Crew([])


def drained(device: socket.socket) -> int:
    """How many packets were in it."""
    device.setblocking(False)
    count = 0
    with contextlib.suppress(BlockingIOError):
        while device.recv(2000):
            count += 1
    return count


def test_what_waits_for_the_device_goes_out_when_it_can_take_it_again() -> None:
    ours, device = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    crew = Crew([TunLink.from_fd(ours.detach())])
    (member,) = crew.members
    member.fileno()
    sent = 0
    while sent < 1000:  # more than the device takes, less than the link keeps
        assert member.send([Burst(b"\x45" + bytes(999), [], 0, 0, 0)])
        sent += 1
    assert not readable(member)
    received = drained(device)
    assert 0 < received < sent
    while received < sent:
        assert readable(member)
        taken(member)
        received += drained(device)
    taken(member)
    assert not readable(member)
    crew.close()
    device.close()


class Down(TunLink):
    """Over a device that takes nothing; as one whose interface is down it takes a flush for being up."""

    flushed = 0

    def send(self, bursts: list[Burst]) -> bool:
        return False

    def flush(self) -> bool:
        self.flushed += 1
        return True


def test_a_device_that_can_take_nothing_is_not_flushed_whenever_a_timer_looks_for_packets() -> None:
    ours, device = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while ours.send(bytes(1000)):
            pass
    link = Down.from_fd(ours.detach())
    assert isinstance(link, Down)
    crew = Crew([link])
    (member,) = crew.members
    member.fileno()
    member.send([Burst(b"\x45" + bytes(39), [], 0, 0, 0)])
    taken(member)
    assert link.flushed == 0
    assert drained(device)
    taken(member)
    assert link.flushed == 1
    crew.close()
    device.close()


def crew_that(body: str) -> subprocess.Popen[str]:
    """A process with a crew of three; `body` is that of work(member)."""
    code = f"""
import os, signal, sys, time
from synfin.links.crew import Crew
from synfin.links.tun import TunLink

def tell(word):
    os.write(1, f"{{word}}\\n".encode())

def work(member):
{textwrap.indent(textwrap.dedent(body), "    ")}

for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # as under nohup, where a crew ignores them likewise
    signal.signal(ignored, signal.SIG_DFL)
links = [TunLink.from_fd(os.open("/dev/null", os.O_RDWR)) for _ in range(3)]
tell(f"status {{Crew(links).run(work)}}")
"""
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(child: subprocess.Popen[str]) -> tuple[list[str], str]:
    """What was said, and what was complained of."""
    out, err = child.communicate(timeout=60)
    return out.splitlines(), err


def test_a_crew_ends_when_all_have_ended_their_work() -> None:
    said, complaints = ended(crew_that("tell(member.index); return 0"))
    assert (sorted(said), said[-1], complaints) == (["0", "1", "2", "status 0"], "status 0", "")


def test_when_one_fails_the_others_are_ended_and_its_status_is_told() -> None:
    said, _ = ended(crew_that("if member.index == 0: return 7\ntime.sleep(60)"))
    assert said == ["status 7"]


def test_an_exception_is_shown_and_is_status_1() -> None:
    said, complaints = ended(crew_that("if member.index == 2: 1 / 0\ntime.sleep(60)"))
    assert said == ["status 1"]
    assert "ZeroDivisionError" in complaints


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_goes_to_each_member_once(number: signal.Signals) -> None:
    child = crew_that(f"""
        came = []
        signal.signal({int(number)}, lambda *_: came.append(1))
        tell("ready")
        while not came:
            time.sleep(0.01)  # pause() would sleep on, if it came just before
        time.sleep(0.1)
        return len(came) - 1
    """)
    assert child.stdout is not None
    assert [child.stdout.readline() for _ in range(3)] == ["ready\n"] * 3
    child.send_signal(number)
    assert ended(child)[0] == ["status 0"]


def test_a_crew_does_not_outlive_whoever_made_it() -> None:
    child = crew_that('tell("ready"); time.sleep(60)')
    assert child.stdout is not None
    assert [child.stdout.readline() for _ in range(3)] == ["ready\n"] * 3
    child.kill()
    assert ended(child)[0] == []  # the pipe closes with the last member
