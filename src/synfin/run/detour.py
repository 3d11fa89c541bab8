"""A run in the network that it was started in: all that leaves it takes the way through synfin's device.

For who may change this network and not make another, as a container with CAP_NET_ADMIN alone: policy routing
(ip-rule(8)) leads everything to a table with one route, but for what synfin itself sends, which is marked, and what
answers to who came from outside, which has one of this machine's addresses. All processes of this network are led so.
When the device goes its route goes, and the rules lead nowhere: then everything is as before.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable
from typing import Any, Final

from synfin.links.netns import with_kernel

HERE: Final = "here"  # as --netns says it
MARK: Final = 0x53594E  # of synfin's own packets
_TABLE: Final = 5953
_PRIORITY: Final = 5950  # of the first rule; there are three kinds
_MAIN: Final = 254
_FAMILIES: Final = {4: socket.AF_INET, 6: socket.AF_INET6}
_EVERYTHING: Final = {4: "0.0.0.0/0", 6: "::/0"}


def lead(device: str, families: Iterable[int]) -> None:
    """Lead all that leaves this network to `device`, which is up. Raises OSError."""

    def work(kernel: Any) -> None:
        index = int(kernel.link_lookup(ifname=device)[0])
        for version in families:
            family = _FAMILIES[version]
            _forget(kernel, family)
            kernel.route("replace", dst=_EVERYTHING[version], oif=index, table=_TABLE)
            kernel.rule("add", family=family, priority=_PRIORITY, fwmark=MARK, table=_MAIN)
            for address in _addresses(kernel, family, index):
                kernel.rule(
                    "add", family=family, priority=_PRIORITY + 1, src=address, src_len=8 * len(_packed(address)),
                    table=_MAIN,
                )  # fmt: skip
            kernel.rule("add", family=family, priority=_PRIORITY + 2, table=_TABLE)

    with_kernel(work)


def leave() -> None:
    """Everything goes its own way again."""

    def work(kernel: Any) -> None:
        for family in _FAMILIES.values():
            _forget(kernel, family)

    with contextlib.suppress(OSError):
        with_kernel(work)


def _forget(kernel: Any, family: int) -> None:
    """What a run that was killed has left."""
    for rule in kernel.get_rules(family=family):
        priority = rule.get_attr("FRA_PRIORITY")
        if priority is not None and _PRIORITY <= priority <= _PRIORITY + 2:
            kernel.rule("del", family=family, priority=priority, **_told_by(rule))


def _told_by(rule: Any) -> dict[str, Any]:
    """What tells it from others of its priority."""
    source = rule.get_attr("FRA_SRC")
    return {"src": source, "src_len": rule["src_len"]} if source else {}


def _addresses(kernel: Any, family: int, device: int) -> list[str]:
    """Of all interfaces but the device."""
    return [one.get_attr("IFA_ADDRESS") for one in kernel.get_addr(family=family) if one["index"] != device]


def _packed(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
