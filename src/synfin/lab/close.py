"""The four-way close: both directions end on their own, and what that looks like in every order."""

from __future__ import annotations

from synfin.lab.experiment import Experiment, Finding, Parameter, Settings
from synfin.lab.played import MS, OPENED_US, SECOND, after, ending, opens, played, program, third
from synfin.lab.world import life, sent
from synfin.scenario.result import Result

WHY = """
A connection is two streams, and each side ends its own: FIN says "I will send no more", nothing about the other
direction (RFC 9293 3.6). So a close is FIN and ACK, twice. The middle two segments are one when the program that
hears the FIN closes at once, as ACK and FIN may share a segment; they must be two when it still has something to
send. Who sends the first FIN ends in TIME-WAIT; if both do, both end there, by way of CLOSING (RFC 9293 figure 13).
"""


def _ended(finding: Finding, result: Result, key: str, title: str) -> tuple[list[str], list[str], int]:
    """Draw it; the states of both sides, and how many segments there were."""
    events = after(result, OPENED_US)
    finding.draw(title, third(result) + events)
    client, server = life(events, "client"), life(events, "server")
    segments = sent(events)
    finding.data[key] = {"client": client, "server": server, "segments": len(segments)}
    return client, server, len(segments)


def four(settings: Settings, finding: Finding) -> None:
    """The server has something to do between the client's FIN and its own."""
    closes = OPENED_US + settings["think_ms"] * MS
    result = played(
        settings,
        program("client", opens(), {"do": "shutdown", "at_us": OPENED_US}),
        program("server", "listen", "accept", {"do": "close", "at_us": closes}),
        until_us=closes + 100 * MS,
    )
    client, server, count = _ended(finding, result, "four", "Four segments: the server closes a little later")
    finding.expect("four segments close it, when the server's FIN comes later than its ACK", count == 4)
    finding.expect(
        "the client: FIN-WAIT-1, FIN-WAIT-2, TIME-WAIT",
        client == ["ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT"],
    )
    finding.expect(
        "the server: CLOSE-WAIT, LAST-ACK, CLOSED", server == ["ESTABLISHED", "CLOSE-WAIT", "LAST-ACK", "CLOSED"]
    )


def three(settings: Settings, finding: Finding) -> None:
    """The server closes as soon as it hears of the client's FIN."""
    result = played(
        settings,
        program("client", opens(), {"do": "shutdown", "at_us": OPENED_US}),
        program("server", "listen", "accept", "read", "close"),
    )
    client, _, count = _ended(finding, result, "three", "Three segments: the server has no more to say")
    finding.expect("three segments close it, when the server closes at once", count == 3)
    arrivals = [change.at_us for change in result.states if change.host == "client"]
    finding.expect(
        "the client passes FIN-WAIT-2 and enters TIME-WAIT by the same segment",
        client[-2:] == ["FIN-WAIT-2", "TIME-WAIT"] and arrivals[-1] == arrivals[-2],
    )


def half_close(settings: Settings, finding: Finding) -> None:
    """The client has said all; the answer is still coming."""
    size = settings["bytes"]
    answer = [{"do": "write", "bytes": size}] if size else []
    result = played(
        settings,
        program("client", opens(), {"do": "write", "bytes": 8, "at_us": OPENED_US}, "shutdown", "read"),
        program("server", "listen", "accept", "read", *answer, "shutdown"),
        until_us=5 * SECOND,
    )
    client, server, _ = _ended(finding, result, "half_close", "Half-close: the answer comes after the client's FIN")
    finding.expect(
        f"all {size} bytes of the answer arrive after the client's FIN",
        size > 0 and ending(result, "client", "read").bytes == size,
    )
    finding.expect(
        "the client had heard nothing but ACKs when it ended its stream",
        client[1] == "FIN-WAIT-1" and server[-1] == "CLOSED" and {each.error for each in result.outcomes} == {""},
    )


def simultaneous(settings: Settings, finding: Finding) -> None:
    """Both close in the same moment: the FINs cross."""
    result = played(
        settings,
        program("client", opens(), {"do": "close", "at_us": OPENED_US}),
        program("server", "listen", "accept", {"do": "close", "at_us": OPENED_US}),
    )
    client, server, _ = _ended(finding, result, "simultaneous", "Simultaneous close: the FINs cross")
    fins = [one.sender for one in result.segments if "FIN" in one.flags]
    finding.expect(
        "each side sends one FIN, and both pass through CLOSING to TIME-WAIT",
        sorted(fins) == ["client", "server"]
        and client == server == ["ESTABLISHED", "FIN-WAIT-1", "CLOSING", "TIME-WAIT"],
    )


def run(settings: Settings) -> Finding:
    """The four ways of closing, one after the other."""
    finding = Finding()
    for part in (four, three, half_close, simultaneous):
        part(settings, finding)
    return finding


EXPERIMENT = Experiment(
    "close",
    "Why do four segments close a connection that three have opened, and when are they three?",
    WHY,
    run,
    (
        Parameter("think_ms", 60, "how long the server takes to close; 0: it closes before the FIN has come", 0, 10000),
        Parameter("bytes", 20000, "the answer that comes after the client's FIN", 0, 1000000),
    ),
)
