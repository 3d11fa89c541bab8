"""What a search leaves for people: a path in words and as a diagram, a test that walks it again, a line of a table."""

from __future__ import annotations

from synfin.explore.search import Explored, Failure
from synfin.explore.world import (
    BEGIN_US,
    DELIVER,
    DUPLICATE,
    EARLY,
    FORGE,
    LOSE,
    STEP,
    TIMER,
    Action,
    Bounds,
    World,
)
from synfin.scenario.codec import to_json
from synfin.scenario.model import Scenario
from synfin.tcp.trace import Event
from synfin.view.diagram import draw
from synfin.wire.ip import IpHeader
from synfin.wire.ip import parse_untrusted as parse_ip
from synfin.wire.segment import Segment, parse_untrusted
from synfin.wire.tcp_header import flag_names


def words(world: World, action: Action) -> str:
    """What happens, in words; `world` is the state before it."""
    if action.kind in (TIMER, EARLY):
        due = world.next_timer()
        after = 0 if due is None else due - world.now
        return f"{after / 1_000_000:g} s pass, a timer fires{', though packets are under way' * (action.kind == EARLY)}"
    if action.kind == STEP:
        number = action.what[1]
        assert isinstance(number, int)
        step = world.scenario.steps[number]
        return f"{step.host}: {step.do}" + (f" {step.bytes}" if step.bytes else "")
    if action.kind == FORGE:
        number = action.what[0]
        assert isinstance(number, int)
        forgery = world.scenario.forged[number]
        return f"a forged {forgery.flags} arrives at {forgery.to}"
    packet, _ = action.what
    assert isinstance(packet, bytes)
    to = world.hosts[world.flying[action.place].to].name
    what = _segment(packet)
    return {
        DELIVER: f"{what} arrives at {to}",
        DUPLICATE: f"{what} arrives at {to}, and will once more",
        LOSE: f"{what} to {to} is lost",
    }[action.kind]


def _segment(packet: bytes) -> str:
    ip, seg = IpHeader(), Segment()
    parse_ip(packet, ip)
    parse_untrusted(packet, ip, seg, True, 0)
    return flag_names(seg.flags) + (f" with {len(seg.payload)} bytes" if seg.payload else "")


def story(scenario: Scenario, bounds: Bounds, path: bytes) -> tuple[list[str], list[str]]:
    """(what happens on a path, in words; the diagram of it). The path may end in what raises."""
    events: list[Event] = []
    world = World(scenario, bounds, trace=events.append)
    told: list[str] = []
    for place in path:
        action = world.actions()[place]
        told.append(words(world, action))
        try:
            world.apply(action)
        except Exception as error:
            told.append(f"and that raises {type(error).__name__}: {error}")
            break
    return told, draw(events, began=BEGIN_US)


def failure_text(explored: Explored, failure: Failure) -> list[str]:
    """A failure: what does not hold, the shortest path to it, its diagram."""
    told, diagram = story(explored.scenario, explored.bounds, failure.path)
    lines = [
        failure.what,
        f"after {len(failure.path)} steps, as few as there can be:",
        "",
    ]
    lines += [f"{number:4} {what}" for number, what in enumerate(told, 1)]
    return [*lines, "", *diagram]


def as_test(explored: Explored, failure: Failure) -> str:
    """A pytest file that walks the path again, and passes once the laws hold on all of it."""
    bounds = explored.bounds
    title = explored.scenario.title or "the scenario"
    return f'''"""{_safe(title)}: an order of events on which a law did not hold."""

from synfin.explore import Bounds, check_path
from synfin.scenario import from_json

SCENARIO = {_literal(to_json(explored.scenario))}


def test_the_laws_hold_on_this_path() -> None:
    # {_safe(failure.what)}
    check_path(from_json(SCENARIO), {bounds!r}, {failure.path!r})
'''


def _literal(text: str) -> str:
    return "(\n" + "\n".join(f"    {line + chr(10)!r}" for line in text.splitlines()) + "\n)"


def _safe(text: str) -> str:
    """In a comment or a docstring it can't end it."""
    return " ".join(text.replace("\\", "/").replace('"', "'").split())


HEAD = (
    "| scenario | losses | duplicates | early timers | states | ends | longest | run | seconds |",
    "|---|---|---|---|---|---|---|---|---|",
)


def row(name: str, explored: Explored) -> dict[str, object]:
    """A line of the table, as plain values."""
    bounds = explored.bounds
    return {
        "name": name,
        "title": explored.scenario.title,
        "losses": bounds.losses,
        "duplicates": bounds.duplicates,
        "early_timers": bounds.early_timers,
        "states": explored.states,
        "ends": explored.ends,
        "depth": explored.depth,
        "parts": explored.parts,
        "seconds": round(explored.seconds, 1),
        "whole": explored.whole,
    }


def table_line(plain: dict[str, object]) -> str:
    """The same, as docs/states.md has it."""
    states = plain["states"]
    most = "" if plain["whole"] else "first "
    return (
        f"| {plain['title']} (`{plain['name']}`) | {plain['losses']} | {plain['duplicates']} | {plain['early_timers']} "
        f"| {most}{states:,} | {plain['ends']:,} | {plain['depth']} | {plain['parts']:,} | {plain['seconds']} |"
    )
