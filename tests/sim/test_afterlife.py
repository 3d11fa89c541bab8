"""What a crashed host's code does to what outlives the host is told, and prevented where that can be."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from synfin.sim import Network
from tests.sim.programs import PORT, ask, echo, two


async def last_words(act: Callable[[], Any]) -> None:
    """Lives, and acts once more when it is dead."""
    try:
        await asyncio.sleep(3600)
    finally:
        outcome = act()
        if asyncio.iscoroutine(outcome):
            await outcome


async def crash(network: Network, act: Callable[[], Any]) -> list[str]:
    """What is told of a host that acts so after its crash."""
    host = network.host("ghost")
    host.start(last_words(act))
    await network.after("1s")
    host.crash()
    await network.after("1s")
    for what in host.afterlife:
        assert f"ghost has crashed, and its code still {what}" in [text for _, text in network.incidents]
    return host.afterlife


def at(act: Callable[[], Any], line: int = 0) -> str:
    return f", at {__file__}:{act.__code__.co_firstlineno + line} in {act.__code__.co_qualname}"


async def test_a_dead_host_reaches_no_other(network: Network) -> None:
    network.host("server").start(echo)
    await network.after("1ms")

    async def connect() -> None:
        with pytest.raises(OSError, match="ghost has crashed"):
            await asyncio.open_connection("server", PORT)

    assert await crash(network, connect) == [f"calls create_connection(){at(connect, 2)}"]


@pytest.mark.parametrize("what", ["open", "append", "remove", "rename", "mkdir", "write_text"])
async def test_a_dead_host_changes_no_file(network: Network, tmp_path: Path, what: str) -> None:
    kept = tmp_path / "kept"
    kept.write_text("as it was")
    actions: dict[str, Callable[[], Any]] = {
        "open": lambda: (tmp_path / "new").open("w"),
        "append": lambda: kept.open("a"),
        "remove": kept.unlink,
        "rename": lambda: kept.rename(tmp_path / "new"),
        "mkdir": (tmp_path / "new").mkdir,
        "write_text": lambda: kept.write_text("changed"),
    }

    def act() -> None:
        with pytest.raises(OSError, match="ghost has crashed"):
            actions[what]()

    [told] = await crash(network, act)
    assert str(tmp_path) in told
    assert os.listdir(tmp_path) == ["kept"]
    assert kept.read_text() == "as it was"
    kept.write_text("the living may")


async def test_a_dead_host_may_read(network: Network, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("as it was")
    assert await crash(network, (tmp_path / "kept").read_text) == []


async def test_who_is_woken_by_the_dead_is_told(network: Network) -> None:
    event = asyncio.Event()
    waiting = asyncio.create_task(event.wait(), name="the director's")

    def act() -> None:
        event.set()

    [told] = await crash(network, act)
    assert told.startswith('wakes <SimTask pending name="the director\'s"') or "the director's" in told
    assert told.endswith(at(act, 1))
    await waiting


async def test_the_dead_may_put_their_own_things_in_order(network: Network) -> None:
    async def act() -> None:
        event = asyncio.Event()
        waiting = asyncio.create_task(event.wait())
        await asyncio.sleep(0)
        event.set()
        await waiting
        asyncio.get_running_loop().call_soon(print)

    assert await crash(network, act) == []


async def test_that_a_program_ended_is_no_act_of_it(network: Network) -> None:
    server, client = two(network)
    server.start(echo)
    program = client.start(asyncio.sleep(3600))
    waiting = asyncio.create_task(asyncio.wait([program]))
    await network.after("1s")
    client.crash()
    await waiting
    server.crash()
    await network.after("1s")
    assert (client.afterlife, server.afterlife) == ([], [])


async def test_the_next_life_may_do_everything(network: Network, tmp_path: Path) -> None:
    host, other = network.host("ghost"), network.host("other")
    other.start(echo)

    async def work() -> None:
        await asyncio.sleep(1)
        (tmp_path / "done").write_bytes(await ask("other"))

    host.start(work)
    await network.after("0.5s")
    host.crash()
    host.restart()
    await network.after("5s")
    assert (tmp_path / "done").read_bytes() == b"hello"
    assert host.afterlife == []
