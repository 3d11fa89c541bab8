"""Ephemeral ports, whatever is taken and given back: those of a walk of single steps, and far fewer steps."""

from __future__ import annotations

from hashlib import blake2s

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from synfin.stack.ports import DESTINATIONS, LONG_WALK, EphemeralPorts

SECRET = bytes(range(32))
HERE = b"\x0a\0\0\x01"
FIRST, COUNT = 40000, 3 * LONG_WALK
PEERS = [b"\x0a\0\0" + bytes((2 + n,)) for n in range(3)]


class PlainWalk:
    """RFC 6056 3.3.4 as it is written."""

    def __init__(self) -> None:
        self.table = [0] * 256

    def choose(self, local: bytes, remote: bytes, remote_port: int, taken: set[int]) -> int:
        name = local + remote + remote_port.to_bytes(2, "big")
        digest = blake2s(name, key=SECRET, digest_size=8, person=b"ports").digest()
        for _ in range(COUNT):
            port = FIRST + (int.from_bytes(digest[:4], "big") + self.table[digest[4]]) % COUNT
            self.table[digest[4]] += 1
            if port not in taken:
                return port
        return 0


class AsAPlainWalk(RuleBasedStateMachine):
    """Some destinations; what is taken is known here, and asked for and told as a stack does."""

    def __init__(self) -> None:
        super().__init__()
        self.ports = EphemeralPorts(SECRET, FIRST, FIRST + COUNT - 1)
        self.plain = PlainWalk()
        self.taken: dict[bytes, set[int]] = {peer: set() for peer in PEERS}
        self.everywhere: set[int] = set()
        self.asked = self.calls = self.taken_ever = 0

    @rule(peer=st.sampled_from(PEERS), times=st.integers(1, COUNT))
    def take(self, peer: bytes, times: int) -> None:
        taken = self.taken[peer]

        def free(port: int) -> bool:
            self.asked += 1
            return port not in taken and port not in self.everywhere

        for _ in range(times):
            self.calls += 1
            port = self.ports.choose(HERE, peer, 80, free)
            assert port == self.plain.choose(HERE, peer, 80, taken | self.everywhere)
            if not port:
                break
            taken.add(port)
            self.taken_ever += 1

    @rule(peer=st.sampled_from(PEERS), at=st.integers(0, COUNT - 1), count=st.integers(1, COUNT))
    def give_back(self, peer: bytes, at: int, count: int) -> None:
        for port in sorted(self.taken[peer])[at : at + count]:
            self.taken[peer].discard(port)
            self.ports.freed(HERE, peer, 80, port)

    @rule(peer=st.sampled_from(PEERS), port=st.integers(FIRST, FIRST + COUNT - 1))
    def take_by_name(self, peer: bytes, port: int) -> None:
        self.taken[peer].add(port)
        self.taken_ever += 1

    @rule(port=st.integers(FIRST, FIRST + COUNT - 1))
    def listen(self, port: int) -> None:
        self.everywhere.add(port)
        self.taken_ever += len(PEERS)

    @rule()
    def close_listeners(self) -> None:
        for port in self.everywhere:
            self.ports.freed_everywhere(port)
        self.everywhere = set()

    @invariant()
    def a_port_is_asked_about_once_for_each_time_it_is_taken(self) -> None:
        assert self.asked <= self.calls * (LONG_WALK + 1) + 2 * self.taken_ever
        assert len(self.ports._crowds) <= DESTINATIONS


TestAsAPlainWalk = AsAPlainWalk.TestCase
TestAsAPlainWalk.settings = settings(max_examples=60, stateful_step_count=30)
