"""Signals of a simulated process: handlers are its host's, and `SimHost.signal()` delivers them.

Programs set handlers as ever, by the loop's add_signal_handler() or by signal.signal(), and send themselves signals by
os.kill() and signal.raise_signal(). What code on no host does with signals is the real process's affair.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextvars import Context, copy_context
from typing import Any, Final

from synfin.sim.errors import SimulationEscape
from synfin.sim.life import Life, current_life
from synfin.sim.threads import Threads

IGNORED: Final = frozenset(
    getattr(signal, name) for name in ("SIGCHLD", "SIGCONT", "SIGURG", "SIGWINCH") if hasattr(signal, name)
)
"""What a process without a handler does not notice."""
_UNSTOPPABLE: Final = frozenset(getattr(signal, name) for name in ("SIGKILL", "SIGSTOP") if hasattr(signal, name))


class Handler:
    """What a program wants to have called. given: what signal.signal() was given, None: by a loop."""

    def __init__(self, callback: Callable[..., object], args: tuple[Any, ...], given: Any = None) -> None:
        self.callback = callback
        self.args = args
        self.given = given
        self.context: Context = copy_context()


def number_of(what: str | int) -> signal.Signals:
    """ "SIGTERM", "TERM", or a number. Raises ValueError or TypeError."""
    if isinstance(what, bool) or not isinstance(what, (str, int)):
        raise TypeError(f"a signal is a name or a number, not {type(what).__name__}")
    if isinstance(what, int):
        return signal.Signals(what)
    name = what if what.startswith("SIG") else f"SIG{what}"
    if name not in signal.Signals.__members__:
        raise ValueError(f"there is no signal {what!r}")
    return signal.Signals[name]


def handle(life: Life, number: int, handler: Handler | signal.Handlers) -> Handler | signal.Handlers:
    """From now on this is done; what was done before."""
    if number in _UNSTOPPABLE:
        raise OSError(f"{signal.Signals(number).name} can't be handled")
    before: Handler | signal.Handlers = life.signals.get(number, signal.SIG_DFL)
    life.signals[number] = handler
    return before


def changes(threads: Threads) -> Iterator[tuple[Any, dict[str, object]]]:
    """What is replaced: owner, names and values. Threads that are not of the simulation keep the real thing."""
    real_signal, real_getsignal, real_raise = signal.signal, signal.getsignal, signal.raise_signal
    real_kill = os.kill

    def signal_(number: int, handler: Any, /) -> Any:
        life = current_life()
        if life is None:
            return real_signal(number, handler)
        number = number_of(number)
        if handler not in (signal.SIG_IGN, signal.SIG_DFL):
            if not callable(handler):
                raise TypeError("signal handler must be signal.SIG_IGN, signal.SIG_DFL, or a callable object")
            handler = Handler(handler, (number, None), handler)
        return _as_given(handle(life, number, handler))

    def getsignal(number: int, /) -> Any:
        life = current_life()
        return real_getsignal(number) if life is None else _as_given(life.signals.get(number, signal.SIG_DFL))

    def raise_signal(number: int, /) -> None:
        life = current_life()
        if life is None:
            real_raise(number)
        else:
            life.signalled(number)

    def kill(process: int, number: int, /) -> None:
        if not threads.here():
            real_kill(process, number)
            return
        life = current_life()
        if life is None or process != os.getpid():
            raise SimulationEscape("os.kill() would reach another process; in a simulation there is none")
        if number:
            life.signalled(number)

    yield signal, {"signal": signal_, "getsignal": getsignal, "raise_signal": raise_signal}
    yield os, {"kill": kill}


def _as_given(handler: Handler | signal.Handlers) -> Any:
    return handler.given if isinstance(handler, Handler) else handler
