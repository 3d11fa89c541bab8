"""Several stacks with the same addresses, each a process: which of them a 4-tuple belongs to is a keyed hash of it.

So no two need to agree on anything while they run: who meets a packet that no table of its own knows asks whose it is,
and hands it to its owner before anything is answered. What a table knows is never asked about.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from hashlib import blake2s

from mypy_extensions import i64, mypyc_attr


@mypyc_attr(allow_interpreted_subclasses=True)
class Team(ABC):
    """One member's view of it: `count` members, this one `index`; all have the same secret.

    Without the secret nobody can choose whose connection it will be. Raises ValueError for numbers that fit nothing.
    """

    def __init__(self, count: int, index: int, secret: bytes) -> None:
        if count < 1 or not 0 <= index < count:
            raise ValueError(f"a team of {count} has no member {index}")
        self.count: int = count
        self.index: int = index
        self._secret: bytes = secret[:32]

    def owner(self, key: bytes) -> int:
        """Who has the connection that receives packets with this key."""
        digest = blake2s(key, key=self._secret, digest_size=8, person=b"team").digest()
        return int.from_bytes(digest, "big") % self.count

    def is_mine(self, key: bytes) -> bool:
        """This member has it."""
        return self.owner(key) == self.index

    @abstractmethod
    def hand_over(self, owner: int, packet: bytes, start: i64, checksum_ok: bool, gso_size: i64) -> None:
        """Give a packet to the member whose it is; the last arguments are those of Stack.receive(). Never blocks."""
