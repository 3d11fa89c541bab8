"""JSON and addresses: what is written is read again, and what a stranger sends is data or is refused by name."""

import base64
import json
import sys
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synfin.scenario import (
    VERSION,
    Host,
    Scenario,
    ScenarioError,
    from_fragment,
    from_json,
    from_plain,
    run,
    to_fragment,
    to_json,
)
from synfin.scenario.codec import MAX_FRAGMENT, MAX_TEXT
from synfin.scenario.examples import EXAMPLES
from synfin.scenario.model import ACTIONS, FLAGS

TWO = [{"name": "a"}, {"name": "b"}]


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_read_as_it_was_written(name: str) -> None:
    scenario = EXAMPLES[name]
    assert from_json(to_json(scenario)) == scenario
    assert from_fragment(to_fragment(scenario)) == scenario


def test_what_is_as_it_is_anyway_is_not_written() -> None:
    assert json.loads(to_json(Scenario(hosts=(Host(name="a"), Host(name="b"))))) == {"version": VERSION, "hosts": TWO}


def test_an_address_has_only_what_addresses_may_have() -> None:
    fragment = to_fragment(EXAMPLES["slow-start"])
    assert set(fragment) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")
    assert len(fragment) < 500


def step(**what: Any) -> dict[str, Any]:
    return {"version": 1, "hosts": TWO, "steps": [what]}


REFUSED: dict[str, tuple[Any, str]] = {
    "no object": ([], "a scenario is an object, not a list"),
    "no version": ({"hosts": TWO}, "version: is missing: this synfin writes 1"),
    "a version of the future": ({"version": 2}, "version: 2 is of a newer synfin: this one reads up to 1"),
    "a version that is none": ({"version": True}, "version: must be a whole number from 1 on, not True"),
    "no hosts": ({"version": 1}, "hosts: is missing"),
    "one host": ({"version": 1, "hosts": TWO[:1]}, "hosts: must be two at least"),
    "too many hosts": ({"version": 1, "hosts": [{"name": f"h{n}"} for n in range(7)]}, "hosts: must have at most 6"),
    "a name twice": ({"version": 1, "hosts": [TWO[0]] * 2}, "hosts: has 'a' 2 times"),
    "a name of markup": ({"version": 1, "hosts": [TWO[0], {"name": "<b>"}]}, r"hosts\[1\]\.name: must be a name"),
    "a name that breaks lines": ({"version": 1, "hosts": [TWO[0], {"name": "a\nb"}]}, r"hosts\[1\]\.name: must be"),
    "what is unknown": ({"version": 1, "hosts": TWO, "code": "1"}, "has no 'code'; there are hosts, title"),
    "an unknown action": (step(host="a", do="exec"), r"steps\[0\]\.do: must be one of listen, accept"),
    "an unknown host": (step(host="c", do="close"), r"steps\[0\]\.host: there is no host 'c'; there are 'a', 'b'"),
    "a connection to itself": (step(host="a", do="open", to="a"), r"steps\[0\]\.to: joins 'a' with itself"),
    "a word for a number": (step(host="a", do="write", bytes="9"), r"steps\[0\]\.bytes: must be a whole number from 0"),
    "a number that is true": (step(host="a", do="write", bytes=True), r"steps\[0\]\.bytes: must be a whole number"),
    "what says nothing": (step(host="a", do="close", bytes=9), r"steps\[0\]\.bytes: says nothing about close"),
    "too many bytes": (
        {"version": 1, "hosts": TWO, "steps": [{"host": "a", "do": "write", "bytes": 1_500_000}] * 2},
        "steps: write more than 2000000 bytes",
    ),
    "a setting beyond its bounds": (
        {"version": 1, "hosts": [TWO[0], {"name": "b", "settings": {"mtu": 12}}]},
        r"hosts\[1\]\.settings\.mtu: must be a whole number from 576 to 9000, not 12",
    ),
    "settings that do not go together": (
        {"version": 1, "hosts": [TWO[0], {"name": "b", "settings": {"keepalive_interval_us": 0}}]},
        r"hosts\[1\]\.settings\.keepalive_interval_us",
    ),
    "a packet with six words": (
        {"version": 1, "hosts": TWO, "fates": [{"packet": ["a", "b", 0, "SYN", 0, 0], "do": "drop"}]},
        r"fates\[0\]\.packet: must be \[from, to",
    ),
    "a flag that there is not": (
        {"version": 1, "hosts": TWO, "fates": [{"packet": ["a", "b", 0, "SIN", 0, 0, 0], "do": "drop"}]},
        r"fates\[0\]\.packet\[3\]: must be names of flags",
    ),
    "a delay of nothing": (
        {"version": 1, "hosts": TWO, "fates": [{"packet": ["a", "b", 0, "SYN", 0, 0, 0], "do": "delay"}]},
        r"fates\[0\]\.by_us",
    ),
    "a second arrival of what is lost": (
        {"version": 1, "hosts": TWO, "fates": [{"packet": ["a", "b", 0, "SYN", 0, 0, 0], "do": "drop", "again_us": 1}]},
        r"fates\[0\]\.again_us",
    ),
    "two fates of a packet": (
        {"version": 1, "hosts": TWO, "fates": [{"packet": ["a", "b", 0, "SYN", 0, 0, 0], "do": "drop"}] * 2},
        "fates: decide 2 times about",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_scenario_is_refused_with_its_place(what: str) -> None:
    data, why = REFUSED[what]
    with pytest.raises(ScenarioError, match=why):
        from_plain(data)


TEXTS = {
    "nothing": ("", "is no JSON: Expecting value at line 1"),
    "half of it": ('{"version":1,', "is no JSON"),
    "a fraction": ('{"version":1.5}', "has '1.5': there are whole numbers"),
    "not a number": ('{"version":NaN}', "has 'NaN': there are whole numbers"),
    "a number of many digits": ('{"version":' + "9" * 5000 + "}", "has '999"),
    "a name twice": ('{"version":1,"version":1}', "has 'version' twice"),
    "depth": ("[" * 100_000, "is nested deeper than 8"),
    "length": (" " * (MAX_TEXT + 1), "characters: 262144 at most"),
}


@pytest.mark.parametrize("what", TEXTS)
def test_text_that_is_no_scenario_is_refused(what: str) -> None:
    text, why = TEXTS[what]
    with pytest.raises(ScenarioError, match=why):
        from_json(text)


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(ScenarioError, match="is no UTF-8 text"):
        from_json(b"\xff\xfe")


def packed(data: bytes) -> str:
    return "1." + base64.urlsafe_b64encode(zlib.compress(data, 9)).decode().rstrip("=")


WHOLE = to_fragment(EXAMPLES["conversation"])
FRAGMENTS = {
    "nothing": ("", "holds no scenario"),
    "a word": ("hello", "holds no scenario"),
    "a part": (WHOLE[:-12], "is damaged"),
    "other signs": ("1.%%%%", "is damaged"),
    "a newer version": ("2" + WHOLE[1:], "2 is of a newer synfin"),
    "a list": (packed(b"[]"), "holds no scenario"),
    "a bomb": (packed(b" " * 20_000_000), "the address holds more than 262144 bytes"),
    "length": ("1." + "A" * MAX_FRAGMENT, "characters: 32768 at most"),
}  # fmt: skip


@pytest.mark.parametrize("what", FRAGMENTS)
def test_an_address_that_holds_no_scenario_is_refused(what: str) -> None:
    fragment, why = FRAGMENTS[what]
    with pytest.raises(ScenarioError, match=why):
        from_fragment(fragment)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 70), 1 << 70) | st.text(max_size=20) | st.floats(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_any_json_is_a_scenario_or_refused_as_one(data: Any) -> None:
    for text in (json.dumps(data), json.dumps({"version": 1, "hosts": TWO, "steps": [data]})):
        with pytest.raises(ScenarioError):
            from_json(text)


@given(st.text(max_size=200) | st.text("1.ABCabc-_", max_size=200))
def test_any_address_is_a_scenario_or_refused_as_one(fragment: str) -> None:
    with pytest.raises(ScenarioError):
        from_fragment(fragment)


NAMES = st.sampled_from(["a", "b"])
TIMES = st.integers(0, 2_000_000)


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A field, or its absence."""
    return st.none() | strategy


def objects(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(fields).map(
        lambda found: {key: value for key, value in found.items() if value is not None}
    )


STEPS = objects(
    host=NAMES,
    do=st.sampled_from(sorted(ACTIONS)),
    program=maybe(st.integers(0, 2)),
    at_us=maybe(TIMES),
    after_us=maybe(TIMES),
    to=maybe(NAMES),
    port=maybe(st.sampled_from([80, 81])),
    from_port=maybe(st.sampled_from([0, 80, 1000])),
    bytes=maybe(st.integers(0, 30_000)),
    wait=maybe(st.booleans()),
)
PACKETS = st.tuples(
    NAMES, NAMES, st.integers(-1, 2), st.sampled_from(["SYN", "SYN,ACK", "ACK", "PSH,ACK", "FIN,ACK", "RST"]),
    st.integers(-1, 3), st.integers(0, 2), st.integers(0, 2),
)  # fmt: skip
FATES = objects(
    packet=PACKETS,
    do=st.sampled_from(["drop", "delay", "duplicate", "corrupt", "mark"]),
    by_us=maybe(TIMES),
    overtake=maybe(st.booleans()),
    again_us=maybe(TIMES),
)
FORGED = objects(
    at_us=TIMES,
    to=NAMES,
    as_host=NAMES,
    flags=st.sets(st.sampled_from(sorted(FLAGS)), max_size=4).map(lambda found: ",".join(sorted(found))),
    connection=maybe(st.integers(0, 1)),
    from_port=maybe(st.sampled_from([80, 1000])),
    to_port=maybe(st.sampled_from([80, 1000])),
    seq=maybe(st.integers(-5, 70_000)),
    ack=maybe(st.integers(-5, 70_000)),
    seq_from=maybe(st.sampled_from(["expected", "isn", "zero"])),
    length=maybe(st.integers(0, 100)),
)
SETTINGS = objects(
    timestamps=maybe(st.booleans()),
    sack=maybe(st.booleans()),
    receive_buffer=maybe(st.sampled_from([2048, 65536])),
    ack_delay_us=maybe(st.sampled_from([0, 500_000])),
    congestion_control=maybe(st.sampled_from(["cubic", "newreno", "bbr"])),
    syn_cookies=maybe(st.sampled_from(["off", "when-full", "always"])),
    keepalive_idle_us=maybe(st.sampled_from([0, 1_000_000])),
    msl_us=maybe(st.sampled_from([0, 1_000_000])),
)
SCENARIOS = st.fixed_dictionaries(
    {
        "version": st.just(1),
        "hosts": st.tuples(SETTINGS, SETTINGS).map(
            lambda two: [{"name": "a", "settings": two[0]}, {"name": "b", "settings": two[1]}]
        ),
        "until_us": st.integers(1, 10_000_000),
        "steps": st.lists(STEPS, max_size=12),
        "fates": st.lists(FATES, max_size=4),
        "forged": st.lists(FORGED, max_size=4),
    }
)


@given(SCENARIOS)
def test_a_scenario_of_a_stranger_runs_within_its_bounds_or_is_refused(data: dict[str, Any]) -> None:
    try:
        scenario = from_json(json.dumps(data))
    except ScenarioError:
        return
    result = run(scenario)
    assert result.ended_us <= scenario.until_us
    assert len(result.segments) < 6_000
    assert len(result.outcomes) == len(scenario.steps)
    assert from_fragment(to_fragment(scenario)) == scenario
    assert run(from_json(to_json(scenario))).digest() == result.digest()


def test_the_reader_is_none_of_python_s_own_limits() -> None:
    """A deep text is refused before it is parsed: the parser's stack is not what ends it."""
    limit = sys.getrecursionlimit()
    with pytest.raises(ScenarioError, match="nested deeper"):
        from_json('{"a":' * (limit * 10))
