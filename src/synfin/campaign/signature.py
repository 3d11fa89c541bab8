"""What two failures have in common if they are one: the exception, its place in the project, its text but for numbers.

The place is the last line of the project's own code that was under way; a statement about all times has a name of its
own in its stead.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from synfin.campaign.sources import is_of_project
from synfin.sim.errors import Hung

TEXT: Final = 300  # characters that count
_HEX: Final = re.compile(r"0x[0-9a-fA-F]+|\b(?=[0-9a-f-]*\d)(?=[0-9a-f-]*[a-f])[0-9a-f]{8,}(?:-[0-9a-f]{4,})*\b")
_NUMBER: Final = re.compile(r"(?<![\w.#])(?<!\.py:)\d+(?:\.\d+)*|(?<=[-_ #])\d+\b")


@dataclass(frozen=True)
class Signature:
    """exception: its type; place: "tests/test_x.py:12 in test_x", or ""; text: normalised."""

    exception: str
    place: str
    text: str

    @property
    def key(self) -> str:
        """Short, and the same in every process."""
        return hashlib.sha256(repr((self.exception, self.place, self.text)).encode()).hexdigest()[:12]

    def __str__(self) -> str:
        first = self.text.partition("\n")[0]
        return f"{self.exception}{f': {first}' if first else ''}{f' ({self.place})' if self.place else ''}"


def signature_of(error: BaseException, root: Path) -> Signature:
    """Of a failure in a project that lies in `root`."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    place = str(getattr(error, "statement", "")) or _place(error, root)
    return Signature(name, place, normalised(_text(error)))


def normalised(text: str) -> str:
    """Without what differs from seed to seed.

    >>> normalised("host 17 has 3.5 s left at <Task 0x7f12ab>, see shop.py:12")
    'host # has # s left at <Task #>, see shop.py:12'
    """
    lines = [" ".join(line.split()) for line in text.strip().splitlines()]
    return _NUMBER.sub("#", _HEX.sub("#", "\n".join(lines)))[:TEXT]


def _text(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:
        return "(its text can't be had)"
    return text.partition("\n")[0] if isinstance(error, AssertionError | Hung) else text


def _place(error: BaseException, root: Path) -> str:
    place = ""
    step = error.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        if is_of_project(code.co_filename, root):
            path = Path(code.co_filename).relative_to(root).as_posix()
            place = f"{path}:{step.tb_lineno} in {code.co_name}"
        step = step.tb_next
    return place
