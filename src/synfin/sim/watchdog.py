"""The one place where a wall clock speaks: a callback that computes for ever, or waits in C, ends by `Hung`.

A thread that is not of the simulation looks from time to time whether the loop still turns. Where it does not, it notes
what every thread is doing, and interrupts the one that the loop runs in: by a signal if that is the main thread, which
ends a wait in C as well, else by an exception at its next line. Who sits in a debugger is left alone.
"""

from __future__ import annotations

import ctypes
import faulthandler
import os
import signal
import sys
import tempfile
import threading
from _thread import allocate_lock, start_new_thread
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic, sleep
from types import FrameType
from typing import Final

from synfin.sim.errors import Hung
from synfin.sim.tasks import place

_DEBUGGERS: Final = ("bdb", "pdb", "pydevd", "_pydevd_bundle", "debugpy", "IPython.core.debugger", "pudb")
_LOOK: Final = 0.2  # seconds from one look to the next
_IDLE_LOOKS: Final = 20  # after which the thread that looks ends; the next watch begins another


@contextmanager
def watched(pulse: Callable[[], object], patience: float) -> Iterator[None]:
    """Raises Hung if `pulse()` stays the same for `patience` seconds of real time."""
    watch = _Watch(pulse, patience)
    with _lock:
        _watches.append(watch)
        if not _looking:
            start_new_thread(_look, ())
            _looking.append(True)
    try:
        yield
    finally:
        with _lock:
            _watches.remove(watch)
        if watch.verdict:
            raise Hung(watch.verdict) from None


class _Interrupt(BaseException):
    """What the loop's thread is interrupted by, where it is not the main one."""


class _Watch:
    """verdict: what has hung, once it has."""

    def __init__(self, pulse: Callable[[], object], patience: float) -> None:
        self.verdict = ""
        self._pulse = pulse
        self._patience = patience
        self._watched = threading.get_ident()
        self._is_main = threading.current_thread() is threading.main_thread()
        self._seen: object = None
        self._since = monotonic()

    def look(self) -> None:
        """Called from time to time."""
        pulse = self._pulse()
        if pulse != self._seen or self._is_debugged():
            self._seen, self._since = pulse, monotonic()
        elif monotonic() - self._since >= self._patience:
            self.verdict = self.verdict or self._describe()
            self._since = monotonic()  # who takes no notice is interrupted again
            self._interrupt()

    def _frame(self) -> FrameType | None:
        return sys._current_frames().get(self._watched)

    def _is_debugged(self) -> bool:
        frame = self._frame()
        while frame is not None:
            module = frame.f_globals.get("__name__", "")
            if module.startswith(_DEBUGGERS):
                return True
            frame = frame.f_back
        return False

    def _describe(self) -> str:
        frame = self._frame()
        where = "" if frame is None else f" It is at {place(frame)}."
        with tempfile.TemporaryFile() as file:
            faulthandler.dump_traceback(file)
            file.seek(0)
            threads = file.read().decode(errors="replace")
        return f"one callback has run for {self._patience:g} s of real time.{where}\n{threads.rstrip()}"

    def _interrupt(self) -> None:
        if (
            self._is_main
            and hasattr(signal, "pthread_kill")
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        ):
            signal.pthread_kill(self._watched, signal.SIGINT)
        else:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._watched), ctypes.py_object(_Interrupt))


_lock: Final = allocate_lock()
_watches: Final[list[_Watch]] = []
_looking: Final[list[bool]] = []  # not empty while there is a thread that looks


def _look() -> None:
    """What the thread does: it belongs to no simulation, and serves all."""
    idle = 0
    while idle < _IDLE_LOOKS:
        sleep(_LOOK)
        idle = 0 if _look_once() else idle + 1
        if idle == _IDLE_LOOKS:
            with _lock:
                if _watches:
                    idle = 0
                else:
                    _looking.clear()


def _look_once() -> bool:
    """False: there is nothing to watch. It holds no simulation between two looks: who has ended is free to go."""
    with _lock:
        watches = list(_watches)
    for watch in watches:
        watch.look()
    return bool(watches)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_looking.clear)
