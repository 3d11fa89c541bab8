"""Events of the trace as plain data and back: how they pass the control socket.

Of a packet its headers are told, and how much text it has, never the text. What comes back is for drawings alone.
"""

from __future__ import annotations

from typing import Any

from synfin.tcp.trace import Event, NoteEvent, PacketEvent, SampleEvent, TransitionEvent
from synfin.wire import ip as ip_layer
from synfin.wire.errors import WireError
from synfin.wire.ip import IpHeader
from synfin.wire.segment import Burst

Told = list[Any]


def told(event: Event) -> Told:
    """What JSON can carry. The host and the connection's key are not in it."""
    if isinstance(event, PacketEvent):
        head = _headers(event.burst, event.outgoing)
        text = len(event.burst.head) - len(head) + event.burst.payload_len
        return ["packet", event.at, event.outgoing, head.hex(), text, event.burst.gso_size]
    if isinstance(event, TransitionEvent):
        return ["transition", event.at, event.before, event.after, event.reason, event.rfc, event.cause]
    if isinstance(event, NoteEvent):
        return ["note", event.at, event.what, event.rfc]
    figures = [event.cwnd, event.ssthresh, event.in_flight, event.pacing_rate, event.rtt, event.srtt, event.phase]
    return ["sample", event.at, *figures]


def heard(said: Told, host: str, key: bytes) -> Event:
    """The event again. Raises ValueError or TypeError for what `told` never gives."""
    kind, at, *rest = said
    if kind == "packet":
        outgoing, head, text, gso_size = rest
        # An empty piece: the text is not in the head.
        return PacketEvent(at, host, bool(outgoing), key, Burst(bytes.fromhex(head), [b""], text, gso_size))
    if kind == "transition":
        before, after, reason, rfc, cause = rest
        return TransitionEvent(at, host, key, before, after, reason, rfc, cause)
    if kind == "note":
        what, rfc = rest
        return NoteEvent(at, host, key, what, rfc)
    if kind == "sample":
        cwnd, ssthresh, in_flight, pacing_rate, rtt, srtt, phase = rest
        return SampleEvent(at, host, key, cwnd, ssthresh, in_flight, float(pacing_rate), rtt, srtt, phase)
    raise ValueError(f"no event of the trace is called {kind!r}")


def _headers(burst: Burst, outgoing: bool) -> bytes:
    """Of what goes out the text is beside the head; of what came in it follows the headers."""
    head = burst.head
    if outgoing and burst.pieces:
        return head
    header = IpHeader()
    try:
        ip_layer.parse_untrusted(head, header)
    except WireError:
        return head[:60]
    start = header.header_len
    return head[: start + (head[start + 12] >> 4) * 4] if len(head) > start + 12 else head[:start]
