"""Scenarios to begin with: RFC 9293's figures 6 to 13, and what people ask about most, by their names.

Where a figure leaves numbers and times open, they are chosen so that each line of it happens in its order.
"""

from __future__ import annotations

from typing import Any, Final

from synfin.scenario.model import DELAY, ISN, Fate, Forgery, Host, Link, Scenario, Settings, Step
from synfin.sim.rules import DROP

_MS: Final = 1000
_SECOND: Final = 1_000_000
_A_PORT: Final = 1000
_B_PORT: Final = 80


def _steps(host: str, *what: dict[str, Any] | str) -> tuple[Step, ...]:
    """A host's program: words, or words with what more there is to say."""
    return tuple(Step(host=host, do=each) if isinstance(each, str) else Step(host=host, **each) for each in what)


def _pair(a: str, b: str, a_settings: Settings | None = None, b_settings: Settings | None = None) -> tuple[Host, Host]:
    return Host(name=a, settings=a_settings or Settings()), Host(name=b, settings=b_settings or Settings())


_AB: Final = _pair("A", "B")
_OPEN: Final = {"do": "open", "to": "B", "from_port": _A_PORT}

BASIC_OPEN: Final = Scenario(
    title="RFC 9293 figure 6: basic three-way handshake for connection synchronization",
    hosts=_AB,
    until_us=_SECOND,
    steps=(
        *_steps("A", _OPEN, {"do": "write", "bytes": 10, "after_us": _MS}),
        *_steps("B", "listen", "accept", {"do": "read"}),
    ),
)
SIMULTANEOUS_OPEN: Final = Scenario(
    title="RFC 9293 figure 7: simultaneous connection synchronization",
    hosts=_AB,
    until_us=_SECOND,
    steps=(*_steps("A", _OPEN), *_steps("B", {"do": "open", "to": "A", "port": _A_PORT, "from_port": _B_PORT})),
)
OLD_SYN: Final = Scenario(
    title="RFC 9293 figure 8: recovery from an old duplicate SYN",
    hosts=_AB,
    until_us=_SECOND,
    steps=(*_steps("A", _OPEN), *_steps("B", "listen", "accept")),
    fates=(Fate(packet=("A", "B", 0, "SYN", 0, 0, 0), do=DELAY, by_us=50 * _MS),),
    forged=(Forgery(at_us=5 * _MS, to="B", as_host="A", flags="SYN", seq_from=ISN, seq=-10),),
)
HALF_OPEN_SYN: Final = Scenario(
    title="RFC 9293 figure 9: half-open connection discovery",
    hosts=_AB,
    until_us=5 * _SECOND,
    steps=(
        *_steps("A", _OPEN, {"do": "crash", "at_us": 200 * _MS}, {"do": "restart", "at_us": 400 * _MS}, _OPEN),
        *_steps("B", "listen", "accept", "read", "accept"),
    ),
)
HALF_OPEN_DATA: Final = Scenario(
    title="RFC 9293 figure 10: active side causes half-open connection discovery",
    hosts=_AB,
    until_us=5 * _SECOND,
    steps=(
        *_steps("A", _OPEN, {"do": "crash", "at_us": 200 * _MS}, {"do": "restart", "at_us": 400 * _MS}),
        *_steps("B", "listen", "accept", {"do": "write", "bytes": 10, "at_us": 500 * _MS}, "read"),
    ),
)
TWO_PASSIVE: Final = Scenario(
    title="RFC 9293 figure 11: old duplicate SYN initiates a reset on two passive sockets",
    hosts=_AB,
    until_us=_SECOND,
    steps=(*_steps("A", {"do": "listen", "port": _A_PORT}), *_steps("B", "listen", "accept")),
    forged=(
        Forgery(
            at_us=10 * _MS, to="B", as_host="A", from_port=_A_PORT, to_port=_B_PORT, flags="SYN", seq_from=ISN, seq=5000
        ),
    ),
)
NORMAL_CLOSE: Final = Scenario(
    title="RFC 9293 figure 12: normal close sequence",
    hosts=_AB,
    steps=(
        *_steps("A", _OPEN, {"do": "close", "at_us": 100 * _MS}),
        *_steps("B", "listen", "accept", "read", {"do": "close", "after_us": 60 * _MS}),
    ),
)
SIMULTANEOUS_CLOSE: Final = Scenario(
    title="RFC 9293 figure 13: simultaneous close sequence",
    hosts=_AB,
    steps=(
        *_steps("A", _OPEN, {"do": "close", "at_us": 100 * _MS}),
        *_steps("B", "listen", "accept", {"do": "close", "at_us": 100 * _MS}),
    ),
)

FIGURES: Final = {
    6: BASIC_OPEN,
    7: SIMULTANEOUS_OPEN,
    8: OLD_SYN,
    9: HALF_OPEN_SYN,
    10: HALF_OPEN_DATA,
    11: TWO_PASSIVE,
    12: NORMAL_CLOSE,
    13: SIMULTANEOUS_CLOSE,
}

# Where a SYN,ACK is lost, the client's SYN that comes again and the server's own timer would be due at the same moment,
# and two answers would go: the server's waits a little longer, so that a diagram shows one.
_TWO: Final = _pair("client", "server", None, Settings(rto_initial_us=1_200_000))
_ASK: Final = _steps(
    "client",
    {"do": "open", "to": "server"},
    {"do": "write", "bytes": 100},
    {"do": "shutdown"},
    "read",
    "close",
)
_ANSWER: Final = _steps(
    "server", "listen", "accept", "read", {"do": "write", "bytes": 500, "after_us": 60 * _MS}, "close"
)


def _bulk(size: int, *, reads_at: int = 0) -> tuple[Step, ...]:
    return (
        *_steps("client", {"do": "open", "to": "server"}, {"do": "write", "bytes": size}, "close"),
        *_steps("server", "listen", "accept", {"do": "read", "at_us": reads_at}, "close"),
    )


EXAMPLES: Final[dict[str, Scenario]] = {
    "conversation": Scenario(
        title="A question, an answer, and four segments to close", hosts=_TWO, steps=_ASK + _ANSWER
    ),
    "syn-ack-lost": Scenario(
        title="The second segment of the handshake is lost",
        hosts=_TWO,
        steps=_ASK + _ANSWER,
        fates=(Fate(packet=("server", "client", 0, "SYN,ACK", 0, 0, 0), do=DROP),),
    ),
    "third-lost": Scenario(
        title="The third segment of the handshake is lost",
        hosts=_TWO,
        steps=(
            *_steps(
                "client", {"do": "open", "to": "server"}, {"do": "write", "bytes": 100, "after_us": 300 * _MS}, "close"
            ),
            *_steps("server", "listen", "accept", "read", "close"),
        ),
        fates=(Fate(packet=("client", "server", 0, "ACK", 1, 0, 0), do=DROP),),
    ),
    "last-ack-lost": Scenario(
        title="The last ACK is lost: TIME-WAIT answers",
        hosts=_TWO,
        steps=_ASK + _ANSWER,
        fates=(Fate(packet=("client", "server", 0, "ACK", 102, 0, 0), do=DROP),),
    ),
    "reset-in-window": Scenario(
        title="A forged RST with a number inside the window",
        hosts=_TWO,
        steps=_ASK + _ANSWER,
        forged=(Forgery(at_us=45 * _MS, to="server", as_host="client", flags="RST", seq=1000),),
    ),
    "reset-exact": Scenario(
        title="A forged RST with the very number that is expected",
        hosts=_TWO,
        steps=_ASK + _ANSWER,
        forged=(Forgery(at_us=45 * _MS, to="server", as_host="client", flags="RST"),),
    ),
    "nobody-listens": Scenario(
        title="Nobody listens: connection refused",
        hosts=_TWO,
        steps=_steps("client", {"do": "open", "to": "server"}),
    ),
    "crash": Scenario(
        title="The server crashes and comes back",
        hosts=_TWO,
        steps=(
            *_steps(
                "client",
                {"do": "open", "to": "server"},
                {"do": "write", "bytes": 100},
                {"do": "write", "bytes": 100, "at_us": 700 * _MS},
                "read",
            ),
            *_steps(
                "server",
                "listen",
                "accept",
                "read",
                {"do": "crash", "at_us": 300 * _MS},
                {"do": "restart", "at_us": 500 * _MS},
                "listen",
            ),
        ),
    ),
    "slow-reader": Scenario(
        title="A program that does not read: the window closes",
        hosts=_pair("client", "server", None, Settings(receive_buffer=4096)),
        steps=_bulk(20_000, reads_at=1500 * _MS),
    ),
    "fast-retransmit": Scenario(
        title="One segment of many is lost",
        hosts=_TWO,
        steps=_bulk(60_000),
        fates=(Fate(packet=("client", "server", 0, "ACK", 14481, 1448, 0), do=DROP),),
    ),
    "slow-start": Scenario(
        title="Slow start over a narrow link",
        hosts=_TWO,
        links=(Link(a="client", b="server", delay_us=20 * _MS, bandwidth=8_000_000, queue=30_000),),
        steps=_bulk(400_000),
    ),
    **{f"figure-{number}": scenario for number, scenario in FIGURES.items()},
}
