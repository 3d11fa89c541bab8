"""The console script `synfin`. The commands are in `app`; where a library is missing, it says what to type."""

from __future__ import annotations

import signal
import sys

from synfin._install import how_to_add
from synfin.cli.version import version_text


def main() -> None:
    """Run the command line."""
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `synfin demo | head` ends with head
    if sys.argv[1:] == ["--version"]:
        print(version_text())
        return
    try:
        from synfin.cli.app import app

        app()
    except ModuleNotFoundError as error:
        name = (error.name or "").partition(".")[0]
        if name in ("", "synfin"):
            raise
        print(f"synfin: the command needs {name}, which is not installed. Type: {how_to_add('cli')}", file=sys.stderr)
        raise SystemExit(2) from None
