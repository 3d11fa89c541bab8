"""A program launched inside, with a synfin host as all of its network: `python -m tests.interop.launched PROGRAM ...`.

The host is `db` and `db6` by /etc/hosts; it answers HTTP on port 80 and has nothing else.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from synfin.aio.control import control_folder
from synfin.aio.host import Host
from synfin.links.tun import TunLink
from synfin.run import files
from synfin.run.launch import Attend, LaunchError, end_like, launch
from synfin.run.namespace import Inside

NAMES = {"db": "198.18.0.1", "db6": "2001:2::1"}


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nhello\n")
    writer.close()


@asynccontextmanager
async def attend(link: TunLink) -> AsyncIterator[None]:
    async with Host(["198.18.0.1/30", "2001:2::1/64"], link=link) as host:
        await host.start_server(serve, port=80)
        yield


def prepare() -> Attend:
    return attend


def main() -> None:
    texts = {files.HOSTS: files.hosts_text(NAMES, ""), files.RESOLVER: files.resolver_text(["198.18.0.1"], "")}
    inside = Inside(
        addresses=["198.18.0.2/30", "2001:2::2/64"], mtu=1500, texts=texts, hidden=[control_folder()]
    )  # fmt: skip
    try:
        status = launch(inside, sys.argv[1:], prepare)
    except LaunchError as error:
        print(f"launched: {error}", file=sys.stderr)
        sys.exit(error.code)
    end_like(status)


if __name__ == "__main__":
    main()
