"""What a host lends to each of its connections: settings, counters, the output, the trace, and two queues to stand in.

It is no parent: a connection asks nothing of it but a place in a queue.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from mypy_extensions import i64

from synfin.tcp.answers import Answers
from synfin.tcp.challenge import ChallengeBudget
from synfin.tcp.chunk import Chunk
from synfin.tcp.config import Config
from synfin.tcp.congestion.base import AckSample
from synfin.tcp.counters import Counters
from synfin.tcp.isn import IsnFunction, TimestampOffset
from synfin.tcp.output import Output
from synfin.tcp.pressure import Pressure
from synfin.tcp.syn_cookies import SynCookies
from synfin.tcp.trace import Tracer
from synfin.tcp.turn import Turn


class Environment:
    """One per stack, given to every connection and listener at construction."""

    def __init__(
        self,
        config: Config,
        counters: Counters,
        output: Output,
        isn: IsnFunction,
        ts_offset: TimestampOffset,
        cookies: SynCookies,
        challenges: ChallengeBudget,
    ) -> None:
        self.config = config
        self.counters = counters
        self.output = output
        self.isn = isn
        self.ts_offset = ts_offset
        self.cookies = cookies
        self.answers = Answers(challenges, counters)
        self.half_open: i64 = 0  # entries of all SYN queues
        self.on_half_open_lost: Callable[[bytes], object] | None = None  # told the key of each that became nothing
        self.flooded_at: i64 = -1  # when a SYN last found its queue full, and was answered by a cookie
        self.orphans: i64 = 0  # connections that their users have closed, and that have not ended
        self.pressure = Pressure()
        self.tracer: Tracer | None = None
        self.active: deque[Turn] = deque()  # may have something to send, or a deadline to be noted
        self.ready: deque[Turn] = deque()  # has something for its user
        self.sample = AckSample()  # reused
        self.chunk = Chunk()  # reused
