"""asyncio's calls and synfin's have the same arguments: the next Python's new one is noticed here."""

from __future__ import annotations

import asyncio
import inspect
from asyncio import base_events, selector_events
from collections.abc import Callable
from typing import Any

import pytest

from synfin.aio.datagram import DatagramTransport
from synfin.aio.host import Host
from synfin.aio.server import Server
from synfin.aio.transport import Transport

LOOP = asyncio.BaseEventLoop
# Sockets of the kernel are handed over to a loop (`loop_factory`), not to a Host.
OF_LOOPS = {"sock"}
CALLS: list[tuple[Callable[..., Any], Callable[..., Any], set[str]]] = [
    (LOOP.create_connection, Host.create_connection, OF_LOOPS),
    (LOOP.create_server, Host.create_server, OF_LOOPS),
    (LOOP.create_datagram_endpoint, Host.create_datagram_endpoint, OF_LOOPS),
    (asyncio.open_connection, Host.open_connection, set()),
    (asyncio.start_server, Host.start_server, set()),
]


def arguments(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    found = dict(inspect.signature(function).parameters)
    found.pop("self", None)
    return found


@pytest.mark.parametrize(("theirs", "ours", "but"), CALLS, ids=[ours.__name__ for _, ours, _ in CALLS])
def test_a_call_of_a_host_takes_what_asyncios_takes(
    theirs: Callable[..., Any], ours: Callable[..., Any], but: set[str]
) -> None:
    known = arguments(ours)
    for name, parameter in arguments(theirs).items():
        if name in but:
            continue
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            assert any(one.kind is inspect.Parameter.VAR_KEYWORD for one in known.values())
            continue
        assert name in known, f"asyncio's {theirs.__name__} takes {name}: Host's must too"
        assert known[name].kind == parameter.kind, name


def face(kind: type) -> dict[str, Callable[..., Any]]:
    return {name: member for name, member in inspect.getmembers(kind, callable) if not name.startswith("_")}


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (base_events.Server, Server),
        (asyncio.Transport, Transport),
        (selector_events._SelectorSocketTransport, Transport),  # type: ignore[attr-defined]
        (asyncio.DatagramTransport, DatagramTransport),
    ],
    ids=["server", "transport", "socket transport", "datagram transport"],
)
def test_an_object_has_the_calls_of_asyncios(theirs: type, ours: type) -> None:
    known = face(ours)
    for name, member in face(theirs).items():
        assert name in known, f"asyncio's {theirs.__name__} has {name}()"
        wanted = [parameter.name for parameter in arguments(member).values()]
        assert [parameter.name for parameter in arguments(known[name]).values()][: len(wanted)] == wanted, name
