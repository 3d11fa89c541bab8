"""CLOSE-WAIT that never ends: a program that does not close, and why no timer may do it instead."""

from __future__ import annotations

from synfin.aio.connection_rows import describe
from synfin.lab.experiment import Experiment, Finding, Parameter, Settings
from synfin.lab.world import SECOND, World
from synfin.tcp.connection import Connection
from synfin.view.table import connection_table

WHY = """
CLOSE-WAIT means: the peer has said its last word, and the program here has not (RFC 9293 3.3.2). It waits
for nobody but the local program, so it has no timer: what TCP sees is a half-close, and an answer may take
an hour (RFC 9293 3.6). That the client has gone for good can't be seen from its FIN; it shows as soon as something is
written, by a RST. So many connections in CLOSE-WAIT, with all queues empty, are a leak of the program: it reads the
end of the stream and does not close. The client is not held: FIN-WAIT-2 ends after a minute where nobody is left to
read (Linux: tcp_fin_timeout).
"""
DAY = 86400 * SECOND


def leak(settings: Settings, finding: Finding) -> None:
    """Clients come and go; the server's program forgets to close."""
    world = World(settings.seed)
    world.listen()
    closes = bool(settings["closes"])

    def at_end(connection: Connection, now: int) -> None:
        if closes:
            connection.close(now)

    world.at_server.at_end = at_end
    count = settings["connections"]
    for number in range(count):
        mine, _ = world.opened(40000 + number)
        mine.write(b"GET /")
        world.advance(SECOND)
        mine.close(world.now)
        world.advance(SECOND)
    world.advance(DAY)
    first = world.at_server.connections[0].key
    finding.draw("The client closes, the server's program does not", world.events, first)
    rows = describe(world.server, world.now)
    finding.say(f"`synfin ss` on the server, a day after {count} clients have left:", "")
    finding.say(*(f"  {line}" for line in connection_table(rows)), "")
    states = [row["state"] for row in rows]
    finding.data["leak"] = {
        "server_states": states,
        "deadlines": [row["timer"] for row in rows],
        "client_connections": world.client.census()["connections"],
    }
    finding.expect(f"a day later all {count} connections are still in CLOSE-WAIT", states == ["CLOSE-WAIT"] * count)
    finding.expect("none of them has a timer", all(row["timer"] is None for row in rows))
    finding.expect("the clients hold nothing any more", world.client.census()["connections"] == 0)
    for connection in world.at_server.connections:
        connection.close(world.now)
    world.advance(10 * SECOND)
    finding.expect("closing them ends them at once", world.server.census()["connections"] == 0)


def late_answer(settings: Settings, finding: Finding) -> None:
    """Why no timer: the same state, and an answer that takes long."""
    world = World(settings.seed)
    world.listen()
    world.at_server.at_end = lambda connection, now: None
    mine, theirs = world.opened()
    mine.write(b"count them all")
    mine.shutdown(world.now)
    world.advance(settings["hours"] * 3600 * SECOND)
    theirs.write(b"42")
    theirs.close(world.now)
    world.advance(SECOND)
    finding.draw("The same state, rightly: an answer that takes long", world.events)
    finding.data["late_answer"] = {"received": world.at_client.text_of(mine).decode()}
    finding.expect("an answer after hours in CLOSE-WAIT arrives", world.at_client.text_of(mine) == b"42")


def run(settings: Settings) -> Finding:
    """A program that forgets close(), then one that answers late: TCP can't tell them apart."""
    finding = Finding()
    leak(settings, finding)
    late_answer(settings, finding)
    return finding


EXPERIMENT = Experiment(
    "close-wait-leak",
    "Why are there hundreds of connections in CLOSE-WAIT, and why does TCP not end them?",
    WHY,
    run,
    (
        Parameter("connections", 5, "clients that come and go", 1, 1000),
        Parameter("closes", 0, "1: the program closes as it should, and nothing leaks", 0, 1),
        Parameter("hours", 3, "how long the late answer takes", 0, 1000),
    ),
)
