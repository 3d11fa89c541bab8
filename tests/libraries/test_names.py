"""Names that only the loop knows, asked for as libraries ask: aiohttp with AI_ADDRCONFIG, others with a family."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from tests.libraries.world import NAME, NAME6, PATHS, World


@pytest.mark.parametrize(("name", "family"), [(NAME, socket.AF_INET), (NAME6, socket.AF_INET6)])
def test_a_name_of_the_hosts_does_not_depend_on_the_interfaces_of_the_kernel(
    name: str, family: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(PATHS["itself"])
    real = socket.getaddrinfo

    def on_a_machine_without_network(*arguments: Any) -> list:
        assert not arguments[5] & socket.AI_ADDRCONFIG
        return real(*arguments)

    monkeypatch.setattr(socket, "getaddrinfo", on_a_machine_without_network)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(name, 80, family=family, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
        assert found[0][4][0] == world.address(4 if family == socket.AF_INET else 6)

    world.run(main())
