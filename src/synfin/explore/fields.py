"""What of a stack's state says nothing about what comes, or says it in times: the rules by which states are compared.

Each field of each object is compared as it is, unless it stands here. What is left out has its reason beside it, and so
does what is read as a difference; a field that is new is compared as it is, which can only tell more states apart.
Rule for the next editor: leave out what no decision reads, nothing else; `tests/explore/test_fields.py` reads the
source of every class that the walk meets, and fails for a field that it does not find.
"""

from __future__ import annotations

from typing import Final

TIME: Final = "time"  # microseconds: the difference to now; 0 and below stand for "none"
TICK: Final = "tick"  # a tick of the clock of milliseconds, -1: none
STAMP: Final = "stamp"  # a timestamp on the wire: 32 bits that count with that clock; 0 and below: none yet
LEFT_OUT: Final = "left out"

_CONSTANT: Final = "given at construction and never changed"
_SECRET: Final = "a secret, given at construction and never changed"
_SCRATCH: Final = "one reused object, each field of which is set on every use"
_ACK_IN_HAND: Final = "of the ACK in hand: begin() sets it before it is read"
_TOLD: Final = "told to people, and read by no decision"

# Whole classes that are left out wherever they stand.
CLASSES: Final[dict[str, str]] = {
    "Config": _CONSTANT,
    "Counters": _TOLD,
    "AckSample": _SCRATCH,
    "Chunk": _SCRATCH,
    "Segment": _SCRATCH,
    "IpHeader": _SCRATCH,
    "Tracer": _TOLD,
    "TimestampOffset": _SECRET,
    "SynCookies": _SECRET,
    "Flood": "answers floods of SYNs in batches, by links that no search has",
    "Offer": "a function of the configuration and the size of segments",
}

# (class, field): how it is read.
READ_AS: Final[dict[tuple[str, str], str]] = {
    ("Timed", "deadline"): TIME,
    ("Timed", "queued_at"): TIME,
    ("Tcb", "_linger_deadline"): TIME,
    ("Tcb", "_answered_at"): TIME,
    ("AckPolicy", "deadline"): TIME,
    ("TailProbe", "deadline"): TIME,
    ("Rack", "deadline"): TIME,
    ("Rack", "sent_at"): TIME,
    ("Pacer", "deadline"): TIME,
    ("Pacer", "_at"): TIME,
    ("Persist", "deadline"): TIME,
    ("KeepAlive", "deadline"): TIME,
    ("Handshake", "deadline"): TIME,
    ("Handshake", "sent_at"): TIME,
    ("SendState", "rto_deadline"): TIME,
    ("Flight", "patient_until"): TIME,
    ("SendState", "_progress_at"): TIME,
    ("SendState", "_last_sent_at"): TIME,
    ("Rto", "_min_rtt_at"): TIME,
    ("Rate", "delivered_at"): TIME,
    ("Rate", "first_sent_at"): TIME,
    ("Sent", "sent_at"): TIME,
    ("Sent", "delivered_at"): TIME,
    ("Sent", "first_sent_at"): TIME,
    ("Receiver", "_round_at"): TIME,
    ("WindowTimer", "_began"): TIME,
    ("Undo", "_first_tick"): TICK,
    ("Timestamps", "recent"): STAMP,
    ("Timestamps", "recent_at"): TIME,
    ("Timestamps", "stamped"): STAMP,
    ("HalfOpen", "deadline"): TIME,
    ("HalfOpen", "sent_at"): TIME,
    ("HalfOpen", "ts_recent"): STAMP,
    ("TimeWait", "deadline"): TIME,
    ("TimeWait", "ts_recent"): STAMP,
    ("Destination", "path_at"): TIME,
    ("Destination", "round_trip_at"): TIME,
    ("Environment", "flooded_at"): TIME,
    ("Listener", "_overflow_at"): TIME,
    ("Cubic", "_epoch"): TIME,
    ("Cubic", "_seen"): TIME,
    ("Before", "epoch"): TIME,
    ("Validated", "_validated_at"): TIME,
    ("Validated", "_half_at"): TIME,
}

# (class, field): why it is left out.
NOT_READ: Final[dict[tuple[str, str], str]] = {
    ("Stack", "name"): _CONSTANT,
    ("Stack", "addresses"): _CONSTANT,
    ("Stack", "_team"): "nobody else has the addresses of a host that is searched",
    ("Connections", "_own"): _CONSTANT,
    (
        "Connections",
        "_team",
    ): "nobody else has the addresses of a host that is searched",
    (
        "Environment",
        "isn",
    ): "counts the connections, and is compared by the host that made it",
    ("Connections", "_shortcut"): "finds what by_key holds, and decides nothing",
    ("EphemeralPorts", "_secret"): _SECRET,
    ("IcmpLimits", "_secret"): _SECRET,
    (
        "IcmpLimits",
        "_serial",
    ): "draws a number that nobody is to guess, by the same rule for all",
    ("Datagrams", "_own"): _CONSTANT,
    (
        "Timed",
        "ticket",
    ): "tells entries of the timer queue apart, which are compared in their order",
    ("SynAcks", "_offers"): "a cache of what is a function of the configuration",
    ("Scoreboard", "newly"): _ACK_IN_HAND,
    ("Scoreboard", "largest"): _ACK_IN_HAND,
    ("Scoreboard", "newest"): _ACK_IN_HAND,
    ("Scoreboard", "rack"): _ACK_IN_HAND,
    ("Scoreboard", "rtt_sent_at"): _ACK_IN_HAND,
    ("Scoreboard", "oldest_sent_at"): _ACK_IN_HAND,
    ("Scoreboard", "original"): _ACK_IN_HAND,
    ("Scoreboard", "again"): _ACK_IN_HAND,
    ("Scoreboard", "reordered"): _ACK_IN_HAND,
    ("Scoreboard", "newly_lost"): _ACK_IN_HAND,
    ("Scoreboard", "_high_before"): _ACK_IN_HAND,
    ("Scoreboard", "_too_soon"): _ACK_IN_HAND,
    ("Tally", "busy_us"): _TOLD,
    ("Tally", "peer_us"): _TOLD,
    ("Tally", "buffer_us"): _TOLD,
    ("Tally", "congestion_us"): _TOLD,
    ("Tally", "resent_bytes"): _TOLD,
    ("Tally", "resent_segments"): _TOLD,
    ("Tally", "_waits_for"): _TOLD,
    ("Tally", "_since"): _TOLD,
    ("Life", "opened"): _CONSTANT,
    (
        "Memory",
        "_taken",
    ): "says when to search for the largest of many connections, at a limit of many megabytes",
}
