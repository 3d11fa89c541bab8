"""What this machine has of a network: the inside gets the same families, so that programs choose as they do here."""

from __future__ import annotations

from pathlib import Path

_LINK_LOCAL = ("fe8", "fe9", "fea", "feb", "ff")
_REJECT = 0x0200  # RTF_REJECT


def families(root: Path = Path("/")) -> tuple[int, ...]:
    """The IP versions in which anything beyond this machine is routed; 4, if none is. root: where /proc is."""
    four = any(line.split()[0] != "lo" for line in _lines(root / "proc/net/route")[1:] if line.split())
    six = any(_leads_out(line.split()) for line in _lines(root / "proc/net/ipv6_route"))
    return (4, 6) if six and four else (6,) if six else (4,)


def _leads_out(words: list[str]) -> bool:
    if len(words) < 10 or words[9] == "lo" or int(words[8], 16) & _REJECT:
        return False
    return not words[0].startswith(_LINK_LOCAL)


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except OSError:
        return []
