"""A selector that sleeps unless waits are short: against a clock and a processor of the test's own."""

from __future__ import annotations

import selectors
import time

import pytest

pytestmark = pytest.mark.skipif(not hasattr(selectors, "EpollSelector"), reason="epoll is Linux's")


class Scene:
    """Whose clock goes on by a microsecond whenever it is read, and while somebody sleeps.

    after: seconds from the beginning of each wait until something comes. slept: the time-outs of waits that slept.
    """

    def __init__(self) -> None:
        self.now = 100.0
        self.after = 20e-6
        self.came_at = 0.0
        self.slept: list[float | None] = []
        self.looked = 0  # without sleeping

    def monotonic(self) -> float:
        self.now += 1e-6
        return self.now


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    made = Scene()
    key = selectors.SelectorKey(0, 0, selectors.EVENT_READ, None)

    def select(_: object, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout > 0:
            made.slept.append(timeout)
            made.now = max(made.now, min(made.came_at, made.now + (timeout or 1e9)))
        else:
            made.looked += 1
        return [(key, selectors.EVENT_READ)] if made.now >= made.came_at else []

    monkeypatch.setattr(selectors.EpollSelector, "select", select)
    monkeypatch.setattr(time, "monotonic", made.monotonic)
    return made


def wait(selector: selectors.BaseSelector, scene: Scene, timeout: float | None = None) -> bool:
    """Whether anything came."""
    scene.came_at = scene.now + scene.after
    return bool(selector.select(timeout))


def test_after_short_waits_it_stays_awake(scene: Scene) -> None:
    from synfin.run.attentive import USUAL, AttentiveSelector

    with AttentiveSelector() as selector:
        for _ in range(USUAL):
            assert wait(selector, scene)
        assert len(scene.slept) == USUAL
        for _ in range(100):
            assert wait(selector, scene)
        assert len(scene.slept) == USUAL
        assert scene.looked > 100


def test_what_has_not_come_by_then_is_slept_for_and_so_is_what_comes_after_it(scene: Scene) -> None:
    from synfin.run.attentive import SHORT, USUAL, AttentiveSelector

    with AttentiveSelector() as selector:
        for _ in range(USUAL + 1):
            wait(selector, scene)
        scene.after = 10.0
        began, scene.slept = scene.now, []
        assert not wait(selector, scene, 5.0)
        assert scene.slept == [pytest.approx(5.0, abs=2 * SHORT)]
        assert scene.now - began < 5 + 2 * SHORT
        scene.after = 20e-6
        for count in range(USUAL):
            wait(selector, scene)
            assert len(scene.slept) == count + 2
        wait(selector, scene)
        assert len(scene.slept) == USUAL + 1


def test_who_has_long_waits_never_stays_awake(scene: Scene) -> None:
    from synfin.run.attentive import USUAL, AttentiveSelector

    with AttentiveSelector() as selector:
        for number in range(10 * USUAL):
            scene.after = 1e-3 if number % USUAL == USUAL - 1 else 20e-6
            wait(selector, scene)
        assert scene.looked == 0


def test_who_only_looks_waits_for_nothing(scene: Scene) -> None:
    from synfin.run.attentive import USUAL, AttentiveSelector

    with AttentiveSelector() as selector:
        for _ in range(USUAL + 1):
            wait(selector, scene)
        scene.slept, scene.looked = [], 0
        assert not wait(selector, scene, 0)
        assert (scene.slept, scene.looked) == ([], 1)
