"""Initial sequence numbers: what a late segment of an earlier connection, and a forger, can do to each kind."""

from __future__ import annotations

import random
from collections.abc import Callable

from synfin.lab.experiment import Experiment, Finding, Parameter, Settings
from synfin.lab.world import MS, PORT, SECOND, SERVER, World, answers, entropy, forged
from synfin.stack.stack import Stack
from synfin.tcp.config import Config
from synfin.tcp.isn import IsnFunction, Rfc6528
from synfin.tcp.trace import NoteEvent
from synfin.wire.tcp_header import ACK, RST, SYN

WHY = """
A segment is taken for its connection by 4-tuple and number alone, so a new connection between the same ports must not
use numbers that a late segment of the last one may still carry (RFC 9293 3.4.1). A clock that counts faster than
anybody sends does that: the standard's ticks every 4 µs, 250,000 numbers a second, around in 4.77 hours. The textbook
says 4 ms: that clock counts 250 a second, any connection outruns it, and the late segment falls into the new one
nearly as often as with a fixed number. Random numbers fall into the window by bad luck only, window/2^32 at a time.
A clock alone lets anyone who has seen one number tell the next, and forge a connection in another host's name without
seeing a single answer. RFC 6528 adds a secret hash of the 4-tuple: each pair has the same clock from a starting point
of its own, so what an attacker learns from his own connection says nothing of yours.
"""
TRUSTED = bytes((10, 0, 0, 7))
ATTACKER = bytes((10, 0, 0, 9))
PLAIN = Config(timestamps=False, window_scale=False, receive_buffer=65535, receive_buffer_max=65535)


def fixed(seed: int) -> IsnFunction:
    """Always the same."""
    return lambda key, now: 1000


def clock_4ms(seed: int) -> IsnFunction:
    """The textbook's figure."""
    return lambda key, now: (now // 4000) & 0xFFFFFFFF


def clock_4us(seed: int) -> IsnFunction:
    """RFC 793's, and RFC 9293's without the secret part."""
    return lambda key, now: (now // 4) & 0xFFFFFFFF


def rfc6528(seed: int) -> IsnFunction:
    """The real one."""
    return Rfc6528(entropy(seed, "isn")(32))


KINDS: dict[str, Callable[[int], IsnFunction]] = {
    "fixed": fixed,
    "clock of 4 ms": clock_4ms,
    "clock of 4 µs": clock_4us,
    "RFC 6528": rfc6528,
}


def late_segment(make: Callable[[int], IsnFunction], seed: int, gap_us: int, config: Config = PLAIN) -> World:
    """A client crashes, comes back and connects from the same port; a segment it sent before arrives only then.

    Both sides number by `make`.
    """
    world = World(seed, client=config, server=config, client_isn=make(seed), server_isn=make(seed))
    world.advance(seed % 1000 * SECOND)  # clocks do not all begin at 0
    world.listen()
    draw = random.Random(seed)
    world.at_client.text = b"o" * draw.randrange(2000, 30_000)
    world.hold(lambda host, seg: host == "client" and len(seg.payload) > 500, 1000)
    world.opened()
    world.held = [draw.choice(world.held)]
    world.link.drop = None
    world.crash("client")
    world.at_server.last().abort(world.now)  # its user has given up as well
    world.advance(gap_us)
    world.events.clear()
    world.at_client.text = b"n" * 300
    mine, _ = world.opened()
    world.release(world.server)
    world.advance(50 * MS)
    if not mine.error:
        mine.write(b"n" * 30_000)
        mine.shutdown(world.now)
    world.advance(20 * SECOND)
    return world


def is_corrupted(world: World) -> bool:
    """The second connection's stream is not what its client wrote."""
    return b"o" in world.at_server.text_of(world.at_server.last())


def forge(make: Callable[[int], IsnFunction], seed: int, guesses: int) -> int:
    """How many guesses a blind attacker needs to be taken for TRUSTED; -1: none was right.

    He sees only what is sent to himself.
    """
    now = SECOND * (seed % 1000 + 1)
    server = Stack([SERVER], PLAIN, entropy=entropy(seed, "server"), isn=make(seed))
    server.listen(PORT)
    server.receive(forged(SYN, 7, port=50000, source=ATTACKER), now)
    seen = answers(server, now)[0].seq
    server.receive(forged(RST, 8, port=50000, source=ATTACKER), now)
    later = now + 100 * MS
    server.receive(forged(SYN, 7, port=50001, source=ATTACKER), later)
    step = (answers(server, later)[0].seq - seen) & 0xFFFFFFFF  # how far his own number moves in 100 ms
    server.receive(forged(RST, 8, port=50001, source=ATTACKER), later)
    then = later + 100 * MS
    server.receive(forged(SYN, 1, port=513, source=TRUSTED), then)  # in another's name: the answer goes there
    answers(server, then)
    expected = seen + 2 * step
    for guess in range(guesses):
        away = (guess + 1) // 2 * (1 if guess % 2 else -1)
        server.receive(forged(ACK, 2, expected + away + 1, b"let me in", port=513, source=TRUSTED), then)
        listener = server.accepting()
        if listener is not None and (connection := listener.accept()) is not None:
            return guess + 1 if b"".join(connection.read(then)) == b"let me in" else -1
        # A wrong guess is answered by RST, which TRUSTED ignores: it is switched off. The entry stays.
        answers(server, then)
    return -1


def run(settings: Settings) -> Finding:
    """What each way to choose initial numbers does against late segments, and against a forger."""
    finding = Finding()
    gap_us = settings["gap_ms"] * MS
    trials, guesses = settings["trials"], settings["guesses"]
    for name in ("fixed", "RFC 6528"):
        world = late_segment(KINDS[name], settings.seed, gap_us)
        until = [event for event in world.events if event.at < world.events[0].at + 149 * MS]
        kept = [event for event in until if not isinstance(event, NoteEvent) or "window" in event.what]
        finding.draw(f"{name}: a segment of the connection before arrives", kept)
        if is_corrupted(world):
            finding.say(
                "It is within the window: kept, and given to the program as soon as the text before it is there."
            )
        else:
            finding.say("It is outside the window: dropped.", "")
    finding.say(f"{'':16} late segment taken   forged connection")
    for name, make in KINDS.items():
        seeds = range(settings.seed, settings.seed + trials)
        taken = sum(is_corrupted(late_segment(make, seed, gap_us)) for seed in seeds)
        forgeries = [forge(make, seed, guesses) for seed in seeds]
        succeeded = sum(count > 0 for count in forgeries)
        needed = max(forgeries)
        finding.data[name] = {"taken": taken, "forged": succeeded, "trials": trials, "most_guesses": needed}
        how = f"{succeeded} of {trials}" + (f", with at most {needed} guesses" if succeeded else "")
        finding.say(f"  {name:14} {f'{taken} of {trials}':20} {how}")
    with_stamps = sum(is_corrupted(late_segment(fixed, settings.seed + n, gap_us, Config())) for n in range(trials))
    finding.data["fixed with timestamps"] = {"taken": with_stamps, "trials": trials}
    finding.say(
        "",
        f"With timestamps the fixed number is spared some of it ({with_stamps} of {trials}): PAWS knows a",
        "late segment by its age (RFC 7323 5). But the crash has moved the client's clock: a coin's toss.",
    )
    data = finding.data
    finding.expect("fixed: late segments are taken for new data", data["fixed"]["taken"] > 0)
    finding.expect("a clock of 4 ms hardly helps", data["clock of 4 ms"]["taken"] > trials // 4)
    finding.expect("a clock of 4 µs keeps them out", data["clock of 4 µs"]["taken"] == 0)
    finding.expect("RFC 6528 keeps them out as well", data["RFC 6528"]["taken"] == 0)
    finding.expect(
        "a number that can be told from another one lets a blind attacker in, every time",
        all(data[name]["forged"] == trials for name in KINDS if name != "RFC 6528"),
    )
    finding.expect("RFC 6528 does not", data["RFC 6528"]["forged"] == 0)
    return finding


EXPERIMENT = Experiment(
    "isn",
    "Why do sequence numbers not begin at 0?",
    WHY,
    run,
    (
        Parameter("gap_ms", 3000, "time between the two connections", 0, 3600_000),
        Parameter("trials", 40, "runs of each kind", 4, 10000),
        Parameter("guesses", 8, "forged third segments per attack", 1, 100000),
    ),
)
