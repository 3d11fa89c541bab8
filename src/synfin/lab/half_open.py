"""Half-open connections: one side crashes and comes back, and the other one does not know."""

from __future__ import annotations

from synfin.lab.experiment import Experiment, Finding, Parameter, Settings
from synfin.lab.played import OPENED_US, SECOND, after, ending, opens, played, program, third
from synfin.lab.world import life, sent
from synfin.scenario.model import MAX_TIME_US
from synfin.scenario.model import Settings as HostSettings
from synfin.scenario.programs import DONE, Outcome
from synfin.scenario.result import Result

WHY = """
A connection is nothing but the memory of its two ends. If one end forgets, the other learns of it only by a segment:
its own data are answered by RST (RFC 9293 figure 10), or the restarted side's SYN on the same ports is answered by
an ACK of the old connection, which that side resets before it tries again (RFC 9293 figure 9; the ACK is RFC 5961's
challenge). Who is silent learns nothing, and must not give up: silence is no failure. Keep-alive is a question asked
into the silence; it is off unless the program asks for it (RFC 9293 3.8.4).
"""
RESET = "ConnectionResetError (ECONNRESET)"
TIMED_OUT = "TimeoutError (ETIMEDOUT)"
CRASH = ({"do": "crash", "at_us": OPENED_US}, {"do": "restart", "at_us": OPENED_US})  # power off, power on


def _silence_s(result: Result, told: Outcome) -> float:
    """How long the survivor heard nothing until its program was told, in seconds; -1: it never was."""
    return (told.ended_us - result.segments[2].sent_us) / SECOND if told.error else -1.0


def survivor_sends(settings: Settings, finding: Finding) -> None:
    """The server crashes; the client's next data finds out."""
    result = played(
        settings,
        program("client", opens(), {"do": "write", "bytes": 14, "at_us": OPENED_US}, "read"),
        program("server", "listen", "accept", *CRASH, "listen"),
    )
    told = ending(result, "client", "read").error
    events = after(result, OPENED_US)
    finding.draw("The server has crashed and come back; the client sends (RFC 9293 figure 10)", third(result) + events)
    finding.data["survivor_sends"] = {"client": life(events, "client"), "error": told}
    finding.expect("data to a host that forgot are answered by RST, and the sender's program is told", told == RESET)


def crashed_side_returns(settings: Settings, finding: Finding) -> None:
    """The client crashes and connects again from the same port, into a connection that the server still has."""
    result = played(
        settings,
        program("client", opens(), *CRASH, opens()),
        program("server", "listen", "accept", "read", "accept"),
        until_us=5 * SECOND,
    )
    old, again = ending(result, "server", "read").error, ending(result, "client", "open", 1)
    finding.draw(
        "The client has crashed and connects again from the same port (RFC 9293 figure 9)",
        third(result) + after(result, OPENED_US),
    )
    finding.data["crashed_side_returns"] = {"server_error": old, "client_open": again.result}
    finding.expect("the old connection ends by the RST that its own challenge ACK provoked", old == RESET)
    finding.expect("the SYN that is sent again then opens the new one", again.result == DONE)


def silence(settings: Settings, finding: Finding) -> None:
    """The server crashes and neither side says anything."""
    for keepalive in (False, True):
        idle_us = settings["keepalive_s"] * SECOND if keepalive else 0
        result = played(
            settings,
            program("client", opens(), "read"),
            program("server", "listen", "accept", *CRASH),
            client=HostSettings(keepalive_idle_us=idle_us),
            until_us=MAX_TIME_US,
        )
        told = ending(result, "client", "read")
        found_out = _silence_s(result, told)
        finding.data["keepalive" if keepalive else "silence"] = {"error": told.error, "found_out_after_s": found_out}
        if keepalive:
            finding.draw(
                f"Keep-alive after {settings['keepalive_s']} s of silence", third(result) + after(result, OPENED_US)
            )
            finding.expect(
                "with keep-alive the survivor finds out after one idle time",
                told.error == RESET and abs(found_out - settings["keepalive_s"]) < 1,
            )
        else:
            finding.say("Without keep-alive, and with nothing to send, the client is still ESTABLISHED a day later.")
            finding.expect(
                "without it a silent survivor is still ESTABLISHED a day later",
                not told.error and result.states_of("client")[-1] == "ESTABLISHED",
            )


def nobody_answers(settings: Settings, finding: Finding) -> None:
    """The server never comes back: probes are not even answered by RST."""
    result = played(
        settings,
        program("client", opens(), "read"),
        program("server", "listen", "accept", CRASH[0]),
        client=HostSettings(keepalive_idle_us=max(1, settings["keepalive_s"]) * SECOND),
        until_us=MAX_TIME_US,
    )
    told = ending(result, "client", "read")
    found_out = _silence_s(result, told)
    finding.data["nobody_answers"] = {"error": told.error, "found_out_after_s": found_out}
    finding.say(f"Where nobody answers at all, nine probes 75 s apart go out: given up after {found_out:.0f} s.")
    finding.expect(
        "where nobody answers, the survivor gives up after its last probe",
        told.error == TIMED_OUT and len(sent(after(result, OPENED_US))) >= 9,
    )


def run(settings: Settings) -> Finding:
    """One side has crashed: the other sends, the crashed one returns, nobody speaks, nobody answers."""
    finding = Finding()
    for part in (survivor_sends, crashed_side_returns, silence, nobody_answers):
        part(settings, finding)
    return finding


EXPERIMENT = Experiment(
    "half-open",
    "One side crashes and comes back. How does the other one find out?",
    WHY,
    run,
    (Parameter("keepalive_s", 7200, "idle seconds before a keep-alive probe; 0: none", 0, 80000),),
)
