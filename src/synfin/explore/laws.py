"""What holds of both hosts together in every state, and what at every end: joint states, patience, bytes.

Each law raises Broken with what is wrong. They look at what is told of the hosts (`facts`), and not at the hosts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from synfin.explore.broken import Broken, demand
from synfin.explore.facts import Facts, Taken
from synfin.explore.joint import check_joint
from synfin.explore.stage import Stage
from synfin.scenario.programs import DONE, FAILED, WAITING
from synfin.wire.key import reverse_key

# How a connection may fail where somebody crashed, aborted or forged (RFC 9293 3.10.7, 3.8.3).
ERRORS: Final = (
    "ECONNRESET",
    "EPIPE",
    "ETIMEDOUT",
    "ECONNREFUSED",
    "EADDRINUSE",
    "ENOTCONN",
)


def check_together(stage: Stage, hosts: Sequence[Facts], forged: int) -> None:
    """Raise Broken for the first law that does not hold. forged: a bit for each forgery that has arrived."""
    for facts in hosts:
        if facts.broken:
            raise Broken(facts.broken)
    check_joint(stage, hosts, stage.is_calm(forged, (each.violent for each in hosts)), stage.is_deceived(forged))


def check_patience(stage: Stage, name: str, gave_up: bool, waited: bool) -> None:
    """In the calm nobody gives up; and where each packet arrives once and in time, nobody waits in vain.

    waited: a retransmission timer ran out although nothing was lost, twice there or late.
    """
    if not stage.crowded:
        demand(not gave_up, f"{name} has given up although nobody was silent")
        demand(not waited, f"{name} waited in vain although nothing was lost")


def check_end(stage: Stage, hosts: Sequence[Facts], forged: int) -> None:
    """Nothing can happen any more: raise Broken unless all has ended as it may."""
    steps = stage.scenario.steps
    done = {number: each for facts in hosts for number, each in facts.done.items()}
    violence = not stage.is_calm(forged, (each.violent for each in hosts))
    refused = any(step.do == "open" and done[number].result == FAILED for number, step in enumerate(steps))
    lonely = violence or stage.crowded or refused
    for name, facts in zip(stage.names, hosts, strict=True):
        left = dict(facts.left)
        if violence and facts.half_open:
            for table in ("connections", "memory"):
                left.pop(table, None)
        demand(not left, f"{name}: at the end there is left {left}")
    for number, step in enumerate(steps):
        what, outcome = f"{step.host} {step.do}", done[number]
        excused = violence or (step.do == "open" and stage.may_fail(step, outcome.error))
        demand(outcome.result != FAILED or excused, f"{what} failed without a reason: {outcome.error}")
        demand(not outcome.error or any(each in outcome.error for each in ERRORS), f"{what} failed by {outcome.error}")
        demand(outcome.result != WAITING or lonely, f"{what} waits for ever")
        if step.do == "read" and outcome.result == DONE and not step.bytes and not outcome.forged:
            _bytes_exact(stage, hosts, number, what)


def _bytes_exact(stage: Stage, hosts: Sequence[Facts], number: int, what: str) -> None:
    """A stream that ended in order has all that was written."""
    done = {each: outcome.bytes for facts in hosts for each, outcome in facts.done.items()}

    def does(each: int, what: str) -> bool:
        return stage.scenario.steps[each].do == what

    taken = [each for facts in hosts for each in facts.taken]
    mine = next(each for each in taken if number in each.steps)
    peer = _peer_of(mine, taken)
    if peer is None:
        return
    read = sum(done[each] for each in mine.steps if each <= number and does(each, "read"))
    written = sum(done[each] for each in peer.steps if does(each, "write"))
    demand(read == written, f"{what}: the stream ended after {read} bytes of {written} written")


def _peer_of(mine: Taken, taken: Sequence[Taken]) -> Taken | None:
    """Who had the other end of a connection; None: nobody knows."""
    peers = [each for each in taken if each.key and each.key == reverse_key(mine.key)]
    if len(peers) > 1:  # several incarnations: which of them?
        peers = [each for each in peers if mine.irs in (0, each.iss) and each.irs in (0, mine.iss)]
    return peers[0] if peers else None
