"""STATE x EVENT: each cell of `state_table` is played, and what comes out and where it leads must be what it says."""

from __future__ import annotations

import errno
from collections.abc import Callable

import pytest

from synfin.tcp import states
from synfin.wire.tcp_header import ACK, FIN, PSH, RST, SYN, URG, flag_names
from tests.trace import state_table
from tests.trace.scene import PORT, SECOND, Host, Peer, Scene, Stage, plain
from tests.trace.state_table import COLUMNS, DOCUMENT, EVENTS, TABLE, Cell

WINDOW = 65535


def config_of_the_table() -> dict[str, int]:
    """Give-ups that come soon; all else is default or plain."""
    return {"retries": 2, "syn_retries": 2, "synack_retries": 2, "orphan_retries": 2}


class Play:
    """One scene in one state. n: RCV.NXT, a: an ACK that acknowledges nothing new, h: SND.NXT, all relative."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.host: Host = scene.host
        self.peer: Peer = scene.peer
        self.result = ""

    @property
    def n(self) -> int:
        return self.peer.seq

    @property
    def h(self) -> int:
        return self.peer.heard

    @property
    def a(self) -> int:
        connection = self.host._connection
        return self.h if connection is None or self.n <= 1 else connection.snapshot().snd_una

    def quiet(self) -> None:
        """What the way into the state brought out is not looked at."""
        while self.scene.next_packet() is not None:
            pass

    def output(self) -> str:
        """All that comes out now, PSH left out: how text is pushed is not this table's matter."""
        seen = []
        while (seg := self.scene.next_packet()) is not None:
            seen.append((flag_names(seg.flags & ~PSH) or "-") + ("+text" if seg.payload else ""))
        return " ".join([*([self.result] if self.result else []), *seen]) or "-"

    def state(self) -> str:
        """Where this 4-tuple is now."""
        stack, key = self.scene.stack, self.peer.key
        for connection in stack.connections():
            if connection.key == key and connection.state not in (states.CLOSED, states.TIME_WAIT):
                return states.NAMES[connection.state]
        listener = self.host._listener
        if listener is not None and listener.half_open():
            return "SYN-RCVD"
        if stack.census()["time_wait"]:
            return "TIME-WAIT"
        # After a connection of its own, a 4-tuple that belongs to nothing is CLOSED, whoever listens.
        waits = listener is not None and not listener.closed and self.host._connection is None
        return "LISTEN" if waits else "CLOSED"

    # ---- steps that several states share ----

    def establish(self) -> None:
        """Ten bytes have gone each way, so that there is something on the left of both windows."""
        host, peer = self.host, self.peer
        host.connects(local_port=PORT)
        host.emits(SYN)
        self.scene.tick(10_000)
        peer.sends(SYN | ACK, mss=1000)
        self.quiet()
        peer.sends(ACK | PSH, 10)
        self.quiet()
        host.reads(10)
        host.writes(10)
        self.quiet()
        peer.sends(ACK)
        host.is_silent()

    def half_close(self) -> None:
        """Our FIN is out."""
        self.host.shuts()
        self.host.emits(FIN | ACK)

    def peer_closes(self) -> None:
        """The peer's FIN is in, and acknowledges nothing new."""
        self.peer.sends(FIN | ACK, ack=self.a)
        self.host.emits(ACK)


def enter(play: Play, state: str) -> None:
    """The shortest way into a state."""
    host, peer = play.host, play.peer
    if state in ("LISTEN", "SYN-RCVD"):
        host.listens()
        if state == "SYN-RCVD":
            peer.sends(SYN, mss=1000)
            host.emits(SYN | ACK)
        return
    if state in ("SYN-SENT", "SYN-RCVD, active"):
        host.connects(local_port=PORT)
        host.emits(SYN)
        if state != "SYN-SENT":
            peer.sends(SYN, mss=1000)
            host.emits(SYN | ACK, seq=0)
        return
    play.establish()
    if state == "CLOSED":
        host.aborts()
        play.quiet()
        return
    if state in ("CLOSE-WAIT", "LAST-ACK"):
        play.peer_closes()
    if state in ("FIN-WAIT-1", "FIN-WAIT-2", "CLOSING", "LAST-ACK", "TIME-WAIT"):
        play.half_close()
    if state in ("FIN-WAIT-2", "TIME-WAIT"):
        peer.sends(ACK)
        host.is_silent()
    if state in ("CLOSING", "TIME-WAIT"):
        play.peer_closes()
    if state == "TIME-WAIT":
        host.listens()  # so that a new SYN has somewhere to go


Event = Callable[[Play], None]


def sends(flags: int, length: int = 0, *, at: int = 0, number: int | None = None, ack: str = "a", **more: int) -> Event:
    """The peer sends a segment `at` so far from RCV.NXT, or with that number."""

    def event(play: Play) -> None:
        acks = {"a": play.a, "new": play.h, "old": play.a - 10, "too new": play.h + 1, "syn": 1}
        seq = play.n + at if number is None else number
        play.peer.sends(flags, length, seq=seq, ack=acks[ack] if flags & ACK else None, **more)  # type: ignore[arg-type]

    return event


def calls(user: Callable[[Play], None]) -> Event:
    """A user call; an OSError is its result."""

    def event(play: Play) -> None:
        try:
            user(play)
        except OSError as error:
            play.result = errno.errorcode[error.errno or 0]

    return event


def opens(play: Play) -> None:
    """Active OPEN of the same 4-tuple."""
    play.scene.stack.connect(play.peer.address, play.peer.port, play.scene.now, local_port=PORT)


def status(play: Play) -> None:
    """STATUS names the state; a listener tells what waits."""
    if play.host._connection is None:
        assert play.host.listener.half_open() in (0, 1) and play.host.listener.pending() == 0
        return
    assert play.host.status().state in states.NAMES


def closes(play: Play) -> None:
    """CLOSE of the connection, or of the listener where there is none yet."""
    if play.host._connection is None:
        play.scene.stack.close_listener(play.host.listener, play.scene.now)
    else:
        play.host.closes()


def aborts(play: Play) -> None:
    """ABORT, likewise."""
    if play.host._connection is None:
        closes(play)
    else:
        play.host.aborts()


def expires(play: Play) -> None:
    """The next timer."""
    deadline = play.scene.stack.next_deadline()
    assert deadline is not None, "no timer runs"
    play.scene.now = deadline
    play.scene.stack.on_timer(deadline)


def gives_up(play: Play) -> None:
    """All timers, until none is left; only what comes out last counts."""
    while play.scene.stack.next_deadline() is not None:
        expires(play)
        play.result = ""
        play.result = play.output().strip("-")


def after_text(then: Event) -> Event:
    """The user has sent something that is lost."""

    def event(play: Play) -> None:
        if play.state() in ("ESTABLISHED", "CLOSE-WAIT"):
            play.host.writes(10)
            play.quiet()
        then(play)

    return event


def zero_window(play: Play) -> None:
    """The peer has closed its window, the user has something to send: the probe."""
    play.peer.sends(ACK, win=0)
    play.host.writes(10)
    play.quiet()
    expires(play)


def keep_alive(play: Play) -> None:
    """Two idle hours."""
    play.host.connection.set_keepalive(7200 * SECOND, 75 * SECOND, 9, play.scene.now)
    play.host.is_silent()
    expires(play)


def delayed_ack(play: Play) -> None:
    """One segment without PSH, and 40 ms."""
    play.peer.sends(ACK, 10, ack=play.a)
    play.host.is_silent()
    expires(play)


def user_timeout(play: Play) -> None:
    """Half a second is all the user waits."""
    play.host.connection.set_user_timeout(SECOND // 2)
    gives_up(play)


def close_then_data(play: Play) -> None:
    """Nobody will read any more."""
    play.host.closes()
    play.peer.sends(ACK | PSH, 10, ack=play.a)


def close_then_wait(play: Play) -> None:
    """Nobody will read any more, and the peer is silent."""
    play.host.closes()
    play.quiet()
    gives_up(play)


PLAYED: dict[str, Event] = {
    "SYN": sends(SYN, at=100, mss=1000),
    "the first SYN again": sends(SYN, number=0, mss=1000),
    "SYN,ACK": sends(SYN | ACK, number=0, ack="syn", mss=1000),
    "ACK, acceptable": sends(ACK, ack="new"),
    "ACK, old": sends(ACK, ack="old"),
    "ACK, too new": sends(ACK, ack="too new"),
    "data in order": sends(ACK | PSH, 10),
    "data out of order": sends(ACK | PSH, 10, at=100),
    "data left of the window": sends(ACK | PSH, 5, at=-5),
    "data right of the window": sends(ACK | PSH, 10, at=70_000),
    "data overlapping RCV.NXT": sends(ACK | PSH, 10, at=-5),
    "data without ACK": sends(PSH, 10),
    "data with URG": sends(ACK | PSH | URG, 10, urgent=5),
    "CLOSE, then data": close_then_data,
    "FIN in order": sends(FIN | ACK),
    "FIN that acknowledges all": sends(FIN | ACK, ack="new"),
    "FIN out of order": sends(FIN | ACK, at=100),
    "FIN again": sends(FIN | ACK, at=-1),
    "RST, exact": sends(RST),
    "RST,ACK, exact": sends(RST | ACK, ack="new"),
    "RST in the window": sends(RST, at=100),
    "RST outside the window": sends(RST, at=70_000),
    "FIN,RST, exact": sends(FIN | RST | ACK),
    "SYN,FIN": sends(SYN | FIN, at=100),
    "OPEN": calls(opens),
    "SEND": calls(lambda play: play.host.writes(10)),
    "RECEIVE": calls(lambda play: play.host.reads(0)),
    "CLOSE of our direction": calls(lambda play: play.host.shuts()),
    "CLOSE": calls(closes),
    "ABORT": calls(aborts),
    "STATUS": calls(status),
    "timer: retransmission": after_text(expires),
    "timer: no answer at all": after_text(gives_up),
    "timer: user timeout": after_text(user_timeout),
    "timer: zero window": zero_window,
    "timer: delayed ACK": delayed_ack,
    "timer: keep-alive": keep_alive,
    "timer: FIN-WAIT-2 after CLOSE": close_then_wait,
    "timer: 2MSL": expires,
}


def outcome(stage: Stage, state: str, event: str) -> tuple[str, str]:
    """Play one cell: what came out, and the state after it."""
    play = Play(stage(plain(**config_of_the_table())))
    enter(play, state)
    assert play.state() == state.partition(",")[0]
    play.result = ""
    PLAYED[event](play)
    output = play.output()
    return output, play.state()


CELLS = [pytest.param(cell, id=f"{cell.state}: {cell.event}") for cell in TABLE if cell.output]


@pytest.mark.parametrize("cell", CELLS)
def test_a_cell_of_the_table(stage: Stage, cell: Cell) -> None:
    assert outcome(stage, cell.state, cell.event) == (cell.output, cell.after)


def test_the_table_has_every_state_and_every_event() -> None:
    assert {(cell.state, cell.event) for cell in TABLE} == {(state, event) for state in COLUMNS for event in EVENTS}
    assert len(TABLE) == len(COLUMNS) * len(EVENTS)
    assert set(EVENTS) == set(PLAYED)
    assert {state.partition(",")[0] for state in COLUMNS} == set(states.NAMES)


def test_each_cell_that_happens_names_its_section() -> None:
    assert [cell for cell in TABLE if cell.output and not cell.section] == []


def test_each_change_of_state_in_the_table_is_a_legal_transition_and_each_transition_is_in_the_table() -> None:
    numbers = {name: number for number, name in enumerate(states.NAMES)}
    seen = set()
    for cell in TABLE:
        before, after = numbers[cell.state.partition(",")[0]], numbers[cell.after or cell.state.partition(",")[0]]
        if before != after:
            seen.add((before, after))
    legal = set(states.TRANSITIONS)
    assert {pair for pair in seen if pair not in legal and pair[1] != states.CLOSED} == set()
    assert legal - seen == state_table.BY_MORE_EVENTS


def test_the_document_of_the_states_is_the_one_that_the_table_gives() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == state_table.document(), "run python -m tests.trace.state_table"
