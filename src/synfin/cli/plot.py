"""`synfin plot`: a capture as pictures of what one end of a connection sent, and what came of it."""

from __future__ import annotations

import sys
from pathlib import Path

from synfin.links.captures import CaptureError
from synfin.view.figure import Figure
from synfin.view.figure_png import CannotDraw, figure_png
from synfin.view.figure_svg import figure_svg
from synfin.view.pictures import show
from synfin.view.plots import connection_figure, summary
from synfin.view.recorded import Recording, load
from synfin.view.stylesheet import AUTO, DARK, LIGHT
from synfin.view.timeline import Connection, Timelines
from synfin.wire.key import reverse_key


def run(
    file: Path,
    svg: Path | None,
    png: Path | None,
    number: int | None,
    reverse: bool,
    begin: float,
    end: float | None,
    dark: bool,
    listing: bool,
) -> int:
    """The command; its exit status: 2 for what can't be drawn."""
    try:
        recording = Recording(sys.stdin.buffer) if str(file) == "-" else load(file)
        connections = recording.timelines.connections
        if listing:
            print("\n".join(_listing(connections)))
            return 0
        connection = _chosen(recording.timelines, number)
        sender = connection.larger_sender()
        key = reverse_key(sender) if reverse else sender
        if end is not None and end <= begin:
            raise ValueError(f"--to {end:g} is not after --from {begin:g}")
        end_us = 0 if end is None else round(end * 1e6)
        figure = connection_figure(connection, key, round(begin * 1e6), end_us)
        _remark(recording, connection)
        _draw(figure, svg, png, dark)
    except OSError as error:
        return _wrong(f"{error.strerror or error}: {error.filename or file}")
    except CaptureError as error:
        return _wrong(f"{file}: {error}")
    except (ValueError, CannotDraw) as error:
        return _wrong(str(error))
    return 0


def _draw(figure: Figure, svg: Path | None, png: Path | None, dark: bool) -> None:
    if svg is None and png is None:
        show(figure, sys.stdout)
        return
    if svg is not None:
        svg.write_text(figure_svg(figure, scheme=DARK if dark else AUTO), encoding="utf-8")
    if png is not None:
        png.write_bytes(figure_png(figure, scheme=DARK if dark else LIGHT))
    print(f"{figure.title}\n{figure.subtitle}")
    print(f"written to {' and '.join(str(path) for path in (svg, png) if path is not None)}")


def _chosen(timelines: Timelines, number: int | None) -> Connection:
    """The one asked for; else the one that carried most."""
    connections, largest = timelines.connections, timelines.largest()
    if number is None and largest is not None:
        return largest
    number = number or 1
    if number > len(connections):
        raise ValueError(f"there is no connection {number}: the file has {len(connections)} (--list shows them)")
    return connections[number - 1]


def _listing(connections: list[Connection]) -> list[str]:
    first = min(connection.began for connection in connections)
    lines = []
    for number, connection in enumerate(connections, 1):
        sender = connection.larger_sender()
        names = f"{connection.name_of(sender)} → {connection.name_of(reverse_key(sender))}"
        lines.append(f"{number:>4}  {(connection.began - first) / 1e6:>10.6f} s  {names}")
        lines.append(f"{'':20}{summary(connection.half(sender), connection.ended - connection.began)}")
    return lines


def _remark(recording: Recording, connection: Connection) -> None:
    """What the picture does not show."""
    connections = recording.timelines.connections
    if len(connections) > 1:
        place = connections.index(connection) + 1
        print(f"connection {place} of {len(connections)}; --list shows all, --connection N draws one", file=sys.stderr)
    if recording.cut:
        print("the capture ends within a packet: drawn up to there", file=sys.stderr)
    if recording.timelines.dropped:
        print(f"{recording.timelines.dropped:,} packets are over the limit, and not drawn", file=sys.stderr)


def _wrong(text: str) -> int:
    print(f"synfin plot: {text}", file=sys.stderr)
    return 2
