"""Which lines of the code under test have run, for the first time in this process: from Python 3.12 on.

sys.monitoring tells of each line once, since each is told to be quiet thereafter; so it is about free. Python 3.11 has
no such thing, and a trace function would cost more than it tells: there no line is known.

Code under test is what belongs neither to Python, nor to synfin, nor to what runs tests.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from types import CodeType
from typing import Any, Final

from synfin.sim.places import number

AVAILABLE: Final = sys.version_info >= (3, 12)
_NAME: Final = "synfin"
_OURS: Final = os.path.dirname(os.path.dirname(__file__))
_PYTHONS: Final = tuple({sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")})
_PACKAGES: Final = tuple({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
_RUNNERS: Final = ("_pytest", "pytest", "pluggy", "xdist", "execnet", "distributed", "dask", "tornado", "coverage")
_new: Final[set[int]] = set()
_begun: Final[list[bool]] = []


def begin() -> bool:
    """Watch from now on, as long as the process lasts; False: it can't be had."""
    if _begun:
        return _begun[0]
    _begun.append(_begin())
    return _begun[0]


def take() -> set[int]:
    """Numbers of the lines that have run for the first time since the last call."""
    taken = set(_new)
    _new.clear()
    return taken


def _begin() -> bool:
    monitoring: Any = getattr(sys, "monitoring", None)
    if monitoring is None:
        return False
    free = [tool for tool in range(6) if monitoring.get_tool(tool) is None]
    if not free:
        return False
    tool = free[-1]  # coverage, debuggers and profilers have the first ones
    monitoring.use_tool_id(tool, _NAME)
    silence = monitoring.DISABLE

    def on_line(code: CodeType, line: int) -> object:
        if is_under_test(code.co_filename):
            _new.add(number(f"line {os.path.basename(code.co_filename)} {code.co_qualname} {line}"))
        return silence

    monitoring.register_callback(tool, monitoring.events.LINE, on_line)
    monitoring.set_events(tool, monitoring.events.LINE)
    return True


def is_under_test(file: str) -> bool:
    """The code of that file is."""
    if file.startswith(("<", _OURS)):
        return False
    if file.startswith(_PACKAGES):
        return not any(file.startswith(tuple(f"{folder}{os.sep}{name}" for name in _RUNNERS)) for folder in _PACKAGES)
    return not file.startswith(_PYTHONS)
