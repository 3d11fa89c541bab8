"""What a failed simulation shows: incidents, last transitions, diagrams, and the annotated capture."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from synfin.sim.turns import START
from synfin.tcp.states import NAMES
from synfin.tcp.trace import Event, TransitionEvent
from synfin.view.capture import AnnotatedCapture
from synfin.view.diagram import Diagram
from synfin.view.figure_text import figure_text
from synfin.view.plots import connection_figure
from synfin.view.text import plain
from synfin.view.timeline import Timelines
from synfin.wire.key import key_dst, key_dst_port, key_src, key_src_port, reverse_key

MAX_CONNECTIONS: Final = 4  # the last ones to do anything
MAX_INCIDENTS: Final = 40
MAX_LINES: Final = 200


def text_of(
    events: Iterable[Event],
    incidents: list[tuple[float, str]],
    beginning: list[str],
    names: dict[str, str],
    transitions: int,
    cwnd: bool,
) -> str:
    """The report as text. beginning: the seed and what it drew; names: what to call an address; cwnd: with plots."""
    events = list(events)
    last: dict[bytes, None] = {}  # connections, the latest to do anything last
    by_end: dict[tuple[str, bytes], list[TransitionEvent]] = {}
    for event in events:
        if len(event.key) < 12:
            continue  # no connection's
        name = min(event.key, reverse_key(event.key))
        last.pop(name, None)
        last[name] = None
        if isinstance(event, TransitionEvent):
            by_end.setdefault((event.host, event.key), []).append(event)
    shown = list(last)[-MAX_CONNECTIONS:]
    lines = [*beginning, *_cut([f"{at:12.6f}  {what}" for at, what in incidents], MAX_INCIDENTS, "incidents")]
    if len(last) > len(shown):
        lines.append(f"(of {len(last)} connections, the {len(shown)} that did something last)")
    for (host, key), found in by_end.items():
        if min(key, reverse_key(key)) in shown:
            lines += _transitions(host, key, found[-transitions:])
    diagram: list[str] = []
    for name in shown:  # all hosts are traced: what only one end knows of has not arrived
        drawn = Diagram(diagram.append, only=name, both_ends=True, names=names, patience_us=-1)
        for event in events:
            drawn(event)
        drawn.close()
    lines += _cut(diagram, MAX_LINES, "lines")
    if cwnd:
        lines += _plots(events, shown)
    return "\n".join(lines)


def _plots(events: list[Event], shown: list[bytes]) -> list[str]:
    """What was sent over time in these connections, with cwnd and its like."""
    timelines = Timelines()
    for event in events:
        timelines(event)
    found = [one for one in timelines.connections if min(one.key, reverse_key(one.key)) in shown]
    return [plain(line) for one in found for line in [[("", "")], *figure_text(connection_figure(one))]]


def _transitions(host: str, key: bytes, found: list[TransitionEvent]) -> list[str]:
    peer = f"{ip_address(key_src(key))}:{key_src_port(key)}"
    lines = [f"{host} {ip_address(key_dst(key))}:{key_dst_port(key)} with {peer}:"]
    for event in found:
        at = event.at / 1_000_000 - START
        section = f" (RFC {event.rfc})" if event.rfc[:1].isdigit() else ""
        lines.append(f"{at:12.6f}  {NAMES[event.before]} -> {NAMES[event.after]}: {event.reason}{section}")
    return lines


def _cut(lines: list[str], most: int, what: str) -> list[str]:
    """The last of the lines, and how many there were before."""
    return lines if len(lines) <= most else [f"({len(lines) - most} {what} before)", *lines[-most:]]


def save_capture(events: Iterable[Event], path: Path, samples: bool = False) -> Path:
    """Write the events as an annotated pcapng. samples: with what each ACK did to cwnd and its like."""
    with AnnotatedCapture(path, both_ends=True, samples=samples) as capture:
        for event in events:
            capture(event)
    if capture.error is not None:
        raise capture.error
    return path
