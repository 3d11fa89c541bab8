"""A SYN flood, without SYN cookies, with them, and answered in batches."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from synfin.lab.cookie import cookie
from synfin.lab.experiment import Experiment, Finding, Parameter, Settings
from synfin.lab.world import HALF_OPEN_BYTES, SECOND, World, forged
from synfin.stack.flood import LEAST, ROW, find_numpy
from synfin.tcp.config import COOKIES_OFF, COOKIES_WHEN_FULL, Config
from synfin.tcp.states import ESTABLISHED
from synfin.view.figure import Figure, Line, Panel, highest
from synfin.view.ticks import BYTES, COUNT, SHARE, Unit
from synfin.wire.tcp_header import SYN

WHY = """
A server must answer a SYN before it knows who sent it, and remember that it did: one half-open entry, for 63 s here
(the SYN,ACK and five retransmissions; Linux the same). The queue of entries has a limit, and a flood of SYNs with
forged addresses fills it for the price of a few packets a second; then honest SYNs find no room (RFC 4987 2.2).
A SYN cookie moves the entry into the answer: the server's initial number is a keyed hash of the 4-tuple, the
client's number and a counter, plus the segment size; window scale and SACK go into the low bits of the timestamp
(RFC 4987 3.6). The client brings it back, plus one, in its third segment; who never saw it can't. Nothing is kept
for those who do not answer. The price: a segment size out of a table of eight, no SYN,ACK that is sent again, and no
other options for clients without timestamps. So cookies are used only when the queue is full. A cookie keeps a flood
from filling a table; it does not make the line wider. SYNs that lie side by side are answered in batches, with the
same cookies: that is cheaper, and changes nothing else.
"""


class Run:
    """The flood against one setting, sampled each second."""

    def __init__(self, settings: Settings, cookies: int, np: Any = None) -> None:
        config = Config(syn_queue_limit=settings["queue"], syn_cookies=cookies)
        self.world = World(settings.seed, client=Config(syn_retries=2), server=config)
        self.world.muted = True
        self.world.listen()
        self.half_open: list[float] = []
        self.memory: list[float] = []
        self.began: list[float] = []  # second in which each honest client began
        self.succeeded: list[bool] = []
        self._settings = settings
        self._np = np  # numpy: the SYNs of a second come side by side, as in a packet socket's ring

    def go(self) -> None:
        """The flood lasts from second 10 on; the queue is watched until it is empty again."""
        settings, world = self._settings, self.world
        source = random.Random(settings.seed)
        rate, flood_end = settings["rate"], 10 + settings["seconds"]
        clients = []
        for second in range(flood_end + 75):
            if second < flood_end + 67:
                mine = world.connect(20000 + second)
                clients.append((second, mine))
            for tenth in range(10):  # answers to forged addresses reach nobody: the client's host drops them
                if 10 <= second < flood_end:
                    if self._np is None:
                        self._one_by_one([_spoofed(source) for _ in range(rate // 10)])
                    elif tenth == 0:
                        self._side_by_side([_spoofed(source) for _ in range(rate // 10 * 10)])
                world.advance(SECOND // 10)
            census = world.server.census()
            self.half_open.append(census["half_open"])
            self.memory.append(census["half_open"] * HALF_OPEN_BYTES)
            for began, connection in clients:
                if connection.state == ESTABLISHED and connection in world.at_client.connections:
                    self.began.append(began)
                    self.succeeded.append(True)
                    connection.abort(world.now)
                elif connection.error:
                    self.began.append(began)
                    self.succeeded.append(False)
            done = set(self.began)
            clients = [(began, connection) for began, connection in clients if began not in done]

    def _one_by_one(self, packets: list[bytes]) -> None:
        for packet in packets:
            self.world.server.receive(packet, self.world.now)

    def _side_by_side(self, packets: list[bytes]) -> None:
        """As a link does whose packets lie so: together while a flood goes on, and what is left over one by one."""
        np, flood, now = self._np, self.world.server.flood(), self.world.now
        if not flood.goes_on(now):
            self._one_by_one(packets)
            return
        rows = np.zeros((len(packets), ROW), np.uint8)
        for row, packet in zip(rows, packets, strict=True):
            row[: len(packet)] = np.frombuffer(packet, np.uint8)
        lengths = np.array([len(packet) for packet in packets])
        done, _ = flood.answer(rows, lengths, np.zeros(len(packets), bool), now)
        self._one_by_one([packet for packet, answered in zip(packets, done, strict=True) if not answered])

    def success(self) -> list[float]:
        """Share of the honest clients that began in each second and got through."""
        outcome = dict(zip(self.began, self.succeeded, strict=True))
        last = 0.0
        shares = []
        for second in range(len(self.half_open)):
            last = float(outcome.get(second, last))
            shares.append(last)
        return shares

    def under_attack(self, first: int, last: int) -> tuple[int, int]:
        """(succeeded, all) of the honest clients that began in these seconds."""
        found = [ok for began, ok in zip(self.began, self.succeeded, strict=True) if first <= began < last]
        return sum(found), len(found)


def _spoofed(source: random.Random) -> bytes:
    address = b"\xac" + source.randbytes(3)
    return forged(SYN, source.getrandbits(32), port=source.randrange(1024, 65536), source=address)


def figure_of(title: str, runs: dict[str, Run]) -> Figure:
    """The table, its memory and the honest clients, second by second."""

    def panel(what: str, unit: Unit, values: Callable[[Run], list[float]]) -> Panel:
        lines = []
        for number, (name, one) in enumerate(runs.items()):
            seconds = [second * SECOND for second in range(len(values(one)))]
            lines.append(Line(name, ("two", "one", "three")[number], seconds, values(one), dashed=number > 0))
        return Panel(what, unit, lines, highest(lines) * 1.05)

    panels = [
        panel("half-open entries", COUNT, lambda one: one.half_open),
        panel("their memory", BYTES, lambda one: one.memory),
        panel("honest clients that get through", SHARE, lambda one: one.success()),
    ]
    return Figure(title, panels, 0, (len(runs["with cookies"].half_open) - 1) * SECOND)


def run(settings: Settings) -> Finding:
    """The same flood without cookies, with them, and answered in batches where numpy is; then one cookie bit by bit."""
    finding = Finding()
    runs = {"without cookies": Run(settings, COOKIES_OFF)}
    with_cookies = COOKIES_WHEN_FULL if settings["cookies"] else COOKIES_OFF
    runs["with cookies"] = Run(settings, with_cookies)
    np = find_numpy()
    if np is not None:
        runs["in batches"] = Run(settings, with_cookies, np)
    full_at = 10 + settings["queue"] // settings["rate"] + 1
    end = 10 + settings["seconds"]
    count = settings["rate"] // 10 * 10 * settings["seconds"]
    for name, one in runs.items():
        one.go()
        succeeded, clients = one.under_attack(full_at, end)
        counters = one.world.server.counters.as_dict()
        finding.data[name] = {
            "clients": clients,
            "succeeded": succeeded,
            "most_half_open": max(one.half_open),
            "left_at_the_end": one.half_open[-1],
            "half_open": one.half_open,
            "success": one.success(),
            "counters": {
                key: counters[key]
                for key in ("TCPReqQFullDrop", "TCPReqQFullDoCookies", "SyncookiesSent", "SyncookiesRecv")
            },
        }
    title = f"SYN flood: {count} forged SYNs in {settings['seconds']} s, a SYN queue of {settings['queue']}"
    finding.plot(figure_of(title, runs))
    for name in runs:
        found = finding.data[name]
        finding.say(f"  {name:16} {found['succeeded']} of {found['clients']} honest clients get through while it lasts")
    if np is None:
        finding.say("  in batches       not tried: numpy is not installed")
    else:
        flood = runs["in batches"].world.server.flood()
        finding.say(f"  {'':16} {flood.answered} of the SYNs were answered in {flood.batches} batches")
    finding.say("")
    bare, saved = finding.data["without cookies"], finding.data["with cookies"]
    finding.expect(
        "without cookies the queue is full, and most honest clients fail",
        bare["most_half_open"] == settings["queue"] and bare["succeeded"] * 2 < bare["clients"],
    )
    finding.expect("with cookies every honest client gets through", saved["succeeded"] == saved["clients"] > 0)
    if np is not None:
        batched = finding.data["in batches"]
        finding.expect(
            "answered in batches, every honest client gets through as well",
            batched["succeeded"] == batched["clients"] > 0,
        )
        if settings["cookies"] and settings["rate"] // 10 * 10 >= LEAST:
            answered = runs["in batches"].world.server.flood().answered
            finding.expect("most of the flood is answered in batches", answered * 2 > count)
    finding.expect("the queue never holds more than its limit", saved["most_half_open"] <= settings["queue"])
    finding.expect(
        "a minute after the flood all half-open entries have expired",
        bare["left_at_the_end"] == saved["left_at_the_end"] == 0,
    )
    cookie(settings, finding)
    return finding


EXPERIMENT = Experiment(
    "syn-flood",
    "What does a flood of SYNs do to a server, and how do SYN cookies help?",
    WHY,
    run,
    (
        Parameter("queue", 64, "limit of the SYN queue", 1, 65536),
        Parameter("rate", 100, "forged SYNs a second, in tens", 10, 10000),
        Parameter("seconds", 80, "how long the flood lasts", 10, 600),
        Parameter("cookies", 1, "0: the second run goes without them as well", 0, 1),
    ),
)
