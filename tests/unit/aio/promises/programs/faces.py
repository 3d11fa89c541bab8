"""What get_extra_info("socket") and Server.sockets tell and do."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any

from tests.unit.aio.promises.net import Datagrams, Net, program

SOL, TCP, IP = socket.SOL_SOCKET, socket.IPPROTO_TCP, socket.IPPROTO_IP
LINGER = struct.Struct("ii")
# Set one after the other, each read back as an int and as bytes; those that Linux refuses are refused.
OPTIONS: list[tuple[str, int, int, list[int | bytes]]] = [
    ("SO_KEEPALIVE", SOL, socket.SO_KEEPALIVE, [1, 7, 0, b"\1\0\0\0", b"\1"]),
    ("TCP_KEEPIDLE", TCP, socket.TCP_KEEPIDLE, [1, 32767, 0, 32768, -1]),
    ("TCP_KEEPINTVL", TCP, socket.TCP_KEEPINTVL, [1, 32767, 0, 32768]),
    ("TCP_KEEPCNT", TCP, socket.TCP_KEEPCNT, [1, 127, 0, 128]),
    ("TCP_NODELAY", TCP, socket.TCP_NODELAY, [0, 5]),
    ("TCP_USER_TIMEOUT", TCP, 18, [30_000, 0, -1]),
    ("SO_SNDBUF", SOL, socket.SO_SNDBUF, [0, 2304, 2305, 4096, 100_000, b"\0\x10\0\0", b"\1"]),
    ("SO_RCVBUF", SOL, socket.SO_RCVBUF, [0, 1152, 1153, 4096, 100_000, b"\1"]),
    ("TCP_NOTSENT_LOWAT", TCP, 25, [1, 16_384, -1, 0, b"\1"]),
    ("SO_MAX_PACING_RATE", SOL, 47, [1, 0, 10**6, -2, (5 * 10**9).to_bytes(8, "little"), -1]),
    ("IP_TOS", IP, socket.IP_TOS, [0x10, 0xB8, 0xFF, 0x1B8, 3, -1, b"\x20"]),
    ("IPV6_TCLASS", socket.IPPROTO_IPV6, 67, [0x10]),
    ("TCP_CORK", TCP, 3, [1, 5, 0]),
    ("TCP_QUICKACK", TCP, 12, [1]),
    ("TCP_MAXSEG", TCP, socket.TCP_MAXSEG, [87, 32768]),
    ("SO_LINGER", SOL, socket.SO_LINGER, [LINGER.pack(5, 3), LINGER.pack(0, 3), b"\1\0\0\0"]),
    ("SO_REUSEADDR", SOL, socket.SO_REUSEADDR, [1, 3, 0]),
    ("TCP_CONGESTION", TCP, 13, [b"reno", b"reno\0", b"no such", b"", 5]),
    ("SO_TYPE", SOL, socket.SO_TYPE, [1]),
    ("SO_ERROR", SOL, socket.SO_ERROR, [1]),
    ("SO_ACCEPTCONN", SOL, 30, [1]),
    ("SO_PROTOCOL", SOL, 38, [1]),
    ("SO_DOMAIN", SOL, 39, [1]),
    ("nothing of TCP's", TCP, 9999, [1]),
    ("nothing of sockets'", SOL, 9999, [1]),
]


def _tell_options(net: Net, end: str, face: Any, options: list[tuple[str, int, int, list[int | bytes]]]) -> None:
    for name, level, option, values in options:
        # How large a buffer or a segment is that nobody has set is each side's own.
        for value in values if name in ("SO_SNDBUF", "SO_RCVBUF", "TCP_MAXSEG") else ["", *values]:
            with net.outcome(end, f"{name} {value!r}"):
                if value != "":
                    face.setsockopt(level, option, value)
                net.log.note(
                    end, name, face.getsockopt(level, option), face.getsockopt(level, option, 16).rstrip(b"\0")
                )


@program()
async def the_options_of_a_connection(net: Net) -> None:
    near, _ = await net.pair()
    face = near.transport.get_extra_info("socket")
    face.setsockopt(TCP, 13, b"reno")  # what a system begins with is its own
    _tell_options(net, "near", face, OPTIONS)
    near.transport.close()
    await net.log.until("near", "lost")
    with net.outcome("near", "set after the end"):
        face.setsockopt(TCP, socket.TCP_NODELAY, 1)
    with net.outcome("near", "get after the end"):
        face.getsockopt(TCP, socket.TCP_NODELAY)


@program()
async def the_options_of_a_listener(net: Net) -> None:
    server = await net.near.create_server(lambda: net.told("near"), net.near.address, net.port)
    face = server.sockets[0]
    face.setsockopt(TCP, 13, b"reno")
    # asyncio sets SO_REUSEADDR.
    _tell_options(net, "near", face, [option for option in OPTIONS if option[0] != "SO_REUSEADDR"])
    server.close()


@program()
async def the_face_of_a_connection(net: Net) -> None:
    near, _ = await net.pair()
    face = near.transport.get_extra_info("socket")
    net.log.note("near", "kind", face.family, face.type, face.proto, face.gettimeout(), face.get_inheritable())
    net.log.note("near", "names", net.address(face.getpeername()), face.fileno() > 2)
    for what, call in (
        ("settimeout", lambda: face.settimeout(0)),
        ("settimeout", lambda: face.settimeout(1)),
        ("setblocking", lambda: face.setblocking(False)),
        ("setblocking", lambda: face.setblocking(True)),
        ("shutdown in no direction", lambda: face.shutdown(7)),
    ):
        with net.outcome("near", what):
            call()
    near.transport.close()
    await net.log.until("near", "lost")
    net.log.note("near", "fileno", face.fileno(), face.get_inheritable() if face.fileno() >= 0 else "")
    for what, call in (
        ("getsockname", face.getsockname),
        ("getpeername", face.getpeername),
        ("shutdown", lambda: face.shutdown(socket.SHUT_WR)),
        ("dup", face.dup),
    ):
        with net.outcome("near", what):
            call()


@program()
async def the_face_of_a_connection_is_duplicated(net: Net) -> None:
    near, _ = await net.pair()
    with net.outcome("near", "dup"):
        near.transport.get_extra_info("socket").dup().close()


@program()
async def a_face_ends_writing(net: Net) -> None:
    near, _ = await net.pair(far=net.told("far", keep_open=True))
    near.transport.write(b"before")
    near.transport.get_extra_info("socket").shutdown(socket.SHUT_WR)
    await net.log.until("far", "eof")
    net.log.note("near", "closing", near.transport.is_closing())
    near.transport.write(b"after")
    await net.log.until("near", "lost")


@program()
async def a_face_ends_writing_and_the_peer_answers(net: Net) -> None:
    near, far = await net.pair(far=net.told("far", keep_open=True))
    near.transport.get_extra_info("socket").shutdown(socket.SHUT_WR)
    await net.log.until("far", "eof")
    far.transport.write(b"answer")
    far.transport.close()
    await net.log.until("near", "lost")


@program()
async def a_face_ends_reading(net: Net) -> None:
    near, far = await net.pair()
    near.transport.get_extra_info("socket").shutdown(socket.SHUT_RD)
    await net.log.until("near", "lost")
    await net.log.until("far", "lost")
    net.log.note("far", "closing", far.transport.is_closing())


@program()
async def a_face_ends_reading_and_the_protocol_goes_on(net: Net) -> None:
    near, _ = await net.pair(near=net.told("near", keep_open=True))
    near.transport.get_extra_info("socket").shutdown(socket.SHUT_RD)
    await net.log.until("near", "eof")
    near.transport.write(b"still writing")
    await net.log.until("far", "data")
    near.transport.close()
    await net.log.until("far", "lost")


@program()
async def a_face_ends_both_directions(net: Net) -> None:
    near, _ = await net.pair(near=net.told("near", keep_open=True))
    near.transport.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
    await net.log.until("near", "eof")
    await net.log.until("far", "eof")


@program()
async def what_is_set_on_a_listening_socket_is_its_connections(net: Net) -> None:
    server = await net.far.create_server(lambda: net.told("far"), net.far.address, net.port)
    (face,) = server.sockets
    options = [
        (SOL, socket.SO_KEEPALIVE, 1),
        (TCP, socket.TCP_KEEPIDLE, 33),
        (TCP, socket.TCP_KEEPCNT, 4),
        (TCP, 18, 12345),
        (TCP, socket.TCP_NODELAY, 0),
    ]
    for option in options:
        face.setsockopt(*option)
    net.log.note("far", "listening", [face.getsockopt(level, name) for level, name, _ in options])
    with net.outcome("far", "a wrong value"):
        face.setsockopt(TCP, socket.TCP_KEEPIDLE, 0)
    with net.outcome("far", "shutdown of nothing"):
        face.shutdown(7)
    await net.near.create_connection(lambda: net.told("near"), net.far.address, net.port)
    await net.log.until("far", "made")
    accepted: Any = net.far.made[-1]
    face = accepted.get_extra_info("socket")
    net.log.note("far", "accepted", [face.getsockopt(level, name) for level, name, _ in options])


@program()
async def the_face_of_a_datagram_endpoint(net: Net) -> None:
    far = Datagrams(net, "far")
    await net.far.create_datagram_endpoint(lambda: far, local_addr=(net.far.address, net.port))
    near = Datagrams(net, "near")
    await net.near.create_datagram_endpoint(lambda: near, remote_addr=(net.far.address, net.port))
    for endpoint in (far, near):
        face = endpoint.transport.get_extra_info("socket")
        net.log.note(endpoint.name, "kind", face.family, face.type, face.proto, face.fileno() > 2)
        net.log.note(endpoint.name, "name", face.getsockname() == endpoint.transport.get_extra_info("sockname"))
        with net.outcome(endpoint.name, "getpeername"):
            net.log.note(endpoint.name, "peer", net.address(face.getpeername()))
        options: list[tuple[str, int, int, list[int | bytes]]] = [
            ("SO_BROADCAST", SOL, socket.SO_BROADCAST, [1]),
            ("SO_REUSEADDR", SOL, socket.SO_REUSEADDR, [1]),
            ("SO_TYPE", SOL, socket.SO_TYPE, [1]),
            ("SO_ERROR", SOL, socket.SO_ERROR, []),
            ("SO_DOMAIN", SOL, 39, []),
            ("SO_PROTOCOL", SOL, 38, []),
        ]
        _tell_options(net, endpoint.name, face, options)
        endpoint.transport.close()
        await net.log.until(endpoint.name, "lost")
        net.log.note(endpoint.name, "fileno", face.fileno())


@program()
async def a_datagram_endpoint_pauses(net: Net) -> None:
    far = Datagrams(net, "far", tells_from=False)
    await net.far.create_datagram_endpoint(lambda: far, local_addr=(net.far.address, net.port))
    near = Datagrams(net, "near")
    await net.near.create_datagram_endpoint(lambda: near, remote_addr=(net.far.address, net.port))
    transport: Any = far.transport
    transport.pause_reading()
    net.log.note("far", "reading", transport.is_reading())
    near.transport.sendto(b"first")
    await net.rest()
    net.log.note("far", "resumes")
    transport.resume_reading()
    await net.log.until("far", "datagram")
    second = Datagrams(net, "far second", tells_from=False)
    transport.set_protocol(second)
    near.transport.sendto(b"second")
    await net.log.until("far second", "datagram")
    with net.outcome("far", "write"):
        transport.write(b"x")
    transport.close()
    net.log.note("far", "reading", transport.is_reading())


@program()
async def a_connection_has_the_face_of_its_asyncio_kind(net: Net) -> None:
    near, _ = await net.pair()
    endpoint = Datagrams(net, "near datagrams", tells_from=False)
    await net.near.create_datagram_endpoint(lambda: endpoint, local_addr=(net.near.address, net.port))
    for transport in (near.transport, endpoint.transport):
        net.log.note("near", "Transport", isinstance(transport, asyncio.Transport))
