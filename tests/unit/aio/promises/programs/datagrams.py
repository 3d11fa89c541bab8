"""UDP endpoints: what they take, and what their protocols are told."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from tests.unit.aio.promises.net import Datagrams, End, Net, program


async def _endpoint(net: Net, end: End, name: str, **options: Any) -> Datagrams:
    protocol = Datagrams(net, name)
    await end.create_datagram_endpoint(lambda: protocol, **options)
    return protocol


@program()
async def datagrams_go_both_ways(net: Net) -> None:
    far = await _endpoint(net, net.far, "far", local_addr=(net.far.address, net.port))
    ends = {"local_addr": (net.near.address, 0), "remote_addr": (net.far.address, net.port)}
    near = await _endpoint(net, net.near, "near", **ends)
    near.transport.sendto(b"question")
    await net.log.until("far", "datagram")
    far.transport.sendto(b"answer", near.transport.get_extra_info("sockname"))
    await net.log.until("near", "datagram")
    near.transport.close()
    near.transport.close()
    net.log.note("near", "closing", near.transport.is_closing())
    await net.log.until("near", "lost")


@program()
async def a_datagram_closed_tells_by_call_soon(net: Net) -> None:
    near = await _endpoint(net, net.near, "near", local_addr=(net.near.address, net.port))
    near.transport.close()
    net.log.note("near", "call returned")
    await net.log.until("near", "lost")


@program(since=(3, 13))  # before, asyncio sends none
async def a_datagram_may_be_empty(net: Net) -> None:
    await _endpoint(net, net.far, "far", local_addr=(net.far.address, net.port))
    near = await _endpoint(net, net.near, "near", local_addr=(net.near.address, 0))
    near.transport.sendto(b"", (net.far.address, net.port))
    await net.rest()


@program()
async def a_connected_datagram_is_refused(net: Net) -> None:
    near = await _endpoint(net, net.near, "near", remote_addr=(net.far.address, net.port))
    near.transport.sendto(b"to nobody")
    await net.rest()
    near.transport.sendto(b"to nobody")
    await net.rest()
    net.log.note("near", "closing", near.transport.is_closing())


@program()
async def an_unconnected_datagram_is_not_told(net: Net) -> None:
    near = await _endpoint(net, net.near, "near", local_addr=(net.near.address, net.port))
    near.transport.sendto(b"to nobody", (net.far.address, net.port))
    await net.rest()
    net.log.note("near", "closing", near.transport.is_closing())


def _opens(name: str, **options: Any) -> None:
    """Register a program that opens an endpoint with these arguments."""

    async def opens(net: Net) -> None:
        known = {"<near>": net.near.address, "<near6>": net.near.address6, "<far>": net.far.address}
        known |= {"<far6>": net.far.address6}
        ports = {"<port>": net.port, "<text>": str(net.port)}

        def fill(value: Any) -> Any:
            if isinstance(value, tuple):
                return tuple(fill(one) for one in value)
            return (known | ports).get(value, value) if isinstance(value, str) else value

        with net.outcome("near", "create_datagram_endpoint"):
            given = {key: fill(value) for key, value in options.items()}
            transport, _ = await net.near.create_datagram_endpoint(asyncio.DatagramProtocol, **given)
            name = transport.get_extra_info("sockname")
            net.log.note("near", "from", net.address((name[0] if "local_addr" in options else "", *name[1:])))
            peer = transport.get_extra_info("peername")
            net.log.note("near", "to", peer and net.address(peer))

    opens.__name__ = f"datagrams_{name}"
    program()(opens)


_opens("from_an_address", local_addr=("<near>", "<port>"))
_opens("from_an_ipv6_address", local_addr=("<near6>", "<port>"))
_opens("from_a_free_port", local_addr=("<near>", 0))
_opens("from_the_wildcard", local_addr=("0.0.0.0", "<port>"))
_opens("from_the_ipv6_wildcard", local_addr=("::", "<port>"))
_opens("from_no_address", local_addr=(None, "<port>"))
_opens("from_a_port_as_text", local_addr=("<near>", "<text>"))
_opens("from_a_name", local_addr=("near", "<port>"))
_opens("from_an_address_of_nobody", local_addr=("203.0.113.1", "<port>"))
_opens("from_a_text", local_addr="text")
_opens("to_an_address", remote_addr=("<far>", "<port>"))
_opens("to_a_name", remote_addr=("far", "<port>"))
_opens("to_a_port_as_text", remote_addr=("<far>", "<text>"))
_opens("to_a_name_nobody_knows", remote_addr=("nobody.invalid", "<port>"))
_opens("to_both", local_addr=("<near>", 0), remote_addr=("<far>", "<port>"))
_opens("to_both_of_different_families", local_addr=("<near6>", 0), remote_addr=("<far>", "<port>"))
_opens("to_nowhere")
_opens("for_ipv4", family=socket.AF_INET)
_opens("for_ipv6_to_a_name", family=socket.AF_INET6, remote_addr=("far", "<port>"))
_opens("with_reuse_port", local_addr=("<near>", "<port>"), reuse_port=True)
_opens("with_broadcast", local_addr=("<near>", "<port>"), allow_broadcast=True)
_opens("with_reuse_address", local_addr=("<near>", "<port>"), reuse_address=True)
_opens("with_an_argument_nobody_knows", local_addr=("<near>", "<port>"), colour="red")


@program()
async def two_endpoints_on_one_port(net: Net) -> None:
    await _endpoint(net, net.near, "near", local_addr=(net.near.address, net.port))
    with net.outcome("near", "second"):
        await _endpoint(net, net.near, "near second", local_addr=(net.near.address, net.port))


@program()
async def what_can_be_sent_in_a_datagram(net: Net) -> None:
    await _endpoint(net, net.far, "far", local_addr=(net.far.address, net.port))
    near = await _endpoint(net, net.near, "near", local_addr=(net.near.address, 0))
    words: list[Any] = [b"bytes", bytearray(b"bytearray"), memoryview(b"memoryview"), "text", 7, None]
    for data in words:
        with net.outcome("near", f"sendto {type(data).__name__}"):
            near.transport.sendto(data, (net.far.address, net.port))
        await net.rest()


@program()
async def a_datagram_to_what_is_no_address(net: Net) -> None:
    near = await _endpoint(net, net.near, "near", local_addr=(net.near.address, 0))
    targets: list[Any] = [(net.far.address, 0), (net.far.address,), "text", (net.far.address, 65536), None]
    for address in targets:
        with net.outcome("near", "sendto"):
            near.transport.sendto(b"x", address)
        await net.rest()


@program()
async def a_connected_datagram_goes_to_its_peer_only(net: Net) -> None:
    await _endpoint(net, net.far, "far", local_addr=(net.far.address, net.port))
    ends = {"local_addr": (net.near.address, 0), "remote_addr": (net.far.address, net.port)}
    near = await _endpoint(net, net.near, "near", **ends)
    for address in ((net.near.address, net.port), (net.far.address, net.port), None):
        with net.outcome("near", "sendto"):
            near.transport.sendto(b"x", address)
        await net.rest()


@program()
async def the_face_of_an_endpoint(net: Net) -> None:
    near = await _endpoint(net, net.near, "near", local_addr=(net.near.address, net.port))
    transport: Any = near.transport
    net.log.note("near", "socket", transport.get_extra_info("socket") is not None)
    net.log.note("near", "is a Transport", isinstance(transport, asyncio.Transport))
    net.log.note("near", "buffer", transport.get_write_buffer_size(), transport.get_write_buffer_limits())


@program()
async def a_wildcard_endpoint_hears_and_answers_on_all_addresses(net: Net) -> None:
    far = await _endpoint(net, net.far, "far", local_addr=("::", net.port))
    for address in (net.far.address, net.far.address6):
        ours = net.near.address6 if ":" in address else net.near.address
        near = Datagrams(net, "near", tells_from=False)  # on loopback the kernel answers from where it was asked
        await net.near.create_datagram_endpoint(lambda: near, local_addr=(ours, 0))  # noqa: B023
        near.transport.sendto(b"hello", (address, net.port))
        await net.rest()
        name = near.transport.get_extra_info("sockname")
        with net.outcome("far", "answer"):
            far.transport.sendto(b"answer", name if ":" in address else (f"::ffff:{name[0]}", name[1]))
        await net.rest()


@program()
async def datagram_received_fails(net: Net) -> None:
    class Failing(Datagrams):
        def datagram_received(self, data: bytes, addr: Any) -> None:
            raise LookupError("a callback's own fault")

    await net.far.create_datagram_endpoint(lambda: Failing(net, "far"), local_addr=(net.far.address, net.port))
    near = await _endpoint(net, net.near, "near", remote_addr=(net.far.address, net.port))
    near.transport.sendto(b"x")
    await net.rest()
