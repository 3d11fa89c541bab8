"""What a user wants of a run, checked, and the addresses on both ends of its device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from synfin.run.network import RunNetwork
from synfin.run.policy import Policy
from synfin.run.publish import Published

GATEWAY: Final = {4: "198.18.0.1/30", 6: "2001:2::1/64"}  # for measurements (RFC 2544, RFC 5180): nobody else's
PROGRAM: Final = {4: "198.18.0.2/30", 6: "2001:2::2/64"}


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a user asked for, checked. network: None: packets are carried as they are, in bursts."""

    families: Sequence[int]
    policy: Policy
    published: Sequence[Published] = ()
    network: RunNetwork | None = None
    cuts: Sequence[tuple[int, int | None]] = ()  # microseconds
    script: Callable[[RunNetwork], Any] | None = None  # of --rules; may be a coroutine function
    control: Path | None = None
    name: str = "run"
    pcapng: Path | None = None
    record: Path | None = None
    mark: int = 0  # of what goes outside (SO_MARK)
    diagram: bool = False
    names: dict[str, str] = field(default_factory=dict)
