"""What a connection has only once it sends."""

from __future__ import annotations

import random

from bench import clients
from synfin.stack.stack import Stack
from synfin.tcp.config import Config
from synfin.tcp.congestion.base import CongestionControl

NOW = 1_000_000


def test_who_only_listens_has_no_congestion_control_until_he_speaks() -> None:
    made: list[int] = []

    class Counted(CongestionControl):
        def __init__(self, mss: int) -> None:
            super().__init__(mss)
            made.append(mss)

    config = Config(congestion_control=Counted, initial_window=3, pacing=False)
    stack = Stack([clients.SERVER], config, entropy=random.Random(1).randbytes)
    stack.listen(clients.PORT)
    theirs, connection = clients.open_one(stack, 1, NOW)
    stack.receive(clients.text(1, theirs, 0, NOW), NOW)
    assert b"".join(connection.read(NOW)) == bytes(100)
    assert len(stack.poll(NOW, 1 << 20)) == 1
    assert made == []
    mss = connection.sender.mss
    connection.write(bytes(10 * mss))
    sent = stack.poll(NOW, 1 << 20)
    assert sum(burst.payload_len for burst in sent) == 3 * mss
    assert made == [mss]
    control = connection.sender.losses.congestion()
    assert (control.mss, control.cwnd, control.sack) == (mss, 3 * mss, True)
    assert connection.snapshot(NOW).cwnd == 3 * mss
