"""RFC 9293's figures 6 to 13, line by line: what each says passes between the hosts, and in which states they end."""

import pytest

from synfin.scenario import Result, run
from synfin.scenario.examples import EXAMPLES, FIGURES

# Of each figure: the segments it shows, as (from, flags) in the order of sending, and the states of both hosts.
SHOWN: dict[int, tuple[list[tuple[str, str]], list[str], list[str]]] = {
    6: (
        [("A", "SYN"), ("B", "SYN,ACK"), ("A", "ACK"), ("A", "PSH,ACK"), ("B", "ACK")],
        ["CLOSED", "SYN-SENT", "ESTABLISHED"],
        ["LISTEN", "SYN-RCVD", "ESTABLISHED"],
    ),
    7: (
        [("A", "SYN"), ("B", "SYN"), ("A", "SYN,ACK"), ("B", "SYN,ACK")],
        ["CLOSED", "SYN-SENT", "SYN-RCVD", "ESTABLISHED"],
        ["CLOSED", "SYN-SENT", "SYN-RCVD", "ESTABLISHED"],
    ),
    8: (
        [("A", "SYN"), ("A", "SYN"), ("B", "SYN,ACK"), ("A", "RST"), ("B", "SYN,ACK"), ("A", "ACK")],
        ["CLOSED", "SYN-SENT", "ESTABLISHED"],
        ["LISTEN", "SYN-RCVD", "LISTEN", "SYN-RCVD", "ESTABLISHED"],
    ),
    12: (
        [
            *[("A", "SYN"), ("B", "SYN,ACK"), ("A", "ACK")],
            *[("A", "FIN,ACK"), ("B", "ACK"), ("B", "FIN,ACK"), ("A", "ACK")],
        ],
        ["CLOSED", "SYN-SENT", "ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT", "CLOSED"],
        ["LISTEN", "SYN-RCVD", "ESTABLISHED", "CLOSE-WAIT", "LAST-ACK", "CLOSED"],
    ),
    13: (
        [
            *[("A", "SYN"), ("B", "SYN,ACK"), ("A", "ACK")],
            *[("A", "FIN,ACK"), ("B", "FIN,ACK"), ("A", "ACK"), ("B", "ACK")],
        ],
        ["CLOSED", "SYN-SENT", "ESTABLISHED", "FIN-WAIT-1", "CLOSING", "TIME-WAIT", "CLOSED"],
        ["LISTEN", "SYN-RCVD", "ESTABLISHED", "FIN-WAIT-1", "CLOSING", "TIME-WAIT", "CLOSED"],
    ),
    11: ([("A", "SYN"), ("B", "SYN,ACK"), ("A", "RST")], [], ["LISTEN", "SYN-RCVD", "LISTEN"]),
}  # fmt: skip


def segments(result: Result) -> list[tuple[str, str]]:
    return [(one.sender, one.flags) for one in result.segments]


@pytest.mark.parametrize("number", SHOWN)
def test_a_figure_shows_these_segments_and_states(number: int) -> None:
    result = run(FIGURES[number])
    assert (segments(result), result.states_of("A"), result.states_of("B")) == SHOWN[number]


def test_figure_8_the_old_syn_is_answered_by_its_own_number_and_reset_by_it() -> None:
    result = run(FIGURES[8])
    old = next(one for one in result.segments if one.id == "f1")
    real, answer, reset = result.segments[0], result.segments[2], result.segments[3]
    assert old.arrived_us[0] < real.arrived_us[0]
    raw = [int.from_bytes(one.data[24:28], "big") for one in (old, answer, reset)]
    acked = int.from_bytes(answer.data[28:32], "big")
    assert acked == raw[0] + 1 == raw[2]


def test_figure_9_the_old_connection_answers_the_new_syn_by_an_ack_and_is_reset() -> None:
    result = run(FIGURES[9])
    after = [one for one in result.segments if one.sent_us >= 400_000]
    assert [(one.sender, one.flags) for one in after][:3] == [("A", "SYN"), ("B", "ACK"), ("A", "RST")]
    assert (after[1].seq, after[1].ack, after[2].seq) == (1, -1, -1) or after[1].seq == 1
    endings = [each for each in result.outcomes if each.host == "B"]
    assert endings[2].error == "ConnectionResetError (ECONNRESET)"
    assert endings[3].result == "done"  # the SYN that comes again is accepted
    assert [(one.sender, one.flags) for one in after][3:] == [("A", "SYN"), ("B", "SYN,ACK"), ("A", "ACK")]


def test_figure_10_data_to_a_host_that_forgot_is_answered_by_a_reset() -> None:
    result = run(FIGURES[10])
    assert segments(result)[-2:] == [("B", "PSH,ACK"), ("A", "RST")]
    assert result.states_of("A") == ["CLOSED", "SYN-SENT", "ESTABLISHED", "CLOSED"]
    assert result.states_of("B")[-1] == "CLOSED"


def test_figure_11_neither_program_hears_of_the_old_syn() -> None:
    result = run(FIGURES[11])
    assert [each.result for each in result.outcomes] == ["done", "done", "waiting"]


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_has_a_title_and_uses_all_that_it_says(name: str) -> None:
    result = run(EXAMPLES[name])
    assert result.scenario.title
    assert result.segments
    assert not result.remarks
