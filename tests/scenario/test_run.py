"""What a scenario's parts do: programs, fates, forgeries, crashes, settings, and the bounds of a run."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from synfin.scenario import (
    Fate,
    Forgery,
    Host,
    Link,
    Result,
    Scenario,
    SegmentRecord,
    Settings,
    Step,
    compare,
    run,
    runner,
)
from synfin.scenario.examples import EXAMPLES
from synfin.scenario.programs import Outcome

CONVERSATION = EXAMPLES["conversation"]
SYN_ACK = ("server", "client", 0, "SYN,ACK", 0, 0, 0)
REQUEST = ("client", "server", 0, "FIN,PSH,ACK", 1, 100, 0)


def segment(result: Result, sender: str, flags: str, number: int = 0) -> SegmentRecord:
    return [one for one in result.segments if (one.sender, one.flags) == (sender, flags)][number]


def ending(result: Result, host: str, do: str) -> Outcome:
    steps = zip(result.scenario.steps, result.outcomes, strict=True)
    return next(outcome for step, outcome in steps if (step.host, step.do) == (host, do))


# ---- fates ----


def test_a_dropped_syn_ack_comes_again_after_a_second() -> None:
    result = run(replace(CONVERSATION, fates=(Fate(packet=SYN_ACK, do="drop"),)))
    assert segment(result, "server", "SYN,ACK").fate == "drop"
    assert segment(result, "client", "SYN", 1).sent_us == 1_000_000
    assert segment(result, "server", "SYN,ACK", 1).sent_us == 1_010_000
    assert ending(result, "client", "open").ended_us == 1_020_000


def test_a_lost_last_ack_is_sent_again_from_time_wait() -> None:
    result = run(EXAMPLES["last-ack-lost"])
    again = segment(result, "server", "FIN,PSH,ACK", 1)
    answer = [one for one in result.segments if one.because == (again.id,)]
    assert [one.flags for one in answer] == ["ACK"]
    assert result.states_of("client")[-2:] == ["TIME-WAIT", "CLOSED"]
    assert result.states_of("server")[-1] == "CLOSED"


def test_a_delayed_segment_arrives_so_much_later() -> None:
    result = run(replace(CONVERSATION, fates=(Fate(packet=SYN_ACK, do="delay", by_us=70_000),)))
    assert segment(result, "server", "SYN,ACK").arrived_us == [90_000]


def test_a_delayed_segment_arrives_again_so_long_after_it_was_sent() -> None:
    result = run(replace(CONVERSATION, fates=(Fate(packet=SYN_ACK, do="delay", by_us=5_000, again_us=90_000),)))
    assert segment(result, "server", "SYN,ACK").arrived_us == [25_000, 100_000]


def test_a_duplicated_segment_arrives_twice() -> None:
    result = run(replace(CONVERSATION, fates=(Fate(packet=REQUEST, do="duplicate"),)))
    assert segment(result, "client", "FIN,PSH,ACK").arrived_us == [30_000, 30_000]
    assert ending(result, "server", "read").bytes == 100


def test_a_corrupted_segment_is_refused_by_its_checksum_and_sent_again() -> None:
    result = run(replace(CONVERSATION, fates=(Fate(packet=REQUEST, do="corrupt"),)))
    first, again = segment(result, "client", "FIN,PSH,ACK"), segment(result, "client", "FIN,PSH,ACK", 1)
    assert (first.fate, first.refused) == ("corrupt", "checksum")
    assert again.seq == 1
    assert ending(result, "server", "read").bytes == 100


def test_a_fate_of_a_packet_that_is_never_sent_is_remarked() -> None:
    result = run(replace(CONVERSATION, fates=(Fate(packet=(*SYN_ACK[:6], 7), do="drop"),)))
    assert [what for _, what in result.remarks] == ["fates[0]: no such packet was sent"]


# ---- forgeries ----


def forge(**what: object) -> Result:
    forgery = Forgery(at_us=45_000, to="server", as_host="client", **what)  # type: ignore[arg-type]
    return run(replace(CONVERSATION, forged=(forgery,)))


def test_a_forged_reset_with_the_expected_number_ends_the_connection() -> None:
    result = forge(flags="RST")
    assert result.states_of("server")[-1] == "CLOSED"
    assert ending(result, "server", "write").error == "BrokenPipeError (EPIPE)"  # as in Linux, after the FIN


def test_a_forged_reset_inside_the_window_is_challenged() -> None:
    result = forge(flags="RST", seq=1000)
    challenge = next(one for one in result.segments if "f1" in one.because)
    assert (challenge.sender, challenge.flags) == ("server", "ACK")
    assert any("challenge ACK (RFC 5961" in reason for reason in result.reasons["f1"])
    assert ending(result, "server", "close").result == "done"


def test_a_forged_reset_outside_the_window_is_ignored() -> None:
    result = forge(flags="RST", seq=10_000_000)
    assert not [one for one in result.segments if "f1" in one.because]
    assert result.summaries()[-1] == run(CONVERSATION).summaries()[-1]


def test_forged_data_with_the_expected_number_is_read_by_the_program() -> None:
    scenario = Scenario(
        hosts=CONVERSATION.hosts,
        until_us=1_000_000,
        steps=(
            Step(host="client", do="open", to="server"),
            Step(host="server", do="listen"),
            Step(host="server", do="accept"),
            Step(host="server", do="read", bytes=20),
        ),
        forged=(Forgery(at_us=100_000, to="server", as_host="client", flags="PSH,ACK", length=20),),
    )
    read = ending(run(scenario), "server", "read")
    assert (read.bytes, read.forged) == (20, 20)


def test_what_is_forged_into_a_connection_that_is_not_there_is_remarked() -> None:
    forgery = Forgery(at_us=45_000, to="server", as_host="client", flags="RST", connection=3)
    result = run(replace(CONVERSATION, forged=(forgery,)))
    assert result.remarks == [(45_000, "f1: there is no connection of that number yet")]


# ---- programs ----


def test_an_open_that_is_refused_fails_and_the_rest_is_skipped() -> None:
    result = run(Scenario(hosts=CONVERSATION.hosts, steps=CONVERSATION.steps[:5]))
    assert result.endings()[0] == ("client", "failed", "ConnectionRefusedError (ECONNREFUSED)")
    assert {result for _, result, _ in result.endings()[1:]} == {"skipped"}


def test_a_program_that_fails_goes_on_with_its_next_open() -> None:
    steps = (
        Step(host="client", do="open", to="server"),
        Step(host="client", do="write", bytes=1),
        Step(host="client", do="open", to="server", at_us=50_000),
        Step(host="server", do="listen", at_us=40_000),
    )
    assert [each.result for each in run(replace(CONVERSATION, steps=steps)).outcomes] == [
        *["failed", "skipped"],
        *["done", "done"],
    ]


def test_a_step_without_a_connection_fails_as_a_socket_does() -> None:
    steps = (Step(host="client", do="write", bytes=1), Step(host="client", do="accept"))
    result = run(replace(CONVERSATION, steps=steps))
    assert [each.error for each in result.outcomes] == ["OSError (ENOTCONN)", "OSError (EINVAL)"]


def test_a_crash_ends_what_waits_and_a_restart_knows_nothing_of_it() -> None:
    result = run(EXAMPLES["crash"])
    assert ending(result, "server", "read").result == "crashed"
    assert segment(result, "server", "RST").because == ("s6",) or segment(result, "server", "RST").because
    assert ending(result, "client", "read").error == "ConnectionResetError (ECONNRESET)"


def test_what_comes_to_a_host_that_is_down_is_lost() -> None:
    steps = (*CONVERSATION.steps, Step(host="server", do="crash", at_us=25_000))
    result = run(replace(CONVERSATION, steps=steps, until_us=500_000))
    request = segment(result, "client", "FIN,PSH,ACK")
    assert (request.fate, request.refused) == ("lost", "the host is down")


def test_a_crash_ends_a_half_open_entry_and_time_wait_as_well() -> None:
    for host, at_us, state in (("server", 15_000, "SYN-RCVD"), ("client", 200_000, "TIME-WAIT")):
        steps = (*CONVERSATION.steps, Step(host=host, do="crash", at_us=at_us))
        result = run(replace(CONVERSATION, steps=steps, until_us=500_000))
        assert result.states_of(host)[-2:] == [state, "CLOSED"]


def test_a_host_that_is_up_can_not_be_restarted() -> None:
    steps = (Step(host="server", do="restart", at_us=5), Step(host="server", do="crash", at_us=6, program=1),
             Step(host="server", do="crash", at_us=7, program=2))  # fmt: skip
    assert [each.error for each in run(replace(CONVERSATION, steps=steps)).outcomes] == [
        "the host is up", "", "the host is down",
    ]  # fmt: skip


def test_a_program_that_does_not_read_shuts_the_window() -> None:
    result = run(EXAMPLES["slow-reader"])
    windows = [int.from_bytes(one.data[34:36], "big") for one in result.segments if one.sender == "server"]
    assert 0 in windows
    assert ending(result, "server", "read").bytes == 20_000


# ---- links and settings ----


def test_a_link_has_its_delay_each_way() -> None:
    links = (Link(a="client", b="server", delay_us=5_000, back_delay_us=30_000),)
    result = run(replace(CONVERSATION, links=links))
    assert ending(result, "client", "open").ended_us == 35_000


def test_a_queue_that_is_full_loses_what_comes() -> None:
    links = (Link(a="client", b="server", bandwidth=1_000_000, queue=6_000),)
    result = run(replace(EXAMPLES["slow-start"], links=links))
    assert "lost" in {one.fate for one in result.segments}
    assert ending(result, "server", "read").bytes == 400_000


def test_a_setting_of_a_host_is_a_setting_of_its_stack() -> None:
    hosts = (Host(name="client", settings=Settings(msl_us=0, timestamps=False)), Host(name="server"))
    result = run(replace(CONVERSATION, hosts=hosts))
    assert result.ended_us < 1_000_000
    assert len(segment(result, "client", "SYN").data) == 20 + 20 + 12


# ---- the same again ----


def test_a_run_stops_at_its_time() -> None:
    result = run(replace(CONVERSATION, until_us=25_000))
    assert (result.stopped, result.ended_us) == ("time", 25_000)
    assert result.segments[-1].fate == "under way"


def test_too_many_segments_end_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "MAX_SEGMENTS", 100)
    result = run(EXAMPLES["slow-start"])
    assert result.stopped == "segments"
    assert 100 <= len(result.segments) < 200


def test_a_run_compares_as_the_same_with_itself() -> None:
    assert compare(run(CONVERSATION), run(CONVERSATION)).is_same


def test_a_comparison_tells_what_a_fate_changed() -> None:
    before = run(CONVERSATION)
    after = run(replace(CONVERSATION, fates=(Fate(packet=SYN_ACK, do="drop"),)))
    found = compare(before, after)
    kinds = {one.id: found.segments[one.id] for one in after.segments}
    assert kinds["s1"] == "same"
    assert kinds["s2"] == "fate"
    assert kinds["s3"] == "new"  # the SYN that comes again
    assert kinds[segment(after, "client", "FIN,PSH,ACK").id] == "moved"
    assert not found.is_same


@pytest.mark.parametrize("hash_seed", ["0", "1"])
def test_the_segments_are_the_same_in_any_process(hash_seed: str) -> None:
    code = (
        "from synfin.scenario import run\n"
        "from synfin.scenario.examples import EXAMPLES\n"
        "for name in ('conversation', 'fast-retransmit', 'slow-start', 'figure-9'):\n"
        "    print(run(EXAMPLES[name]).digest())"
    )
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    told = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    names = ("conversation", "fast-retransmit", "slow-start", "figure-9")
    assert told.stdout.split() == [run(EXAMPLES[name]).digest() for name in names]


def test_a_scenario_needs_neither_an_event_loop_nor_its_sockets() -> None:
    code = "import sys, synfin.scenario; sys.exit('synfin.aio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
