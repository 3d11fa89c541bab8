"""A run as something to keep: JSON for programs, an annotated capture, a test that replays it."""

from __future__ import annotations

import pprint
from dataclasses import asdict
from typing import Any, BinaryIO

from synfin.scenario.model import VERSION
from synfin.scenario.result import Comparison, Result, SegmentRecord
from synfin.view.capture import AnnotatedCapture
from synfin.wire.errors import WireError
from synfin.wire.ip import IpHeader
from synfin.wire.ip import parse_untrusted as parse_ip
from synfin.wire.segment import Segment, parse_untrusted
from synfin.wire.tcp_header import flag_names

_TEST = '''"""{title}

Saved by synfin: it runs the scenario again, and finds the same segments, states and endings.
"""

from synfin.scenario import from_plain, run

SCENARIO = {scenario}

# Each segment: microseconds, from, to, flags, SEQ, ACK, bytes, and what became of it.
SEGMENTS = {segments}

# Each host's ends of connections: the states they went through.
STATES = {states}

# Each step of a program: its host, how it ended, and the error that its user sees.
ENDINGS = {endings}


def test_the_same_happens_again() -> None:
    result = run(from_plain(SCENARIO))
    assert result.summaries() == SEGMENTS
    assert {{key: result.states_of(*key) for key in STATES}} == STATES
    assert result.endings() == ENDINGS
'''


def as_test(result: Result) -> str:
    """The text of a pytest module that replays it. All that a stranger wrote stands in it as literals."""
    keys = sorted({(each.host, each.connection) for each in result.states if each.connection >= 0})
    title = result.scenario.title or "A scenario."
    return _TEST.format(
        title=title.replace("\\", "/").replace('"', "'"),
        scenario=_literal({"version": VERSION, **result.scenario.to_plain()}),
        segments=_literal(result.summaries()),
        states=_literal({key: result.states_of(*key) for key in keys}),
        endings=_literal(result.endings()),
    )


def _literal(value: object) -> str:
    return pprint.pformat(value, width=110, sort_dicts=False)


def write_capture(result: Result, file: BinaryIO, samples: bool = False) -> None:
    """The annotated pcapng, as Wireshark opens it. samples: with what each ACK did to cwnd and its like.

    Raises OSError.
    """
    with AnnotatedCapture(file, both_ends=True, samples=samples) as capture:
        for event in result.events:
            capture(event)
    if capture.error is not None:
        raise capture.error


def as_plain(result: Result, comparison: Comparison | None = None) -> dict[str, Any]:
    """All of it as JSON types: what `synfin scenario --json` prints."""
    told = outline(result, comparison)
    segments = [
        {**plain, **details(result, one)} for plain, one in zip(told.pop("segments"), result.segments, strict=True)
    ]
    return {
        "version": VERSION,
        "scenario": {"version": VERSION, **result.scenario.to_plain()},
        "segments": segments,
        "samples": [asdict(each) for each in result.samples],
        **told,
    }


def outline(result: Result, comparison: Comparison | None = None) -> dict[str, Any]:
    """What a page shows of it as JSON types, without the `details` of segments."""
    changes = {} if comparison is None else comparison.segments
    return {
        "stopped": result.stopped,
        "ended_us": result.ended_us,
        "digest": result.digest(),
        "segments": [_plain(one, changes.get(one.id)) for one in result.segments],
        "states": [each.to_plain() for each in result.states],
        "outcomes": [asdict(each) for each in result.outcomes],
        "remarks": [{"at_us": at, "what": what} for at, what in result.remarks],
        **(
            {"gone": [list(name) for name in comparison.gone], "changed_endings": list(comparison.endings)}
            if comparison is not None
            else {}
        ),
    }


def _plain(one: SegmentRecord, change: str | None) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "id": one.id,
        "name": one.name,
        "sender": one.sender,
        "receiver": one.receiver,
        "connection": one.connection,
        "sent_us": one.sent_us,
        "flags": one.flags,
        "seq": one.seq,
        "ack": one.ack,
        "length": one.length,
        "fate": one.fate,
        "arrived_us": one.arrived_us,
        "because": one.because,
        "refused": one.refused,
    }
    if change is not None:
        plain["change"] = change
    return plain


def details(result: Result, one: SegmentRecord) -> dict[str, Any]:
    """A segment's bytes and fields, and what it did."""
    return {"reasons": result.reasons[one.id], "hex": one.data.hex(), "fields": fields_of(one.data)}


def fields_of(packet: bytes) -> list[tuple[str, str, int, int]]:
    """The fields of an IPv4 packet with TCP: name, value, and which bytes they are (from, to)."""
    ip, seg = IpHeader(), Segment()
    try:
        parse_ip(packet, ip)
        parse_untrusted(packet, ip, seg, True, 0)
    except WireError:
        return []
    at = int(ip.header_len)
    end = at + (packet[at + 12] >> 4) * 4
    found = [
        ("ip.source", ".".join(map(str, packet[12:16])), 12, 16),
        ("ip.destination", ".".join(map(str, packet[16:20])), 16, 20),
        ("ip.ttl", str(packet[8]), 8, 9),
        ("ip.total_length", str(int.from_bytes(packet[2:4], "big")), 2, 4),
        ("tcp.source_port", str(seg.src_port), at, at + 2),
        ("tcp.destination_port", str(seg.dst_port), at + 2, at + 4),
        ("tcp.seq", str(seg.seq), at + 4, at + 8),
        ("tcp.ack", str(seg.ack), at + 8, at + 12),
        ("tcp.data_offset", f"{end - at} bytes", at + 12, at + 13),
        ("tcp.flags", _flags_text(seg), at + 13, at + 14),
        ("tcp.window", str(seg.window), at + 14, at + 16),
        ("tcp.checksum", f"0x{int.from_bytes(packet[at + 16 : at + 18], 'big'):04x}", at + 16, at + 18),
        ("tcp.urgent", str(seg.urgent), at + 18, at + 20),
    ]
    if end > at + 20:
        found.append(("tcp.options", _options_text(seg), at + 20, end))
    if len(packet) > end:
        found.append(("tcp.data", f"{len(packet) - end} bytes", end, len(packet)))
    return found


def _flags_text(seg: Segment) -> str:
    return flag_names(seg.flags) or "-"


def _options_text(seg: Segment) -> str:
    found = [f"MSS {seg.mss}"] if seg.mss >= 0 else []
    found += [f"window scale {seg.wscale}"] if seg.wscale >= 0 else []
    found += ["SACK permitted"] if seg.sack_permitted else []
    found += [f"timestamps {seg.ts_val}, {seg.ts_ecr}"] if seg.has_ts else []
    found += [f"SACK {left}..{right}" for left, right in seg.sack or ()]
    return "; ".join(found) or "other"
