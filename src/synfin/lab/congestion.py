"""Two connections on one link, and one on a link that loses by chance: what each congestion control makes of it."""

from __future__ import annotations

from math import sqrt
from typing import Final

from synfin.lab.experiment import Experiment, Finding, Parameter, Scene, Settings
from synfin.lab.shared_link import SLICE_US, Flow, SharedLink
from synfin.lab.world import MS, SECOND
from synfin.tcp.congestion.choice import BY_NAME
from synfin.tcp.trace import Event
from synfin.view.figure import PLAIN, Figure, Line, Panel, highest
from synfin.view.ticks import BYTES, RATE

WHY = """
Nobody tells a sender how fast it may go: it sees only that its packets arrive, later than before, or not at all. Reno
adds one segment to cwnd each round trip, and halves it on a loss (RFC 5681 3.1). Two that share a queue lose in the
same moments: what they add is the same for both, what they halve is the more the more one has, so that each loss halves
the difference between them (Chiu and Jain, 1989). It goes by round trips: who has the longer one adds less often, and
gets less. CUBIC grows by the time since the last loss instead, which also fills long paths sooner (RFC 9438 4.2).
Both take every loss for a full queue. Where chance loses a share p, Reno's window cannot exceed 1.22/sqrt(p) segments,
whatever the link can do (Mathis, 1997). BBR takes loss below 2 % for no sign: it measures the rate at which data is
delivered and the shortest round trip, and sends their product (draft-ietf-ccwg-bbr 5). Above 2 % it yields as well.
"""
CONTROLS: Final = tuple(name for name in ("reno", "cubic", "bbr") if name in BY_NAME)
BY_LOSS: Final = frozenset(("reno", "cubic"))  # take every loss for a full queue
LOSSES: Final = (0, 1, 3)  # per cent
SEGMENT: Final = 1448  # bytes of text in a packet of 1,500


def jain(rates: list[float]) -> float:
    """Jain's index: 1 if all get the same, 1/n if one gets all."""
    squares = sum(rate * rate for rate in rates)
    return sum(rates) ** 2 / (len(rates) * squares) if squares else 0.0


def mathis(loss: float, rtt_us: int) -> float:
    """Bytes a second of Reno where each packet is lost with this probability, and each is acknowledged."""
    return sqrt(3 / 2) * SEGMENT / sqrt(loss) * SECOND / rtt_us


def link_of(settings: Settings, loss: float = 0.0, events: list[Event] | None = None) -> SharedLink:
    """The bottleneck of the settings. loss: share of packets lost at random, 0 to 1. events: takes its trace."""
    return SharedLink(
        settings.seed,
        rate=settings["rate_mbit"] * 1_000_000,
        queue=settings["queue_kb"] * 1000,
        delay_us=settings["rtt_ms"] * MS // 2,
        loss=loss,
        trace=None if events is None else events.append,
    )


def together(settings: Settings, first: str, second: str, events: list[Event] | None = None) -> list[Flow]:
    """Two connections; the second comes when a tenth of the time is over."""
    link = link_of(settings, events=events)
    lead = settings["seconds"] * SECOND // 10 // SLICE_US * SLICE_US
    link.add(first)
    link.run(lead)
    link.add(second, max(settings["second_rtt_ms"] - settings["rtt_ms"], 0) * MS // 2)
    link.run(settings["seconds"] * SECOND - lead)
    return link.flows


def shares(finding: Finding, settings: Settings, panels: list[Panel]) -> None:
    """Who gets how much of one link, judged by the second half."""
    end = settings["seconds"] * SECOND
    finding.say("", "Two at once, over the second half:        first       second    Jain's index")
    pairs = [(name, name) for name in CONTROLS]
    if {"cubic", "bbr"} <= set(CONTROLS):
        pairs.append(("cubic", "bbr"))
    for first, second in pairs:
        watched: list[Event] | None = None
        if (first, second) == pairs[0]:
            watched = []
        flows = together(settings, first, second, watched)
        if watched is not None:
            finding.scenes.append(Scene(f"two connections with {first}", watched))
        rates = [flow.rate(end // 2, end) for flow in flows]
        index = jain(rates)
        name = first if first == second else f"{first} beside {second}"
        finding.say(f"  {name:32} {RATE.text(rates[0]):>15} {RATE.text(rates[1]):>12} {index:11.2f}")
        finding.data[name] = {"rates": rates, "jain": index}
        series = [(f"the first ({first})", flows[0]), (f"the second ({second})", flows[1])]
        times = [number * SLICE_US for number in range(len(flows[0].rates))]
        lines = [
            Line(who, PLAIN[number], times, flow.windows, step=True, dashed=number > 0)
            for number, (who, flow) in enumerate(series)
        ]
        panels.append(Panel(f"cwnd: {name}", BYTES, lines, highest(lines) * 1.05))
        if first == second and first in BY_LOSS:
            finding.expect(f"two connections with {first} share the link fairly", index >= 0.9)
            finding.expect(f"and fill most of it ({first})", sum(rates) * 8 >= 0.75 * settings["rate_mbit"] * 1_000_000)


def losses(finding: Finding, settings: Settings) -> None:
    """What one connection gets where chance loses packets."""
    end = settings["seconds"] * SECOND
    limit = [f"{RATE.text(mathis(loss / 100, settings['rtt_ms'] * MS)):>12}" if loss else f"{'':12}" for loss in LOSSES]
    finding.say("", "One alone, of all packets lost:   " + "".join(f"{f'{loss} %':>13}" for loss in LOSSES))
    for name in CONTROLS:
        rates = []
        for loss in LOSSES:
            link = link_of(settings, loss / 100)
            flow = link.add(name)
            link.run(end)
            rates.append(flow.rate(0, end))
        finding.say(f"  {name:32}" + "".join(f"{RATE.text(rate):>13}" for rate in rates))
        finding.data[f"{name} alone"] = dict(zip((f"{loss} %" for loss in LOSSES), rates, strict=True))
        if name in BY_LOSS:
            finding.expect(f"{name} takes random loss for a full queue, and slows down", rates[2] < rates[1] < rates[0])
        else:
            finding.expect(f"{name} keeps most of the link at 1 % loss", rates[1] > rates[0] / 2)
    finding.say(f"  {'Mathis: what Reno can have':32} " + " ".join(limit), "")


def run(settings: Settings) -> Finding:
    """How two controls share a link, and what random loss leaves each of them."""
    finding = Finding()
    panels: list[Panel] = []
    shares(finding, settings, panels)
    losses(finding, settings)
    title = f"Two connections share {settings['rate_mbit']} Mbit/s; the second comes later"
    finding.plot(Figure(title, panels, 0, settings["seconds"] * SECOND))
    return finding


EXPERIMENT = Experiment(
    "congestion",
    "Why do two connections share a link fairly, and what do Reno, CUBIC and BBR do at 0, 1 and 3 % loss?",
    WHY,
    run,
    (
        Parameter("rate_mbit", 10, "rate of the link, Mbit/s", 1, 1000),
        Parameter("rtt_ms", 40, "round trip without queueing", 1, 2000),
        Parameter("second_rtt_ms", 40, "that of the second connection, at least rtt_ms", 1, 2000),
        Parameter("queue_kb", 50, "what may wait for the link, kB", 3, 100_000),
        Parameter("seconds", 20, "how long each runs", 2, 3600),
    ),
)
