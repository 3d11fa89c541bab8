"""What may be set, with its unit, its default and why that is the default. Nothing here is read per packet.

Rule for the next editor: a value that the protocol can find out by itself is no setting.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from synfin.tcp.congestion.base import CongestionControl
from synfin.tcp.congestion.choice import factory
from synfin.tcp.path_probe import ALWAYS, BLACK_HOLE, OFF

SECOND_US = 1_000_000

# Config.syn_cookies
COOKIES_OFF = 0
COOKIES_WHEN_FULL = 1
COOKIES_ALWAYS = 2

ECN_SETTINGS = ("off", "accept", "on", "accurate")
SWITCHES = (
    "timestamps",
    "timestamps_required",
    "window_scale",
    "sack",
    "pacing",
    "nodelay",
    "abort_on_overflow",
    "no_metrics_save",
)

MIN_MSS = 48  # below this packets are mostly header: a denial of service (Linux: TCP_MIN_SND_MSS)

LEAST_SEND_BUFFER = 2304  # bytes; what Linux keeps at least, as far as it is text (SOCK_MIN_SNDBUF, SOCK_MIN_RCVBUF)
LEAST_RECEIVE_BUFFER = 1152

LONGEST_US = 1 << 48
"""Nine years. No time that is set is longer: added to any `now` it has to fit 64 bits, which wrap when compiled."""


def _within(name: str, value: object, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, not {type(value).__name__}")
    if not low <= value <= high:
        raise ValueError(f"{name} must be within {low} and {high}, not {value}")


def _switch(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be a bool, not {type(value).__name__}")


def check_user_timeout(microseconds: object, name: str = "user_timeout_us") -> None:
    """Raise TypeError or ValueError for what is no time to wait for an ACK (RFC 9293 3.9.1); 0 is none."""
    _within(name, microseconds, 0, LONGEST_US)


def check_send_mss_max(size: object, name: str = "send_mss_max") -> None:
    """Raise TypeError or ValueError for what is no limit of segments; 0 is none."""
    if size != 0 or isinstance(size, bool):
        _within(name, size, MIN_MSS, 65535)


def check_send_buffer(size: object, config: Config) -> None:
    """Raise TypeError or ValueError for what a connection can't be given to send from (SO_SNDBUF)."""
    _within("send_buffer", size, min(LEAST_SEND_BUFFER, config.send_buffer_max), config.send_buffer_max)


def check_receive_buffer(size: object, config: Config) -> None:
    """Raise TypeError or ValueError for what a connection can't be given to receive into (SO_RCVBUF)."""
    _within("receive_buffer", size, LEAST_RECEIVE_BUFFER, config.receive_buffer_max)


def check_notsent_lowat(size: object) -> None:
    """Raise TypeError or ValueError for what is no number of bytes that may wait to be sent; 0 is no limit."""
    _within("notsent_lowat", size, 0, (1 << 32) - 1)


def check_tos(tos: object) -> None:
    """Raise TypeError or ValueError for what is no TOS byte or traffic class."""
    _within("tos", tos, 0, 255)


def check_keepalive(idle_us: object, interval_us: object, probes: object, prefix: str = "keepalive_") -> None:
    """Raise TypeError or ValueError for what keep-alive can't work with (RFC 9293 3.8.4); idle_us 0 is off."""
    _within(prefix + "idle_us", idle_us, 0, LONGEST_US)
    _within(prefix + "interval_us", interval_us, 1000, LONGEST_US)
    _within(prefix + "probes", probes, 1, 127)


def check_tcp_mem(limits: object) -> None:
    """Raise ValueError or TypeError for what are no three limits, the lowest first."""
    if not isinstance(limits, tuple) or len(limits) != 3:
        raise TypeError("Config.tcp_mem must be three numbers of bytes in a tuple: low, pressure, high")
    lowest = 4096
    for name, limit in zip(("low", "pressure", "high"), limits, strict=True):
        _within(f"Config.tcp_mem ({name})", limit, lowest, 1 << 48)
        lowest = limit


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of a Stack and of every connection it carries. Times are microseconds, sizes are bytes.

    Raises ValueError or TypeError at construction for a value that no TCP could work with.
    """

    mtu: int = 1500
    """Largest IP packet the link carries (576 to 65535; IPv6 needs 1280, RFC 8200 5)."""
    timestamps: bool = True
    """Offer RFC 7323 timestamps: PAWS, and an RTT sample from every ACK."""
    timestamps_required: bool = False
    """Drop what comes without the timestamps that were agreed on, as RFC 7323 3.2 recommends. Some televisions and
    proxies leave them off, so that by default it is taken, as in Linux, without the protection that PAWS gives."""
    window_scale: bool = True
    """Offer RFC 7323 window scaling."""
    sack: bool = True
    """Offer selective acknowledgements (RFC 2018)."""
    receive_buffer: int = 128 * 1024
    """Receive window at the start; it grows with what the reader takes in one round trip."""
    receive_buffer_max: int = 6 * 1024 * 1024
    """Where that growth ends (Linux: tcp_rmem[2])."""
    send_buffer: int = 64 * 1024
    """Bytes of unacknowledged data a connection takes without holding its writer back; grows with the window."""
    send_buffer_max: int = 4 * 1024 * 1024
    """Where that growth ends (Linux: tcp_wmem[2])."""
    congestion_control: str | Callable[[int], CongestionControl] = "cubic"
    """Which one each connection gets: "cubic", "newreno" (also "reno"), "bbr", or what makes one, called with the
    segment size. docs/congestion.md tells when to choose which."""
    path_mtu_probing: str = BLACK_HOLE
    """Find what a path carries where ICMP does not tell it (RFC 4821; Linux: tcp_mtu_probing). "off"; "black-hole":
    when full-size segments vanish; "always": begin with what nearly every path carries, and probe upwards."""
    send_mss_max: int = 0
    """Send no larger segments, whatever the peer and the path take; as if the peer had announced it. 0: no limit."""
    initial_window: int = 10
    """Initial congestion window in segments (RFC 6928)."""
    pacing: bool = True
    """Spread what cwnd lets out over the round trip, where that is longer than a millisecond."""
    ecn: str = "accept"
    """Explicit congestion notification: a router marks packets instead of dropping them. "off"; "accept": where the
    peer asks for it (Linux: tcp_ecn 2); "on": ask for it, too (tcp_ecn 1, RFC 3168); "accurate": ask for and accept
    Accurate ECN (tcp_ecn 3, RFC 9768), which counts marks, or else that. A SYN that asks and is lost goes again
    without."""
    nodelay: bool = False
    """Switch Nagle's algorithm off for new connections (RFC 9293 3.7.4)."""
    rto_initial_us: int = 1 * SECOND_US
    """RFC 6298 2.1."""
    rto_min_us: int = 200_000
    """RFC 6298 2.4 says one second; Linux uses 200 ms, five times the longest delayed ACK of synfin and Linux."""
    rto_max_us: int = 120 * SECOND_US
    """RFC 6298 2.5 wants at least 60 s; Linux uses 120 s."""
    no_metrics_save: bool = False
    """Do not tell new connections how long the round trip to a host was (Linux: tcp_no_metrics_save). By default the
    first timeouts, of SYN and text, are no shorter than former connections to the same address would have needed; nor
    is ECN asked for where several SYNs in a row that did so went unanswered."""
    ack_delay_us: int = 40_000
    """Longest time an ACK waits for company (RFC 9293 3.8.6.3 allows 500 ms)."""
    syn_retries: int = 6
    """SYNs sent again before connect gives up: 127 s (Linux: tcp_syn_retries; RFC 9293 3.8.3 wants 3 minutes)."""
    synack_retries: int = 5
    """SYN,ACKs sent again: a half-open entry lives 63 s (Linux: tcp_synack_retries)."""
    retries: int = 15
    """Retransmissions of the same data before the connection fails: R2 of RFC 9293 3.8.3 (Linux: tcp_retries2)."""
    orphan_retries: int = 8
    """Timeouts without progress, answered or not, before a connection ends whose user has closed (Linux:
    tcp_orphan_retries)."""
    user_timeout_us: int = 0
    """Fail when sent data stays unacknowledged this long; 0: only `retries` decides (RFC 9293 3.9.1, OPEN timeout)."""
    keepalive_idle_us: int = 0
    """Idle time before a keep-alive probe; 0 is off, the default that RFC 9293 3.8.4 demands."""
    keepalive_interval_us: int = 75 * SECOND_US
    keepalive_probes: int = 9
    msl_us: int = 30 * SECOND_US
    """Maximum segment lifetime. TIME-WAIT lasts twice this: 60 s as in Linux; RFC 9293 3.4.2 says 2 minutes for one."""
    fin_timeout_us: int = 60 * SECOND_US
    """How long FIN-WAIT-2 waits for the peer's FIN when nobody is left to read (Linux: tcp_fin_timeout)."""
    syn_queue_limit: int = 1024
    """Half-open entries of one listener (Linux: tcp_max_syn_backlog)."""
    half_open_limit: int = 65536
    """Half-open entries of all listeners of a stack: about 13 MB; beyond, each SYN queue counts as full."""
    held_syn_limit: int = 1024
    """SYNs that wait until it is known what to answer them (`Host(on_syn=...)`); the oldest makes room."""
    datagram_flow_limit: int = 4096
    """UDP flows of a stack that takes what is sent to any destination; one more is dropped."""
    abort_on_overflow: bool = False
    """Answer the third segment by RST when the accept queue is full, instead of ignoring it (Linux:
    tcp_abort_on_overflow): the client learns it at once, but a short burst costs connections."""
    syn_cookies: int = COOKIES_WHEN_FULL
    """SYN cookies: never (0), when the SYN queue is full (1), for every SYN (2) (Linux: tcp_syncookies)."""
    time_wait_limit: int = 65536
    """TIME-WAIT records of a stack; the oldest makes room (Linux: tcp_max_tw_buckets)."""
    connection_limit: int = 1_000_000
    """Connections of a stack."""
    orphan_limit: int = 8192
    """Connections of a stack that their users have closed and that still send; one more is reset (Linux:
    tcp_max_orphans)."""
    tcp_mem: tuple[int, int, int] = (96 << 20, 128 << 20, 192 << 20)
    """What all connections of a stack may hold for their users (Linux: tcp_mem): above the second no buffer grows until
    less than the first is held; above the third nothing is kept out of order, and connections are refused."""
    udp_mem: int = 32 << 20
    """What all datagrams may take that wait for their readers, with what keeping them costs; more are dropped (Linux:
    udp_mem)."""
    challenge_ack_limit: int = 1000
    """Challenge ACKs of a stack in a second, on average (RFC 5961 7; Linux: tcp_challenge_ack_limit)."""
    icmp_msgs_per_sec: int = 1000
    """ICMP errors of a stack in a second, on average (RFC 4443 2.4 (f); Linux: icmp_msgs_per_sec)."""
    icmp_msgs_burst: int = 50
    """How many of them may go at once, about (Linux: icmp_msgs_burst)."""
    icmp_ratelimit_us: int = 1 * SECOND_US
    """Time between two ICMP errors to one destination, which may save up six (Linux: icmp_ratelimit); 0: no limit."""
    outbox_limit: int = 4096
    """Replies (ACK, RST, SYN,ACK, echo) that may wait for the link; more are dropped, as a full device queue would."""
    reassembly_limit: int = 1024
    """Separate runs of out-of-order data that one connection keeps."""
    scoreboard_limit: int = 4096
    """Pieces into which a peer's SACK blocks may cut what one connection has in flight; finer ones are not noted."""
    port_first: int = 32768
    port_last: int = 60999
    """Ephemeral ports (Linux: ip_local_port_range)."""

    def __post_init__(self) -> None:
        _within("Config.mtu", self.mtu, 576, 65535)
        if self.path_mtu_probing not in (OFF, BLACK_HOLE, ALWAYS):
            raise ValueError(f"Config.path_mtu_probing is off, black-hole or always, not {self.path_mtu_probing!r}")
        check_send_mss_max(self.send_mss_max, "Config.send_mss_max")
        _within("Config.receive_buffer", self.receive_buffer, 2048, 1 << 30)
        _within("Config.receive_buffer_max", self.receive_buffer_max, self.receive_buffer, 1 << 30)
        _within("Config.send_buffer", self.send_buffer, 2048, 1 << 30)
        _within("Config.send_buffer_max", self.send_buffer_max, self.send_buffer, 1 << 30)
        if not isinstance(self.ecn, str):
            raise TypeError(f"Config.ecn must be a str, not {self.ecn!r}")
        if self.ecn not in ECN_SETTINGS:
            raise ValueError(f"Config.ecn is one of {', '.join(map(repr, ECN_SETTINGS))}, not {self.ecn!r}")
        _within("Config.initial_window", self.initial_window, 1, 1000)
        _within("Config.rto_min_us", self.rto_min_us, 1000, 60 * SECOND_US)
        _within("Config.rto_max_us", self.rto_max_us, self.rto_min_us, 3600 * SECOND_US)
        _within("Config.rto_initial_us", self.rto_initial_us, 1000, self.rto_max_us)
        _within("Config.ack_delay_us", self.ack_delay_us, 0, 500_000)
        for name in ("syn_retries", "synack_retries", "retries", "orphan_retries"):
            _within(f"Config.{name}", getattr(self, name), 0, 255)
        check_user_timeout(self.user_timeout_us, "Config.user_timeout_us")
        check_keepalive(self.keepalive_idle_us, self.keepalive_interval_us, self.keepalive_probes, "Config.keepalive_")
        _within("Config.msl_us", self.msl_us, 0, 600 * SECOND_US)
        _within("Config.fin_timeout_us", self.fin_timeout_us, 1000, LONGEST_US)
        for name in (
            "syn_queue_limit",
            "half_open_limit",
            "held_syn_limit",
            "datagram_flow_limit",
            "udp_mem",
            "time_wait_limit",
            "connection_limit",
            "orphan_limit",
            "challenge_ack_limit",
            "icmp_msgs_burst",
            "outbox_limit",
            "reassembly_limit",
            "scoreboard_limit",
        ):
            _within(f"Config.{name}", getattr(self, name), 1, 1 << 30)
        _within("Config.icmp_msgs_per_sec", self.icmp_msgs_per_sec, 1, SECOND_US)
        _within("Config.icmp_ratelimit_us", self.icmp_ratelimit_us, 0, 3600 * SECOND_US)
        _within("Config.syn_cookies", self.syn_cookies, COOKIES_OFF, COOKIES_ALWAYS)
        for name in SWITCHES:
            _switch(f"Config.{name}", getattr(self, name))
        _within("Config.port_first", self.port_first, 1, 65535)
        _within("Config.port_last", self.port_last, self.port_first, 65535)
        check_tcp_mem(self.tcp_mem)
        try:
            factory(self.congestion_control)
        except (TypeError, ValueError) as refused:
            raise type(refused)(f"Config.congestion_control: {refused}") from None
