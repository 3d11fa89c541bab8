"""ICMP and ICMPv6 of a stack: echo is answered, errors that come in are read with suspicion, those that go out are few.
RFC 1122 3.2.2, RFC 4443, RFC 5927.

What an error means for a connection or a port is returned as numbers; whoever knows the connection acts on them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mypy_extensions import i64

from synfin.stack.addresses import Reach, is_group
from synfin.stack.destinations import MIN_PATH_MTU_IPV4, MIN_PATH_MTU_IPV6
from synfin.tcp import errors
from synfin.tcp.counters import Counters
from synfin.tcp.output import Output
from synfin.wire import icmp
from synfin.wire.errors import WireError
from synfin.wire.icmp import IcmpMessage
from synfin.wire.ip import PROTO_TCP, PROTO_UDP, IpHeader
from synfin.wire.seq import unwrap

MAX_HEADERS: Final = 100  # of IPv6 without extensions and TCP with all options


class IcmpInput:
    """ICMP of one stack. on_echo: given a ping for an address that is not its own, the packet and the message in it."""

    def __init__(self, reach: Reach, output: Output, counters: Counters) -> None:
        self.on_echo: Callable[[bytes, bytes], object] | None = None
        self._reach: Reach = reach
        self._output = output
        self._counters = counters

    def on_packet(self, packet: bytes, ip: IpHeader, checksum_ok: bool) -> IcmpMessage | None:
        """A message to this stack. Returns an error that quotes a TCP or UDP packet, for whoever sent that."""
        counters = self._counters
        local = packet[16:20] if ip.version == 4 else packet[24:40]
        if not self._reach.hears(local):
            counters.InAddrErrors += 1
            return None
        try:
            message = icmp.parse_untrusted(packet, ip, checksum_ok)
        except WireError:
            counters.InErrs += 1
            return None
        if icmp.is_echo_request(message):
            if local in self._reach.own:
                self._answer_echo(packet, ip)
            elif self.on_echo is None or is_group(packet[12:16] if ip.version == 4 else packet[8:24]):
                counters.InAddrErrors += 1
            else:
                counters.InEchos += 1
                self.on_echo(packet, packet[ip.header_len : ip.total_len])
            return None
        if not message.quoted_key:
            return None
        if message.quoted_protocol == PROTO_TCP:
            return message if message.quoted_seq >= 0 else None
        return message if message.quoted_protocol == PROTO_UDP else None

    def _answer_echo(self, packet: bytes, ip: IpHeader) -> None:
        """No answer is larger than its question: the outbox is limit enough, as in Linux."""
        self._counters.InEchos += 1
        self.echo_reply(packet, ip)

    def echo_reply(self, packet: bytes, ip: IpHeader) -> None:
        """The answer to a ping."""
        self._counters.OutEchoReps += 1
        self._output.raw(icmp.build_echo_reply(packet, ip))


def quotes_flight(message: IcmpMessage, iss: i64, snd_una: i64, snd_nxt: i64) -> bool:
    """RFC 5927 4.1: believe only who has seen a number that is in flight now."""
    offset = unwrap(message.quoted_seq, iss, snd_una)
    return snd_una <= offset < snd_nxt


def path_mtu_of(message: IcmpMessage) -> i64:
    """What a "packet too big" says that the path carries; 0: it is another error.

    Never less than every path must carry: no forged message may make segments tiny (RFC 5927 7.2).
    """
    if message.version == 4:
        if message.type != icmp.V4_UNREACHABLE or message.code != icmp.V4_FRAG_NEEDED:
            return 0
        return max(message.mtu, MIN_PATH_MTU_IPV4)
    return max(message.mtu, MIN_PATH_MTU_IPV6) if message.type == icmp.V6_PACKET_TOO_BIG else 0


def was_too_big(message: IcmpMessage, mtu: i64, in_flight: i64) -> bool:
    """The quoted packet is larger than the `mtu` it is said not to pass, and `in_flight` bytes may have one so large.

    RFC 5927 7.2: else the error can't be true. Nothing smaller than that can be harmed: a user who types, an idle one.
    """
    return message.quoted_len > mtu and in_flight + MAX_HEADERS > mtu


def icmp_errors(version: i64, kind: i64, code: i64) -> tuple[int, bool]:
    """(errno, hard). Hard errors end an attempt to connect at once (RFC 5461 4), never a connection (RFC 5927 5.2)."""
    if version == 4 and kind == 3:
        if code == 2 or code == 3:
            return errors.REFUSED, True
        if code == 0 or code == 6 or code == 9:
            return errors.NETWORK_UNREACHABLE, False
        return errors.HOST_UNREACHABLE, False
    if version == 6 and kind == 1:
        if code == 4:
            return errors.REFUSED, True
        if code == 0:
            return errors.NETWORK_UNREACHABLE, False
        return errors.HOST_UNREACHABLE, code == 1
    if (version == 4 and kind == 11) or (version == 6 and kind == 3):
        return errors.HOST_UNREACHABLE, False
    return errors.NONE, False
