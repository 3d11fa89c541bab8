"""The network of a run changed while it runs (`synfin fault`): a Unix socket beside the one that `synfin ss` asks.

Whoever runs the program may, and nobody else: the folder is closed to others, and the caller's user is checked. A
caller sends one JSON object in a line and gets one. The program cannot reach it: the folder is hidden from it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

from synfin.aio.control import control_folder, is_own, peer_uid
from synfin.run.network import INSIDE, RunNetwork
from synfin.run.settings import parse_settings
from synfin.sim.link import Direction, LinkSettings

SUFFIX: Final = ".fault"
_LINE: Final = 1 << 16
_SECONDS: Final = 5.0
_NOTHING: Final = LinkSettings(delay=0)


def fault_path(control: Path) -> Path:
    """The socket that belongs to a control socket."""
    return control.with_suffix(SUFFIX)


def fault_sockets(prefix: str) -> list[Path]:
    """Those whose run's name begins so."""
    return sorted(path for path in control_folder().glob(f"*{SUFFIX}") if path.name.startswith(prefix))


async def serve(path: Path, network: RunNetwork) -> asyncio.Server:
    """Answer there until the server is closed; the path is then to be removed. Raises OSError."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, ValueError, TimeoutError, asyncio.IncompleteReadError):
            async with asyncio.timeout(_SECONDS):
                if is_own(peer_uid(writer.get_extra_info("socket"))):
                    said = obey(network, json.loads(await reader.readline()))
                    writer.write(json.dumps(said).encode() + b"\n")
                    await writer.drain()
        writer.close()

    return await asyncio.start_unix_server(answer, sock=_bound(path), limit=_LINE)


def _bound(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)  # of a process that had this number before
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        made.bind(str(path))
        path.chmod(0o600)
    except BaseException:
        made.close()
        raise
    return made


def obey(network: RunNetwork, asked: dict[str, Any]) -> dict[str, Any]:
    """Do what was asked; how the network is then, or what was wrong."""
    place = str(asked.get("place", "*"))
    try:
        settings = parse_settings(str(word) for word in asked.get("settings", ()))
        for ends in _ends(place, str(asked.get("way", "both"))) if settings else ():
            network.one_way(*ends, **settings)
    except (TypeError, ValueError) as error:
        return {"error": str(error)}
    return {"now": describe(network)}


def describe(network: RunNetwork) -> list[str]:
    """A line for each place and way: what it is set to, and what it has carried."""
    return [
        f"{lane.name} {way}: {_words(direction)} ({direction.sent:,} packets, {direction.lost:,} lost)"
        for lane in network.lanes()
        for way, direction in (("up", lane.up), ("down", lane.down))
    ]


def ask(path: Path, **asked: Any) -> dict[str, Any]:
    """What the run behind a socket says. Raises OSError, or ValueError for what is no answer."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(_SECONDS)
        client.connect(str(path))
        client.sendall(json.dumps(asked).encode() + b"\n")
        pieces = []
        while piece := client.recv(_LINE):
            pieces.append(piece)
    said = json.loads(b"".join(pieces) or b"null")
    if not isinstance(said, dict):
        raise ValueError(f"{path} did not answer")
    return said


def _ends(place: str, way: str) -> list[tuple[str, str]]:
    both = {"up": (INSIDE, place), "down": (place, INSIDE)}
    return list(both.values()) if way == "both" else [both[way]] if way in both else []


def _words(direction: Direction) -> str:
    settings = direction.settings
    said = [
        f"{one.name}={_value(one.name, getattr(settings, one.name))}"
        for one in fields(settings)
        if getattr(settings, one.name) != getattr(_NOTHING, one.name)
    ]
    return " ".join(said) or "as it comes"


def _value(name: str, value: Any) -> str:
    if name in ("delay", "jitter"):
        return f"{value / 1000:g}ms"
    if name == "bandwidth":
        return f"{value / 1e6:g}Mbit/s"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value * 100:g}%" if isinstance(value, float) else str(value)
