"""A control socket for a running Host: whoever runs it may ask which connections there are (`synfin ss`).

A Unix socket of mode 0600 in a folder of mode 0700; besides, the caller's user id is checked where the system tells it.
Nothing can be changed through it: whoever asks with an empty line gets one JSON object, whoever says "watch" is told
again and again (`watching`). A Host has one only if asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import socket
import stat
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from synfin.aio.connection_rows import head, table
from synfin.aio.watching import WATCH, Watch, Watches
from synfin.stack.stack import Stack

_MAX_CALLERS: Final = 8
_SEND_SECONDS: Final = 5.0
_ASK_SECONDS: Final = 5.0  # in which a caller says what it wants
_ASKED: Final = 128
_SUFFIX: Final = ".sock"
_UCRED: Final = struct.Struct("3i")  # pid, uid, gid (unix(7), SO_PEERCRED)


def control_folder() -> Path:
    """Where this user's control sockets are; it need not exist."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return Path(runtime) / "synfin" if runtime else Path(f"/tmp/synfin-{os.geteuid()}")


def control_path(name: str) -> Path:
    """The socket of a Host of this process called `name`. Raises ValueError for what is no name."""
    if not name or "/" in name or name.startswith(".") or not name.isprintable():
        raise ValueError(f"a control socket's name is a plain word, not {name!r}")
    return control_folder() / f"{name}-{os.getpid()}{_SUFFIX}"


def prepared_path(name: str) -> Path:
    """The same, in a folder that is there and this user's own. For commands, whose user may change before they open it.

    Raises OSError for a folder that can't be had, PermissionError for one that is not this user's alone.
    """
    if not hasattr(socket, "AF_UNIX") or not hasattr(os, "geteuid"):
        raise OSError(errno.ENOTSUP, "this system has no Unix sockets")
    path = control_path(name)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    check_folder(path.parent)
    return path


def control_sockets() -> list[Path]:
    """Those that exist, in order of name."""
    return sorted(control_folder().glob(f"*{_SUFFIX}"))


def check_folder(folder: Path) -> None:
    """Raise PermissionError unless it is this user's own folder, and nobody else may look into it."""
    status = os.lstat(folder)
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
        raise PermissionError(f"{folder} must be a folder of your own with mode 0700")


class ControlSocket:
    """Answers on `path` with what `stack` has, until closed. clock: the stack's time.

    Raises PermissionError for a folder that is not this user's alone, OSError for one that can't be had.
    """

    def __init__(
        self, path: Path, name: str, stack: Stack, loop: asyncio.AbstractEventLoop, clock: Callable[[], int]
    ) -> None:
        self.path = path
        self._name = name
        self._stack = stack
        self._loop = loop
        self._clock = clock
        self._callers: set[asyncio.Task[None]] = set()
        self._watches = Watches(stack, clock)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        check_folder(path.parent)
        path.unlink(missing_ok=True)  # of a process that had this number before
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.setblocking(False)
            self._socket.bind(str(path))  # nobody else can reach it: the folder is closed to them
            path.chmod(0o600)
            self._socket.listen(_MAX_CALLERS)
            loop.add_reader(self._socket.fileno(), self._accept)
        except BaseException:
            self._socket.close()
            path.unlink(missing_ok=True)
            raise

    def close(self) -> None:
        """No more answers; the socket is gone."""
        if self._socket.fileno() < 0:
            return
        if not self._loop.is_closed():
            self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
        for task in list(self._callers):
            task.cancel()
        self.path.unlink(missing_ok=True)

    def _accept(self) -> None:
        try:
            caller, _ = self._socket.accept()
        except OSError:  # it has gone again
            return
        if len(self._callers) >= _MAX_CALLERS or not is_own(peer_uid(caller)):
            caller.close()
            return
        caller.setblocking(False)
        task = self._loop.create_task(self._answer(caller))
        self._callers.add(task)
        task.add_done_callback(self._callers.discard)

    async def _answer(self, caller: socket.socket) -> None:
        with caller, contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(_ASK_SECONDS):
                asked = await self._asked(caller)
            line, _, more = asked.partition(b"\n")
            if line == WATCH:
                await self._watch(caller, more)
            elif not line:
                for text in self._said():
                    await self._send(caller, text)
                    await asyncio.sleep(0)

    async def _asked(self, caller: socket.socket) -> bytes:
        """What a caller begins with: a line, or the end."""
        asked = b""
        while b"\n" not in asked and len(asked) < _ASKED:
            piece = await self._loop.sock_recv(caller, _ASKED)
            if not piece:
                break
            asked += piece
        return asked

    async def _watch(self, caller: socket.socket, asked: bytes) -> None:
        watch = Watch(self._watches, self._head)
        hearing = self._loop.create_task(self._hear(caller, watch, asked))
        telling = self._loop.create_task(watch.tell(lambda text: self._send(caller, text)))
        try:
            # The first to end, by the caller's leaving or its not reading, ends the other.
            ended, _ = await asyncio.wait((hearing, telling), return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()
        finally:
            watch.close()
            for task in (hearing, telling):
                task.cancel()
            await asyncio.gather(hearing, telling, return_exceptions=True)

    async def _hear(self, caller: socket.socket, watch: Watch, asked: bytes) -> None:
        """What a caller that watches asks for besides, until it leaves."""
        while watch.ask(asked):
            asked = await self._loop.sock_recv(caller, _ASKED)
            if not asked:
                return

    async def _send(self, caller: socket.socket, text: str) -> None:
        async with asyncio.timeout(_SEND_SECONDS):  # wait_for() of 3.11 may miss that its caller is cancelled
            await self._loop.sock_sendall(caller, text.encode())

    def _head(self) -> dict[str, Any]:
        return {"name": self._name, "pid": os.getpid(), "time_us": self._clock(), **head(self._stack)}

    def _said(self) -> Iterator[str]:
        """The answer in parts, so that a table of many connections holds nobody up: the loop runs between two parts."""
        yield json.dumps(self._head())[:-1] + ', "connections": ['
        separator = ""
        for rows in table(self._stack, self._clock):
            if rows:
                yield separator + json.dumps(rows)[1:-1]
                separator = ", "
        yield "]}\n"


def peer_uid(caller: socket.socket) -> int | None:
    """Who is at the other end; None where the system has no way to tell (the folder's mode stands alone there)."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return None
    _, uid, _ = _UCRED.unpack(caller.getsockopt(socket.SOL_SOCKET, option, _UCRED.size))
    return int(uid)


def is_own(uid: int | None) -> bool:
    """This user, or one that could not be told."""
    return uid is None or uid == os.geteuid()


def ask(path: Path, timeout: float = 5.0) -> dict[str, Any]:
    """What the Host behind a control socket says. Raises OSError, or ValueError for what is no answer."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(timeout)
        client.connect(str(path))
        pieces = []
        with contextlib.suppress(ConnectionError):  # of a host that closed without a word
            client.sendall(b"\n")
            while piece := client.recv(1 << 16):
                pieces.append(piece)
    said = json.loads(b"".join(pieces) or b"null")
    if not isinstance(said, dict):
        raise ValueError(f"{path} did not answer")
    return said
