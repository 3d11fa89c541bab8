"""The whole state is compared: no field of any part is left out but those that are listed, with their reasons."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

import synfin
from synfin.explore import STARTS, Bounds
from synfin.explore.fields import CLASSES, LEFT_OUT, NOT_READ, READ_AS
from synfin.explore.fingerprint import READ_BY_MEANING, Walk, fields_of, rule_of
from synfin.explore.world import World
from synfin.tcp.syn_options import Negotiated
from synfin.tcp.syn_queue import HalfOpen
from synfin.tcp.time_wait import TimeWait

SOURCE = Path(synfin.__path__[0])


def classes() -> dict[str, tuple[list[str], set[str]]]:
    """(bases, names that are set on self) of every class of the core, by its name, from the source."""
    found: dict[str, tuple[list[str], set[str]]] = {}
    for file in [*SOURCE.glob("tcp/**/*.py"), *SOURCE.glob("stack/*.py"), *SOURCE.glob("wire/*.py")]:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
                names = {
                    each.attr
                    for each in ast.walk(node)
                    if isinstance(each, ast.Attribute)
                    and isinstance(each.ctx, ast.Store)
                    and isinstance(each.value, ast.Name)
                    and each.value.id == "self"
                }
                names |= {
                    each.target.id
                    for each in node.body
                    if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)
                }
                found[node.name] = (bases, names)
    return found


def properties() -> set[tuple[str, str]]:
    """(class, name): compiled, they look like fields."""
    return {
        (node.name, each.name)
        for file in [*SOURCE.glob("tcp/**/*.py"), *SOURCE.glob("stack/*.py"), *SOURCE.glob("wire/*.py")]
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
        for each in node.body
        if isinstance(each, ast.FunctionDef)
        and any(isinstance(mark, ast.Name) and mark.id == "property" for mark in each.decorator_list)
    }


DECLARED = classes()
RECORD = TimeWait(2_000_000, 1, 2, 3, 4, 5, True, 0)
HALF_OPEN = HalfOpen(2_000_000, 1_500_000, 1, 2, 3, Negotiated(1460, True, 5, 5, True, True, 0))


def declared(name: str) -> set[str]:
    bases, names = DECLARED[name]
    return names.union(*(declared(base) for base in bases if base in DECLARED))


def worlds() -> list[World]:
    """States in which every table has something, and most parts are there."""
    found = []
    for name, depth in (("open", 4), ("modern", 4), ("modern", 9), ("at-once", 6), ("cookie", 1), ("time-wait", 0)):
        scenario = STARTS[name if name in STARTS else "modern"].scenario
        world = World(scenario, Bounds(1, 1, 1))
        for _ in range(depth or 40):
            actions = world.actions()
            if not actions or (
                depth == 0 and any(host.life and host.life.stack.census()["time_wait"] for host in world.hosts)
            ):
                break
            world.apply(actions[0])
        found.append(world)
    return found


def waits(world: World) -> bool:
    """Somebody is in TIME-WAIT."""
    return any(host.life is not None and host.life.stack.census()["time_wait"] for host in world.hosts)


def objects(world: World) -> list[Any]:
    """All that the walk meets."""
    reading = Walk(world.now)
    for host in world.hosts:
        host.read(reading)
    return [each for each in reading._kept if type(each).__module__.startswith("synfin.")]


def test_every_field_that_the_source_declares_is_read_or_listed() -> None:
    met: set[type] = set()
    for world in worlds():
        for each in objects(world):
            kind = type(each)
            if kind.__name__ in CLASSES or kind.__name__ not in DECLARED:
                continue
            met.add(kind)
            there = fields_of(kind)
            names = set(vars(each)) if there is None else set(there)
            # What is set on an object only later is read once it is there; a compiled class has all from the beginning.
            missing = declared(kind.__name__) - names
            assert not missing, f"{kind.__name__} declares {missing}, which no state is told apart by"
    assert {"Connection", "Sender", "Receiver", "Scoreboard", "Sent", "Listener", "Environment"} <= {
        kind.__name__ for kind in met
    }


def test_every_rule_names_a_field_that_there_is() -> None:
    for name, field in [*READ_AS, *NOT_READ]:
        if name in DECLARED and (name, field) not in properties():
            assert field in declared(name), f"{name}.{field} is a rule about nothing"
        else:
            assert name in {"Life", *DECLARED}, f"there is no class {name}"
    known = {*DECLARED, "Config"}
    assert set(CLASSES) <= known


UNPACKED = ("TimeWait", "HalfOpen", "Negotiated")  # for the reading, from packed records


def other(value: Any) -> Any:
    """Another value of the same kind; None: there is none to be had."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return value + 1.0
    return None


def test_to_read_a_state_does_not_change_it() -> None:
    for world in worlds():
        assert world.digest() == world.digest()


def test_no_two_states_that_differ_in_one_field_are_taken_for_the_same() -> None:
    tried = 0
    for world in worlds():
        before = world.digest()
        for each in objects(world):
            kind = type(each)
            if kind in READ_BY_MEANING or kind.__name__ in {*CLASSES, *UNPACKED} or kind.__name__ not in DECLARED:
                continue
            for name in fields_of(kind) or list(vars(each)):
                if rule_of(kind, name) == LEFT_OUT:
                    continue
                value = getattr(each, name)
                changed = other(value)
                if changed is None:
                    continue
                setattr(each, name, changed)
                assert world.digest() != before, f"{kind.__name__}.{name} makes no difference"
                setattr(each, name, value)
                tried += 1
        assert world.digest() == before
    assert tried > 400


@pytest.mark.parametrize("record", [RECORD, HALF_OPEN])
def test_no_two_records_that_differ_in_one_field_are_taken_for_the_same(record: Any) -> None:
    def read() -> list[Any]:
        reading = Walk(1_000_000)
        reading.read(record)
        return reading.out

    before = read()
    for name in sorted(declared(type(record).__name__) - {"agreed"}):
        value = getattr(record, name)
        setattr(record, name, other(value))
        assert read() != before, name
        setattr(record, name, value)


def test_what_is_of_no_known_kind_is_refused() -> None:
    with pytest.raises(TypeError, match="how is a state to be compared that holds"):
        Walk(0).read(object())


def test_no_decision_reads_a_counter() -> None:
    """That is why they are left out: they are added to, and read for people alone."""
    for file in [*SOURCE.glob("tcp/**/*.py"), *SOURCE.glob("stack/*.py")]:
        if file.name == "flood.py":
            continue  # takes and gives back what a batch has counted
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                owner = node.value
                name = (
                    owner.attr if isinstance(owner, ast.Attribute) else owner.id if isinstance(owner, ast.Name) else ""
                )
                assert name not in ("counters", "_counters"), f"{file.name}:{node.lineno} reads {node.attr}"


def test_what_is_left_out_of_a_scoreboard_is_set_when_an_ack_begins() -> None:
    tree = ast.parse((SOURCE / "tcp" / "scoreboard.py").read_text(encoding="utf-8"))
    begin = next(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == "begin")
    names = {
        node.attr for node in ast.walk(begin) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
    }
    assert {field for name, field in NOT_READ if name == "Scoreboard"} <= names
