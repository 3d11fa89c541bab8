"""Experiments that are scenarios: two hosts, what their programs do, and nothing that a reader could not play as well.

What a scenario can't say stands in `world`: another ISN function, a stand-in for a wrong TCP, thousands of connections.
"""

from __future__ import annotations

from typing import Any, Final

from synfin.lab.experiment import Settings
from synfin.scenario.model import Host, Scenario, Step
from synfin.scenario.model import Settings as HostSettings
from synfin.scenario.programs import Outcome
from synfin.scenario.result import Result
from synfin.scenario.runner import run
from synfin.tcp.trace import Event, PacketEvent

MS: Final = 1000
SECOND: Final = 1_000_000
OPENED_US: Final = 100 * MS  # by then a connection that is opened at the beginning is there
CLIENT_PORT: Final = 40000


def program(host: str, *steps: dict[str, Any] | str) -> tuple[Step, ...]:
    """What a host's program does: words, or words with what more there is to say."""
    return tuple(Step(host=host, do=each) if isinstance(each, str) else Step(host=host, **each) for each in steps)


def opens(**more: Any) -> dict[str, Any]:
    """The client opens a connection to the server, from a port that is always the same."""
    return {"do": "open", "to": "server", "from_port": CLIENT_PORT, **more}


def played(
    settings: Settings, *steps: tuple[Step, ...], until_us: int = SECOND, client: HostSettings | None = None
) -> Result:
    """What comes of the programs of client and server, until then."""
    hosts = (Host(name="client", settings=client or HostSettings()), Host(name="server"))
    whole = tuple(step for each in steps for step in each)
    return run(Scenario(hosts=hosts, seed=settings.seed & 0xFFFFFFFF, until_us=until_us, steps=whole))


def after(result: Result, us: int) -> list[Event]:
    """The events from then on."""
    return [event for event in result.events if event.at >= result.base_us + us]


def third(result: Result) -> list[Event]:
    """The third segment, sent and received, as a diagram of what follows may begin."""
    packets = [event for event in result.events if isinstance(event, PacketEvent)]
    return list(packets[4:6])


def ending(result: Result, host: str, do: str, number: int = 0) -> Outcome:
    """How a host's step of that kind ended."""
    steps = zip(result.scenario.steps, result.outcomes, strict=True)
    return [outcome for step, outcome in steps if (step.host, step.do) == (host, do)][number]
