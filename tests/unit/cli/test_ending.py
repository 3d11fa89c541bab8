"""How a command ends by a signal, and what may block without holding it up."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Iterator

import pytest

from synfin.cli.blocking import BlockingCalls
from synfin.cli.ending import run_until_ended


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_cancels_the_work_which_may_tidy_up_first(name: str) -> None:
    number = getattr(signal, name)
    tidied = []

    async def work() -> int:
        os.kill(os.getpid(), number)
        try:
            await asyncio.Future()
        finally:
            await asyncio.sleep(0)
            tidied.append(name)
        return 0

    before = signal.signal(number, signal.SIG_DFL)  # what a shell starts in the background ignores SIGINT
    try:
        assert run_until_ended(work()) == 128 + number
    finally:
        signal.signal(number, before)
    assert tidied == [name]


def test_work_that_ends_by_itself_gives_the_status() -> None:
    async def work() -> int:
        return 3

    assert run_until_ended(work()) == 3


def test_a_signal_that_was_ignored_at_the_beginning_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:

        async def work() -> int:
            os.kill(os.getpid(), signal.SIGHUP)
            await asyncio.sleep(0)
            return 0

        assert run_until_ended(work()) == 0
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.fixture
def default_pipe() -> Iterator[None]:
    """SIGPIPE as a command has it."""
    before = signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGPIPE, before)


def test_a_socket_whose_peer_has_gone_ends_no_command(default_pipe: None) -> None:
    async def work() -> int:
        ours, theirs = socket.socketpair()
        theirs.close()
        with ours, pytest.raises(BrokenPipeError):
            ours.send(b"x")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return 3

    assert run_until_ended(work()) == 3


def test_an_output_that_nobody_reads_ends_a_command(default_pipe: None) -> None:
    read_end, write_end = os.pipe()
    kept = os.dup(2)
    os.dup2(write_end, 2)
    os.close(write_end)
    os.close(read_end)

    async def work() -> int:
        with pytest.raises(BrokenPipeError):
            os.write(2, b"x")
        await asyncio.Future()
        return 0

    try:
        assert run_until_ended(work()) == 128 + signal.SIGPIPE
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def test_blocking_calls_are_made_in_order_and_tell_what_came_of_them() -> None:
    async def run() -> None:
        calls = BlockingCalls("test")
        made: list[int] = []
        first, second = calls.call(made.append, 1), calls.call(made.append, 2)
        await second
        assert first.done()
        assert made == [1, 2]
        assert await calls.call(int, "7") == 7
        with pytest.raises(ValueError, match="invalid literal"):
            await calls.call(int, "x")

    asyncio.run(run())


def test_a_call_that_never_returns_does_not_hold_up_the_end() -> None:
    release = threading.Event()

    async def run() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await BlockingCalls("test").call(release.wait)

    asyncio.run(run())
    release.set()
