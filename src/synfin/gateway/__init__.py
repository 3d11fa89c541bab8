"""A gateway: what the programs behind a Host send to anywhere goes on by whatever reaches it.

    async with synfin.Host("10.0.2.2/24", link=link, any_destination=True) as host, Gateway(host):
        ...

`Gateway` relays TCP, UDP, DNS and pings between a Host and a `dial` function; `Flow` is what came of each.
"""

from synfin.gateway.flow import Flow, Limits
from synfin.gateway.gateway import Gateway

__all__ = ["Flow", "Gateway", "Limits"]
