"""The runs that the pages show, each a real one of synfin's stack in virtual time, and how they are drawn.

A name is that of an experiment of the lab and the number of its scene ("close/0"), of its figure ("syn-flood/figure"),
or of one of the small scenes below.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from synfin.lab.catalogue import EXPERIMENTS
from synfin.lab.experiment import Finding
from synfin.lab.world import MS, SECOND, World
from synfin.tcp.trace import Event
from synfin.view import figure_svg, svg
from synfin.view.diagram import Only, connections
from synfin.view.words import Catalogue
from synfin.wire.tcp_header import ACK, SYN

WIDTH = 730  # of a page's column


@cache
def finding(name: str) -> Finding:
    """What an experiment finds with its own parameters."""
    experiment = EXPERIMENTS[name]
    return experiment.run(experiment.settings())


def _whole_life() -> list[Event]:
    """Opened, a question and its answer, closed."""
    world = World(1)
    world.listen()
    mine, theirs = world.opened()
    mine.write(b"What time is it?")
    world.advance(100 * MS)
    theirs.write(b"Half past two.")
    world.advance(100 * MS)
    mine.close(world.now)
    world.advance(70 * SECOND)
    return world.events


def _third_lost() -> list[Event]:
    """The third segment is lost, and the first data do its work."""
    world = World(2)
    world.listen()
    world.lose(lambda host, seg: host == "client" and seg.flags == ACK and not seg.payload, 1)
    mine = world.connect()
    world.advance(100 * MS)
    mine.write(b"hello")
    world.advance(100 * MS)
    return world.events


def _syn_tries() -> list[Event]:
    """Nobody answers the SYN."""
    world = World(3)
    world.listen()
    world.lose(lambda host, seg: bool(seg.flags & SYN))
    world.connect()
    world.advance(130 * SECOND)
    return world.events


def _both_open() -> list[Event]:
    """Both send a SYN in the same moment."""
    world = World(4)
    world.client.connect("10.0.0.2", 5000, world.now, local_port=4000)
    world.server.connect("10.0.0.1", 4000, world.now, local_port=5000)
    world.advance(200 * MS)
    return world.events


def _reset_in_window() -> list[Event]:
    """Forged RSTs: one that only fits the window, then one with the very number."""
    from synfin.lab.world import forged
    from synfin.wire.tcp_header import RST

    world = World(5)
    world.listen()
    mine, _ = world.opened()
    del world.events[:]
    mine.write(b"a")
    world.advance(50 * MS)
    number = _last_number(world.events, mine.key) + 1
    world.server.receive(forged(RST, number + 100), world.now)
    world.advance(50 * MS)
    world.server.receive(forged(RST, number), world.now)
    world.advance(50 * MS)
    return world.events


def _last_number(events: list[Event], key: bytes) -> int:
    from synfin.lab.world import sent

    return next(seg.seq for _, host, seg in reversed(sent(events)) if host == "client" and seg.payload)


OWN: dict[str, Callable[[], list[Event]]] = {
    "whole-life": _whole_life,
    "third-lost": _third_lost,
    "syn-tries": _syn_tries,
    "both-open": _both_open,
    "reset": _reset_in_window,
}


@cache
def scene(name: str) -> tuple[list[Event], Only]:
    """The events of a run, and which connections are drawn. Raises KeyError and IndexError for none of that name."""
    if name in OWN:
        return OWN[name](), None
    experiment, _, number = name.partition("/")
    found = finding(experiment).scenes[int(number)]
    return found.events, found.only


def drawing(name: str, title: str, say: Callable[[str], str] | None = None) -> str:
    """The run as an SVG for a page; say: a catalogue, or None for English."""
    if name.endswith("/figure"):
        figure = finding(name.partition("/")[0]).figure
        assert figure is not None, name
        return figure_svg.drawing(say.figure(figure) if isinstance(say, Catalogue) else figure, width=WIDTH)
    events, only = scene(name)
    return svg.drawing(connections(events, only=only), width=WIDTH, title=title, say=say or str)
