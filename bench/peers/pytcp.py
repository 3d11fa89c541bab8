"""A server on PyTCP, over a TUN device without offload and with the header of 4 bytes that PyTCP expects.

    python pytcp.py FD ADDRESS PEER PORT source|sink|echo|answer MTU

Run by an interpreter that has PyTCP (pmd-pytcp, GPL-3), which nothing of synfin imports. Prints "ready", ends with its
standard input.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from pmd_net_addr import Ip4IfAddr
from pmd_pytcp import stack
from pmd_pytcp.lib.interface_layer import InterfaceLayer
from pmd_pytcp.socket import AF_INET, SOCK_STREAM, socket

CHUNK = bytes(256 * 1024)
REQUEST_BYTES = 64  # as in load.c
ANSWER = bytes(256)


async def until(done: Callable[[], Any]) -> None:
    """There is nothing to be woken by."""
    while not done():  # noqa: ASYNC110
        await asyncio.sleep(0.001)


async def serve(connection: Any, mode: str) -> None:
    received = 0
    with suppress(OSError):
        while mode == "source":
            await connection.send(CHUNK)  # which takes all, and never waits
            await until(lambda: len(connection.tcp_session._tx.buffer) < len(CHUNK))
        while text := await connection.recv(65536):
            received += len(text)
            if mode == "echo":
                await connection.send(text)
            if mode == "answer" and received >= REQUEST_BYTES:
                await connection.send(ANSWER)
                break
    with suppress(OSError):
        connection.close()


async def main() -> None:
    fd, address, _, port, mode, mtu = sys.argv[1:]
    stack.LOG__CHANNEL.clear()
    stack.init(
        fd=int(fd), layer=InterfaceLayer.L3, mtu=int(mtu), interface_name="bench0", ip6_support=False,
        ip4_host=Ip4IfAddr(f"{address}/24"),
    )  # fmt: skip
    await stack.start()
    await until(stack.local_ip4_unicast)  # claimed in the background
    listener = socket(AF_INET, SOCK_STREAM)
    listener.bind((address, int(port)))
    listener.listen(backlog=1024)
    print("ready", flush=True)
    asyncio.get_running_loop().add_reader(0, os._exit, 0)
    serving = set()
    while True:
        connection, _ = await listener.accept()
        task = asyncio.create_task(serve(connection, mode))
        serving.add(task)
        task.add_done_callback(serving.discard)


if __name__ == "__main__":
    asyncio.run(main())
