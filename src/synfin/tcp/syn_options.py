"""The one place where SYN options meet: what this side offers, what the other side's SYN says, what both may use.

RFC 9293 3.7.1 and RFC 6691 (MSS), RFC 7323 2.2 (window scale) and 3.2 (timestamps), RFC 2018 2 (SACK), RFC 3168 6.1.1
and RFC 9768 3.1 (ECN, by flags).
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from synfin.tcp.config import MIN_MSS, Config
from synfin.tcp.ecn import agree_on_syn, agree_on_syn_ack
from synfin.wire.ip import ECN
from synfin.wire.segment import Segment
from synfin.wire.tcp_header import ACK

IPV4_HEADERS: Final = 40
IPV6_HEADERS: Final = 60
DEFAULT_MSS_IPV4: Final = 536  # RFC 9293 3.7.1: what to assume when the peer says nothing
DEFAULT_MSS_IPV6: Final = 1220
MIN_MTU_IPV6: Final = 1280  # RFC 8200 5: every link carries it
NARROW_MTU_IPV4: Final = 576  # RFC 1122 3.3.3: what hosts sent that knew nothing of the path
BASE_MTU_IPV4: Final = 1200  # RFC 8899 5.1.2: nearly every path does
TIMESTAMP_BYTES: Final = 12  # NOP NOP TS in every segment once agreed (RFC 7323 appendix A)
MAX_WSCALE: Final = 14  # RFC 7323 2.3


class Offer:
    """What a SYN of this side says, or what of another's it takes. wscale -1: not offered. ecn: modes of `ecn`."""

    def __init__(self, mss: i64, wscale: i64, timestamps: bool, sack: bool, ecn: i64) -> None:
        self.mss: i64 = mss
        self.wscale: i64 = wscale
        self.timestamps: bool = timestamps
        self.sack: bool = sack
        self.ecn: i64 = ecn


class Negotiated:
    """What both sides may use. peer_mss: before option bytes are taken off (RFC 6691)."""

    def __init__(
        self, peer_mss: i64, scaling: bool, snd_wscale: i64, rcv_wscale: i64, timestamps: bool, sack: bool, ecn: i64
    ) -> None:
        self.peer_mss: i64 = peer_mss
        self.scaling: bool = scaling  # both shifts may be 0 and still agreed
        self.snd_wscale: i64 = snd_wscale
        self.rcv_wscale: i64 = rcv_wscale
        self.timestamps: bool = timestamps
        self.sack: bool = sack
        self.ecn: i64 = ecn  # as `ecn` has it


def headers_bytes(key: bytes) -> i64:
    """IP and TCP headers without options, for the address family of a connection's key."""
    return IPV4_HEADERS if len(key) == 12 else IPV6_HEADERS


def scale_for(buffer_max: i64) -> i64:
    """The smallest scale with which 16 bits can advertise a buffer of this size (RFC 7323 2.2)."""
    scale: i64 = 0
    while scale < MAX_WSCALE and (65535 << scale) < buffer_max:
        scale += 1
    return scale


def offer(key: bytes, mtu: i64, config: Config, ecn: i64) -> Offer:
    """What to offer on a link of this MTU. The MSS ignores options, ours and IP's (RFC 6691 2)."""
    wscale = scale_for(config.receive_buffer_max) if config.window_scale else -1
    return Offer(mtu - headers_bytes(key), wscale, config.timestamps, config.sack, ecn)


def agree(mine: Offer, syn: Segment) -> Negotiated:
    """What follows from my offer and the peer's SYN (or SYN,ACK). All but the MSS needs both sides."""
    peer_mss = syn.mss
    if peer_mss < 0:
        peer_mss = DEFAULT_MSS_IPV4 if len(syn.key) == 12 else DEFAULT_MSS_IPV6
    if peer_mss < MIN_MSS:
        peer_mss = MIN_MSS
    scaling = mine.wscale >= 0 and syn.wscale >= 0
    snd_wscale: i64 = 0
    rcv_wscale: i64 = 0
    if scaling:
        # RFC 7323 2.3: a larger shift than 14 is read as 14.
        snd_wscale = syn.wscale if syn.wscale <= MAX_WSCALE else MAX_WSCALE
        rcv_wscale = mine.wscale
    timestamps = mine.timestamps and syn.has_ts
    ecn = syn.traffic_class & ECN
    agreed = agree_on_syn_ack(mine.ecn, syn.flags, ecn) if syn.flags & ACK else agree_on_syn(mine.ecn, syn.flags, ecn)
    return Negotiated(peer_mss, scaling, snd_wscale, rcv_wscale, timestamps, mine.sack and syn.sack_permitted, agreed)


def send_mss(peer_mss: i64, key: bytes, mtu: i64, timestamps: bool) -> i64:
    """Payload bytes of a full segment: the peer's and the path's limit, less options of every segment (RFC 6691)."""
    mss = mtu - headers_bytes(key)
    if peer_mss < mss:
        mss = peer_mss
    if timestamps:
        mss -= TIMESTAMP_BYTES
    return mss


def overhead(key: bytes, timestamps: bool) -> i64:
    """Bytes of a packet that are no text: what lies between its size and that of its segment."""
    return headers_bytes(key) + (TIMESTAMP_BYTES if timestamps else 0)


def base_mss(key: bytes, timestamps: bool) -> i64:
    """Payload that nearly every path carries."""
    return (BASE_MTU_IPV4 if len(key) == 12 else MIN_MTU_IPV6) - overhead(key, timestamps)


def narrow_mss(key: bytes, timestamps: bool) -> i64:
    """Payload that passes even where most does not."""
    return NARROW_MTU_IPV4 - overhead(key, timestamps) if len(key) == 12 else base_mss(key, timestamps)


def floor_mss(key: bytes, timestamps: bool) -> i64:
    """Payload below which no path is tried (IPv4: Linux's tcp_mtu_probe_floor)."""
    return MIN_MSS if len(key) == 12 else base_mss(key, timestamps)
