"""What a run leaves: a test that replays it, a capture, JSON."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from synfin.links.captures import Capture
from synfin.scenario import Host, Scenario, Step, as_plain, as_test, compare, from_plain, run, write_capture
from synfin.scenario.examples import EXAMPLES

pytest_plugins = ["pytester"]


@pytest.mark.parametrize("name", ["syn-ack-lost", "reset-exact", "crash", "figure-8"])
def test_the_exported_test_passes(name: str, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_saved=as_test(run(EXAMPLES[name])))
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


def test_the_exported_test_fails_where_another_segment_is_sent(pytester: pytest.Pytester) -> None:
    text = as_test(run(EXAMPLES["syn-ack-lost"]))
    pytester.makepyfile(test_saved=text.replace("'do': 'drop'", "'do': 'duplicate'"))
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(failed=1)


def test_what_a_stranger_wrote_is_a_literal_in_the_exported_test() -> None:
    hosts = (Host(name="a; import os"), Host(name="主机"))
    title = 'x"""; raise SystemExit \\'
    text = as_test(run(Scenario(hosts=hosts, title=title, steps=(Step(host="主机", do="listen"),))))
    names: dict[str, object] = {}
    exec(compile(text, "saved", "exec"), names)  # a module of literals, an import and a function
    scenario = from_plain(names["SCENARIO"])
    assert (scenario.hosts, scenario.title) == (hosts, title)
    names["test_the_same_happens_again"]()  # type: ignore[operator]


def test_the_capture_has_each_segment_with_what_it_did() -> None:
    result = run(EXAMPLES["syn-ack-lost"])
    file = io.BytesIO()
    write_capture(result, file)
    file.seek(0)
    found = list(Capture(file))
    assert [one.packet for one in found] == [one.data for one in result.segments]
    assert found[1].comment == "lost: never received"
    assert "SYN-SENT -> ESTABLISHED" in found[4].comment + found[3].comment


def test_json_tells_all_of_it_and_what_changed() -> None:
    before, after = run(EXAMPLES["conversation"]), run(EXAMPLES["syn-ack-lost"])
    told = json.loads(json.dumps(as_plain(after, compare(before, after))))
    assert from_plain(told["scenario"]) == after.scenario
    first, second = told["segments"][:2]
    assert (first["change"], second["change"]) == ("same", "fate")
    assert bytes.fromhex(first["hex"]) == after.segments[0].data
    fields = {name: (value, begin, end) for name, value, begin, end in first["fields"]}
    assert fields["tcp.flags"] == ("SYN", 33, 34)
    assert fields["tcp.options"][0].startswith("MSS 1460; window scale 5; SACK permitted; timestamps ")
    assert [each["after"] for each in told["states"] if each["host"] == "client"][:2] == ["SYN-SENT", "ESTABLISHED"]


def test_fields_cover_the_headers_of_a_segment_with_data() -> None:
    result = run(EXAMPLES["conversation"])
    told = as_plain(result)["segments"][2]
    assert told["fields"][-1][0] == "tcp.data"
    assert told["fields"][-1][2:] == (52, 152)


def test_nothing_of_a_capture_is_kept_when_its_file_fails(tmp_path: Path) -> None:
    result = run(replace(EXAMPLES["conversation"]))
    with (tmp_path / "x").open("wb") as file:
        file.close()
        with pytest.raises(ValueError, match="closed file"):
            write_capture(result, file)
