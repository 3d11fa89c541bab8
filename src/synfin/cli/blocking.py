"""Calls that may block for ever: reading a terminal at which nobody types, writing to a pipe that nobody reads."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

Call = tuple[asyncio.Future[Any], Callable[..., Any], tuple[Any, ...]]


class BlockingCalls:
    """A thread that makes one call after the other. Unlike asyncio's own, nobody waits for it when the program ends."""

    def __init__(self, name: str) -> None:
        self._calls: SimpleQueue[Call] = SimpleQueue()
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def call(self, function: Callable[..., Any], *arguments: Any) -> asyncio.Future[Any]:
        """What the function returns or raises, once it has. Cancelled, it goes on, and nobody hears of it."""
        future = asyncio.get_running_loop().create_future()
        self._calls.put((future, function, arguments))
        return future

    def _work(self) -> None:
        while True:
            future, function, arguments = self._calls.get()
            result, failure = None, None
            try:
                result = function(*arguments)
            except Exception as error:
                failure = error
            with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody waits
                future.get_loop().call_soon_threadsafe(_settle, future, result, failure)


def _settle(future: asyncio.Future[Any], result: Any, failure: Exception | None) -> None:
    if future.done():
        return
    if failure is None:
        future.set_result(result)
    else:
        future.set_exception(failure)
