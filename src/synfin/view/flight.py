"""What one end has sent and the other has not received: which departure does an arrival belong to?"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Final, Generic, TypeVar

from synfin.view.events import Fields

_REMEMBERED: Final = 4096  # segments that have arrived, by which a copy is recognised; and of those given up, at most

Signature = tuple[int, int, int, int, int, bytes]
Item = TypeVar("Item")


def signature_of(fields: Fields) -> Signature:
    """What is the same of a segment where it leaves and where it arrives, and differs between most segments."""
    return fields.seq, fields.length, fields.flags, fields.ack, fields.window, fields.option_bytes


class Flight(Generic[Item]):
    """The segments on their way in one direction."""

    def __init__(self) -> None:
        self._flying: OrderedDict[Signature, deque[tuple[int, Item]]] = OrderedDict()
        self._arrived: OrderedDict[Signature, None] = OrderedDict()
        self._delay = 0  # of the last arrival

    def sent(self, fields: Fields, at: int, item: Item) -> None:
        """A segment is on its way; `item` is what arrived() gives back for it."""
        if len(self._flying) > 4 * _REMEMBERED:
            self._flying.popitem(last=False)
        self._flying.setdefault(signature_of(fields), deque()).append((at, item))

    def arrived(self, fields: Fields, at: int) -> Item | None:
        """The departure that this arrival is of; of equal ones the likeliest, by the delay of the last arrival."""
        signature = signature_of(fields)
        waiting = self._flying.get(signature)
        if not waiting:
            return None
        number = min(reversed(range(len(waiting))), key=lambda n: abs(at - waiting[n][0] - self._delay))
        sent_at, item = waiting[number]
        del waiting[number]
        if not waiting:
            del self._flying[signature]
        self._delay = at - sent_at
        self._arrived[signature] = None
        if len(self._arrived) > _REMEMBERED:
            self._arrived.popitem(last=False)
        return item

    def has_arrived(self, fields: Fields) -> bool:
        """Has a segment like this arrived before?"""
        return signature_of(fields) in self._arrived
