"""Reaching the outside: what a dial function is, and what its failure means to who is inside.

A dial function has the signature of `loop.create_connection`: so the loop's own, which is the kernel's sockets, and
that of another Host are dial functions as they are.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable
from typing import Any, Final

from synfin.stack.admission import DROP, REFUSE, unreachable

ProtocolFactory = Callable[[], asyncio.BaseProtocol]
Connected = tuple[asyncio.BaseTransport, asyncio.BaseProtocol]
Dial = Callable[[ProtocolFactory, str, int], Awaitable[Any]]
"""dial(protocol_factory, address, port) -> (transport, protocol)"""
DialDatagrams = Callable[..., Awaitable[Any]]
"""dial_datagrams(protocol_factory, remote_addr=(address, port)) -> (transport, protocol)"""

SO_MARK: Final = 36  # Linux
REFUSED: Final = (errno.ECONNREFUSED, errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED)
TIMED_OUT: Final = (errno.ETIMEDOUT,)
SHORT: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EAGAIN)
PROHIBITED: Final = (errno.EACCES, errno.EPERM)
NO_HOST: Final = (errno.EHOSTUNREACH, errno.EHOSTDOWN)
# Without a route of the family, or with IPv6 switched off, the kernel has one of these.
NO_NETWORK: Final = (
    errno.ENETUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EINVAL, errno.ENODEV,
)  # fmt: skip


async def by_kernel(factory: ProtocolFactory, address: str, port: int) -> Connected:
    """A connection by the running loop: of the kernel, or in a simulation of the host that the program runs on."""
    return await asyncio.get_running_loop().create_connection(factory, address, port)


async def datagrams_by_kernel(factory: Callable[[], asyncio.DatagramProtocol], remote_addr: tuple[str, int]) -> Any:
    """The same for UDP."""
    return await asyncio.get_running_loop().create_datagram_endpoint(factory, remote_addr=remote_addr)


def marked(one: socket.socket, mark: int) -> socket.socket:
    """The same, its packets told by `mark` from those of others (SO_MARK; CAP_NET_ADMIN). 0: as they are."""
    if mark:
        one.setsockopt(socket.SOL_SOCKET, SO_MARK, mark)
    return one


async def marked_datagrams(
    mark: int, factory: Callable[[], asyncio.DatagramProtocol], remote_addr: tuple[str, int]
) -> Any:
    """datagrams_by_kernel, of sockets with this mark."""
    address, port = remote_addr
    one = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        one.setblocking(False)
        marked(one, mark).connect((address, port))
        return await asyncio.get_running_loop().create_datagram_endpoint(factory, sock=one)
    except BaseException:
        one.close()
        raise


def meaning(error: BaseException) -> tuple[int, str]:
    """The verdict on who asked for what failed so, and the outcome in a word."""
    code = error.errno if isinstance(error, OSError) else None
    if code in REFUSED:
        return REFUSE, "refused"
    if code in TIMED_OUT or isinstance(error, TimeoutError):
        return DROP, "timeout"  # silence, as the outside gave it: who is inside finds it out as late as anybody
    if code in PROHIBITED:
        return unreachable(errno.EACCES), "unreachable"
    if code in NO_HOST:
        return unreachable(errno.EHOSTUNREACH), "unreachable"
    if code in NO_NETWORK:
        return unreachable(errno.ENETUNREACH), "unreachable"
    return DROP, "dropped"


def is_short(error: BaseException) -> bool:
    """This machine has too little of something; another attempt may find it."""
    return isinstance(error, OSError) and error.errno in SHORT


def unreachable_code(error: BaseException) -> int:
    """The errno that ICMP can tell of a failed datagram; 0: none."""
    code = error.errno if isinstance(error, OSError) else None
    if code in REFUSED:
        return errno.ECONNREFUSED
    verdict, outcome = meaning(error)
    return verdict - unreachable(errno.EACCES) + errno.EACCES if outcome == "unreachable" else 0
