"""create_connection and open_connection: what they take, which addresses they try, how they fail and are cancelled."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from tests.unit.aio.promises.log import describe
from tests.unit.aio.promises.net import HOSTS, PLAIN, WORLDS, Net, program

SILENT = ("203.0.113.1",)


async def _connect(net: Net, what: str, *arguments: Any, **options: Any) -> None:
    """Connect with these arguments, and note to whom and from where."""
    with net.outcome("near", what):
        transport, _ = await net.near.create_connection(asyncio.Protocol, *arguments, **options)
        net.log.note("near", "to", net.address(transport.get_extra_info("peername")))
        transport.close()


def _connects(name: str, *arguments: Any, worlds: tuple[str, ...] = WORLDS, **options: Any) -> None:
    """Register a program that connects with these arguments to a server on all addresses of the far end."""

    async def connects(net: Net) -> None:
        known = {
            "<far>": net.far.address,
            "<far6>": net.far.address6,
            "<near>": net.near.address,
            "<near6>": net.near.address6,
            "<port>": net.port,
            "<next>": net.port + 1,
            "<text>": str(net.port),
        }

        def fill(value: Any) -> Any:
            if isinstance(value, (list, tuple)):
                return type(value)(fill(one) for one in value)
            return known.get(value, value) if isinstance(value, str) else value

        await net.far.create_server(asyncio.Protocol, None, net.port)
        given = {key: fill(value) for key, value in options.items()}
        await _connect(net, "create_connection", *map(fill, arguments), **given)

    connects.__name__ = f"connecting_{name}"
    program(worlds=worlds)(connects)


_connects("to_an_address", "<far>", "<port>")
_connects("to_an_ipv6_address", "<far6>", "<port>")
_connects("to_a_name", "far", "<port>")
_connects("to_a_name_for_ipv6", "far", "<port>", family=socket.AF_INET6)
_connects("to_a_name_for_ipv4", "far", "<port>", family=socket.AF_INET)
_connects("to_an_address_of_the_other_family", "<far>", "<port>", family=socket.AF_INET6)
_connects("to_a_name_nobody_knows", "nobody.invalid", "<port>")
_connects("to_a_port_as_text", "<far>", "<text>")
_connects("to_a_name_and_a_port_as_text", "far", "<text>")
_connects("to_a_service_that_is_unknown", "<far>", "no such service")
_connects("to_a_port_of_none", "<far>", None)
_connects("to_port_zero", "<far>", 0)
_connects("to_a_port_too_large", "<far>", 65536)
_connects("to_a_negative_port", "<far>", -1)
_connects("to_a_port_that_is_a_float", "<far>", 80.0)
_connects("to_host_and_port_of_none", None, None)
_connects("without_host_and_port")
_connects("to_a_host_that_is_a_number", 7, "<port>")
_connects("where_nobody_listens", "<far>", "<next>")
_connects("to_a_name_where_nobody_listens", "far", "<next>")
_connects("with_an_argument_nobody_knows", "<far>", "<port>", colour="red")
_connects("with_a_backlog", "<far>", "<port>", backlog=5)
_connects("with_a_server_hostname_without_ssl", "<far>", "<port>", server_hostname="far")
_connects("with_ssl_of_a_wrong_type", "<far>", "<port>", ssl="context")
_connects("with_a_handshake_timeout_without_ssl", "<far>", "<port>", ssl_handshake_timeout=1)
_connects("with_a_shutdown_timeout_without_ssl", "<far>", "<port>", ssl_shutdown_timeout=1)
_connects("with_a_protocol_number", "<far>", "<port>", proto=socket.IPPROTO_TCP)
_connects("with_flags", "<far>", "<port>", flags=socket.AI_NUMERICHOST)
_connects("by_name_with_flags_that_want_a_number", "far.invalid", "<port>", flags=socket.AI_NUMERICHOST)
_connects("with_happy_eyeballs", "far", "<port>", happy_eyeballs_delay=0.25)
_connects("with_happy_eyeballs_to_an_address", "<far>", "<port>", happy_eyeballs_delay=0.25)
_connects("with_interleave", "far", "<port>", interleave=2)
_connects("with_a_socket_and_an_address", "<far>", "<port>", sock=7, worlds=PLAIN)


async def _from_where(net: Net, what: str, address: str, local: Any) -> None:
    with net.outcome("near", what):
        transport, _ = await net.near.create_connection(asyncio.Protocol, address, net.port, local_addr=local)
        net.log.note("near", "from", net.address(transport.get_extra_info("sockname")))
        transport.close()


def _leaves_from(name: str, target: str, local: Any) -> None:
    """Register a program that connects from `local`."""

    async def leaves(net: Net) -> None:
        known = {"<near>": net.near.address, "<near6>": net.near.address6, "<free>": net.port + 50, "<text>": "0"}
        filled = tuple(known.get(one, one) for one in local) if isinstance(local, (tuple, list)) else local
        await net.far.create_server(asyncio.Protocol, None, net.port)
        await _from_where(net, "create_connection", net.far.address6 if target == "6" else net.far.address, filled)

    leaves.__name__ = f"connecting_from_{name}"
    program()(leaves)


_leaves_from("an_address", "4", ("<near>", 0))
_leaves_from("an_ipv6_address", "6", ("<near6>", 0))
_leaves_from("an_address_and_a_port", "4", ("<near>", "<free>"))
_leaves_from("a_name", "4", ("near", 0))
_leaves_from("a_port_as_text", "4", ("<near>", "<text>"))
_leaves_from("an_address_of_the_other_family", "4", ("<near6>", 0))
_leaves_from("an_address_of_nobody", "4", ("203.0.113.1", 0))
_leaves_from("a_name_nobody_knows", "4", ("nobody.invalid", 0))
_leaves_from("a_text", "4", "address")
_leaves_from("a_port_too_large", "4", ("<near>", 65536))
_leaves_from("an_address_without_a_port", "4", ("<near>",))


@program()
async def connecting_from_a_wildcard(net: Net) -> None:
    await net.far.create_server(asyncio.Protocol, None, net.port)
    for local in (("0.0.0.0", 0), ("0.0.0.0", net.port + 50), (None, 0), (None, net.port + 51)):
        with net.outcome("near", f"from {local[0]} {'a port' if local[1] else 'any port'}"):
            transport, _ = await net.near.create_connection(
                asyncio.Protocol, net.far.address, net.port, local_addr=local
            )
            name = transport.get_extra_info("sockname")
            net.log.note("near", "port", net.address((net.near.address, name[1])), name[0] != "0.0.0.0")
            transport.close()


@program()
async def connecting_from_the_ipv6_wildcard(net: Net) -> None:
    await net.far.create_server(asyncio.Protocol, None, net.port)
    for address in (net.far.address6, net.far.address):
        with net.outcome("near", f"to {'IPv6' if ':' in address else 'IPv4'}"):
            transport, _ = await net.near.create_connection(asyncio.Protocol, address, net.port, local_addr=("::", 0))
            net.log.note("near", "from", transport.get_extra_info("sockname")[0] != "::")
            transport.close()


@program()
async def connecting_from_a_port_that_is_taken(net: Net) -> None:
    await net.far.create_server(asyncio.Protocol, None, net.port)
    await net.near.create_server(asyncio.Protocol, net.near.address, net.port + 50)
    await _from_where(net, "create_connection", net.far.address, (net.near.address, net.port + 50))


@program()
async def two_connections_from_one_port_to_one_address(net: Net) -> None:
    await net.far.create_server(asyncio.Protocol, net.far.address, net.port)
    for number in range(2):
        with net.outcome("near", f"connection {number}"):
            await net.near.create_connection(
                asyncio.Protocol, net.far.address, net.port, local_addr=(net.near.address, net.port + 50)
            )


@program()
async def two_connections_from_one_port_to_two_ports(net: Net) -> None:
    for number in range(2):
        await net.far.create_server(asyncio.Protocol, net.far.address, net.port + number)
    for number in range(2):
        with net.outcome("near", f"connection {number}"):
            await net.near.create_connection(
                asyncio.Protocol, net.far.address, net.port + number, local_addr=(net.near.address, net.port + 50)
            )


@program()
async def the_second_address_of_a_name_answers(net: Net) -> None:
    await net.far.create_server(asyncio.Protocol, net.far.address6, net.port)
    await _connect(net, "in turn", "far", net.port)
    await _connect(net, "with happy eyeballs", "far", net.port, happy_eyeballs_delay=0.25)
    await _connect(net, "interleaved", "far", net.port, interleave=1)


@program(since=(3, 12))
async def all_errors_are_told(net: Net) -> None:
    for options in ({}, {"happy_eyeballs_delay": 0.25}):
        try:
            await net.near.create_connection(asyncio.Protocol, "far", net.port, all_errors=True, **options)
        except BaseExceptionGroup as group:
            net.log.note("near", "errors", [describe(error) for error in group.exceptions])
        with net.outcome("near", "one address"):
            await net.near.create_connection(asyncio.Protocol, net.far.address, net.port, all_errors=True, **options)


@program()
async def the_error_of_a_name_whose_addresses_fail_alike(net: Net) -> None:
    try:
        await net.near.create_connection(asyncio.Protocol, "far", net.port)
    except OSError as error:
        net.log.note("near", "error", error, str(error).startswith("Multiple exceptions: "))


@program()
async def a_stream_from_two_addresses(net: Net) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.close()

    await net.far.start_server(serve, net.far.address6, net.port)
    with net.outcome("near", "open_connection"):
        reader, writer = await net.near.open_connection("far", net.port)
        net.log.note("near", "read", await reader.read(), net.address(writer.get_extra_info("peername")))


@program()
async def open_connection_refuses_what_it_does_not_know(net: Net) -> None:
    await net.far.create_server(asyncio.Protocol, net.far.address, net.port)
    with net.outcome("near", "open_connection"):
        await net.near.open_connection(net.far.address, net.port, colour="red")
    with net.outcome("near", "limit"):
        await net.near.open_connection(net.far.address, net.port, limit=0)


@program()
async def what_a_connection_tells_of_itself(net: Net) -> None:
    near, far = await net.pair()
    for told, other in ((near, far), (far, near)):
        transport = told.transport
        same = transport.get_extra_info("peername") == other.transport.get_extra_info("sockname")
        net.log.note(told.name, "same", same)
        for name in ("socket", "sockname", "ssl_object", "cipher", "sslcontext", "compression", "peercert", "nothing"):
            net.log.note(told.name, name, transport.get_extra_info(name) is not None)
        net.log.note(told.name, "default", transport.get_extra_info("nothing", 7))
    near.transport.close()
    await net.log.until("near", "lost")
    await net.log.until("far", "lost")
    net.log.note("near", "peer", net.address(near.transport.get_extra_info("peername")))
    net.log.note("near", "fileno", near.transport.get_extra_info("socket").fileno())


@program()
async def an_ipv6_connection_has_names_of_four_fields(net: Net) -> None:
    await net.far.create_server(lambda: net.told("far"), net.far.address6, net.port)
    transport, _ = await net.near.create_connection(lambda: net.told("near"), net.far.address6, net.port)
    net.log.note("near", "peer", net.address(transport.get_extra_info("peername")))
    await net.log.until("far", "made")


@program()
async def a_connect_is_cancelled_at_once(net: Net) -> None:
    await net.far.create_server(lambda: net.told("far", keep_open=False), net.far.address, net.port)
    connecting = asyncio.ensure_future(net.near.create_connection(lambda: net.told("near"), net.far.address, net.port))
    connecting.cancel()
    await asyncio.wait([connecting])
    net.log.note("near", "cancelled", connecting.cancelled())


@program()
async def a_connect_times_out(net: Net) -> None:
    server = await net.far.create_server(asyncio.Protocol, net.far.address, net.port)
    server.close()
    with net.outcome("near", "refused"):
        async with asyncio.timeout(60):
            await net.near.create_connection(lambda: net.told("near"), net.far.address, net.port)


# Only where there are sockets of the kernel: a library makes one, connects it and hands it over.


async def _connected_socket(net: Net) -> socket.socket:
    given = socket.socket()
    given.setblocking(False)
    await asyncio.get_running_loop().sock_connect(given, (net.far.address, net.port))
    return given


@program(worlds=PLAIN)
async def a_connected_socket_is_handed_over(net: Net) -> None:
    await net.far.create_server(lambda: net.told("far"), net.far.address, net.port)
    given = await _connected_socket(net)
    transport, _ = await net.near.create_connection(lambda: net.told("near"), sock=given)
    net.log.note("near", "peer", net.address(transport.get_extra_info("peername")))
    transport.write(b"hello")
    transport.close()
    await net.log.until("far", "lost")


@program(worlds=PLAIN)
async def a_connected_socket_is_refused_with_an_address(net: Net) -> None:
    await net.far.create_server(lambda: net.told("far"), net.far.address, net.port)
    given = await _connected_socket(net)
    with net.outcome("near", "create_connection"):
        await net.near.create_connection(lambda: net.told("near"), net.far.address, net.port, sock=given)
    with net.outcome("near", "ssl"):
        await net.near.create_connection(lambda: net.told("near"), sock=given, ssl=True)
    given.close()


@program(worlds=PLAIN)
async def options_of_a_socket_stay_when_it_is_handed_over(net: Net) -> None:
    await net.far.create_server(lambda: net.told("far"), net.far.address, net.port)
    options = [
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 33),
        (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 7),
        (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4),
        (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 12345),
        (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    ]
    given = socket.socket()
    given.setblocking(False)
    for option in options:
        given.setsockopt(*option)
    await asyncio.get_running_loop().sock_connect(given, (net.far.address, net.port))
    transport, _ = await net.near.create_connection(lambda: net.told("near"), sock=given)
    face = transport.get_extra_info("socket")
    net.log.note("near", "options", [face.getsockopt(level, name) for level, name, _ in options])


@program(worlds=PLAIN)
async def so_linger_of_a_socket_stays_when_it_is_handed_over(net: Net) -> None:
    await net.far.create_server(lambda: net.told("far"), net.far.address, net.port)
    given = socket.socket()
    given.setblocking(False)
    given.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    await asyncio.get_running_loop().sock_connect(given, (net.far.address, net.port))
    transport, _ = await net.near.create_connection(lambda: net.told("near"), sock=given)
    await net.log.until("far", "made")
    transport.close()
    await net.log.until("far", "lost")


@program(worlds=PLAIN)
async def the_port_of_a_bound_socket_is_kept(net: Net) -> None:
    await net.far.create_server(lambda: net.told("far"), net.far.address, net.port)
    given = socket.socket()
    given.setblocking(False)
    given.bind(("0.0.0.0", 0))
    port = given.getsockname()[1]
    await asyncio.get_running_loop().sock_connect(given, (net.far.address, net.port))
    net.log.note("near", "kept", given.getsockname()[1] == port)
    transport, _ = await net.near.create_connection(lambda: net.told("near"), sock=given)
    net.log.note("near", "kept", transport.get_extra_info("sockname")[1] == port, given.fileno() > 2)
    transport.close()
    await net.log.until("near", "lost")
    net.log.note("near", "fileno", given.fileno())


@program(worlds=PLAIN)
async def sock_calls_on_a_connected_socket(net: Net) -> None:
    _, far = await _served(net)
    loop = asyncio.get_running_loop()
    given = await _connected_socket(net)
    await net.log.until("far", "made")
    with net.outcome("near", "sock_sendall"):
        await loop.sock_sendall(given, b"question")
        await net.log.until("far", "data")
        far[0].transport.write(b"answer")
        net.log.note("near", "received", await loop.sock_recv(given, 100))
        far[0].transport.close()
        net.log.note("near", "received", await loop.sock_recv(given, 100))
    given.close()


async def _served(net: Net) -> tuple[Any, list[Any]]:
    """A server whose protocols are collected."""
    made: list[Any] = []

    def make() -> Any:
        made.append(net.told("far"))
        return made[-1]

    return await net.far.create_server(make, net.far.address, net.port), made


@program(worlds=PLAIN)
async def closing_a_connected_socket_ends_the_connection(net: Net) -> None:
    await net.far.create_server(lambda: net.told("far"), net.far.address, net.port)
    given = await _connected_socket(net)
    await net.log.until("far", "made")
    given.close()
    await net.rest()
    net.log.note("far", "was told", net.log.has("far", "lost"))


@program(worlds=PLAIN)
async def sock_connect_fails(net: Net) -> None:
    loop = asyncio.get_running_loop()
    with socket.socket() as given:
        given.setblocking(False)
        with net.outcome("near", "refused"):
            await loop.sock_connect(given, (net.far.address, net.port))


@program(worlds=PLAIN)
async def sock_connect_refuses_a_blocking_socket_in_debug_mode(net: Net) -> None:
    loop = asyncio.get_running_loop()
    await net.far.create_server(lambda: net.told("far"), net.far.address, net.port)
    loop.set_debug(True)
    try:
        with socket.socket() as given, net.outcome("near", "sock_connect"):
            await loop.sock_connect(given, (net.far.address, net.port))
    finally:
        loop.set_debug(False)


@program(worlds=(HOSTS,))
async def a_host_reaches_by_name(net: Net) -> None:
    await net.far.create_server(lambda: net.told("far"), net.far.address6, net.port)
    with net.outcome("near", "open_connection"):
        await net.near.open_connection("far", net.port)
