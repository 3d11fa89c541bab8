"""What is the same in all states of a scenario: who is where, what its programs want, which forgeries hurt."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from synfin.explore.host import ExploredHost, segments
from synfin.scenario.model import EXPECTED, Forgery, Scenario, Step
from synfin.stack.addresses import packed

_FAR: Final = 1 << 20  # beyond any window of a scenario


class Stage:
    """Of a scenario. number_of: hosts by their addresses' bytes. timeouts: how many there may be in a row."""

    def __init__(self, scenario: Scenario, timeouts: int = 0) -> None:
        self.scenario = scenario
        self.names = [host.name for host in scenario.hosts]
        self.msl_us = min(host.settings.msl_us for host in scenario.hosts)
        self.configs = [host.settings.config() for host in scenario.hosts]
        self.forged_to = [self.names.index(forgery.to) for forgery in scenario.forged]
        self._addresses = {name: f"10.77.0.{number}" for number, name in enumerate(self.names, 1)}
        self.number_of = {packed(self._addresses[name]): number for number, name in enumerate(self.names)}
        self._wanted = [self._connections(number) for number in range(len(self.names))]
        self.crowded = any(self.is_crowded(step) for step in scenario.steps)
        self._rude = any(self._is_rude(number) for number in range(len(self.names)))
        patience = (min(config.syn_retries, config.synack_retries, config.retries) for config in self.configs)
        self._impatient = timeouts > min(patience)
        self._hurts = sum(1 << n for n, forgery in enumerate(scenario.forged) if not harmless(forgery))

    def host(self, number: int, kind: type[ExploredHost] = ExploredHost) -> ExploredHost:
        """It, at its beginning."""
        return kind(self.scenario, number, self._addresses.__getitem__)

    def is_deceived(self, forged: int) -> bool:
        """A forger who knew the exact numbers has spoken: from there on both ends may believe different things.

        forged: a bit for each forgery that has arrived.
        """
        return bool(forged & self._hurts)

    def is_calm(self, forged: int, violent: Iterable[bool]) -> bool:
        """Nobody has crashed, aborted or forged, so that nothing is to fail and nobody to be left alone.

        A forgery that RFC 5961 makes harmless leaves the calm as it is. violent: of each host, whether it has. Where
        more may be lost than a host tries again, it may give up as well.
        """
        return not (self._rude or self._impatient or forged & self._hurts or any(violent))

    def reads_to_the_end(self, number: int) -> bool:
        """Whatever a host's programs close they have read to the end."""
        return not any(("close", 0) in does and ("read", 0) not in does for does in self._wanted[number])

    def _is_rude(self, number: int) -> bool:
        """It closes without having read to the end, although somebody may write: the peer may get a RST for it."""
        return not self.reads_to_the_end(number) and any(
            step.do == "write" for step in self.scenario.steps if step.host != self.names[number]
        )

    def _connections(self, number: int) -> list[list[tuple[str, int]]]:
        """What is done with each connection that a host's programs may have, and with how many bytes."""
        mine = [(n, step) for n, step in enumerate(self.scenario.steps) if step.host == self.names[number]]
        return [
            [(self.scenario.steps[each].do, self.scenario.steps[each].bytes) for each in steps]
            for program in sorted({step.program for _, step in mine})
            for _, steps in segments([each for each in mine if each[1].program == program])
        ]

    def may_fail(self, opened: Step, error: str) -> bool:
        """In a simultaneous open nobody hears a SYN until he has sent his own; and a full queue costs patience."""
        if "REFUSED" in error:
            return not any(_hears(opened, step) for step in self.scenario.steps)
        return "ETIMEDOUT" in error and self.crowded

    def is_crowded(self, listens: Step) -> bool:
        """More may come than may wait there, and who accepts takes his time: a SYN or third segment is never taken."""
        steps = self.scenario.steps
        late = any(
            step.do == "accept" and step.host == listens.host and (step.at_us > 0 or step.after_us > 0)
            for step in steps
        )
        opens = sum(step.do == "open" and _hears(step, listens) for step in steps)
        return listens.do == "listen" and late and listens.backlog < opens


def _hears(opened: Step, step: Step) -> bool:
    return step.do == "listen" and step.host == opened.to and step.port == opened.port


def harmless(forgery: Forgery) -> bool:
    """Into a connection that is there it makes no difference: RFC 5961, RFC 9293 3.10.7.4 (first)."""
    told = bool(forgery.from_port and forgery.to_port)
    if told or forgery.seq_from != EXPECTED or forgery.ack_from != EXPECTED:
        return False
    flags = forgery.flags.split(",")
    if abs(forgery.seq) >= _FAR or "SYN" in flags or forgery.ack >= _FAR:
        return True
    return ("RST" in flags and forgery.seq != 0) or (flags == ["ACK"] and forgery.ack > 0)
