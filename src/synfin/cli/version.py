"""What `synfin --version` says. It needs no library."""

from __future__ import annotations

import platform

from synfin import __version__, compiled


def version_text() -> str:
    """The version, and in which form it runs on what."""
    form = "compiled" if compiled() else "interpreted"
    return f"synfin {__version__} ({form}, {platform.python_implementation()} {platform.python_version()})"
