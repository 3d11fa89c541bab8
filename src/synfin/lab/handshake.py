"""The three-way handshake: three segments, field by field, and with data on the third."""

from __future__ import annotations

from synfin.lab.experiment import Experiment, Finding, Parameter, Settings
from synfin.lab.played import OPENED_US, ending, opens, played, program
from synfin.lab.world import life, sent
from synfin.wire.segment import Segment
from synfin.wire.seq import seq_add
from synfin.wire.tcp_header import ACK, SYN, flag_names

WHY = """
Each side must tell its initial sequence number and hear it confirmed: four messages, of which the two in the
middle travel in one segment (RFC 9293 3.5). A SYN takes one number although it carries no byte, so that it can be
acknowledged and sent again like data; a bare ACK takes none, so the client's first byte is numbered x+1 whether
it comes with the third segment or after it (RFC 9293 3.4).
"""


def options_of(seg: Segment) -> str:
    """The options that a SYN carries."""
    found = [f"MSS {seg.mss}"] if seg.mss >= 0 else []
    found += [f"window scale {seg.wscale}"] if seg.wscale >= 0 else []
    found += ["SACK permitted"] if seg.sack_permitted else []
    found += ["timestamps"] if seg.has_ts else []
    return ", ".join(found) or "-"


def fields(segments: list[tuple[int, str, Segment]]) -> list[str]:
    """The first three segments as a table; x and y are the two initial numbers."""
    x, y = segments[0][2].seq, segments[1][2].seq

    def named(number: int) -> str:
        for letter, base in (("x", x), ("y", y)):
            away = (number - base) & 0xFFFFFFFF
            if away < 65536:
                return f"{letter}+{away}" if away else letter
        return "?"

    lines = [f"x = {x}, y = {y}", "     from    flags    seq      ack      bytes  options"]
    for number, (_, host, seg) in enumerate(segments[:3], 1):
        ack = named(seg.ack) if seg.flags & ACK else "-"
        flags = flag_names(seg.flags & (SYN | ACK))
        lines.append(
            f"  {number}  {host:7} {flags:8} {named(seg.seq):8} {ack:8} {len(seg.payload):5}  {options_of(seg)}"
        )
    return lines


def run(settings: Settings) -> Finding:
    """A handshake field by field, without and with data on its third segment."""
    finding = Finding()
    for with_data in (False, True):
        size = settings["bytes"] if with_data else 0
        # Written before the connection is there, it goes with the third segment.
        client = program("client", opens(wait=False), *([{"do": "write", "bytes": size}] if size else []))
        result = played(settings, client, program("server", "listen", "accept", "read"), until_us=OPENED_US)
        title = f"{size} bytes were written before the handshake: the third segment carries them"
        finding.draw(title if with_data else "Three segments open a connection", result.events)
        segments = sent(result.events)
        first, second, third = (seg for _, _, seg in segments[:3])
        finding.say(*fields(segments))
        finding.data["with_data" if with_data else "plain"] = {
            "segments": [
                {
                    "host": host,
                    "flags": flag_names(seg.flags),
                    "seq": seg.seq,
                    "ack": seg.ack,
                    "bytes": len(seg.payload),
                }
                for _, host, seg in segments
            ],
            "client": life(result.events, "client"),
            "server": life(result.events, "server"),
        }
        if with_data:
            finding.expect(
                "the third segment carries data, numbered from x+1 as well",
                len(third.payload) == size > 0 and third.seq == seq_add(first.seq, 1),
            )
            finding.expect("the server's program received it", ending(result, "server", "read").bytes == size)
            continue
        finding.expect("three segments, and no more, open the connection", len(segments) == 3)
        finding.expect("1: SYN, seq = x, no data", first.flags == SYN and not first.payload)
        finding.expect(
            "2: SYN,ACK, seq = y, ack = x+1, no data",
            second.flags == SYN | ACK and second.ack == seq_add(first.seq, 1) and not second.payload,
        )
        finding.expect(
            "3: ACK, seq = x+1, ack = y+1",
            third.flags == ACK and third.seq == seq_add(first.seq, 1) and third.ack == seq_add(second.seq, 1),
        )
        finding.expect(
            "the client was SYN-SENT, then ESTABLISHED",
            life(result.events, "client") == ["CLOSED", "SYN-SENT", "ESTABLISHED"],
        )
        finding.expect(
            "the server was SYN-RCVD until the third segment came",
            life(result.events, "server")[-3:] == ["LISTEN", "SYN-RCVD", "ESTABLISHED"],
        )
    return finding


EXPERIMENT = Experiment(
    "handshake",
    "Which three segments open a connection, and what does each say?",
    WHY,
    run,
    (Parameter("bytes", 100, "bytes that are written before the handshake is done", 0, 1400),),
)
