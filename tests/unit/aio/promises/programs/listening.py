"""create_server and start_server: what they take, what they listen on, and how a server lives and ends."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from tests.unit.aio.promises.net import OWN, PLAIN, SIM, WORLDS, Net, program

NOT_SIM = tuple(world for world in PLAIN if world != SIM)


async def _reached(net: Net, address: str, port: int) -> None:
    """Whether somebody listens there: a connection is made and ended."""
    with net.outcome("near", f"to {'IPv6' if ':' in address else 'IPv4'}"):
        _, writer = await net.near.open_connection(address, port)
        writer.close()
        await writer.wait_closed()


async def _listen(net: Net, what: str, *arguments: Any, **options: Any) -> None:
    """Make a server with these arguments, note its sockets, and which of the far end's addresses it is reached by."""
    with net.outcome("far", what):
        server = await net.far.create_server(asyncio.Protocol, *arguments, **options)
        net.log.note("far", "listens on", sorted(net.address(one.getsockname()) for one in server.sockets))
        port = server.sockets[0].getsockname()[1]
        for address in (net.far.address, net.far.address6):
            await _reached(net, address, port)
        server.close()
        await server.wait_closed()
        for address in (net.far.address, net.far.address6):
            await _reached(net, address, port)


def _listens(
    name: str, *arguments: Any, worlds: tuple[str, ...] = WORLDS, since: tuple[int, int] = (3, 11), **options: Any
) -> None:
    """Register a program that listens with these arguments; `far` and the like in them stand for the net's."""

    async def listens(net: Net) -> None:
        known = {"<far>": net.far.address, "<far6>": net.far.address6, "<port>": net.port, "<text>": str(net.port)}
        known["<bytes>"] = b"%d" % net.port

        def fill(value: Any) -> Any:
            if isinstance(value, (list, tuple, set)):
                return type(value)(fill(one) for one in value)
            return known.get(value, value) if isinstance(value, str) else value

        await _listen(net, "create_server", *map(fill, arguments), **options)

    listens.__name__ = f"listening_{name}"
    program(worlds=worlds, since=since)(listens)


_listens("on_one_address", "<far>", "<port>")
_listens("on_one_ipv6_address", "<far6>", "<port>")
_listens("on_two_addresses", ["<far>", "<far6>"], "<port>")
_listens("on_the_same_address_twice", ["<far>", "<far>"], "<port>")
_listens("on_a_tuple_of_addresses", ("<far>",), "<port>")
_listens("on_none", None, "<port>")
_listens("on_the_empty_name", "", "<port>")
_listens("on_none_in_a_list", [None], "<port>")
_listens("on_the_ipv4_wildcard", "0.0.0.0", "<port>")
_listens("on_the_ipv6_wildcard", "::", "<port>")
_listens("on_both_wildcards", ["0.0.0.0", "::"], "<port>")
_listens("on_a_wildcard_and_an_address_of_the_other_family", ["0.0.0.0", "<far6>"], "<port>")
_listens("on_a_wildcard_and_an_address_of_its_family", ["0.0.0.0", "<far>"], "<port>")
_listens("on_a_free_port", "<far>", 0)
_listens("on_a_port_of_none", "<far>", None)
_listens("without_host_and_port")
_listens("with_host_none_and_port_none", None, None)
_listens("with_host_none_and_port_zero", None, 0, family=socket.AF_INET)
_listens("on_a_port_as_text", "<far>", "<text>")
_listens("on_a_port_as_bytes", "<far>", "<bytes>")
_listens("on_a_service_that_is_unknown", "<far>", "no such service")
_listens("on_a_port_as_an_empty_text", "<far>", "")
_listens("on_a_port_too_large", "<far>", 65536)
_listens("on_a_negative_port", "<far>", -1)
_listens("on_a_port_that_is_a_float", "<far>", 80.0)
_listens("on_a_port_that_is_true", "<far>", True)
_listens("on_a_host_that_is_a_number", 7, "<port>")
_listens("on_a_host_of_bytes", b"127.0.0.1", "<port>")
_listens("on_a_name", "far", "<port>")
_listens("on_a_name_and_its_address", ["far", "<far>"], "<port>")
_listens("on_a_name_nobody_knows", "nobody.invalid", "<port>")
_listens("for_ipv4", None, "<port>", family=socket.AF_INET)
_listens("for_ipv6", None, "<port>", family=socket.AF_INET6)
_listens("on_a_name_for_ipv6", "far", "<port>", family=socket.AF_INET6)
_listens("on_an_address_of_the_other_family", "<far>", "<port>", family=socket.AF_INET6)
_listens("with_a_backlog", "<far>", "<port>", backlog=5)
_listens("with_a_backlog_of_text", "<far>", "<port>", backlog="5")
_listens("with_reuse_address", "<far>", "<port>", reuse_address=True)
_listens("without_reuse_address", "<far>", "<port>", reuse_address=False)
_listens("with_reuse_port", "<far>", "<port>", reuse_port=True)
_listens("with_flags", "<far>", "<port>", flags=socket.AI_PASSIVE | socket.AI_NUMERICHOST)
_listens("by_name_with_flags_that_want_a_number", "far.invalid", "<port>", flags=socket.AI_NUMERICHOST)
_listens("with_an_argument_nobody_knows", "<far>", "<port>", colour="red")
_listens("with_a_happy_eyeballs_delay", "<far>", "<port>", happy_eyeballs_delay=1)
_listens("with_ssl_true", "<far>", "<port>", ssl=True)
_listens("with_ssl_of_a_wrong_type", "<far>", "<port>", ssl="context")
_listens("with_a_handshake_timeout_without_ssl", "<far>", "<port>", ssl_handshake_timeout=1)
_listens("with_a_shutdown_timeout_without_ssl", "<far>", "<port>", ssl_shutdown_timeout=1)
_listens("with_a_socket_and_an_address", "<far>", "<port>", sock=7, worlds=(OWN, SIM))
_listens("on_no_address_at_all", [], "<port>", since=(3, 13))  # before, that made a server without a socket


@program()
async def listening_on_an_address_of_nobody(net: Net) -> None:
    try:
        await net.far.create_server(asyncio.Protocol, "203.0.113.1", net.port)
    except OSError:
        net.log.note("far", "OSError")  # which Python 3.13 no longer calls EADDRNOTAVAIL


@program()
async def a_factory_that_cannot_be_called(net: Net) -> None:
    with net.outcome("far", "create_server"):
        await net.far.create_server(7, net.far.address, net.port)


@program()
async def two_servers_on_one_address_and_port(net: Net) -> None:
    await net.far.create_server(asyncio.Protocol, net.far.address, net.port)
    with net.outcome("far", "second"):
        await net.far.create_server(asyncio.Protocol, net.far.address, net.port)
    await _reached(net, net.far.address, net.port)


@program()
async def a_wildcard_server_beside_one_on_an_address(net: Net) -> None:
    await net.far.create_server(asyncio.Protocol, net.far.address, net.port)
    with net.outcome("far", "second"):
        await net.far.create_server(asyncio.Protocol, "0.0.0.0", net.port)
    with net.outcome("far", "third"):
        await net.far.create_server(asyncio.Protocol, "::", net.port)
    await _reached(net, net.far.address6, net.port)


@program()
async def a_server_for_each_family(net: Net) -> None:
    for address in ("0.0.0.0", "::"):
        with net.outcome("far", address):
            await net.far.create_server(asyncio.Protocol, address, net.port)
    await _reached(net, net.far.address, net.port)
    await _reached(net, net.far.address6, net.port)


@program()
async def a_server_that_fails_on_its_second_address_leaves_the_first(net: Net) -> None:
    await net.far.create_server(asyncio.Protocol, net.far.address6, net.port)
    with net.outcome("far", "both"):
        await net.far.create_server(asyncio.Protocol, [net.far.address, net.far.address6], net.port)
    await _reached(net, net.far.address, net.port)


@program()
async def two_servers_that_reuse_the_port(net: Net) -> None:
    for number in range(2):
        with net.outcome("far", f"server {number}"):
            await net.far.create_server(asyncio.Protocol, net.far.address, net.port, reuse_port=True)
    with net.outcome("far", "server without"):
        await net.far.create_server(asyncio.Protocol, net.far.address, net.port)
    await _reached(net, net.far.address, net.port)


@program()
async def a_server_on_the_port_of_one_that_was_closed_with_connections(net: Net) -> None:
    near, far = await net.pair()
    net.far.made[0].close()
    with net.outcome("far", "again"):
        await net.far.create_server(lambda: net.told("far second"), net.far.address, net.port)
    near.transport.write(b"still there")
    await net.log.until("far", "data")
    far.transport.close()
    await net.log.until("near", "lost")
    await _reached(net, net.far.address, net.port)
    await net.log.until("far second", "lost")


@program()
async def a_server_with_a_backlog_of_zero(net: Net) -> None:
    server = await net.far.create_server(lambda: net.told("far"), net.far.address, net.port, backlog=0)
    net.log.note("far", "serving", server.is_serving())
    await _reached(net, net.far.address, net.port)
    await net.rest()


@program()
async def a_server_that_does_not_serve_yet(net: Net) -> None:
    server = await net.far.create_server(lambda: net.told("far"), net.far.address, net.port, start_serving=False)
    net.log.note("far", "serving", server.is_serving(), len(server.sockets))
    net.log.note("far", "name", net.address(server.sockets[0].getsockname()))
    await _reached(net, net.far.address, net.port)
    await server.start_serving()
    await server.start_serving()
    net.log.note("far", "serving", server.is_serving())
    await _reached(net, net.far.address, net.port)
    await net.log.until("far", "lost")


@program()
async def a_server_that_never_served_is_closed(net: Net) -> None:
    server = await net.far.create_server(lambda: net.told("far"), net.far.address, net.port, start_serving=False)
    server.close()
    net.log.note("far", "serving", server.is_serving(), len(server.sockets))
    await server.wait_closed()
    with net.outcome("far", "again"):
        await net.far.create_server(lambda: net.told("far"), net.far.address, net.port)


@program()
async def serve_forever_starts_to_serve_and_closes_when_cancelled(net: Net) -> None:
    server = await net.far.create_server(lambda: net.told("far"), net.far.address, net.port, start_serving=False)
    serving = asyncio.ensure_future(server.serve_forever())
    await net.rest()
    net.log.note("far", "serving", server.is_serving())
    with net.outcome("far", "second serve_forever"):
        await server.serve_forever()
    await _reached(net, net.far.address, net.port)
    await net.log.until("far", "lost")
    serving.cancel()
    await asyncio.wait([serving])
    net.log.note("far", "ended", serving.cancelled(), server.is_serving(), len(server.sockets))
    with net.outcome("far", "serve_forever again"):
        await server.serve_forever()
    await _reached(net, net.far.address, net.port)


@program()
async def closing_a_server_ends_serve_forever(net: Net) -> None:
    server = await net.far.create_server(lambda: net.told("far"), net.far.address, net.port)
    serving = asyncio.ensure_future(server.serve_forever())
    await net.rest()
    server.close()
    await asyncio.wait([serving])
    net.log.note("far", "ended", serving.cancelled())
    server.close()


@program()
async def a_server_as_a_context(net: Net) -> None:
    async with await net.far.create_server(lambda: net.told("far"), net.far.address, net.port) as server:
        net.log.note("far", "serving", server.is_serving(), server.get_loop() is asyncio.get_running_loop())
    net.log.note("far", "serving", server.is_serving(), server.sockets)
    await _reached(net, net.far.address, net.port)


@program(since=(3, 12))  # before, wait_closed() of a closed server returned at once
async def wait_closed_and_the_connections_of_a_server(net: Net) -> None:
    near, _ = await net.pair()
    server = net.far.made[0]
    early = asyncio.ensure_future(server.wait_closed())
    await net.rest()
    net.log.note("far", "before close", early.done())
    server.close()
    late = asyncio.ensure_future(server.wait_closed())
    await net.rest()
    net.log.note("far", "after close", early.done(), late.done())
    near.transport.write(b"goes on")
    await net.log.until("far", "data")
    near.transport.close()
    await asyncio.wait([early, late])
    net.log.note("far", "waited")


async def _ended_by(net: Net, call: str) -> None:
    near, _ = await net.pair(near=net.told("near", keep_open=False))
    server = net.far.made[0]
    server.close()
    getattr(server, call)()
    net.log.note("far", "called")
    await server.wait_closed()
    await net.log.until("near", "lost")
    near.transport.close()


@program(since=(3, 13))
async def close_clients(net: Net) -> None:
    await _ended_by(net, "close_clients")


@program(since=(3, 13))
async def abort_clients(net: Net) -> None:
    await _ended_by(net, "abort_clients")


@program()
async def a_connection_that_nobody_accepted_before_the_server_closed(net: Net) -> None:
    server = await net.far.create_server(lambda: net.told("far"), net.far.address, net.port, start_serving=False)
    await server.start_serving()
    server.close()
    await _reached(net, net.far.address, net.port)


@program()
async def the_face_of_a_listening_socket(net: Net) -> None:
    server = await net.far.create_server(asyncio.Protocol, net.far.address, net.port)
    (face,) = server.sockets
    net.log.note("far", "names", net.address(face.getsockname()), face.family, face.type, face.proto)
    net.log.note("far", "accepts", face.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    with net.outcome("far", "getpeername"):
        face.getpeername()
    net.log.note("far", "fileno", face.fileno() >= 0)
    server.close()
    net.log.note("far", "fileno", face.fileno() >= 0)


@program()
async def start_server_refuses_what_it_does_not_know(net: Net) -> None:
    with net.outcome("far", "start_server"):
        await net.far.start_server(lambda reader, writer: None, net.far.address, net.port, colour="red")


@program()
async def a_handler_that_cannot_be_called(net: Net) -> None:
    with net.outcome("far", "start_server"):
        await net.far.start_server(7, net.far.address, net.port)


@program()
async def a_plain_function_serves_streams(net: Net) -> None:
    def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.close()

    await net.far.start_server(serve, net.far.address, net.port)
    reader, _ = await net.near.open_connection(net.far.address, net.port)
    net.log.note("near", "read", await reader.read())


@program()
async def a_handler_of_streams_fails(net: Net) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise LookupError("a handler's own fault")

    await net.far.start_server(serve, net.far.address, net.port)
    reader, _ = await net.near.open_connection(net.far.address, net.port)
    with net.outcome("near", "read"):
        net.log.note("near", "got", await reader.read())
    await net.log.until("loop", "reported")


@program(worlds=PLAIN)
async def a_server_on_a_given_socket(net: Net) -> None:
    with socket.socket() as given:
        given.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with net.outcome("near", "bind and serve"):
            given.bind(("127.0.0.1", 0))
            server = await net.near.create_server(lambda: net.told("near served"), sock=given)
            address = server.sockets[0].getsockname()
            _, writer = await net.near.open_connection(*address)
            writer.close()
            await net.log.until("near served", "lost")
            server.close()


@program(worlds=NOT_SIM)
async def a_server_on_a_socket_of_another_kind(net: Net) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as given, net.outcome("near", "create_server"):
        await net.near.create_server(asyncio.Protocol, sock=given)
