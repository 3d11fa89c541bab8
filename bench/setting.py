"""What a worker is told, and how it answers."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from typing import NoReturn

LOAD_GRACE_SECONDS = 45.0  # for `synfin run` to start as well, interpreted, on a busy machine


class Setting:
    """What the command line said."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.subject: str = arguments.subject
        self.measure: str = arguments.measure
        self.offload: bool = not arguments.plain
        self.link: str = arguments.link
        self.load: str = arguments.load
        self.flood: str = arguments.flood
        self.peer: list[str] = json.loads(arguments.peer)
        self.warm: float = arguments.warm
        self.seconds: float = arguments.seconds

        self.inside: Callable[[list[str]], list[str]] = lambda words: words

    def command(self, *words: str | int) -> list[str]:
        """A command line of load.c."""
        return [self.load, *map(str, words)]

    @property
    def warm_ms(self) -> int:
        return int(self.warm * 1000)

    @property
    def ms(self) -> int:
        return int(self.seconds * 1000)

    @property
    def patience(self) -> float:
        return self.warm + self.seconds + LOAD_GRACE_SECONDS


def finish(value: float) -> NoReturn:
    """Say what was measured and end at once: load.c and the network go with this process."""
    import synfin

    print(json.dumps({"value": value, "compiled": synfin.compiled()}), flush=True)
    os._exit(0)
