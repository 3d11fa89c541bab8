"""The resolvers of this machine, for whom questions from the inside are meant."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Final

RESOLV_CONF: Final = Path("/etc/resolv.conf")
DNS_PORT: Final = 53
MOST: Final = 3  # MAXNS of resolv.conf(5)


def machine_resolvers(path: Path = RESOLV_CONF) -> list[str]:
    """The addresses that resolv.conf(5) names; the machine's own where it names none, or is not there."""
    found: list[str] = []
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        words = line.split()
        if len(words) >= 2 and words[0] == "nameserver":
            try:
                ip_address(words[1].partition("%")[0])
            except ValueError:
                continue
            found.append(words[1])
    return found[:MOST] or ["127.0.0.1"]
