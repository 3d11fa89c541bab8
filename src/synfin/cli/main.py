"""The console script `synfin`. The commands are in `app`; without the libraries they need, it says what to install."""

from __future__ import annotations

import signal
import sys


def main() -> None:
    """Run the command line."""
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `synfin demo | head` ends with head
    try:
        from synfin.cli.app import app
    except ImportError as error:
        print(f"synfin: {error}; the command line needs: pip install 'synfin[cli,tun]'", file=sys.stderr)
        raise SystemExit(2) from None
    app()
