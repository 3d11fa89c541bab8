"""With all ports to a destination taken and known to be, each way in which one comes back is heard of."""

from __future__ import annotations

import errno
from collections.abc import Callable

import pytest

from synfin.links.memory import MemoryLink
from synfin.stack.ports import LONG_WALK
from synfin.stack.stack import Stack
from synfin.tcp.config import Config
from synfin.tcp.connection import Connection

FIRST, COUNT = 40_000, 2 * LONG_WALK
SETTINGS = Config(port_first=FIRST, port_last=FIRST + COUNT - 1, time_wait_limit=5)


def entropy(n: int) -> bytes:
    return bytes(range(n))


class Pair:
    """A client that has taken all its ports but those that listen, and a server that accepts and closes nothing."""

    def __init__(self, listening: int = 0) -> None:
        self.client = Stack(["10.0.0.1"], SETTINGS, entropy=entropy)
        self.server = Stack(["10.0.0.2"], Config(syn_queue_limit=COUNT), entropy=entropy)
        self.link = MemoryLink(self.client, self.server)
        self.server.listen(80, backlog=COUNT)
        self.listeners = [self.client.listen(FIRST + 7 * n) for n in range(listening)]
        self.mine = [self.connect() for _ in range(COUNT - listening)]
        self.settle()
        self.is_refused()

    def connect(self) -> Connection:
        return self.client.connect("10.0.0.2", 80, self.link.now)

    def is_refused(self) -> None:
        with pytest.raises(OSError) as raised:
            self.connect()
        assert raised.value.errno == errno.EADDRNOTAVAIL

    def settle(self) -> None:
        """Without letting TIME-WAIT end."""
        self.link.advance(1_000_000)

    def close(self, connection: Connection, end: Callable[[Connection, int], None]) -> None:
        end(connection, self.link.now)
        self.settle()

    def others(self) -> list[Connection]:
        return self.server.connections()


def port_of(connection: Connection) -> int:
    return int.from_bytes(connection.key[-2:], "big")


def test_a_connection_is_reset() -> None:
    pair = Pair()
    gone = pair.mine[17]
    pair.close(gone, Connection.abort)
    assert port_of(pair.connect()) == port_of(gone)
    pair.is_refused()


def test_the_peer_resets_it() -> None:
    pair = Pair()
    gone = pair.mine[100]
    (other,) = (one for one in pair.others() if one.key == gone.key_out)
    pair.close(other, Connection.abort)
    assert port_of(pair.connect()) == port_of(gone)
    pair.is_refused()


def fin_from_both(pair: Pair, mine: Connection) -> None:
    """The client closes first, and has TIME-WAIT."""
    pair.close(mine, Connection.close)
    (other,) = (one for one in pair.others() if one.key == mine.key_out)
    pair.close(other, Connection.close)


def test_time_wait_ends() -> None:
    pair = Pair()
    gone = pair.mine[3]
    fin_from_both(pair, gone)
    assert pair.client.census()["time_wait"] == 1
    pair.is_refused()
    pair.link.advance(60_000_000)
    assert port_of(pair.connect()) == port_of(gone)
    pair.is_refused()


def test_a_time_wait_record_makes_room_for_another() -> None:
    pair = Pair()
    for mine in pair.mine[:5]:
        fin_from_both(pair, mine)
    pair.is_refused()
    fin_from_both(pair, pair.mine[50])
    assert pair.client.counters.TCPTimeWaitOverflow == 1
    assert port_of(pair.connect()) == port_of(pair.mine[0])
    pair.is_refused()


def test_a_listener_closes() -> None:
    pair = Pair(listening=2)
    pair.client.close_listener(pair.listeners[1], pair.link.now)
    assert port_of(pair.connect()) == FIRST + 7
    pair.is_refused()


def test_all_tables_are_emptied() -> None:
    pair = Pair(listening=2)
    fin_from_both(pair, pair.mine[3])
    pair.client.abort_all(pair.link.now)
    assert len({port_of(pair.connect()) for _ in range(COUNT)}) == COUNT


def test_a_port_to_listen_on_comes_back() -> None:
    host = Stack(["10.0.0.1"], SETTINGS, entropy=entropy)
    listeners = [host.listen(0) for _ in range(COUNT)]
    with pytest.raises(OSError, match="no port is free to listen on"):
        host.listen(0)
    host.close_listener(listeners[9], 0)
    assert host.listen(0).port == listeners[9].port


def test_a_port_for_datagrams_comes_back() -> None:
    host = Stack(["10.0.0.1"], SETTINGS, entropy=entropy)
    ports = [host.open_datagrams() for _ in range(COUNT)]
    with pytest.raises(OSError, match="no port is free for datagrams"):
        host.open_datagrams()
    host.close_datagrams(ports[9])
    assert host.open_datagrams().port == ports[9].port


def test_a_port_for_datagrams_that_was_its_own_remote_is_free_for_another() -> None:
    host = Stack(["10.0.0.1"], SETTINGS, entropy=entropy)
    ports = [host.open_datagrams() for _ in range(COUNT)]
    with pytest.raises(OSError, match="no port is free for datagrams"):
        host.open_datagrams()
    gone = ports[9]
    host.close_datagrams(gone)
    with pytest.raises(OSError, match="no port is free for datagrams"):
        host.open_datagrams(remote=("10.0.0.1", gone.port))
    assert host.open_datagrams().port == gone.port
