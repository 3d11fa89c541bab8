"""A host with connections, to be watched: `python watched_host.py COUNT`. It ends with its stdin.

Each line of stdin has the client say something: "open" opens a connection, "talk" has the last one ask and be
answered, "close" closes it. Each is answered by a line once it is done.
"""

from __future__ import annotations

import asyncio
import sys

from synfin.aio.host import Host


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while asked := await reader.read(1 << 16):
        writer.write(asked)
    writer.close()


async def main() -> None:
    loop = asyncio.get_running_loop()
    client = Host("10.0.0.1", send=lambda packet: loop.call_soon(host.receive, packet), name="client")
    host = Host("10.0.0.2", send=lambda packet: loop.call_soon(client.receive, packet), name="web", control="web")
    async with client, host:
        await host.start_server(serve, port=80)
        kept = [await client.open_connection("10.0.0.2", 80) for _ in range(int(sys.argv[1]))]
        print("ready", flush=True)
        while line := (await asyncio.to_thread(sys.stdin.readline)).strip():
            if line == "open":
                kept.append(await client.open_connection("10.0.0.2", 80))
            reader, writer = kept[-1]
            if line == "talk":
                writer.write(b"How are you?")
                await reader.readexactly(12)
            if line == "close":
                writer.close()
                await writer.wait_closed()
            print(line, flush=True)


asyncio.run(main())
