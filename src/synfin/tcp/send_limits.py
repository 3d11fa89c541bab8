"""How much of what waits goes out now: Nagle, silly windows, the size of a burst. RFC 9293 3.7.4 and 3.8.6.2.1.

Pure: sizes in, a size out. Windows and cwnd are the caller's.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

BURST_BYTES: Final = 65535 - 120  # one IP packet, less the longest headers
BURST_SECONDS: Final = 0.001  # a burst holds what this much time carries at the pacing rate


def burst_limit(mss: i64, rate: float) -> i64:
    """Bytes of the next burst: whole segments, what one millisecond carries at the pacing rate, at least two segments.

    rate: bytes a second, 0 while unknown.
    """
    size: i64 = BURST_BYTES
    if rate > 0.0:
        carried = rate * BURST_SECONDS
        if carried < float(size):
            size = int(carried)
    segments = size // mss
    if segments < 2:
        segments = 2 if 2 * mss <= BURST_BYTES else 1
    return segments * mss


def sendable(
    length: i64, available: i64, window: i64, mss: i64, max_wnd: i64, wait_for_mss: bool, override: bool
) -> i64:
    """What of `length` bytes, all that burst, window and cwnd let out of the `available`, goes now.

    wait_for_mss: Nagle holds a last short segment back. override: nothing else moved for a timeout (RFC 9293
    3.8.6.2.1), so what fits goes.
    """
    if length >= available:
        return length - length % mss if wait_for_mss else length
    whole: i64 = 0
    if length > 0:
        whole = length // mss * mss
    # Silly-window avoidance: less than a segment goes only if it is half of all the peer ever offered.
    if whole == 0 and length == window and length > 0 and (length * 2 >= max_wnd or override):
        return length
    return whole
