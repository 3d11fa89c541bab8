"""The turns of a virtual loop: what asyncio promises of a loop, and what is virtual in it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextvars import ContextVar, copy_context

import pytest

from synfin.sim.errors import Deadlock, Livelock, TimeLimit
from synfin.sim.loop import VirtualLoop
from synfin.sim.turns import START, Outside, Turns


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    made = VirtualLoop()
    yield made
    made.close()


def test_callbacks_run_in_their_order_and_what_they_schedule_runs_a_turn_later(loop: VirtualLoop) -> None:
    ran: list[str] = []

    def first() -> None:
        ran.append("first")
        loop.call_soon(ran.append, "third")

    loop.call_soon(first)
    loop.call_soon(ran.append, "second")
    loop.call_later(0, ran.append, "timer")
    loop.run_until_complete(asyncio.sleep(0.001))
    assert ran == ["first", "second", "timer", "third"]


@pytest.mark.parametrize("arguments", [(), (1,), (1, 2), (1, 2, 3)])
def test_a_callback_gets_its_arguments(loop: VirtualLoop, arguments: tuple[int, ...]) -> None:
    given: list[tuple[int, ...]] = []
    loop.call_soon(lambda *them: given.append(them), *arguments)
    loop.call_later(1, lambda *them: given.append(them), *arguments)
    loop.run_until_complete(asyncio.sleep(2))
    assert given == [arguments, arguments]


def test_a_callback_runs_in_the_context_in_which_it_was_scheduled_or_in_one_that_is_given(loop: VirtualLoop) -> None:
    variable: ContextVar[str] = ContextVar("variable", default="none")
    seen: list[str] = []
    context = copy_context()
    context.run(variable.set, "given")

    def look() -> None:
        seen.append(variable.get())

    token = variable.set("around")
    loop.call_soon(look)
    loop.call_soon(look, context=context)
    loop.call_later(1, look, context=context)
    variable.reset(token)
    loop.run_until_complete(asyncio.sleep(2))
    assert seen == ["around", "given", "given"]


def test_what_is_cancelled_does_not_run_even_in_its_own_turn(loop: VirtualLoop) -> None:
    ran: list[str] = []
    later = loop.call_later(1, ran.append, "timer")
    queued: list[asyncio.Handle] = []

    def cancel() -> None:
        queued[0].cancel()

    loop.call_soon(cancel)
    soon = loop.call_soon(ran.append, "soon")
    queued.append(soon)
    later.cancel()
    later.cancel()
    assert later.cancelled() and not soon.cancelled()
    loop.run_until_complete(asyncio.sleep(2))
    assert ran == [] and soon.cancelled()
    assert repr(soon) == "<SimHandle cancelled>"


def test_a_timer_tells_when_it_is_due_and_a_handle_what_it_calls(loop: VirtualLoop) -> None:
    timer = loop.call_at(loop.time() + 2, print, "text")
    assert timer.when() == START + 2
    assert repr(timer).startswith("<SimTimer print(")  # and its arguments, until Python 3.13 leaves them to debug mode


def test_the_clock_jumps_to_what_is_next_and_counts_microseconds_from_the_beginning(loop: VirtualLoop) -> None:
    loop.run_until_complete(asyncio.sleep(3600.25))
    assert loop.time() == START + 3600.25
    assert loop.turns.now_us == 3_600_250_000


def test_stop_ends_the_turn_in_which_it_is_called_and_the_loop_runs_on_later(loop: VirtualLoop) -> None:
    ran: list[str] = []
    loop.call_soon(loop.stop)
    loop.call_soon(ran.append, "the same turn")
    loop.call_soon(lambda: loop.call_soon(ran.append, "the next"))
    loop.run_forever()
    assert ran == ["the same turn"]
    loop.stop()  # before it runs: one turn
    loop.run_forever()
    assert ran == ["the same turn", "the next"]


def test_a_callback_that_fails_is_told_to_the_handler_and_the_others_run(loop: VirtualLoop) -> None:
    told: list[str] = []
    loop.set_exception_handler(lambda _, context: told.append(f"{context['message']}: {context['exception']!r}"))
    loop.call_soon(int, "no number")
    loop.call_soon(told.append, "the next")
    loop.run_until_complete(asyncio.sleep(0))
    assert told[0].startswith("Exception in callback int(")
    assert told[1] == "the next"


def test_a_hold_takes_callbacks_until_it_releases_them(loop: VirtualLoop) -> None:
    ran: list[int] = []
    held: list[object] = []

    def hold(handle: object) -> bool:
        held.append(handle)
        return len(held) == 1

    loop.turns.holds.append(hold)
    loop.call_soon(ran.append, 1)
    loop.call_soon(ran.append, 2)
    loop.run_until_complete(asyncio.sleep(0))
    assert ran == [2]
    loop.turns.holds.clear()
    loop.turns.release(held[:1])
    loop.run_until_complete(asyncio.sleep(0))
    assert ran == [2, 1]


def test_what_comes_from_outside_comes_at_its_time_and_before_timers_of_the_same(loop: VirtualLoop) -> None:
    came: list[str] = []

    class Post(Outside):
        def arrive(self, turns: Turns) -> None:
            came.append(f"post at {turns.now_us}")
            super().arrive(turns)

    loop.turns.outside = Post()
    loop.turns.arrival = START + 1
    loop.call_later(1, came.append, "timer")
    loop.run_until_complete(asyncio.sleep(2))
    assert came == ["post at 1000000", "timer"]


def test_a_loop_that_can_do_nothing_more_says_so(loop: VirtualLoop) -> None:
    with pytest.raises(Deadlock, match="nothing can ever happen any more"):
        loop.run_until_complete(loop.create_future())


def test_a_loop_whose_next_event_is_beyond_the_limit_says_so(loop: VirtualLoop) -> None:
    loop.turns.limit = START + 5
    with pytest.raises(TimeLimit, match="the limit of 5 s"):
        loop.run_until_complete(asyncio.sleep(6))


def test_a_loop_that_turns_without_end_in_one_moment_says_who_keeps_it_busy(loop: VirtualLoop) -> None:
    def again() -> None:
        loop.call_soon(again)

    loop.turns.most = 50
    loop.call_soon(again)
    with pytest.raises(Livelock, match="50 turns of the loop in one moment: at 0 s these wait busily"):
        loop.run_forever()


def test_a_closed_loop_and_one_in_debug_mode_refuse_what_asyncios_refuse() -> None:
    async def coroutine() -> None:
        """Never runs."""

    made = VirtualLoop()
    made.set_debug(True)
    with pytest.raises(TypeError, match="coroutines cannot be used with call_soon"):
        made.call_soon(coroutine)
    made.set_debug(False)
    with pytest.raises(TypeError):
        made.call_later(None, print)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        made.call_at(None, print)  # type: ignore[arg-type]
    made.close()
    for call in (made.call_soon, lambda callback: made.call_later(1, callback)):
        with pytest.raises(RuntimeError, match="closed"):
            call(print)


def test_futures_have_sequential_hashes_in_the_order_in_which_they_are_asked_for(loop: VirtualLoop) -> None:
    first, second = loop.create_future(), loop.create_future()
    hashes = [hash(second), hash(first), hash(second)]
    assert hashes == [hashes[0], hashes[0] + 1, hashes[0]]
