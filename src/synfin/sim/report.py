"""What a failed simulation shows: incidents, last transitions, diagrams, and the annotated capture."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address
from pathlib import Path

from synfin.sim.loop import START
from synfin.tcp.states import NAMES
from synfin.tcp.trace import Event, TransitionEvent
from synfin.view.capture import AnnotatedCapture
from synfin.view.diagram import draw
from synfin.wire.key import key_dst, key_dst_port, key_src, key_src_port

MAX_LINES = 200


def text_of(events: Iterable[Event], incidents: list[tuple[float, str]], seed: int, transitions: int) -> str:
    """The report as text."""
    events = list(events)
    lines = [f"seed {seed}"]
    lines += [f"{at:12.6f}  {what}" for at, what in incidents]
    by_connection: dict[tuple[str, bytes], list[TransitionEvent]] = {}
    for event in events:
        if isinstance(event, TransitionEvent):
            by_connection.setdefault((event.host, event.key), []).append(event)
    for (host, key), found in by_connection.items():
        if len(key) < 12:
            continue
        peer = f"{ip_address(key_src(key))}:{key_src_port(key)}"
        lines.append(f"{host} {ip_address(key_dst(key))}:{key_dst_port(key)} with {peer}:")
        for event in found[-transitions:]:
            at = event.at / 1_000_000 - START
            section = f" (RFC {event.rfc})" if event.rfc[:1].isdigit() else ""
            lines.append(f"{at:12.6f}  {NAMES[event.before]} -> {NAMES[event.after]}: {event.reason}{section}")
    diagram = draw(events)
    if len(diagram) > MAX_LINES:
        diagram = [f"({len(diagram) - MAX_LINES} lines before)", *diagram[-MAX_LINES:]]
    return "\n".join(lines + diagram)


def save_capture(events: Iterable[Event], path: Path) -> Path:
    """Write the events as an annotated pcapng."""
    with AnnotatedCapture(path, both_ends=True) as capture:
        for event in events:
            capture(event)
    if capture.error is not None:
        raise capture.error
    return path
