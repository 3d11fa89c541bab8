"""Outer connections that are being dialled while the SYN that asked for them is held."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from synfin.aio.admitting import Later
from synfin.gateway.flow import Place
from synfin.gateway.relay import End
from synfin.gateway.socket_transport import SocketTransport
from synfin.gateway.sockets import Sockets

OnDialled = Callable[[End, BaseException | None], int]
"""Told once how an attempt ended, None: it stands; gives the verdict on the SYN."""


class KernelAttempt(Later):
    """An outer connection that is being dialled by the kernel. on_dialled: gives the verdict."""

    def __init__(
        self,
        sockets: Sockets,
        end: End,
        places: list[Place],
        on_dialled: OnDialled,
    ) -> None:
        super().__init__()
        self._sockets = sockets
        self._end = end
        self._places = iter(places)
        self._on_dialled = on_dialled
        self._transport: SocketTransport | None = None

    def begin(self) -> int | Later:
        """The verdict, if it is known at once."""
        verdict = self._dial(None)
        return self if verdict is None else verdict

    def _dial(self, error: OSError | None) -> int | None:
        """Dial the next place that there is; the verdict, if it is known. error: why the last one failed."""
        for place in self._places:
            self._end.flow.target = place
            try:
                self._transport = self._sockets.connect(self._end, *place, self._on_connected)
            except OSError as problem:
                error = problem
                continue
            if self._transport.is_connecting():
                return None
            error = None
            break
        return self._on_dialled(self._end, error)

    def _on_connected(self, error: OSError | None) -> None:
        verdict = self._on_dialled(self._end, None) if error is None else self._dial(error)
        if verdict is not None:
            self.settle(verdict)

    def forgotten(self) -> None:
        """The SYN is held no more."""
        if self._transport is not None:
            self._transport.abort()
        self._on_dialled(self._end, asyncio.CancelledError())


class TaskAttempt(Later):
    """An outer connection that is being dialled by a coroutine, in a task. on_dialled: gives the verdict."""

    def __init__(self, dialling: Coroutine[Any, Any, None], end: End, on_dialled: OnDialled) -> None:
        super().__init__()
        self._end = end
        self._on_dialled = on_dialled
        self._task = asyncio.get_running_loop().create_task(dialling)
        self._task.add_done_callback(self._on_done)  # also of a task that is cancelled before its first step

    def _on_done(self, task: asyncio.Task[None]) -> None:
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, (OSError, TimeoutError, asyncio.CancelledError)):
            task.get_loop().call_exception_handler({"message": "a dial function failed", "exception": error})
        self.settle(self._on_dialled(self._end, error))

    def forgotten(self) -> None:
        """The SYN is held no more."""
        self._task.cancel()
