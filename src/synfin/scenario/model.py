"""A scenario: hosts, what joins them, what their programs do, what becomes of which packet, and what a forger sends.

It holds rules and no chance. Times are whole microseconds since the beginning. Every default stands here and not in
what it is handed to, so that a scenario means the same for as long as its version is read.
Rule for the next editor: a limit bounds what a stranger's scenario can cost its reader; changing what a field means
takes a new VERSION and a way to read the old one (`codec`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields
from typing import Any, Final

from synfin.scenario.checks import Part, ScenarioError, flag, name, one, part, several, shown, text, whole, word
from synfin.sim.rules import CORRUPT, DROP, DUPLICATE, MARK, PacketName
from synfin.tcp.config import COOKIES_ALWAYS, COOKIES_OFF, COOKIES_WHEN_FULL, Config
from synfin.wire.tcp_header import flag_names

VERSION: Final = 1

MAX_HOSTS: Final = 6
MAX_STEPS: Final = 200
MAX_FATES: Final = 300
MAX_FORGED: Final = 100
MAX_PROGRAMS: Final = 8  # of one host
MAX_TIME_US: Final = 86_400_000_000
MAX_BYTES: Final = 2_000_000  # that all programs write
MAX_FORGED_BYTES: Final = 1400

DELAY: Final = "delay"

FLAGS: Final = {flag_names(1 << place): 1 << place for place in range(9)}

_COOKIES: Final = {"off": COOKIES_OFF, "when-full": COOKIES_WHEN_FULL, "always": COOKIES_ALWAYS}
_SECOND: Final = 1_000_000
_TIME: Final = whole(0, MAX_TIME_US)
_PORT: Final = whole(1, 65535)

Name = PacketName


@dataclass(frozen=True, kw_only=True)
class Settings(Part):
    """Of a host's TCP: what `synfin.tcp.config.Config` has, as far as a scenario may set it."""

    mtu: int = part(whole(576, 9000), default=1500)
    timestamps: bool = part(flag, default=True)
    window_scale: bool = part(flag, default=True)
    sack: bool = part(flag, default=True)
    nodelay: bool = part(flag, default=False)
    pacing: bool = part(flag, default=True)
    ecn: str = part(word("off", "accept", "on", "accurate"), default="accept")
    congestion_control: str = part(word("cubic", "newreno", "bbr"), default="cubic")
    initial_window: int = part(whole(1, 100), default=10)
    receive_buffer: int = part(whole(2048, 1 << 20), default=128 * 1024)
    ack_delay_us: int = part(whole(0, 500_000), default=40_000)
    rto_initial_us: int = part(whole(1000, 60 * _SECOND), default=_SECOND)
    rto_min_us: int = part(whole(1000, 60 * _SECOND), default=200_000)
    syn_retries: int = part(whole(0, 20), default=6)
    synack_retries: int = part(whole(0, 20), default=5)
    retries: int = part(whole(0, 30), default=15)
    user_timeout_us: int = part(_TIME, default=0)
    keepalive_idle_us: int = part(_TIME, default=0)
    keepalive_interval_us: int = part(whole(1000, MAX_TIME_US), default=75 * _SECOND)
    keepalive_probes: int = part(whole(1, 127), default=9)
    msl_us: int = part(whole(0, 600 * _SECOND), default=30 * _SECOND)
    fin_timeout_us: int = part(whole(1000, MAX_TIME_US), default=60 * _SECOND)
    syn_cookies: str = part(word(*_COOKIES), default="when-full")
    syn_queue_limit: int = part(whole(1, 1024), default=1024)

    def config(self) -> Config:
        """The same for a Stack."""
        values: dict[str, Any] = {each.name: getattr(self, each.name) for each in fields(self)}
        values["syn_cookies"] = _COOKIES[self.syn_cookies]
        values["receive_buffer_max"] = max(self.receive_buffer, 1 << 20)
        values["rto_max_us"] = 120 * _SECOND
        return Config(**values)

    def check_whole(self) -> None:
        """Raise ScenarioError for what Config takes none of."""
        try:
            self.config()
        except (ValueError, TypeError) as error:
            raise ScenarioError("", str(error).removeprefix("Config.")) from None


@dataclass(frozen=True, kw_only=True)
class Host(Part):
    """A host, of this name."""

    name: str = part(name)
    settings: Settings = part(one(Settings), default_factory=Settings)


@dataclass(frozen=True, kw_only=True)
class Link(Part):
    """What joins two hosts, the same both ways. delay_us: of each packet; back_delay_us: on the way from b to a, if
    that differs; bandwidth: bits a second, 0: no limit; queue: bytes that may wait for it, 0: no limit; mtu: of the
    narrowest place, where what is larger is refused by ICMP.
    """

    a: str = part(name)
    b: str = part(name)
    delay_us: int = part(whole(0, 60 * _SECOND), default=10_000)
    back_delay_us: int = part(whole(-1, 60 * _SECOND), default=-1)
    bandwidth: int = part(whole(0, 10**10), default=0)
    queue: int = part(whole(0, 1 << 24), default=0)
    mtu: int = part(whole(576, 65535), default=65535)


# What a program does, and which fields say more about it.
ACTIONS: Final[dict[str, tuple[str, ...]]] = {
    "listen": ("port", "backlog"),
    "accept": ("port",),
    "open": ("to", "port", "from_port", "wait"),
    "write": ("bytes",),
    "read": ("bytes",),
    "shutdown": (),
    "close": (),
    "abort": (),
    "crash": (),
    "restart": (),
}


@dataclass(frozen=True, kw_only=True)
class Step(Part):
    """One thing that a host's program does, after what stands before it in the same program, as a blocking call.

    at_us: not before this time. after_us: this long after the step before. open waits until the connection is there,
    unless wait is False; accept waits for one; read for so many bytes, or the end of the stream (0); the others do not
    wait. crash and restart are the host's: they wait for nobody, and end what its programs still had to do before them.
    """

    host: str = part(name)
    do: str = part(word(*ACTIONS))
    program: int = part(whole(0, MAX_PROGRAMS - 1), default=0)
    at_us: int = part(_TIME, default=0)
    after_us: int = part(_TIME, default=0)
    to: str = part(lambda value: value if value == "" else name(value), default="")
    port: int = part(_PORT, default=80)
    from_port: int = part(whole(0, 65535), default=0)
    backlog: int = part(whole(0, 1024), default=128)
    bytes: int = part(whole(0, MAX_BYTES), default=0)
    wait: bool = part(flag, default=True)

    def check_whole(self) -> None:
        """Raise ScenarioError for a field that says nothing about `do`, or one that it needs."""
        used = ACTIONS[self.do]
        for each in fields(self):
            if each.name in _SAYS_MORE and each.name not in used and getattr(self, each.name) != each.default:
                raise ScenarioError(each.name, f"says nothing about {self.do}")
        if self.do == "open" and not self.to:
            raise ScenarioError("to", "is missing: which host is the connection opened to?")
        if self.do == "write" and not self.bytes:
            raise ScenarioError("bytes", "is missing: how many are written?")


_SAYS_MORE: Final = frozenset(each for used in ACTIONS.values() for each in used)


def packet_name(value: Any) -> Name:
    """What `SimPacket.describe()` gives, or a list of the same."""
    if not isinstance(value, (list, tuple)) or len(value) != 7:
        raise ScenarioError("", f"must be [from, to, connection, flags, seq, length, nth], not {shown(value)}")
    checks = (
        name,
        name,
        whole(-1, MAX_STEPS + MAX_FORGED),
        _flags,
        whole(-1, (1 << 32) - 1),
        whole(0, 65535),
        whole(0, 1 << 20),
    )
    found: list[Any] = []
    for number, (check, each) in enumerate(zip(checks, value, strict=True)):
        try:
            found.append(check(each))
        except ScenarioError as error:
            raise error.within(f"[{number}]") from None
    sender, receiver, connection, flags, seq, length, nth = found
    return sender, receiver, connection, flags, seq, length, nth


def _flags(value: Any) -> str:
    """Names of flags, as a diagram has them: SYN,ACK. Raises ScenarioError."""
    if not isinstance(value, str) or any(each not in FLAGS for each in value.split(",") if value):
        raise ScenarioError("", f"must be names of flags such as SYN,ACK, not {shown(value)}")
    return value


@dataclass(frozen=True, kw_only=True)
class Fate(Part):
    """What becomes of the packet of that name. by_us: how much later it is, if it is delayed; overtake: what was sent
    after it need not wait for it; again_us: it arrives once more, so long after it was sent (0: it does not).
    """

    packet: Name = part(packet_name)
    do: str = part(word(DROP, DELAY, DUPLICATE, CORRUPT, MARK))
    by_us: int = part(_TIME, default=0)
    overtake: bool = part(flag, default=True)
    again_us: int = part(_TIME, default=0)

    def check_whole(self) -> None:
        """Raise ScenarioError for a delay of nothing, or by something that is no delay."""
        if (self.do == DELAY) != (self.by_us > 0):
            raise ScenarioError("by_us", "says by how much a packet is delayed, and nothing of another fate")
        if self.again_us and self.do != DELAY:
            raise ScenarioError("again_us", "says when a delayed packet arrives again, and nothing of another fate")


# What a forged number counts from: what the receiver of the packet expects there, the first number of that side, or 0.
EXPECTED: Final = "expected"
ISN: Final = "isn"
ZERO: Final = "zero"


@dataclass(frozen=True, kw_only=True)
class Forgery(Part):
    """A packet that arrives at `to` in the name of `as_host`, who did not send it.

    connection: of those between the two, in the order of opening; ports that are given (0: not) take precedence. seq
    and ack: counted from what seq_from and ack_from name (EXPECTED: RCV.NXT and SND.NXT of its receiver).
    """

    at_us: int = part(_TIME)
    to: str = part(name)
    as_host: str = part(name)
    flags: str = part(_flags)
    connection: int = part(whole(0, MAX_STEPS), default=0)
    to_port: int = part(whole(0, 65535), default=0)
    from_port: int = part(whole(0, 65535), default=0)
    seq: int = part(whole(-(1 << 31), (1 << 32) - 1), default=0)
    seq_from: str = part(word(EXPECTED, ISN, ZERO), default=EXPECTED)
    ack: int = part(whole(-(1 << 31), (1 << 32) - 1), default=0)
    ack_from: str = part(word(EXPECTED, ISN, ZERO), default=EXPECTED)
    length: int = part(whole(0, MAX_FORGED_BYTES), default=0)
    window: int = part(whole(0, 65535), default=65535)


@dataclass(frozen=True, kw_only=True)
class Scenario(Part):
    """The whole. until_us: when it ends at the latest; it ends before if nothing can happen any more."""

    hosts: tuple[Host, ...] = part(several(Host, MAX_HOSTS))
    title: str = part(text(200), default="")
    about: str = part(text(1000), default="")
    seed: int = part(whole(0, (1 << 32) - 1), default=0)
    until_us: int = part(whole(1, MAX_TIME_US), default=300 * _SECOND)
    links: tuple[Link, ...] = part(several(Link, MAX_HOSTS * MAX_HOSTS), default=())
    steps: tuple[Step, ...] = part(several(Step, MAX_STEPS), default=())
    fates: tuple[Fate, ...] = part(several(Fate, MAX_FATES), default=())
    forged: tuple[Forgery, ...] = part(several(Forgery, MAX_FORGED), default=())

    def check_whole(self) -> None:
        """Raise ScenarioError for names that are no host's, or two hosts'."""
        if len(self.hosts) < 2:
            raise ScenarioError("hosts", "must be two at least")
        names = Counter(host.name for host in self.hosts)
        for host, count in names.items():
            if count > 1:
                raise ScenarioError("hosts", f"has {shown(host)} {count} times")
        for place, host in self._named():
            if host not in names:
                raise ScenarioError(place, f"there is no host {shown(host)}; there are {', '.join(map(shown, names))}")
        for place, one_end, other in self._pairs():
            if one_end == other:
                raise ScenarioError(place, f"joins {shown(one_end)} with itself")
        pairs = Counter(frozenset((link.a, link.b)) for link in self.links)
        for pair, count in pairs.items():
            if count > 1:
                raise ScenarioError("links", f"has {' and '.join(map(shown, sorted(pair)))} {count} times")
        fated = Counter(fate.packet for fate in self.fates)
        for packet, count in fated.items():
            if count > 1:
                raise ScenarioError("fates", f"decide {count} times about {shown(' '.join(map(str, packet)))}")
        if sum(step.bytes for step in self.steps if step.do == "write") > MAX_BYTES:
            raise ScenarioError("steps", f"write more than {MAX_BYTES} bytes in all")

    def _named(self) -> list[tuple[str, str]]:
        """Every place that names a host, with what it names."""
        return [
            *((f"links[{n}].{end}", host) for n, link in enumerate(self.links) for end, host in _ends(link)),
            *((f"steps[{n}].host", step.host) for n, step in enumerate(self.steps)),
            *((f"steps[{n}].to", step.to) for n, step in enumerate(self.steps) if step.to),
            *((f"fates[{n}].packet[0]", fate.packet[0]) for n, fate in enumerate(self.fates)),
            *((f"fates[{n}].packet[1]", fate.packet[1]) for n, fate in enumerate(self.fates)),
            *((f"forged[{n}].to", forged.to) for n, forged in enumerate(self.forged)),
            *((f"forged[{n}].as_host", forged.as_host) for n, forged in enumerate(self.forged)),
        ]

    def _pairs(self) -> list[tuple[str, str, str]]:
        """Every place that names two hosts which can't be the same."""
        return [
            *((f"links[{n}]", link.a, link.b) for n, link in enumerate(self.links)),
            *((f"steps[{n}].to", step.host, step.to) for n, step in enumerate(self.steps)),
            *((f"fates[{n}].packet", fate.packet[0], fate.packet[1]) for n, fate in enumerate(self.fates)),
            *((f"forged[{n}].as_host", forged.to, forged.as_host) for n, forged in enumerate(self.forged)),
        ]


def _ends(link: Link) -> tuple[tuple[str, str], tuple[str, str]]:
    return ("a", link.a), ("b", link.b)
