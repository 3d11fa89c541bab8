"""A loop's calls on sockets, sock_connect and its kin, carried out by a Host where its networks are meant.

A mixin before a loop class. A kernel socket whose connection or port is the Host's has something of the Host's behind
it from then on (`stand_in`); every other one goes on to that class.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl as ssl_module
from asyncio.exceptions import SendfileNotAvailableError
from typing import Any, Final

from synfin.aio import connecting, given, listening
from synfin.aio.held import Held, HeldConnection, HeldListener, HeldServer, HeldTransport
from synfin.aio.host import Host
from synfin.aio.names import Where
from synfin.aio.stand_in import behind, release, stand_in
from synfin.aio.tls import TlsTerms, client_terms, server_terms
from synfin.stack.addresses import is_any, packed

BACKLOG: Final = 128  # of a socket that listens already; it does not tell


class SocketCalls(asyncio.BaseEventLoop):
    """What decides is a subclass's: which destinations and local addresses are the Host's, and which Host it is."""

    def reach(self, what: str) -> Host:
        """The Host that serves this call."""
        raise NotImplementedError

    def _is_ours(self, host: object) -> bool:
        """A destination that the Host reaches, as an address."""
        raise NotImplementedError

    def _listens_on_host(self, host: object) -> bool:
        """A local address, or wildcard, that is the Host's to listen on."""
        raise NotImplementedError

    # ---- connections ----

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        """As asyncio's; towards the Host's networks it is the Host that connects, with the socket's options and port.

        A socket that is bound to an address of the kernel's stays the kernel's.
        """
        self._check(sock)
        if behind(sock) is not None:
            raise OSError(errno.EISCONN, os.strerror(errno.EISCONN))
        if not given.is_tcp(sock):
            return await super().sock_connect(sock, address)
        asked = {"family": sock.family, "type": sock.type, "proto": sock.proto}
        found = await self._ensure_resolved(address, loop=self, **asked)  # type: ignore[attr-defined]
        address = found[0][4]
        near = given.place(sock)
        if not self._is_ours(address[0]) or not (is_any(near.address) or self._listens_on_host(sock.getsockname()[0])):
            return await super().sock_connect(sock, address)
        engine = self.reach("sock_connect").engine
        where = Where(packed(address[0]), address[1])
        held = await connecting.connect_held(engine, where, near, lambda face: given.hand_on_options(sock, face))
        stand_in(sock, held)
        return None

    async def _connect_given(self, protocol_factory: Any, sock: socket.socket, options: dict[str, Any]) -> Any:
        """create_connection() with a socket that has something behind it."""
        if options.get("ssl") and options.get("server_hostname") is None:
            raise ValueError("You must set server_hostname when using ssl without a host")
        names = ("ssl", "server_hostname", "ssl_handshake_timeout", "ssl_shutdown_timeout")
        return await self._adopt(protocol_factory, sock, client_terms(*(options.get(name) for name in names)))

    async def connect_accepted_socket(self, protocol_factory: Any, sock: socket.socket, **options: Any) -> Any:
        """As asyncio's; what this loop's `sock_accept` gave may be the Host's."""
        if behind(sock) is None:
            return await super().connect_accepted_socket(protocol_factory, sock, **options)
        names = ("ssl", "ssl_handshake_timeout", "ssl_shutdown_timeout")
        return await self._adopt(protocol_factory, sock, server_terms(*(options.get(name) for name in names)))

    async def _adopt(self, protocol_factory: Any, sock: socket.socket, terms: TlsTerms | None) -> Any:
        held = behind(sock)
        if not isinstance(held, HeldConnection):
            assert held is not None
            raise RuntimeError(f"{sock!r} is in use: {held.face!r}")
        face = held.face

        def taken(transport: asyncio.Transport) -> None:
            stand_in(sock, HeldTransport(face, transport))

        return await connecting.adopt_held(held.engine, held, protocol_factory, terms, lambda _: release(sock), taken)

    # ---- listening ----

    async def sock_accept(self, sock: socket.socket) -> tuple[socket.socket, Any]:
        """As asyncio's; a socket that listens on a wildcard, or on an address of the Host's, does so on the Host.

        Raises OSError where the Host can't take its place: EADDRINUSE, EADDRNOTAVAIL.
        """
        self._check(sock)
        held = behind(sock)
        if held is None and given.is_tcp(sock) and self._hears_on_host(sock):
            if not given.is_listening(sock):
                raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
            engine = self.reach("sock_accept").engine
            held = HeldListener(engine, *listening.take_over(engine, sock, BACKLOG))
            stand_in(sock, held)
        if held is None:
            return await super().sock_accept(sock)
        while True:
            try:
                accepted, peer = sock.accept()
            except BlockingIOError:
                await held.readable()
            else:
                accepted.setblocking(False)
                return accepted, peer

    def _hears_on_host(self, sock: socket.socket) -> bool:
        return self._listens_on_host(sock.getsockname()[0])

    async def _serve_given(self, protocol_factory: Any, sock: socket.socket, options: dict[str, Any]) -> Any:
        """create_server() with a socket that is the Host's to listen on."""
        _refuse_tls(sock)
        names = ("ssl", "ssl_handshake_timeout", "ssl_shutdown_timeout")
        terms = server_terms(*(options.get(name) for name in names))
        if behind(sock) is not None:
            raise OSError(errno.EADDRINUSE, f"{sock!r} is in use: {behind(sock)!r}")
        engine = self.reach("create_server").engine
        listeners, face = listening.take_over(engine, sock, options.get("backlog", 100))
        faces = dict.fromkeys(listeners, face)
        server = listening.create_server(engine, protocol_factory, faces, terms, lambda: release(sock))
        stand_in(sock, HeldServer(face, server))
        if options.get("start_serving", True):
            await server.start_serving()
        return server

    # ---- bytes ----

    async def sock_recv(self, sock: socket.socket, n: int) -> bytes:
        """As asyncio's."""
        held = self._behind(sock)
        if held is None:
            return await super().sock_recv(sock, n)
        while True:
            try:
                return held.recv(n)
            except BlockingIOError:
                await held.readable()

    async def sock_recv_into(self, sock: socket.socket, buf: Any) -> int:
        """As asyncio's."""
        held = self._behind(sock)
        if held is None:
            return await super().sock_recv_into(sock, buf)
        while True:
            try:
                return held.recv_into(buf)
            except BlockingIOError:
                await held.readable()

    async def sock_sendall(self, sock: socket.socket, data: Any) -> None:
        """As asyncio's."""
        held = self._behind(sock)
        if held is None:
            return await super().sock_sendall(sock, data)
        view = memoryview(data).cast("B")
        sent = 0
        while sent < len(view):
            try:
                sent += held.send(view[sent:])
            except BlockingIOError:
                await held.writable()
        return None

    async def sock_sendfile(
        self, sock: socket.socket, file: Any, offset: int = 0, count: int | None = None, *, fallback: bool | None = True
    ) -> int:
        """As asyncio's, which sends piece by piece where no kernel can do it."""
        if self._behind(sock) is None:
            return await super().sock_sendfile(sock, file, offset, count, fallback=fallback)
        asyncios: Any = self
        asyncios._check_sendfile_params(sock, file, offset, count)
        if not fallback:
            raise SendfileNotAvailableError("no kernel socket is behind it")
        sent: int = await asyncios._sock_sendfile_fallback(sock, file, offset, count)
        return sent

    def _behind(self, sock: socket.socket) -> Held | None:
        held = behind(sock)
        if held is not None:
            self._check(sock)
        return held

    def _check(self, sock: socket.socket) -> None:
        """As asyncio's calls: a socket of TLS is none, and in debug mode a blocking one is a ValueError."""
        _refuse_tls(sock)
        if self.get_debug() and sock.gettimeout() != 0:
            raise ValueError("the socket must be non-blocking")


def _refuse_tls(sock: socket.socket) -> None:
    if isinstance(sock, ssl_module.SSLSocket):
        raise TypeError("Socket cannot be of type SSLSocket")
