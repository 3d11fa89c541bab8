"""What a user has asked of one connection beyond the settings. Most ask nothing, and share one object."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64


class Asked:
    """Of what is sent. The fields of `NOTHING` are never changed: whoever asks gets an object of his own."""

    def __init__(self) -> None:
        self.send_buffer: i64 = 0  # bytes that are kept for him, and so may be out; 0: that tunes itself (SO_SNDBUF)
        self.notsent_lowat: i64 = 0  # bytes that may wait to be sent before he is held back; 0: as many as are kept
        self.max_pacing_rate: float = 0.0  # bytes a second; 0: no limit (SO_MAX_PACING_RATE)
        self.mss_max: i64 = -1  # no segment is to exceed it, options included; 0: no limit, -1: as Config has it
        self.cork: bool = False  # only full segments go, until a timeout passes without any (TCP_CORK)
        self.tos: i64 = 0  # the six bits of DSCP where the IP header has them; ECN is not the user's


NOTHING: Final = Asked()
