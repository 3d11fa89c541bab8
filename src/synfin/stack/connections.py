"""The tables of TCP: connections, listeners, half-open and TIME-WAIT, and how one becomes the other. RFC 9293 3.10.7.1.

Connections live here from their first segment to their last; what drives them between is the stack's.
What chooses a port is asked by partial(): a function within a function refers to itself when it is compiled, and leaves
a cycle behind with each connect.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from ipaddress import ip_address
from typing import Final

from mypy_extensions import i64

from synfin.stack.addresses import Reach, check_families, endpoint, is_group, overlapping, source_for
from synfin.stack.admission import ACCEPT, REFUSE, Admission, error_of, is_first
from synfin.stack.destinations import Destinations
from synfin.stack.icmp_errors import IcmpErrors
from synfin.stack.memory import Memory
from synfin.stack.ports import EphemeralPorts
from synfin.stack.shortcut import Shortcut
from synfin.stack.team import Team
from synfin.stack.time_wait_table import TimeWaitTable
from synfin.stack.timers import TimerQueue
from synfin.tcp import errors, time_wait
from synfin.tcp.connection import Connection
from synfin.tcp.environment import Environment
from synfin.tcp.listener import Listener
from synfin.tcp.path_probe import ASKED, ECN_ANSWERED, ECN_UNANSWERED, FOUND
from synfin.tcp.pressure import FULL
from synfin.tcp.states import CLOSED, TIME_WAIT
from synfin.tcp.timestamps import ts_clock
from synfin.tcp.trace import CAUSE_SEGMENT, CAUSE_TIMER, CAUSE_USER
from synfin.wire.key import key_dst, key_dst_port, key_src, key_src_port, make_key
from synfin.wire.segment import Segment, build
from synfin.wire.tcp_header import ACK, RST

ANY_PORT: Final = 0  # what no port is: under it stands who listens on each that has no listener of its own
VERDICTS: Final = ("SYN accepted", "SYN refused, as asked", "SYN dropped, as asked", "SYN held: nobody knows yet")
UNREACHABLE: Final = "SYN answered by ICMP, as asked"
MANY: Final = 1024  # connections from which on a shortcut is kept
ENOUGH: Final = 4  # ACKs of something new after which a smoothed round trip is worth telling


class Connections:
    """All of one stack's TCP, which hears what is within `reach`. admission: what becomes of a SYN for a listener.

    by_key: every connection but those in TIME-WAIT, by the key of what it receives, in order of opening.
    """

    def __init__(
        self,
        reach: Reach,
        env: Environment,
        ports: EphemeralPorts,
        destinations: Destinations,
        timers: TimerQueue,
        memory: Memory,
        admission: Admission,
        icmp: IcmpErrors,
        team: Team | None = None,
    ) -> None:
        self.by_key: dict[bytes, Connection] = {}
        self._shortcut: Shortcut | None = None  # where they are many: the table of few is in the processor's cache
        self.accepting: deque[Listener] = deque()  # have something to accept
        self.time_wait: TimeWaitTable = TimeWaitTable(env.counters, env.config.time_wait_limit)
        self._listeners: dict[bytes, Listener] = {}  # by endpoint
        self._listens_everywhere: i64 = 0  # listeners on any port
        self._reach: Reach = reach
        self._own: set[bytes] = reach.own
        self._admission: Admission = admission
        self._icmp: IcmpErrors = icmp
        self._env: Environment = env
        self._ports: EphemeralPorts = ports
        self._destinations: Destinations = destinations
        self._timers: TimerQueue = timers
        self._memory: Memory = memory
        self._team: Team | None = team

    def find(self, key: bytes) -> Connection | None:
        """The connection that receives under `key`."""
        shortcut = self._shortcut
        if shortcut is None:
            if len(self.by_key) < MANY:
                return self.by_key.get(key)
            shortcut = self._shortcut = Shortcut()
        connection = shortcut.find(key)
        if connection is None:
            connection = self.by_key.get(key)
            if connection is not None:
                shortcut.note(connection, len(self.by_key))
        return connection

    # ---- segments ----

    def strangers(self, keys: bytes, size: int, now: int) -> list[int]:
        """Of the keys of one local address and port, `size` bytes each, side by side: the places of those that belong
        to nothing, and of whose path nothing is known. None where each SYN is asked about on its own."""
        if self._admission.ask is not None:
            return []
        listener = self._listener(key_dst(keys[:size]), key_dst_port(keys[:size]))
        learned = len(self._destinations)
        places: list[int] = []
        for place in range(len(keys) // size):
            key = keys[place * size : (place + 1) * size]
            if key in self.by_key or key in self.time_wait or (listener is not None and listener.holds(key)):
                continue
            if learned and self._destinations.known(key_src(key), now) is not None:
                continue
            places.append(place)
        return places

    def on_stray(self, seg: Segment, now: i64) -> Connection | None:
        """A segment that belongs to no connection: TIME-WAIT, a listener, or nothing (RFC 9293 3.10.7.1).

        Returns the connection that it completes, which has yet to read it.
        """
        env = self._env
        key = seg.key
        local = key_dst(key)
        if not self._reach.hears(local):
            env.counters.InAddrErrors += 1
            return None
        src = key_src(key)
        if is_group(src):
            env.counters.InAddrErrors += 1  # RFC 9293 3.9.2.3: no segment from a multicast or broadcast address
            return None
        iss_above: i64 = -1
        listener = self._listener(local, key_dst_port(key))
        if listener is not None and not listener.serving:
            listener = None
        record = self.time_wait.get(key)
        if record is not None:
            # TIME-WAIT ends with the third segment: until then the SYN may still prove to be an old duplicate or a
            # forgery, and nothing that belongs to the old connection is judged by the half-open entry.
            verdict = time_wait.judge(record, seg)
            if listener is None or (verdict != time_wait.REUSE and not listener.expects(seg)):
                self._on_time_wait(key, record, verdict, now)
                return None
            iss_above = record.snd_nxt
        if listener is None:
            env.output.reset_for(seg)
            return None
        if len(self.by_key) >= env.config.connection_limit or env.pressure.level == FULL:
            env.counters.ListenDrops += 1
            return None
        if self._admission.ask is not None and not self._is_admitted(seg, listener, now):
            return None
        connection = listener.on_segment(seg, self._destinations.to(src, now), now, iss_above)
        self._timers.note(listener)
        if connection is None:
            return None
        connection.sender.rto.wait_at_least(self._destinations.patience(src, now))
        if record is not None:
            self.time_wait.remove(key)
            env.counters.TWRecycled += 1
        self.by_key[key] = connection
        if not listener.waiting:
            listener.waiting = True
            self.accepting.append(listener)
        return connection

    # ---- admission ----

    def _is_admitted(self, seg: Segment, listener: Listener, now: i64) -> bool:
        """It goes on to its listener. False: it was answered, is held, or gets silence."""
        if seg.flags & RST:
            self._admission.take_back(seg)
        if not is_first(seg) or listener.holds(seg.key):
            return True
        verdict = self._admission.judge(seg, now)
        self._timers.note(self._admission)
        if verdict == ACCEPT:
            return True
        self._turn_away(seg, verdict, now)
        return False

    def _turn_away(self, seg: Segment, verdict: i64, now: i64) -> None:
        """Answer a SYN that reaches no listener, if it is to be answered."""
        tracer = self._env.tracer
        code = error_of(verdict)
        if verdict == REFUSE:
            self._env.output.reset_for(seg)
        elif code:
            self._icmp.unreachable(code, build(seg), now)
        if tracer is not None:
            tracer.note(now, seg.key, VERDICTS[verdict] if verdict < len(VERDICTS) else UNREACHABLE, "9293 3.10.7.2")

    def settle(self, key: bytes, verdict: int, now: i64) -> bool:
        """What is to be answered to the SYN that is held under `key`. False: none is, any more."""
        seg = self._admission.settle(key)
        if seg is None:
            return False
        if verdict != ACCEPT:
            self._turn_away(seg, verdict, now)
        elif key not in self.by_key:
            self.on_stray(seg, now)
        self._admission.admitted()
        return True

    # ---- listeners ----

    def _listener(self, local: bytes, port: i64) -> Listener | None:
        """Who hears what comes to `local` and `port`; those on any port hear what nobody else does."""
        listener = self._listener_on(local, port)
        if listener is None and self._listens_everywhere:
            listener = self._listener_on(local, ANY_PORT)
        return listener

    def _listener_on(self, local: bytes, port: i64) -> Listener | None:
        """Of those that hear what comes to `local`: the one on this address, on its whole family, on all addresses."""
        listeners = self._listeners
        listener = listeners.get(endpoint(local, port))
        if listener is None:
            listener = listeners.get(endpoint(bytes(len(local)), port))
        if listener is None:
            listener = listeners.get(endpoint(b"", port))
        return listener

    # ---- TIME-WAIT ----

    def retire(self, connection: Connection, now: i64) -> None:
        """The protocol part has ended: its place in the table is free, or TIME-WAIT's record takes it."""
        key = connection.key
        if self.by_key.get(key) is not connection:
            return
        del self.by_key[key]
        if self._shortcut is not None:
            self._shortcut.forget(connection)
            if len(self.by_key) < MANY // 2 or self._shortcut.is_too_large(len(self.by_key)):
                self._shortcut = None  # made anew where they are still many
        self._learn_from(connection, now)
        self._memory.release(connection)
        holder = connection.user
        if connection.error and isinstance(holder, Listener):
            holder.forget(connection)
        if connection.state == TIME_WAIT:
            self._file(key, connection.time_wait_record(now), now)
        else:
            self._freed(key)

    def _freed(self, key: bytes) -> None:
        """A 4-tuple is nobody's any more."""
        if self._ports.remembers():
            self._ports.freed(key_dst(key), key_src(key), int(key_src_port(key)), key_dst_port(key))

    def expire_time_wait(self, now: i64) -> None:
        """2MSL have passed for the oldest records."""
        for key in self.time_wait.expire(now):
            self._freed(key)
            self._trace_end(key, "2MSL", "9293 3.10.8", CAUSE_TIMER, now)

    def _on_time_wait(self, key: bytes, record: time_wait.TimeWait, verdict: i64, now: i64) -> None:
        env = self._env
        if verdict == time_wait.IGNORE:
            return
        if verdict == time_wait.RESTART:
            record.deadline = now + 2 * env.config.msl_us
            self._file(key, record, now)
        elif verdict != time_wait.ACK_AGAIN:
            if not env.answers.challenge_time_wait(key, now):
                return
        seg = env.output.blank(key)
        seg.seq = record.snd_nxt
        seg.ack = record.rcv_nxt
        seg.flags = ACK
        seg.window = record.window
        seg.traffic_class = record.tos
        if record.timestamps:
            seg.has_ts = True
            seg.ts_val = ts_clock(now, record.ts_offset)
            seg.ts_ecr = record.ts_recent
        env.output.reply(seg)

    def _file(self, key: bytes, record: time_wait.TimeWait, now: i64) -> None:
        oldest = self.time_wait.add(key, record)
        if oldest:
            self._freed(oldest)
            self._trace_end(oldest, "made room: TIME-WAIT is full", "", CAUSE_SEGMENT, now)

    def _trace_end(self, key: bytes, reason: str, rfc: str, cause: int, now: i64) -> None:
        if self._env.tracer is not None:
            self._env.tracer.transition(now, key, TIME_WAIT, CLOSED, reason, rfc, cause)

    # ---- destinations ----

    def _learn_from(self, connection: Connection, now: i64) -> None:
        """It has ended: how long was the round trip? (RFC 9040; Linux: tcp_update_metrics)"""
        if self._env.config.no_metrics_save:
            return
        sender = connection.sender
        host = key_src(connection.key)
        if sender.retries:
            self._destinations.unmeasured(host)
        elif sender.tally is not None and sender.tally.advances >= ENOUGH and sender.rto.srtt:
            self._destinations.measured(host, sender.rto.srtt, sender.rto.rttvar, now)

    def share_path(self, connection: Connection, now: i64) -> None:
        """Which packets vanish on the way to a host, its connections learn of each other: large, or asking for ECN."""
        host = key_src(connection.key)
        news = connection.path_news
        if news & FOUND:
            low, high = connection.path_range()
            self._destinations.found(host, low, high, now)
        elif news & ASKED:
            known = self._destinations.known(host, now)
            if known is not None:
                connection.on_path_shared(known[0], known[1], now)
        if news & ECN_UNANSWERED and not self._env.config.no_metrics_save:
            self._destinations.ecn_unanswered(host, now)
        elif news & ECN_ANSWERED:
            self._destinations.ecn_answered(host)
        connection.path_news = 0

    # ---- users ----

    def connect(self, there: bytes, port: int, local: bytes | None, local_port: int, now: i64) -> Connection:
        """Active OPEN, all ports within their range; see Stack.connect."""
        env = self._env
        if is_group(there):
            raise ValueError(f"{ip_address(there)} names no single host (RFC 9293 3.9.2.3)")
        here = source_for(self._own, there) if local is None else local
        self._reach.check(here)
        check_families(here, there)
        if len(self.by_key) >= env.config.connection_limit:
            raise errors.oserror(errors.NO_BUFFERS, f"Config.connection_limit is {env.config.connection_limit}")
        if env.pressure.level == FULL:
            raise errors.oserror(errors.NO_BUFFERS, f"more is held than Config.tcp_mem allows: {env.config.tcp_mem[2]}")
        if local_port:
            if not self._is_free(here, there, port, local_port):
                raise errors.oserror(errors.ADDRESS_IN_USE, f"port {local_port} for {ip_address(there)} port {port}")
        else:
            local_port = self._ports.choose(here, there, port, partial(self._is_free, here, there, port))
            if local_port == 0:
                raise errors.oserror(errors.ADDRESS_NOT_AVAILABLE, "no ephemeral port is free for this destination")
        key = make_key(there, here, port, local_port)
        connection = Connection(env, key, env.isn(key, now), self._destinations.to(there, now), now)
        self.by_key[key] = connection
        connection.open(now, self._destinations.patience(there, now), self._destinations.takes_ecn(there, now))
        return connection

    def _is_free(self, here: bytes, there: bytes, port: int, candidate: int) -> bool:
        """Nobody on this side may be the other end: no listener (as Linux), nor the connection itself.

        In a team it has to be a connection of this member's: so no member asks another which ports are taken.
        """
        if self._listener_on(here, candidate) is not None or (candidate == port and here == there):
            return False
        key = make_key(there, here, port, candidate)
        if key in self.by_key or key in self.time_wait:
            return False
        return self._team is None or self._team.is_mine(key)

    def listen(self, local: bytes, port: int, backlog: int) -> Listener:
        """Passive OPEN; see Stack.listen. local b"": any address, 0.0.0.0 or :: any of its family."""
        if local:
            self._reach.check_or_any(local)
        listeners = self._listeners
        if port == 0:
            port = self._ports.choose(local, b"", 0, partial(self._is_unheard, overlapping(self._own, local)))
            if port == 0:
                raise errors.oserror(errors.ADDRESS_NOT_AVAILABLE, "no port is free to listen on")
        elif endpoint(local, port) in listeners:
            raise errors.oserror(errors.ADDRESS_IN_USE, f"port {port} has a listener")
        return self._add_listener(local, port, backlog)

    def listen_everywhere(self, local: bytes, backlog: int) -> Listener:
        """Passive OPEN on each port that has no listener of its own; see Stack.listen_everywhere."""
        if local:
            self._reach.check_or_any(local)
        if endpoint(local, ANY_PORT) in self._listeners:
            raise errors.oserror(errors.ADDRESS_IN_USE, "any port has a listener")
        self._listens_everywhere += 1
        return self._add_listener(local, ANY_PORT, backlog)

    def _add_listener(self, local: bytes, port: int, backlog: int) -> Listener:
        listener = Listener(self._env, local, port, backlog)
        self._listeners[endpoint(local, port)] = listener
        return listener

    def _is_unheard(self, rivals: list[bytes], candidate: int) -> bool:
        return all(endpoint(one, candidate) not in self._listeners for one in rivals)

    def close_listener(self, listener: Listener, now: i64) -> None:
        """End a passive OPEN."""
        name = endpoint(listener.address, listener.port)
        if self._listeners.get(name) is listener:  # closed before, its port may be another's by now
            del self._listeners[name]
            if listener.port == ANY_PORT:
                self._listens_everywhere -= 1
            else:
                self._ports.freed_everywhere(listener.port)
        listener.close(now)

    def link_is_up(self, now: i64) -> None:
        """What waits for an answer to what went into a dead link."""
        for connection in self.by_key.values():
            connection.on_link_up(now)
        for listener in self._listeners.values():
            listener.on_link_up(now)

    def abort_all(self, now: i64) -> None:
        """The host ends: nothing is left in any table."""
        for listener in list(self._listeners.values()):
            self.close_listener(listener, now)
        for connection in list(self.by_key.values()):
            connection.abort(now)
            self.retire(connection, now)
        self._admission.clear()
        for key in self.time_wait.clear():
            self._freed(key)
            self._trace_end(key, "ABORT", "9293 3.10.5", CAUSE_USER, now)

    def census(self) -> dict[str, int]:
        """How many entries each table holds."""
        listeners = self._listeners.values()
        return {
            "connections": len(self.by_key),
            "listeners": len(self._listeners),
            "half_open": sum(listener.half_open() for listener in listeners),
            "accept_queue": sum(listener.pending() for listener in listeners),
            "held_syns": len(self._admission),
            "time_wait": len(self.time_wait),
        }
