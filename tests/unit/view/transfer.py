"""A transfer with a loss, written by hand: what the pictures of it must show."""

from __future__ import annotations

from synfin.tcp.congestion.base import FAST, UNLIMITED
from tests.unit.view.script import Script, opened

MSS = 1000
LOST_AT = 51.0
AGAIN_AT = 75.0


def lossy_transfer() -> Script:
    """The client sends six segments after 50 ms; the second is lost, reported by SACK, and sent again at 75 ms."""
    script = opened(Script())
    script.sample(20, "client", 10 * MSS, UNLIMITED, 0, rtt=20_000, srtt=20_000, pacing=1e6)
    for number in range(6):
        script.send(50 + number, "client", "ACK", 1 + number * MSS, 1, MSS, lost=number == 1)
    script.send(60, "server", "ACK", 1, 1 + MSS)
    script.sample(70, "client", 11 * MSS, UNLIMITED, 5 * MSS, rtt=20_000, srtt=20_000, pacing=1e6)
    left = script.isns["client"] + 1 + 2 * MSS
    for number in range(3):
        script.send(62 + number, "server", "ACK", 1, 1 + MSS, sack=[(left, left + (number + 1) * MSS)])
        script.sample(
            72 + number, "client", 11 * MSS if number < 2 else 5 * MSS, UNLIMITED if number < 2 else 5 * MSS,
            (4 - number) * MSS, rtt=20_000, srtt=20_000, pacing=1e6, phase=FAST if number == 2 else 0,
        )  # fmt: skip
    script.send(AGAIN_AT, "client", "ACK", 1 + MSS, 1, MSS)
    script.send(85, "server", "ACK", 1, 1 + 6 * MSS)
    script.sample(95, "client", 5 * MSS, 5 * MSS, 0, rtt=20_000, srtt=20_000, pacing=0.5e6)
    script.send(100, "client", "FIN,ACK", 1 + 6 * MSS, 1)
    script.send(110, "server", "FIN,ACK", 1, 2 + 6 * MSS)
    script.send(120, "client", "ACK", 2 + 6 * MSS, 2)
    return script
