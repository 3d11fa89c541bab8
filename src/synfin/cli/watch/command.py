"""`synfin watch`: which host, and the server that shows it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from pathlib import Path
from typing import Final

from synfin.aio.control import check_folder, control_folder, control_sockets
from synfin.cli.watch.door import ADDRESS

_NICE: Final = 10


def run(name: str, port: int) -> int:
    """The command; its exit status: 1 if no host, or more than one, was there."""
    from synfin.cli.ending import run_until_ended

    try:
        found = sockets(name)
    except OSError as error:
        print(f"synfin watch: {error}", file=sys.stderr)
        return 1
    if len(found) != 1:
        names = ", ".join(path.stem for path in found)
        told = f"which one: {names}?" if found else f"no running host {name!r} in {control_folder()}".replace(" ''", "")
        print(f"synfin watch: {told}", file=sys.stderr)
        return 1
    stand_back()
    return run_until_ended(serve(found[0], port))


def stand_back() -> None:
    """Whoever watches draws, and that takes a processor more than the host needs for telling: the host goes first.

    SCHED_BATCH: what wakes up to draw waits its turn, and interrupts nobody (sched(7)).
    """
    if hasattr(os, "nice"):
        os.nice(_NICE)
    if hasattr(os, "SCHED_BATCH"):
        with contextlib.suppress(OSError):  # of a sandbox that forbids it
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def sockets(name: str) -> list[Path]:
    """Control sockets whose names begin so and which answer. Raises PermissionError for a folder of others."""
    folder = control_folder()
    if not folder.exists():
        return []
    check_folder(folder)  # or somebody else's socket would be believed
    found = [path for path in control_sockets() if path.name.startswith(name) and _answers(path)]
    return [path for path in found if path.stem.rpartition("-")[0] == name] or found


def _answers(path: Path) -> bool:
    from synfin.aio.control import ask

    try:
        ask(path)
    except (OSError, ValueError):
        return False
    return True


async def serve(path: Path, port: int) -> int:
    """Until it is ended."""
    from synfin.cli.watch.server import WatchServer

    def say(address: str) -> None:
        print(address, flush=True)

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.CancelledError):  # the command ends: asyncio 3.11 would report it
            await server.serve(reader, writer)

    try:
        listening = await asyncio.start_server(accept, ADDRESS, port)
    except OSError as error:
        print(f"synfin watch: {error.strerror or error}; --port takes another one", file=sys.stderr)
        return 1
    async with listening:
        server = WatchServer(path, listening.sockets[0].getsockname()[1], say)
        try:
            say(server.door.address)
            print("Open it in a browser on this machine: it is good once, and then the next is printed.", flush=True)
            await asyncio.Future()  # until a signal comes
        finally:
            await server.close()
    return 0
