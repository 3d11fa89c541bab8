"""The eleven states of RFC 9293 3.3.2 and the table of legal transitions between them.

Rule for the next editor: every change of a connection's state goes through `check()`; a transition that is not in
TRANSITIONS does not exist, and the diagram in the docs is drawn from that table.
"""

from __future__ import annotations

from typing import Final

CLOSED: Final = 0
LISTEN: Final = 1
SYN_SENT: Final = 2
SYN_RCVD: Final = 3
ESTABLISHED: Final = 4
FIN_WAIT_1: Final = 5
FIN_WAIT_2: Final = 6
CLOSE_WAIT: Final = 7
CLOSING: Final = 8
LAST_ACK: Final = 9
TIME_WAIT: Final = 10

NAMES: Final[tuple[str, ...]] = (
    "CLOSED",
    "LISTEN",
    "SYN-SENT",
    "SYN-RCVD",
    "ESTABLISHED",
    "FIN-WAIT-1",
    "FIN-WAIT-2",
    "CLOSE-WAIT",
    "CLOSING",
    "LAST-ACK",
    "TIME-WAIT",
)

# (before, after): what causes it. RST, ABORT and give-up lead from every state to CLOSED and are not repeated here.
TRANSITIONS: Final[dict[tuple[int, int], str]] = {
    (CLOSED, LISTEN): "passive OPEN",
    (CLOSED, SYN_SENT): "active OPEN / SYN",
    (LISTEN, SYN_RCVD): "SYN / SYN,ACK",
    (LISTEN, ESTABLISHED): "ACK of a SYN cookie",
    (SYN_SENT, SYN_RCVD): "SYN / SYN,ACK (simultaneous open)",
    (SYN_SENT, ESTABLISHED): "SYN,ACK / ACK",
    (SYN_RCVD, ESTABLISHED): "ACK of SYN",
    (SYN_RCVD, LISTEN): "RST to a passive open",
    (SYN_RCVD, TIME_WAIT): "RST after an old duplicate SYN (RFC 9293 MAY-2)",
    (SYN_RCVD, FIN_WAIT_1): "CLOSE / FIN",
    (SYN_RCVD, CLOSE_WAIT): "FIN / ACK",
    (ESTABLISHED, FIN_WAIT_1): "CLOSE / FIN",
    (ESTABLISHED, CLOSE_WAIT): "FIN / ACK",
    (FIN_WAIT_1, FIN_WAIT_2): "ACK of FIN",
    (FIN_WAIT_1, CLOSING): "FIN / ACK (simultaneous close)",
    (FIN_WAIT_1, TIME_WAIT): "FIN,ACK of FIN / ACK",
    (FIN_WAIT_2, TIME_WAIT): "FIN / ACK",
    (CLOSING, TIME_WAIT): "ACK of FIN",
    (CLOSE_WAIT, LAST_ACK): "CLOSE / FIN",
    (LAST_ACK, CLOSED): "ACK of FIN",
    (TIME_WAIT, CLOSED): "2MSL",
    (TIME_WAIT, SYN_RCVD): "SYN of a new incarnation (RFC 6191)",
}


def check(before: int, after: int) -> None:
    """Raise AssertionError for a transition that RFC 9293 does not know; anything may end in CLOSED."""
    if after != CLOSED and (before, after) not in TRANSITIONS:
        raise AssertionError(f"no transition from {NAMES[before]} to {NAMES[after]}")
