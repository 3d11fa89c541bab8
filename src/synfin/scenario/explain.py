"""What each segment of a run did, as the trace says it, by the rules by which captures are annotated."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from io import BytesIO

from synfin.links.captures import Capture
from synfin.tcp.trace import Event
from synfin.view.capture import LOST, AnnotatedCapture


def explained(segments: Iterable[tuple[str, bytes, bool]], events: Iterable[Event]) -> dict[str, list[str]]:
    """The reasons by segment. segments: id, bytes, and whether it was forged, of each in the order of departure."""
    file = BytesIO()
    with AnnotatedCapture(file, both_ends=True) as capture:
        for event in events:
            capture(event)
    file.seek(0)
    reasons: dict[str, list[str]] = {}
    waiting: dict[bytes, deque[tuple[str, bool]]] = {}
    for identity, data, is_forged in segments:
        reasons[identity] = []
        waiting.setdefault(data, deque()).append((identity, is_forged))
    last: dict[bytes, str] = {}
    for found in Capture(file):
        queue = waiting.get(found.packet)
        if queue and (found.outgoing or queue[0][1]):
            last[found.packet] = queue.popleft()[0]
        owner = last.get(found.packet)
        if owner is not None:
            reasons[owner] += [line for line in found.comment.splitlines() if line != LOST]
    return reasons
