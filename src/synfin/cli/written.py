"""Files that a command writes at its end: that they can't be is found out before it begins."""

from __future__ import annotations

from pathlib import Path


def why_not(**files: Path | None) -> str:
    """Which of them can't be written, each named as its option is, and why; "": all can. Those missing are made."""
    for option, file in files.items():
        if file is not None:
            try:
                file.open("a").close()
            except OSError as error:
                return f"--{option} {file}: {error.strerror or error}"
    return ""
