"""Dialling through a SOCKS or HTTP proxy, by python-socks (the extra `proxy`)."""

from __future__ import annotations

import asyncio
import errno
import os
from typing import Any, Final

from synfin.gateway.dialling import Connected, Dial, ProtocolFactory

_SOCKS5: Final = {  # RFC 1928 6
    2: errno.EACCES,
    3: errno.ENETUNREACH,
    4: errno.EHOSTUNREACH,
    5: errno.ECONNREFUSED,
    6: errno.EHOSTUNREACH,
    8: errno.ENETUNREACH,
}
_HTTP: Final = {
    403: errno.EACCES,
    407: errno.EACCES,
    502: errno.EHOSTUNREACH,
    503: errno.EHOSTUNREACH,
    504: errno.ETIMEDOUT,
}


def through(url: str, timeout: float = 60.0) -> Dial:
    """A dial function by the proxy at `url`: socks5://user:password@host:port, socks4://..., http://....

    What the proxy says of a destination becomes the errno that the kernel would have; a proxy that can't be reached is
    a network that can't, and one that only says "no" leaves its client in the dark. Raises ValueError for what is no
    such URL, ModuleNotFoundError without python-socks.
    """
    from python_socks import ProxyConnectionError, ProxyError, ProxyTimeoutError, parse_proxy_url
    from python_socks.async_.asyncio import Proxy

    parse_proxy_url(url)

    async def dial(factory: ProtocolFactory, address: str, port: int) -> Connected:
        try:
            sock = await Proxy.from_url(url).connect(address, port, timeout)
        except ProxyConnectionError as error:
            raise _said(errno.ENETUNREACH, error) from None
        except ProxyTimeoutError as error:
            raise _said(errno.ETIMEDOUT, error) from None
        except ProxyError as error:
            code: Any = error.error_code
            raise _said(_SOCKS5.get(code) or _HTTP.get(code, errno.ETIMEDOUT), error) from None
        return await asyncio.get_running_loop().create_connection(factory, sock=sock)

    return dial


def _said(code: int, error: BaseException) -> OSError:
    return OSError(code, f"{os.strerror(code)}: {error}")
