"""What is answered to a segment that was refused, and how often. RFC 9293 3.10.7.4 (first), RFC 5961 7.

Every answer could be made to serve an attacker or to keep two hosts at odds talking for ever. So text or a FIN that an
honest peer may have sent is answered each time, it waits for that; what carries neither, or numbers that no honest peer
would send, rarely, by a limit of the connection's own, from which nobody learns anything of others; and a challenge ACK
has to pass the limit of the stack besides. Three ACKs alike in a round trip are a sign of loss to a peer without SACK:
by forged text it must not cost anything to make them.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from synfin.tcp.challenge import ChallengeBudget
from synfin.tcp.counters import Counters

INTERVAL_US: Final = 500_000  # between two answers of one connection to what nobody waits for (as Linux)
NEVER: Final = -INTERVAL_US  # when a connection that has given none yet gave its last


class Answers:
    """One for a stack. answered_at: when the connection last gave an answer of this kind; it notes each new one."""

    def __init__(self, challenges: ChallengeBudget, counters: Counters) -> None:
        self._challenges = challenges
        self._counters = counters
        self._interval: i64 = 0  # in which `_answered` were
        self._answered: set[bytes] = set()  # records challenged in it; no more than challenges that may go

    def to_unlikely(self, answered_at: i64, now: i64) -> bool:
        """Answer a bare ACK or keep-alive probe outside the window, or numbers out of the blue, now? No is counted."""
        if now - answered_at < INTERVAL_US:
            self._counters.TCPACKSkippedSeq += 1
            return False
        return True

    def challenge(self, answered_at: i64, now: i64) -> bool:
        """Send a challenge ACK now? Yes and no are counted."""
        if now - answered_at < INTERVAL_US:
            self._counters.TCPACKSkippedChallenge += 1
            return False
        return self.challenge_stranger(now)

    def challenge_half_open(self, key: bytes, now: i64) -> bool:
        """The same for the half-open entry under `key`, at most once an interval."""
        if self._was_answered(key, now):
            self._counters.TCPACKSkippedSynRecv += 1
            return False
        return self._answer(key, now)

    def challenge_time_wait(self, key: bytes, now: i64) -> bool:
        """The same for the TIME-WAIT record under `key`, at most once an interval."""
        if self._was_answered(key, now):
            self._counters.TCPACKSkippedTimeWait += 1
            return False
        return self._answer(key, now)

    def _was_answered(self, key: bytes, now: i64) -> bool:
        interval = now // INTERVAL_US
        if interval != self._interval:
            self._interval = interval
            self._answered.clear()
        return key in self._answered

    def _answer(self, key: bytes, now: i64) -> bool:
        if not self.challenge_stranger(now):
            return False
        self._answered.add(key)
        return True

    def challenge_stranger(self, now: i64) -> bool:
        """The same within the stack's limit alone: text for a half-open entry, whose peer waits for the answer."""
        if not self._challenges.take(now):
            self._counters.TCPACKSkippedChallenge += 1
            return False
        self._counters.TCPChallengeACK += 1
        return True
