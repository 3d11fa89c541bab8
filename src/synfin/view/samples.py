"""A sender's figures as one line of text, and back: how a capture carries them, as a packet's comment.

Whole numbers with their units, so that a person can read them in Wireshark and nothing is lost on the way back.
"""

from __future__ import annotations

import re
from typing import Final

from synfin.tcp.congestion.base import FAST, LOSS, NONE, UNLIMITED
from synfin.tcp.trace import SampleEvent

_PHASES: Final = {NONE: "open", FAST: "fast recovery", LOSS: "after a timeout"}
_BY_PHASE: Final = {text: phase for phase, text in _PHASES.items()}
_LINE: Final = re.compile(
    r"(?P<host>.*) at (?P<at>-?\d+) us: cwnd (?P<cwnd>\d+), ssthresh (?P<ssthresh>\d+|unlimited), "
    r"in flight (?P<in_flight>\d+), pacing (?P<pacing>\d+) B/s, rtt (?P<rtt>\d+) us, srtt (?P<srtt>\d+) us, "
    rf"(?P<phase>{'|'.join(_BY_PHASE)})"
)


def as_text(sample: SampleEvent, epoch_us: int = 0) -> str:
    """One line; `from_text` reads it. epoch_us: added to its time."""
    ssthresh = "unlimited" if sample.ssthresh >= UNLIMITED else sample.ssthresh
    return (
        f"{sample.host} at {sample.at + epoch_us} us: cwnd {sample.cwnd}, ssthresh {ssthresh}, "
        f"in flight {sample.in_flight}, pacing {sample.pacing_rate:.0f} B/s, "
        f"rtt {sample.rtt} us, srtt {sample.srtt} us, "
        f"{_PHASES.get(sample.phase, _PHASES[NONE])}"
    )


def from_text(line: str, key: bytes) -> SampleEvent | None:
    """The sample that a line tells of the connection with this key; None for any other text."""
    found = _LINE.fullmatch(line)
    if found is None:
        return None
    ssthresh = UNLIMITED if found["ssthresh"] == "unlimited" else int(found["ssthresh"])
    numbers = [int(found[name]) for name in ("at", "cwnd", "in_flight", "pacing", "rtt", "srtt")]
    at, cwnd, in_flight, pacing, rtt, srtt = numbers
    phase = _BY_PHASE[found["phase"]]
    return SampleEvent(at, found["host"], key, cwnd, ssthresh, in_flight, float(pacing), rtt, srtt, phase)
