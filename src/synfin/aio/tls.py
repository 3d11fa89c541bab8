"""TLS: asyncio's own, which speaks through any transport that takes a BufferedProtocol."""

from __future__ import annotations

import asyncio
from asyncio import sslproto
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl as ssl_module


class TlsTerms:
    """What the TLS of one side is made from. Arguments as of asyncio's calls; context True: a default one.

    Raises TypeError for what is no context.
    """

    def __init__(
        self,
        context: ssl_module.SSLContext | bool,
        server_side: bool,
        server_hostname: str | None,
        handshake_timeout: float | None,
        shutdown_timeout: float | None,
    ) -> None:
        if context is not True and not hasattr(context, "wrap_bio"):
            raise TypeError(f"ssl is an SSLContext, True or None, not {type(context).__name__}")
        self._context = context
        self._server_side = server_side
        self._server_hostname = server_hostname
        self._handshake_timeout = handshake_timeout
        self._shutdown_timeout = shutdown_timeout

    def protocol(
        self,
        loop: asyncio.AbstractEventLoop,
        protocol: asyncio.BaseProtocol,
        waiter: asyncio.Future[None] | None = None,
    ) -> Any:
        """A protocol for the transport below, which gives `protocol` one above; waiter: the handshake is done."""
        make: Any = sslproto.SSLProtocol  # typeshed knows less of its arguments than it takes
        context: Any = self._context
        if context is True:
            context = sslproto._create_transport_context(self._server_side, self._server_hostname)
        return make(
            loop,
            protocol,
            context,
            waiter,
            self._server_side,
            self._server_hostname,
            ssl_handshake_timeout=self._handshake_timeout,
            ssl_shutdown_timeout=self._shutdown_timeout,
        )


def client_terms(
    ssl: ssl_module.SSLContext | bool | None,
    server_hostname: str | None,
    handshake_timeout: float | None,
    shutdown_timeout: float | None,
) -> TlsTerms | None:
    """The terms of one that connects; None without `ssl`. Raises ValueError for what only has a meaning with it."""
    if server_hostname is not None and not ssl:
        raise ValueError("server_hostname is only meaningful with ssl")
    if ssl:
        return TlsTerms(ssl, False, server_hostname, handshake_timeout, shutdown_timeout)
    _check_unused(handshake_timeout, shutdown_timeout)
    return None


def server_terms(
    ssl: ssl_module.SSLContext | None, handshake_timeout: float | None, shutdown_timeout: float | None
) -> TlsTerms | None:
    """The terms of one that listens; None without `ssl`. There is no default context: a server has a certificate."""
    if isinstance(ssl, bool):
        raise TypeError("ssl argument must be an SSLContext or None")
    if ssl:
        return TlsTerms(ssl, True, None, handshake_timeout, shutdown_timeout)
    _check_unused(handshake_timeout, shutdown_timeout)
    return None


def _check_unused(handshake_timeout: float | None, shutdown_timeout: float | None) -> None:
    for name, value in (("ssl_handshake_timeout", handshake_timeout), ("ssl_shutdown_timeout", shutdown_timeout)):
        if value is not None:
            raise ValueError(f"{name} is only meaningful with ssl")
