"""The ICMP errors that a stack sends: which one tells what, to whom, and not too many. RFC 1122 3.2.2.1, RFC 4443 3.1.

An errno goes in, so that who speaks for another network hands on what that network's own answer meant; the kernel at
the other end makes the same errno of it, but that IPv4 has none for what is prohibited: EHOSTUNREACH there.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from synfin.stack.icmp_limits import IcmpLimits
from synfin.tcp import errors
from synfin.tcp.output import Output
from synfin.wire import icmp

CODES: Final = {
    errors.NETWORK_UNREACHABLE: (icmp.V4_NET_UNREACHABLE, icmp.V6_NO_ROUTE),
    errors.HOST_UNREACHABLE: (icmp.V4_HOST_UNREACHABLE, icmp.V6_ADDRESS_UNREACHABLE),
    errors.REFUSED: (icmp.V4_PORT_UNREACHABLE, icmp.V6_PORT_UNREACHABLE),
    errors.PROHIBITED: (icmp.V4_PROHIBITED, icmp.V6_PROHIBITED),
}


class IcmpErrors:
    """Of one stack, whose addresses are `own`."""

    def __init__(self, own: set[bytes], output: Output, limits: IcmpLimits) -> None:
        self._own = own
        self._output = output
        self._limits = limits

    def unreachable(self, code: i64, packet: bytes, now: i64) -> None:
        """Tell the sender of `packet` by the error that is errno `code` to him that it arrived nowhere, unless he hears
        enough."""
        version: i64 = packet[0] >> 4
        if version == 4:
            kind, local, remote = icmp.V4_UNREACHABLE, packet[16:20], packet[12:16]
        else:
            kind, local, remote = icmp.V6_UNREACHABLE, packet[24:40], packet[8:24]
        number = CODES[int(code)][0 if version == 4 else 1]
        if remote in self._own or self._limits.take(remote, now):  # as Linux: no limit towards oneself
            self._output.raw(icmp.build_error(version, kind, number, local, remote, packet))
