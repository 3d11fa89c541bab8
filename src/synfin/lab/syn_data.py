"""Data on a SYN: what a server would have to keep, and what it does instead."""

from __future__ import annotations

import sys

from synfin.lab.experiment import Experiment, Finding, Parameter, Settings
from synfin.lab.world import HALF_OPEN_BYTES, MS, PORT, SECOND, SERVER, World, answers, entropy, forged, parsed
from synfin.stack.stack import Stack
from synfin.tcp.config import COOKIES_OFF, Config
from synfin.wire.pieces import Piece
from synfin.wire.segment import Segment, build
from synfin.wire.seq import seq_add
from synfin.wire.tcp_header import SYN

WHY = """
A SYN costs its sender nothing and may carry any source address, so whatever a server keeps for it is kept for
nobody. The standard allows data on a SYN but forbids handing them to the program before the handshake is done
(RFC 9293 3.5), so they would have to be kept; synfin, like Linux, keeps the numbers only and acknowledges the SYN
alone: x+1. Data are not lost by that: whoever sent them sends them again, now with a number that was confirmed.
The third segment is different: it repeats a number that only the SYN,ACK's reader knows. The exception is TCP Fast
Open (RFC 7413): data on the SYN of a client that shows a cookie from an earlier visit, which proves its address.
"""


class GreedyListener:
    """A stand-in for a server that keeps the text of SYNs until the handshake is done or the entry expires."""

    def __init__(self) -> None:
        self.kept: dict[bytes, Piece] = {}

    def on_syn(self, seg: Segment) -> None:
        """What a SYN brings is kept."""
        self.kept[seg.key] = seg.payload

    def bytes_held(self) -> int:
        """The text alone."""
        return sum(len(text) for text in self.kept.values())


def flood(settings: Settings, finding: Finding) -> None:
    """SYNs full of data, from everywhere; nobody answers the SYN,ACKs."""
    count, size = settings["syns"], settings["bytes"]
    config = Config(syn_queue_limit=max(1, count), syn_cookies=COOKIES_OFF)
    server = Stack([SERVER], config, entropy=entropy(settings.seed, "server"))
    server.listen(PORT)
    greedy = GreedyListener()
    acknowledged = 0
    for number in range(count):
        source = bytes((172, 16 + number // 65536, number // 256 % 256, number % 256))
        packet = forged(SYN, number, text=b"z" * size, source=source)
        greedy.on_syn(parsed(packet))
        server.receive(packet, number)
        acknowledged += sum(answer.ack - 1 - number for answer in answers(server, number))
    entry = HALF_OPEN_BYTES
    in_memory = entry + 2 * sys.getsizeof(b"") + 100  # with their two objects and their place in the table
    held = greedy.bytes_held()
    rate = 100_000
    finding.data["flood"] = {
        "syns": count,
        "half_open": server.census()["half_open"],
        "entry_bytes": entry,
        "text_bytes": held,
        "bytes_acknowledged": acknowledged,
    }
    finding.say(
        f"{count} SYNs with {size} bytes each, from {count} addresses:",
        f"  the server has {server.census()['half_open']} half-open entries of {entry} bytes (about {in_memory} with"
        " their objects), and none of the text",
        f"  a server that keeps the text holds {held:,} bytes besides: {held // max(1, count)} an entry",
        f"At {rate:,} such SYNs a second, each kept for 63 s: {rate * 63 * in_memory / 1e9:.1f} GB of entries, and"
        f" {rate * 63 * size / 1e9:.0f} GB of text.",
        "(The entries have a limit, and beyond it SYN cookies keep nothing at all: see syn-flood.)",
    )
    finding.expect("only the SYN is acknowledged: ack = x+1, whatever it carries", acknowledged == 0)
    finding.expect("the text would cost at least ten times what the entries do", held >= 10 * count * entry)


def nothing_is_lost(settings: Settings, finding: Finding) -> None:
    """An honest client put data on its SYN: it sends them again, and they arrive once."""
    text = b"GET / HTTP/1.0\r\n\r\n"
    world = World(settings.seed)
    world.listen()
    mine = world.connect()
    mine.write(text)

    def put_on_syn(packet: bytes) -> bytes:
        seg = parsed(packet)
        seg.payload = text
        return build(seg)

    syn = answers(world.client, world.now)[0]
    world.advance(10 * MS)
    world.server.receive(put_on_syn(build(syn)), world.now)
    world.advance(SECOND)
    finding.draw("Data are put on a SYN on its way: it is acknowledged without them, so they come again", world.events)
    received = world.at_server.text_of(world.at_server.last()) if world.at_server.connections else b""
    finding.data["honest"] = {"received": received.decode(), "iss_acknowledged": int(seq_add(syn.seq, 1))}
    finding.expect("data that were on a SYN arrive all the same, once", received == text)


def run(settings: Settings) -> Finding:
    """Data on SYNs: a flood of them, and an honest one."""
    finding = Finding()
    flood(settings, finding)
    nothing_is_lost(settings, finding)
    return finding


EXPERIMENT = Experiment(
    "syn-data",
    "Why does the first segment carry no data, when the third may?",
    WHY,
    run,
    (
        Parameter("syns", 2000, "how many SYNs", 1, 1_000_000),
        Parameter("bytes", 1400, "data on each", 0, 1400),
    ),
)
