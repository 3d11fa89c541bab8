"""Bodies that both ends can make: any size, in which a shift, a swap, a loss or a repetition shows."""

from __future__ import annotations

import functools
import hashlib
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Final

CHUNK: Final = 1 << 18
MB: Final = 1_000_000
_NOISE: Final = random.Random(9293).randbytes(CHUNK - 8)


def chunks(size: int) -> Iterator[bytes]:
    """The body of `size` bytes, in pieces; no two pieces are alike."""
    for number, at in enumerate(range(0, size, CHUNK)):
        yield (number.to_bytes(8, "big") + _NOISE)[: size - at]


@functools.cache
def digest(size: int) -> str:
    """SHA-256 of the body, in hexadecimal."""
    total = hashlib.sha256()
    for chunk in chunks(size):
        total.update(chunk)
    return total.hexdigest()


def write_file(path: Path, size: int) -> Path:
    """The body as a file."""
    with path.open("wb") as file:
        file.writelines(chunks(size))
    return path
