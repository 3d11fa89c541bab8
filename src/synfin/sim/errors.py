"""What a simulation can say is wrong with the program in it, or with the way it is used."""

from __future__ import annotations


class SimulationError(Exception):
    """Base of the others."""


class Deadlock(SimulationError):
    """Nothing can ever happen any more while tasks wait; the message names each and where it waits."""


class TimeLimit(SimulationError):
    """The simulation has lasted longer than its time_limit; the message names each task and where it waits."""


class Violation(SimulationError, AssertionError):
    """A statement about all times does not hold: see Network.always and Network.eventually.

    statement: its name; place: the step of the program after which it was so; time: virtual seconds.
    """

    statement = ""
    place = ""
    time = 0.0


class Livelock(SimulationError):
    """The program waits busily: the loop turns and turns, and no time passes; the message names who keeps it busy."""


class Nondeterminism(SimulationError):
    """The same seed did something else in another process; the message shows the first difference and its place."""


class Hung(SimulationError):
    """One callback has computed, or waited in C, for so long in real time that it may never end.

    The message names the place, and shows what each thread was doing. It is no failure of the program's in virtual
    time: a slow machine, or a patience too short, looks the same.
    """


class SimulationEscape(SimulationError):
    """Code in the simulation reached for the real network, or for a host while on none."""
