"""A network that stands for the internet, for one command: `python -m tests.interop.internet COMMAND ...`.

It is in namespaces of its own, has servers and a DNS of its own, and ends with the command, whose exit status it takes.

    WEB      80  HTTP: /N is N bytes, /page a page with 100 scripts, everything else hello
             7  echo   9  reads a line, then resets   11  says after EOF how much came
             13  sends a line and its FIN, and goes on reading   19  never reads   nothing else listens
    DNS      53  UDP and TCP: web.test is WEB
    NOWHERE  unreachable by its route         SILENT  takes packets and answers nothing
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from synfin.links.netns import add_pair, configure, loopback_up, with_kernel
from synfin.run import files
from synfin.run.namespace import enter

WEB, WEB6, DNS = "203.0.113.10", "2001:db8::10", "203.0.113.53"
NOWHERE, SILENT = "192.0.2.1", "203.0.113.99"
NAME = "web.test"
PAGE = b"<p id=p>a page</p>" + b"".join(b'<script src="/script/%d"></script>' % n for n in range(100))


async def web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    request = await reader.readuntil(b"\r\n\r\n")
    text = request.split()[1][1:].decode()
    size = int(text) if text.isdigit() else len(PAGE) if text == "page" else 6
    writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/html\r\n")
    writer.write(b"Content-Length: %d\r\n\r\n" % size)
    block = bytes(65536) if text.isdigit() else PAGE if text == "page" else b"hello\n"
    while size > 0:
        writer.write(block[:size])
        size -= len(block)
        await writer.drain()
    writer.close()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readline()
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"%d\n" % len(await reader.read()))
    writer.close()


async def leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"bye\n")
    writer.write_eof()
    await reader.read()
    writer.close()


async def ignore(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    await asyncio.sleep(3600)


def answer(question: bytes) -> bytes:
    """A DNS answer: the one name it knows, or NXDOMAIN."""
    labels, at = [], 12
    while length := question[at]:
        labels.append(question[at + 1 : at + 1 + length].decode())
        at += 1 + length
    kind = int.from_bytes(question[at + 1 : at + 3], "big")
    address = {1: socket.inet_pton(socket.AF_INET, WEB), 28: socket.inet_pton(socket.AF_INET6, WEB6)}.get(kind)
    known = ".".join(labels).lower() == NAME
    found = known and address is not None
    head = question[:2] + struct.pack(">HHHHH", 0x8180 if known else 0x8183, 1, int(found), 0, 0)
    record = struct.pack(">HHHIH", 0xC00C, kind, 1, 60, len(address)) + address if found and address else b""
    return head + question[12 : at + 5] + record


class Dns(asyncio.DatagramProtocol):
    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.transport.sendto(answer(data), addr)


async def dns(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(asyncio.IncompleteReadError):
        while True:
            said = answer(await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big")))
            writer.write(len(said).to_bytes(2, "big") + said)
    writer.close()


def make_deaf(kernel: Any) -> None:
    """Two places from which nothing comes back, by ICMP or at all."""
    kernel.route("add", dst=f"{NOWHERE}/32", type="unreachable")
    device = kernel.link_lookup(ifname="wan0")[0]
    kernel.neigh("add", dst=SILENT, lladdr="02:00:00:00:00:99", ifindex=device, state="permanent")


def furnish() -> None:
    enter()
    files.own_mounts()
    files.bind_texts({files.HOSTS: "127.0.0.1 localhost\n", files.RESOLVER: f"nameserver {DNS}\n"})
    files.mask()
    loopback_up()
    add_pair("wan0", "wan1")
    configure("wan1")
    configure("wan0", [f"{WEB}/24", f"{DNS}/24", f"{WEB6}/64"], routes=["0.0.0.0/0", "::/0"])
    with_kernel(make_deaf)
    with suppress(OSError):  # who starts servers here may have no capability
        Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").write_text("0")
    with suppress(OSError):
        group = os.getegid()
        Path("/proc/sys/net/ipv4/ping_group_range").write_text(f"{group} {group}")


async def main(command: list[str]) -> int:
    for port, serve in ((80, web), (7, echo), (9, reset), (11, count), (13, leave), (19, ignore)):
        await asyncio.start_server(serve, [WEB, WEB6], port, backlog=2048)
    await asyncio.start_server(dns, DNS, 53)
    await asyncio.get_running_loop().create_datagram_endpoint(Dns, (DNS, 53))
    child = await asyncio.create_subprocess_exec(*command)
    return await child.wait()


if __name__ == "__main__":
    furnish()
    status = asyncio.run(main(sys.argv[1:]))
    sys.stdout.flush()
    os._exit(status if status >= 0 else 128 - status)
