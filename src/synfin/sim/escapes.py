"""What would leave a simulation, for the real network or for another process: an error, in the program's own words."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Final

from synfin.sim.errors import SimulationEscape
from synfin.sim.threads import is_inside

_OF_SOCKETS: Final = ("connect", "connect_ex", "sendmsg", "sendto")
_OF_PROCESSES: Final = (
    "fork forkpty posix_spawn posix_spawnp system startfile execv execve spawnv spawnve killpg".split()
)


def changes() -> tuple[tuple[Any, dict[str, object]], ...]:
    """What is replaced: owner, names and values. Threads that are not of a simulation keep the real thing."""
    return _CHANGES


def _all_changes() -> Iterator[tuple[Any, dict[str, object]]]:
    yield socket.socket, {name: _of_a_socket(name) for name in _OF_SOCKETS}
    yield socket, {"socketpair": _refused("socket.socketpair()", socket.socketpair, _NETWORK)}
    yield subprocess.Popen, {"__init__": _refused("subprocess.Popen()", subprocess.Popen.__init__, _PROCESS)}
    with suppress(ImportError):  # of multiprocessing; Windows has it not
        import _posixsubprocess as forks

        yield forks, {"fork_exec": _refused("a new process", forks.fork_exec, _PROCESS)}
    there = [name for name in _OF_PROCESSES if hasattr(os, name)]
    yield os, {name: _refused(f"os.{name}()", getattr(os, name), _PROCESS) for name in there}


_NETWORK: Final = "would reach the real network; in a simulation only asyncio's calls reach its hosts"
_PROCESS: Final = "would reach another process; in a simulation there is none"


def _refused(what: str, real: Any, why: str) -> Callable[..., Any]:
    def refuse(*args: Any, **options: Any) -> Any:
        if not is_inside():
            return real(*args, **options)
        raise SimulationEscape(f"{what} {why}")

    return refuse


def _of_a_socket(name: str) -> Callable[..., Any]:
    real = getattr(socket.socket, name)

    def refuse(opened: socket.socket, *args: Any) -> Any:
        if not is_inside():
            return real(opened, *args)
        raise refuse_socket(opened, name)

    return refuse


def refuse_socket(opened: socket.socket, name: str) -> SimulationEscape:
    """The error of a call on a kernel's socket, which is closed."""
    opened.close()
    return SimulationEscape(f"socket.{name}() {_NETWORK}")


_CHANGES: Final = tuple(_all_changes())
"""Made once, and of what there is when this is imported: every test changes all of it."""
