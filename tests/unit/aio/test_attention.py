"""Attention keeps a loop turning while waits are short: against a clock and a queue of the test's own."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest

from synfin.aio.attention import LONGEST_US, MOST, USUAL, Attention
from synfin.aio.host import Host
from synfin.links.beat import Beat

SHORT = 50e-6
TURN = 1e-6  # seconds that a turn of the loop takes


class Handle:
    def __init__(self, call: Any) -> None:
        self.call = call
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class OfScene(Beat):
    """As much of it as Attention asks for."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene

    def clock(self) -> int:
        return round(self.scene.now * 1e6)

    def soon(self, call: Any) -> Handle:
        handle = Handle(call)
        self.scene.ready.append(handle)
        return handle


class Scene:
    """A loop, and something that comes."""

    def __init__(self) -> None:
        self.now = 100.0
        self.ready: deque[Handle] = deque()
        self.slept = 0  # waits that were slept through, or the last part of them
        self.turns = 0  # without anything to do but to look
        self.attention = Attention(OfScene(self), int(SHORT * 1e6))

    def wait(self, after: float = 20e-6) -> bool:
        """Rest until something comes. Whether the loop was awake then."""
        self.attention.rests()
        comes_at = self.now + after
        while self.now < comes_at and self.ready:
            self.turns += 1
            self.now += TURN
            handle = self.ready.popleft()
            if not handle.cancelled:
                handle.call()
        awake = bool(self.ready)
        self.slept += not awake
        self.now = max(self.now, comes_at)
        self.attention.came()
        return awake


def test_after_short_waits_one_after_the_other_the_loop_stays_awake() -> None:
    scene = Scene()
    assert [scene.wait() for _ in range(USUAL + 100)] == [False] * USUAL + [True] * 100
    assert scene.turns > 100


def test_a_wait_that_is_not_over_by_then_is_slept_through_and_so_are_those_after_it() -> None:
    scene = Scene()
    for _ in range(USUAL + 1):
        scene.wait()
    began, turns = scene.now, scene.turns
    assert not scene.wait(after=5.0)
    assert scene.now - began == pytest.approx(5.0)
    assert scene.turns - turns <= SHORT / TURN + 1
    assert not scene.wait()
    assert not scene.ready


def test_who_has_a_long_wait_now_and_then_never_stays_awake() -> None:
    scene = Scene()
    for number in range(10 * USUAL):
        scene.wait(1e-3 if number % USUAL == USUAL - 1 else 20e-6)
    assert scene.turns == 0


def test_waits_as_long_as_the_limit_are_not_short() -> None:
    scene = Scene()
    assert not any(scene.wait(SHORT + TURN) for _ in range(3 * USUAL))
    assert scene.turns == 0


def test_who_looks_in_vain_looks_half_as_often_each_time() -> None:
    """As where the other side needs this very processor: it comes soon while we sleep, and not while we look."""
    scene = Scene()
    between: list[int] = []
    waits = 0
    while len(between) < 10:
        waits += 1
        if scene.attention._waits >= scene.attention._enough:
            between.append(waits)
            waits = 0
            assert not scene.wait(200e-6)
        else:
            assert not scene.wait()
    assert between[:3] == [USUAL + 1, 2 * USUAL + 1, 4 * USUAL + 1]
    assert between[-1] == MOST + 1, "and it is asked again now and then"


def test_a_look_that_was_worth_it_makes_the_next_as_easy_as_the_first() -> None:
    scene = Scene()
    for _ in range(USUAL):
        scene.wait()
    scene.wait(200e-6)
    for _ in range(2 * USUAL):
        assert not scene.wait()
    assert scene.wait()
    scene.wait(200e-6)
    assert [scene.wait() for _ in range(2 * USUAL + 1)] == [False] * (2 * USUAL) + [True]


def test_nobody_is_kept_awake_by_what_has_ended() -> None:
    scene = Scene()
    for _ in range(USUAL + 1):
        scene.wait()
    scene.attention.rests()
    assert scene.attention.turning and len(scene.ready) == 1
    scene.attention.end()
    assert not scene.attention.turning and scene.ready[0].cancelled


@pytest.mark.parametrize("wrong", [True, 50.0, "50", None])
def test_a_time_to_stay_awake_that_is_no_number_is_refused_at_the_call(wrong: object) -> None:
    with pytest.raises(TypeError, match="busy_poll must be an int, in microseconds, not"):
        Host("10.0.0.1/24", busy_poll=wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [-1, LONGEST_US + 1])
def test_a_time_to_stay_awake_that_nobody_means_is_refused_at_the_call(wrong: int) -> None:
    with pytest.raises(ValueError, match=f"busy_poll must be within 0 and {LONGEST_US} microseconds, not {wrong}"):
        Host("10.0.0.1/24", busy_poll=wrong)
