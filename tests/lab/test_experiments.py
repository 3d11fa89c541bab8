"""Each experiment's outcome, and that a parameter which breaks it shows."""

from __future__ import annotations

import functools
import json
from typing import Any

import pytest

from synfin.lab.catalogue import EXPERIMENTS
from synfin.lab.congestion import jain, mathis
from synfin.lab.experiment import Finding, as_json, report
from synfin.lab.world import HALF_OPEN_BYTES
from synfin.tcp import syn_queue

# Enough to show the outcome, less than what people look at.
SMALL: dict[str, dict[str, int]] = {
    "isn": {"trials": 8},
    "syn-data": {"syns": 200},
    "syn-flood": {"queue": 16, "rate": 30, "seconds": 30},
    "congestion": {"rate_mbit": 5, "queue_kb": 25, "seconds": 12},
}
# A parameter that makes an expected outcome impossible, and a word of the expectation that it breaks.
BREAKS = [
    ("handshake", {"bytes": 0}, "the third segment carries data"),
    ("two-way", {"client_answers": 0}, "the client's RST ends it"),
    ("isn", {"gap_ms": 0, "trials": 8}, "clock of 4 µs keeps them out"),
    ("syn-data", {"bytes": 0, "syns": 100}, "ten times"),
    ("syn-flood", {"cookies": 0, "queue": 16, "rate": 30, "seconds": 30}, "with cookies every honest client"),
    ("congestion", {**SMALL["congestion"], "second_rtt_ms": 400}, "two connections with reno share the link fairly"),
    ("close", {"think_ms": 0}, "the client: FIN-WAIT-1, FIN-WAIT-2"),
    ("time-wait", {"msl_ms": 0}, "with 2MSL the FIN comes again"),
    ("half-open", {"keepalive_s": 0}, "with keep-alive the survivor finds out"),
    ("close-wait-leak", {"closes": 1}, "still in CLOSE-WAIT"),
]


@functools.cache
def found_by(name: str, seed: int) -> Finding:
    """What an experiment finds; run once."""
    experiment = EXPERIMENTS[name]
    return experiment.run(experiment.settings(SMALL.get(name, {}), seed))


def found(name: str) -> Finding:
    return found_by(name, 0)


@functools.cache
def found_broken(name: str) -> Finding:
    """What it finds with the parameters of BREAKS; run once."""
    experiment = EXPERIMENTS[name]
    (values,) = (values for one, values, _ in BREAKS if one == name)
    return experiment.run(experiment.settings(values))


def data(name: str) -> dict[str, Any]:
    return found(name).data


@pytest.mark.parametrize("name", EXPERIMENTS)
@pytest.mark.parametrize("seed", [0, 4711])
def test_the_expected_outcome_happens(name: str, seed: int) -> None:
    finding = found_by(name, seed)
    assert finding.ok, [sentence for sentence, held in finding.expectations if not held]


@pytest.mark.parametrize(("name", "broken"), [(name, broken) for name, _, broken in BREAKS])
def test_a_parameter_that_breaks_the_outcome_shows(name: str, broken: str) -> None:
    finding = found_broken(name)
    assert not finding.ok
    assert any(broken in sentence for sentence, held in finding.expectations if not held)
    assert "the expected outcome did not happen" in report(EXPERIMENTS[name], finding)[-1]


def test_every_experiment_has_a_parameter_that_breaks_it() -> None:
    assert {name for name, _, _ in BREAKS} == set(EXPERIMENTS)


@pytest.mark.parametrize("name", ["handshake", "two-way", "close", "time-wait", "half-open", "close-wait-leak"])
def test_the_same_seed_gives_the_same_events(name: str) -> None:
    experiment = EXPERIMENTS[name]
    assert experiment.run(experiment.settings(seed=3)).lines == experiment.run(experiment.settings(seed=3)).lines


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_json_says_what_was_asked_and_what_was_found(name: str) -> None:
    experiment = EXPERIMENTS[name]
    said = json.loads(json.dumps(as_json(experiment, found(name), experiment.settings(SMALL.get(name, {})))))
    assert set(said) == {"experiment", "question", "seed", "parameters", "ok", "expectations", "data"}
    assert said["experiment"] == name
    assert said["ok"] is True
    assert said["data"]
    assert all(set(one) == {"expected", "held"} for one in said["expectations"])
    assert set(said["parameters"]) == {parameter.name for parameter in experiment.parameters}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_report_tells_question_diagram_findings_and_sections(name: str) -> None:
    text = "\n".join(report(EXPERIMENTS[name], found(name)))
    assert EXPERIMENTS[name].question in text
    assert "✓" in text
    assert "RFC " in EXPERIMENTS[name].why
    assert found(name).scenes or found(name).figure
    assert max(map(len, text.splitlines())) <= 125


def test_the_longer_round_trip_gets_less_of_a_shared_link() -> None:
    told = found_broken("congestion").data
    for control in ("reno", "cubic"):
        first, second = told[control]["rates"]
        assert first > 2 * second
        assert data("congestion")[control]["jain"] > 0.9 > told[control]["jain"]


def test_no_flow_gets_more_than_the_link_carries() -> None:
    told = data("congestion")
    assert all(sum(one["rates"]) * 8 < 5_000_000 for one in told.values() if "rates" in one)
    assert all(rate * 8 < 5_000_000 for one in told.values() if "rates" not in one for rate in one.values())


def test_reno_alone_comes_near_to_what_mathis_gives_it() -> None:
    alone = data("congestion")["reno alone"]
    for percent in (1, 3):
        assert 0.5 < alone[f"{percent} %"] / mathis(percent / 100, 40_000) < 1.2


def test_jains_index_is_1_for_equals_and_1_of_n_for_one_who_takes_all() -> None:
    assert jain([3.0, 3.0, 3.0]) == pytest.approx(1)
    assert jain([5.0, 0.0, 0.0, 0.0]) == pytest.approx(0.25)
    assert jain([0.0, 0.0]) == 0


def test_the_handshake_numbers_its_segments_as_the_standard_says() -> None:
    first, second, third = data("handshake")["plain"]["segments"]
    assert (first["flags"], second["flags"], third["flags"]) == ("SYN", "SYN,ACK", "ACK")
    assert second["ack"] == (first["seq"] + 1) % 2**32
    assert (third["seq"], third["ack"]) == (second["ack"], (second["seq"] + 1) % 2**32)


def test_data_on_the_third_segment_begin_at_x_plus_1() -> None:
    first, _, third, *_ = data("handshake")["with_data"]["segments"]
    assert third["seq"] == (first["seq"] + 1) % 2**32
    assert third["bytes"] == 100


def test_a_two_way_server_keeps_what_a_three_way_server_forgets() -> None:
    assert data("two-way")["three_way"]["accepted"] == 0
    assert data("two-way")["two_way"]["accepted"] == 1
    assert data("two-way")["three_way_silent"] == {"connections": 0, "half_open": 0}
    assert data("two-way")["two_way_silent"] == {"connections": 1, "half_open": 0}


def test_only_a_secret_clock_keeps_late_and_forged_segments_out() -> None:
    kinds = data("isn")
    assert (kinds["fixed"]["taken"] > 0, kinds["fixed"]["forged"]) == (True, 8)
    assert (kinds["clock of 4 ms"]["taken"] > 0, kinds["clock of 4 ms"]["forged"]) == (True, 8)
    assert (kinds["clock of 4 µs"]["taken"], kinds["clock of 4 µs"]["forged"]) == (0, 8)
    assert (kinds["RFC 6528"]["taken"], kinds["RFC 6528"]["forged"]) == (0, 0)


def test_text_on_syns_is_not_kept() -> None:
    flood = data("syn-data")["flood"]
    assert flood["bytes_acknowledged"] == 0
    assert flood["text_bytes"] == 200 * 1400
    assert flood["half_open"] == 200


def test_the_size_of_a_half_open_entry_is_that_of_the_listeners_record() -> None:
    assert data("syn-data")["flood"]["entry_bytes"] == HALF_OPEN_BYTES == syn_queue._RECORD.size + 12


def test_cookies_let_honest_clients_through_a_flood() -> None:
    bare, saved = data("syn-flood")["without cookies"], data("syn-flood")["with cookies"]
    assert bare["most_half_open"] == saved["most_half_open"] == 16
    assert saved["succeeded"] == saved["clients"] > 20
    assert bare["succeeded"] < bare["clients"] // 2
    assert bare["counters"]["TCPReqQFullDrop"] > 500
    assert saved["counters"]["SyncookiesSent"] == saved["counters"]["TCPReqQFullDoCookies"] > 500
    assert saved["counters"]["SyncookiesRecv"] >= saved["clients"] - 1


def test_half_open_entries_expire_about_a_minute_after_the_flood() -> None:
    half_open = data("syn-flood")["without cookies"]["half_open"]
    assert half_open[71] == 16  # the flood began at 10 s and filled the queue at once; it ended at 40 s
    assert half_open[75] == 0


def test_a_cookie_is_what_its_definition_says_and_an_altered_one_is_reset() -> None:
    cookie = data("syn-flood")["cookie"]
    assert cookie["number"] == cookie["by_hand"]
    outcomes = dict(cookie["outcomes"])
    assert outcomes.pop("as it should be") == "connected"
    assert outcomes.pop("later text came first") == "nothing"
    assert set(outcomes.values()) == {"reset"}


def test_the_close_takes_four_segments_or_three() -> None:
    assert (data("close")["four"]["segments"], data("close")["three"]["segments"]) == (4, 3)
    assert data("close")["simultaneous"]["client"][-2:] == ["CLOSING", "TIME-WAIT"]
    assert data("close")["half_close"]["server"][-2:] == ["LAST-ACK", "CLOSED"]


def test_time_wait_spares_the_peer_a_reset_and_the_next_connection_old_bytes() -> None:
    found_ = data("time-wait")
    assert (found_["last_ack_lost"]["resets"], found_["without"]["resets"]) == (0, 1)
    assert found_["late_segment"]["refused"]
    assert found_["late_segment_without"]["old_bytes_received"] > 0


def test_keep_alive_finds_out_and_silence_does_not() -> None:
    found_ = data("half-open")
    assert found_["silence"] == {"error": "", "found_out_after_s": -1.0}
    assert 7200 <= found_["keepalive"]["found_out_after_s"] < 7201
    assert found_["nobody_answers"]["found_out_after_s"] == 7200 + 9 * 75


def test_close_wait_has_no_timer_and_its_late_answer_arrives() -> None:
    assert data("close-wait-leak")["leak"]["server_states"] == ["CLOSE-WAIT"] * 5
    assert data("close-wait-leak")["leak"]["deadlines"] == [None] * 5
    assert data("close-wait-leak")["late_answer"]["received"] == "42"
