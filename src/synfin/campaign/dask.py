"""The engine on Dask `distributed`. Its workers run `slot.run_chunk`, and nothing else of ours.

A local cluster talks TLS with keys of its own, made for it and kept in memory, listens on loopback alone, and serves no
HTTP unless its dashboard is asked for: another user of the machine can't reach it.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import time
import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Final

import dask
from distributed import Client, LocalCluster, Security, WorkerPlugin
from distributed.scheduler import KilledWorker

from synfin.campaign.engine import Batch, Engine, EngineError
from synfin.campaign.feed import Chunk, Feed
from synfin.campaign.program import Answer, Json, Limits, Program, Refused
from synfin.campaign.slot import run_chunk

_THREADS: Final = 8  # slots of one worker process: it only waits for its children
_AHEAD: Final = 2  # chunks out for each slot
_LOSSES: Final = 5  # of one chunk, until the engine is to blame
_RETURN: Final = 60.0  # seconds in which a scheduler that has gone may come back
_CAME: Final = 0.5  # seconds between two looks at what is late
_TOLD: Final = ("client", "worker", "scheduler", "nanny", "core", "comm", "batched", "utils", "deploy", "http")


class Spread(Engine):
    """Over the workers of a scheduler, wherever that comes from."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        for name in _TOLD:  # what goes wrong in the engine is mended, or told in our words
            logging.getLogger(f"distributed.{name}").setLevel(logging.CRITICAL)
        self._client: Any = self._open()
        self._counted = 0.0
        self._count(0)

    @abstractmethod
    def _open(self) -> Any:
        """A new Client. Raises EngineError."""

    def _discard(self) -> None:
        """End what `_open` has begun."""
        with suppress(Exception):
            self._client.close(timeout=2)

    def close(self) -> None:
        """Leave the scheduler; what was opened for this engine ends."""
        self._discard()

    def batches(self, program: Program, jobs: Iterator[Json | None], limits: Limits) -> Iterator[Batch]:
        """As Engine says; a scheduler that has gone is opened again, and what it had not answered is run again."""
        feed = Feed(jobs)
        while not feed.done:
            try:
                yield from self._until_lost(feed, program, limits)
            except _Lost:
                self._say("the engine has gone; what it had not answered is run again")
                for chunk in feed.out.values():
                    while chunk.copies:
                        feed.lost(chunk)
                self._discard()
                self._client = self._open()
                self._count(0)

    def _until_lost(self, feed: Feed, program: Program, limits: Limits) -> Iterator[Batch]:
        came: SimpleQueue[Any] = SimpleQueue()
        out: dict[Any, Chunk] = {}

        def submit(most: int, now: float) -> None:
            while len(out) < most and (chunk := feed.next(now)) is not None:
                try:
                    future = self._client.submit(run_chunk, program, chunk.jobs, limits, pure=False)
                except Exception as error:
                    raise _Lost from error
                out[future] = chunk
                future.add_done_callback(came.put)

        while True:
            now = time.monotonic()
            self._count(now)
            submit(_AHEAD * self.slots, now)
            if feed.done:
                return
            if not out:
                raise EngineError("nothing is out, and there is still nothing to do")
            try:
                future = came.get(timeout=_CAME)
            except Empty:
                if self._client.status not in ("running", "connecting"):
                    raise _Lost from None
                submit(len(out) + len(feed.late(now, limits.seconds)), now)  # it may be all that is left
                continue
            chunk = out.pop(future)
            found = self._result(future, chunk)
            if found is None:
                feed.lost(chunk)
            elif feed.answered(chunk, found[1]):
                yield list(zip(chunk.jobs, found[0], strict=True))

    def _result(self, future: Any, chunk: Chunk) -> tuple[list[Answer], float] | None:
        """What came of a chunk; None: it is lost. Raises _Lost if all is, Refused, EngineError."""
        if future.status == "finished":
            try:
                found: tuple[list[Answer], float] = future.result()
            except Exception as error:  # whoever has it has gone with it
                if self._client.status != "running":
                    raise _Lost from error
                return None
            return found
        if future.status != "error":
            raise _Lost
        self._judge(future, chunk)
        return None

    def _judge(self, future: Any, chunk: Chunk) -> None:
        """A chunk failed as a whole: raises what its end is, or lets it be run again."""
        error = future.exception()
        if isinstance(error, Refused):
            raise error
        if (not isinstance(error, KilledWorker) and chunk.losses >= 1) or chunk.losses >= _LOSSES:
            raise EngineError(f"a worker can't run what it is given: {type(error).__name__}: {error}") from error

    def _count(self, now: float) -> None:
        """How many slots there are now."""
        if now - self._counted < 2 and now:
            return
        self._counted = now
        try:
            self.slots = max(1, sum(self._client.nthreads().values()))
        except Exception as error:
            raise _Lost from error


class _Lost(Exception):
    """The scheduler has gone, and what was out with it."""


class Local(Spread):
    """A cluster of this machine, of so many slots."""

    def __init__(self, workers: int | None, dashboard: bool, say: Callable[[str], None]) -> None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self._wanted = workers or cores
        self._dashboard = dashboard
        self._cluster: Any = None
        self._folder = ""
        super().__init__(say)

    def _open(self) -> Any:
        processes = -(-self._wanted // _THREADS)
        security = Security.temporary()
        self._folder = tempfile.mkdtemp(prefix="synfin-campaign-")  # nobody else reads it
        if self._dashboard:
            http: dict[str, Any] = {}
            address = "127.0.0.1:0"
        else:
            http = {"distributed.scheduler.http.routes": [], "distributed.worker.http.routes": []}
            address = None
        with dask.config.set(http), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._cluster = LocalCluster(
                n_workers=processes,
                threads_per_worker=-(-self._wanted // processes),
                processes=True,
                protocol="tls://",
                host="127.0.0.1",
                security=security,
                memory_limit=0,  # a worker only waits; its children have limits of their own
                local_directory=self._folder,
                dashboard_address=address,
                worker_dashboard_address=None,
                scheduler_kwargs={"dashboard": self._dashboard, "dashboard_address": "127.0.0.1:0"},
                silence_logs=logging.CRITICAL,
            )
            client = Client(self._cluster, security=security)
        if self._dashboard:
            self._say(f"dashboard: {client.dashboard_link}")
        else:
            self._cluster.scheduler.loop.add_callback(self._cluster.scheduler.http_server.stop)
            client.register_plugin(NoHttp())
        return client

    def _discard(self) -> None:
        super()._discard()
        with suppress(Exception):
            self._cluster.close(timeout=10)
        shutil.rmtree(self._folder, ignore_errors=True)


class NoHttp(WorkerPlugin):  # type: ignore[misc]
    """A worker that serves no pages."""

    name = "synfin-no-http"

    def setup(self, worker: Any) -> None:
        """In each worker, those that are begun anew as well."""
        worker.http_server.stop()


class Remote(Spread):
    """The cluster of a scheduler that somebody else has begun."""

    def __init__(self, address: str, tls: tuple[str, str, str] | None, say: Callable[[str], None]) -> None:
        self._address = address
        self._tls = tls
        self._was_there = False
        super().__init__(say)

    def _open(self) -> Any:
        security = None
        if self._address.startswith("tls://"):
            chosen: dict[str, Any] = {"require_encryption": True}
            if self._tls is not None:
                authority, certificate, key = self._tls
                chosen.update(tls_ca_file=authority, tls_client_cert=certificate, tls_client_key=key)
            security = Security(**chosen)
            if not security.tls_ca_file or not security.tls_client_cert:
                raise EngineError(
                    f"{self._address} wants certificates: say --tls-ca-file, --tls-cert and --tls-key, "
                    f"or configure Dask's distributed.comm.tls"
                )
        until = time.monotonic() + (_RETURN if self._was_there else 0)
        while True:
            try:
                client = Client(self._address, security=security, timeout=10, set_as_default=False)
                break
            except (OSError, ValueError) as error:
                if time.monotonic() >= until:
                    gone = "does not come back" if self._was_there else "can't be reached"
                    raise EngineError(f"the scheduler {self._address} {gone}: {error}") from None
                time.sleep(1)
        try:
            client.wait_for_workers(1, timeout=_RETURN)
        except TimeoutError:
            client.close(timeout=2)
            raise EngineError(f"the scheduler {self._address} has no worker") from None
        self._was_there = True
        return client
