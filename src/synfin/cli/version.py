"""What `synfin --version` says. It needs no library."""

from __future__ import annotations

import platform

from synfin import __version__, compiled
from synfin._install import how_to_compile


def version_text() -> str:
    """The version, in which form it runs on what, and how to get the faster form where this is the other."""
    form = "compiled" if compiled() else "interpreted"
    text = f"synfin {__version__} ({form}, {platform.python_implementation()} {platform.python_version()})"
    if compiled() or platform.python_implementation() != "CPython":
        return text
    return f"{text}\nThe compiled form is about ten times as fast: {how_to_compile()}"
