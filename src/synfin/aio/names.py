"""What the host of a user's call stands for: addresses of a name, or every address of this host."""

from __future__ import annotations

import socket
from typing import Final

from synfin.aio.engine import Engine
from synfin.stack.addresses import packed
from synfin.tcp import errors

ANY_ADDRESS: Final = ("", "0.0.0.0", "::")


async def resolve(engine: Engine, host: str, port: int) -> list[bytes]:
    """The addresses of `host` that this stack can reach, in order of preference."""
    try:
        return [packed(host)]
    except ValueError:
        pass
    families = {len(address) for address in engine.stack.addresses}
    found = await engine.loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [packed(str(entry[4][0])) for entry in found]
    usable = [address for address in dict.fromkeys(addresses) if len(address) in families]
    if not usable:
        raise errors.oserror(errors.NETWORK_UNREACHABLE, f"{host} has no address of this stack's families")
    return usable
