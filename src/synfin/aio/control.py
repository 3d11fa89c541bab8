"""A control socket for a running Host: whoever runs it may ask which connections there are (`synfin ss`).

A Unix socket of mode 0600 in a folder of mode 0700; besides, the caller's user id is checked where the system tells it.
Nothing can be changed through it: it gives one JSON object to each caller and closes. A Host has one only if asked.
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
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

from synfin.stack.stack import Stack
from synfin.tcp.connection import Connection
from synfin.wire.key import key_dst, key_dst_port, key_src, key_src_port

_MAX_CALLERS: Final = 8
_SEND_SECONDS: Final = 5.0
_ROWS: Final = 128  # connections that are told of in one turn of the loop
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


def describe(stack: Stack, now: int) -> list[dict[str, Any]]:
    """All connections of a stack, plain data. Times in microseconds; timer None: nothing is waited for."""
    return [_row(connection, now) for connection in stack.connections()]


def _row(connection: Connection, now: int) -> dict[str, Any]:
    status = connection.snapshot(now)
    key = connection.key
    return {
        "state": status.state,
        "local": _endpoint(key_dst(key), int(key_dst_port(key))),
        "peer": _endpoint(key_src(key), int(key_src_port(key))),
        "recv_queue": status.unread,
        "out_of_order": status.out_of_order,
        "send_queue": status.unsent + status.unacknowledged,
        "timer": max(0, status.deadline - now) if status.deadline else None,
        "timer_name": _timer_name(connection),
        "cwnd": status.cwnd,
        "ssthresh": status.ssthresh,
        "mss": status.mss,
        "snd_wnd": status.snd_wnd,
        "rcv_wnd": status.rcv_wnd,
        "srtt_us": status.srtt_us,
        "rto_us": status.rto_us,
        "in_flight": status.in_flight,
        "retries": status.retries,
        "delivery_rate": status.delivery_rate,
        "busy_us": status.busy_us,
        "peer_limited_us": status.peer_limited_us,
        "buffer_limited_us": status.buffer_limited_us,
        "congestion_limited_us": status.congestion_limited_us,
        "ecn": status.ecn,
    }


def _timer_name(connection: Connection) -> str:
    """What the earliest timer is for."""
    due = connection.deadline
    if not due:
        return ""
    if connection.handshake is not None:
        return "syn"
    if connection.sender.rto_deadline == due:
        return "rto"
    if connection.sender.persist is not None and connection.sender.persist.deadline == due:
        return "persist"
    if connection.receiver.acks.deadline == due:
        return "ack"
    if connection.keepalive is not None and connection.keepalive.deadline == due:
        return "keepalive"
    return "timer"


def _endpoint(address: bytes, port: int) -> str:
    text = str(ip_address(address))
    return f"{text}:{port}" if len(address) == 4 else f"[{text}]:{port}"


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
            for text in self._said():
                await asyncio.wait_for(self._loop.sock_sendall(caller, text.encode()), _SEND_SECONDS)
                await asyncio.sleep(0)

    def _said(self) -> Iterator[str]:
        """The answer in parts, so that a table of many connections holds nobody up: the loop runs between two parts."""
        said = {
            "name": self._name,
            "pid": os.getpid(),
            "time_us": self._clock(),
            "census": self._stack.census(),
            "flood": {"batches": self._stack.flood.batches, "answered": self._stack.flood.answered},
        }
        yield json.dumps(said)[:-1] + ', "connections": ['
        connections = self._stack.connections()
        for first in range(0, len(connections), _ROWS):
            now = self._clock()
            rows = ", ".join(json.dumps(_row(connection, now)) for connection in connections[first : first + _ROWS])
            yield (", " if first else "") + rows
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
        while piece := client.recv(1 << 16):
            pieces.append(piece)
    said = json.loads(b"".join(pieces) or b"null")
    if not isinstance(said, dict):
        raise ValueError(f"{path} did not answer")
    return said
