"""What of a host is told in a state: the reading of `facts`."""

from __future__ import annotations

from synfin.explore.alone import check_alone, is_half_open
from synfin.explore.facts import Done, End, Facts, Taken
from synfin.explore.host import ExploredHost, Kept
from synfin.tcp.config import COOKIES_ALWAYS
from synfin.tcp.connection import Connection
from synfin.tcp.states import CLOSED, SYN_RCVD, SYN_SENT, TIME_WAIT


def facts_of(host: ExploredHost, now: int, last: bool) -> Facts:
    """What is told of a host now. last: nobody needs it afterwards, so that it may be ended to see what is left."""
    broken = ""
    try:
        check_alone(host, now)
    except Exception as error:
        broken = f"{type(error).__name__}: {error}"
    due = host.due()
    choices = tuple(host.choices())
    ends = _ends(host)
    by_cookie = _by_cookie(host)
    done = {number: Done(each.result, each.error, each.bytes, each.forged) for number, each in host.outcomes.items()}
    half_open = host.life is None or all(is_half_open(each) for each in host.life.stack.connections())
    forgeries = tuple(host.forgeries())
    taken = tuple(_taken(program, begin, steps) for program in host.programs for begin, steps in program.segments())
    return Facts(
        host.life is not None,
        host.is_violent(),
        None if due is None else due - now,
        choices,
        forgeries,
        by_cookie,
        ends,
        done,
        taken,
        _left(host, now) if last and due is None and not choices else {},
        half_open,
        broken,
    )


def _left(host: ExploredHost, now: int) -> dict[str, int]:
    """What its tables have once nobody listens."""
    if host.life is None:
        return {}
    for listener in host.life.listeners.values():
        host.life.stack.close_listener(listener, now)
    host.settle(now)
    return {name: count for name, count in host.life.stack.census().items() if count}


def _taken(program: Kept, begin: int, steps: list[int]) -> Taken:
    return Taken(tuple(steps), *program.taken.get(begin, (b"", 0, 0)))


def _by_cookie(host: ExploredHost) -> bool:
    """What a host has may have begun so: a listener answers each SYN by a cookie, or has been full."""
    return host.life is not None and (
        host.config.syn_cookies == COOKIES_ALWAYS
        or any(listener._overflow_at >= 0 for listener in host.life.listeners.values())
    )


def _ends(host: ExploredHost) -> dict[bytes, End]:
    """What a host has under each key: a connection, else a half-open entry, else a TIME-WAIT."""
    if host.life is None:
        return {}
    tables = host.life.stack._connections
    found: dict[bytes, End] = {}
    for key in tables.time_wait._records._records:
        record = tables.time_wait.get(key)
        assert record is not None
        found[key] = End(TIME_WAIT, record.snd_nxt, record.rcv_nxt)
    for listener in host.life.listeners.values():
        for key in listener._syns._entries._records:
            entry = listener._syns.get(key)
            assert entry is not None
            found[key] = End(SYN_RCVD, entry.iss, entry.irs)
    for key, connection in tables.by_key.items():
        if connection.state not in (CLOSED, TIME_WAIT):
            found[key] = _end(connection)
    return found


def _end(connection: Connection) -> End:
    sender = connection.sender
    return End(
        connection.state,
        connection.iss,
        connection.irs if connection.state != SYN_SENT else -1,
        sender.snd_una,
        sender.ack_limit(),
        connection.receiver.rcv_nxt,
    )
