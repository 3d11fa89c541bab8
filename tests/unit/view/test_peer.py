"""What must hold of a peer that has no trace, segment by segment."""

from __future__ import annotations

import pytest

from synfin.view.peer import Peer
from synfin.wire.tcp_header import ACK, FIN, PSH, RST, SYN

BITS = {"SYN": SYN, "ACK": ACK, "FIN": FIN, "RST": RST, "PSH": PSH}

# A step is "< FLAGS end ack: state" for a segment of the peer's and "> FLAGS end ack: state" for one sent to it.
LIVES = {
    "the peer opens and closes first": """
        < SYN 1 0: SYN-SENT
        > SYN,ACK 1 1: (ESTABLISHED)
        < ACK 1 1: ESTABLISHED
        < FIN,ACK 2 1: FIN-WAIT-1
        > ACK 1 2: (FIN-WAIT-2)
        > FIN,ACK 2 2: (TIME-WAIT)
        < ACK 2 2: TIME-WAIT""",
    "the peer answers and closes last": """
        > SYN 1 0:
        < SYN,ACK 1 1: SYN-RCVD
        > ACK 1 1: (ESTABLISHED)
        < PSH,ACK 9 1: ESTABLISHED
        > FIN,ACK 2 9: (CLOSE-WAIT)
        < ACK 9 2: CLOSE-WAIT
        < FIN,ACK 10 2: LAST-ACK
        > ACK 2 10: (CLOSED)""",
    "a close in three segments": """
        > SYN 1 0:
        < SYN,ACK 1 1: SYN-RCVD
        > ACK 1 1: (ESTABLISHED)
        > FIN,ACK 2 1: (CLOSE-WAIT)
        < FIN,ACK 2 2: LAST-ACK
        > ACK 2 2: (CLOSED)""",
    "a simultaneous open": """
        > SYN 1 0:
        < SYN 1 0: SYN-SENT
        > SYN,ACK 1 1: (ESTABLISHED)
        < SYN,ACK 1 1: SYN-RCVD""",
    "a simultaneous close": """
        < SYN 1 0: SYN-SENT
        > SYN,ACK 1 1: (ESTABLISHED)
        < ACK 1 1: ESTABLISHED
        > FIN,ACK 2 1: (CLOSE-WAIT)
        < FIN,ACK 2 1: FIN-WAIT-1
        > ACK 2 2: (TIME-WAIT)
        < ACK 2 2: CLOSING""",
    "data that crosses our FIN proves nothing new": """
        < SYN 1 0: SYN-SENT
        > SYN,ACK 1 1: (ESTABLISHED)
        < ACK 1 1: ESTABLISHED
        > FIN,ACK 2 1: (CLOSE-WAIT)
        < PSH,ACK 50 1: (CLOSE-WAIT)""",
    "the peer resets": """
        < SYN 1 0: SYN-SENT
        > SYN,ACK 1 1: (ESTABLISHED)
        < RST 1 0: CLOSED""",
    "the peer is reset": """
        < SYN 1 0: SYN-SENT
        > RST,ACK 0 1: (CLOSED)""",
    "nothing is known of a peer that has not answered": """
        > SYN 1 0:
        > SYN 1 0:""",
    "a capture that begins in the middle": """
        > PSH,ACK 5 1:
        < ACK 1 5: ESTABLISHED""",
}


@pytest.mark.parametrize("life", LIVES)
def test_each_state_follows_from_what_was_said(life: str) -> None:
    peer = Peer()
    told = []
    for step in LIVES[life].strip().splitlines():
        what, _, state = step.strip().partition(":")
        way, names, end, ack = what.split()
        flags = sum(BITS[name] for name in names.split(","))
        if way == "<":
            peer.speaks(flags, int(end), int(ack))
        else:
            peer.hears(flags, int(end), int(ack))
        told.append(f"{what}: {peer.text}")
        assert peer.text == state.strip(), "\n".join(told)


def test_a_closing_peer_is_in_time_wait_once_our_ack_has_arrived() -> None:
    peer = Peer()
    peer.speaks(ACK, 1, 1)
    peer.hears(FIN | ACK, 2, 1)
    peer.speaks(FIN | ACK, 2, 1)
    peer.hears(ACK, 2, 2)
    peer.speaks(ACK, 2, 2)
    assert peer.text == "CLOSING"
    peer.expect()
    assert peer.text == "(TIME-WAIT)"
