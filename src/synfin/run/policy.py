"""What of the outside a program may reach: --deny, --allow, --allow-host, and never this machine's loopback else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from synfin.run.targets import Target

PASS: Final = "pass"
HOST: Final = "host"  # this machine's loopback is meant, and may be reached
DENY: Final = "deny"


@dataclass(frozen=True, kw_only=True)
class Policy:
    """allow: exceptions from deny; without deny, all else is denied. host: the addresses that stand for this machine's
    loopback, to be reached if allow_host."""

    deny: Sequence[Target] = ()
    allow: Sequence[Target] = ()
    host: Sequence[str] = ()
    allow_host: bool = False

    def judge(self, address: str, port: int) -> str:
        """PASS, HOST or DENY, for a place that a program wants to reach."""
        there = ip_address(address)
        if there.is_loopback or there.is_unspecified:
            return DENY
        if address in self.host and not self.allow_host:
            return DENY
        if not any(target.has(address, port) for target in self.allow):
            if any(target.has(address, port) for target in self.deny) or (self.allow and not self.deny):
                return DENY
        return HOST if address in self.host else PASS
