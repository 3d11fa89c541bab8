"""The diagram as a person sees it: whole pictures of hand-written traces."""

from __future__ import annotations

from synfin.tcp import states
from synfin.tcp.trace import CAUSE_SEGMENT, NoteEvent, PacketEvent, TransitionEvent
from synfin.view.diagram import Diagram, Rows, draw
from synfin.wire import icmp
from synfin.wire.key import make_key
from synfin.wire.segment import Burst, build, build_head
from tests.unit.view.script import Script, closed, opened


def picture(lines: list[str]) -> str:
    return "\n".join(["", *lines, ""])


def page(delay: float = 10) -> Script:
    """A request, its answer, and the four-way close."""
    script = opened(Script(delay=delay))
    script.send(20.1, "client", "PSH,ACK", 1, 1, 78)
    script.send(30.1, "server", "PSH,ACK", 1, 79, 250)
    script.send(40.1, "client", "ACK", 79, 251)
    return closed(script, 45, 79, 251)


def download(bursts: int = 40) -> Script:
    """A request and 20 segments a burst in answer to it, with an ACK for each burst; then the close."""
    script = opened(Script())
    script.send(20.1, "client", "PSH,ACK", 1, 1, 78, window=4000)
    script.send(30.1, "server", "ACK", 1, 79)
    seq, ms = 1, 31.0
    for _ in range(bursts):
        script.send(ms, "server", "ACK", seq, 79, 28960, gso_size=1448)
        seq += 28960
        script.send(ms + 10, "client", "ACK", 79, seq, window=4000)
        ms += 2
    return closed(script, ms + 20, 79, seq)


def simultaneous_close() -> Script:
    script = opened(Script())
    for ms, host in ((50, "client"), (52, "server")):
        script.state(ms, host, "ESTABLISHED -> FIN-WAIT-1", "CLOSE", "9293 3.10.4", "user")
        script.send(ms, host, "FIN,ACK", 1, 1)
    for ms, host in ((60, "server"), (62, "client")):
        script.state(ms, host, "FIN-WAIT-1 -> CLOSING", "FIN", "9293 3.10.7.4")
        script.send(ms, host, "ACK", 2, 2)
    for ms, host in ((70, "client"), (72, "server")):
        script.state(ms, host, "CLOSING -> TIME-WAIT", "ACK of FIN", "9293 3.10.7.4")
    for ms, host in ((60062, "client"), (60062, "server")):
        script.state(ms, host, "TIME-WAIT -> CLOSED", "2MSL", "9293 3.10.8", "timer")
    return script


def lossy() -> Script:
    """Two data segments are lost: one is missed at once, the last one only by its timeout."""
    script = opened(Script())
    script.send(20.1, "client", "PSH,ACK", 1, 1, 100)
    for number in range(4):
        script.send(31 + number, "server", "ACK", 1 + number * 1448, 101, 1448, lost=number == 1)
    script.send(41, "client", "ACK", 101, 1449)
    isn = script.isns["server"]
    for number in (2, 3):
        block = isn + 1 + 2 * 1448, isn + 1 + (number + 1) * 1448
        script.send(41 + number, "client", "ACK", 101, 1449, sack=[block])
    script.note(60, "server", "retransmission: RACK", "8985 6.2")
    script.send(60, "server", "ACK", 1449, 101, 1448)
    script.send(70, "client", "ACK", 101, 5793)
    script.send(100, "client", "PSH,ACK", 101, 5793, 50, lost=True)
    script.note(1100, "client", "retransmission: RTO", "6298 5.4")
    script.send(1100, "client", "PSH,ACK", 101, 5793, 50)
    script.send(1110, "server", "ACK", 5793, 151)
    return script


def refused() -> Script:
    script = Script()
    script.state(0, "client", "CLOSED -> SYN-SENT", "active OPEN", "9293 3.10.1", "user")
    script.send(0, "client", "SYN", 0)
    reset = script.segment("server", "RST,ACK", 0, 1)
    reset.seq = 0
    sent = Burst(build_head(reset, 0), [], 0, 0, 20)
    script.add(10, PacketEvent(10_000, "server", True, script.keys["server"], sent))
    script.arrive(20, "client", build(reset))
    script.state(20, "client", "SYN-SENT -> CLOSED", "RST: connection refused", "9293 3.10.7.3")
    return script


def overtaken() -> Script:
    script = opened(Script())
    script.send(50, "client", "PSH,ACK", 1, 1, 10, delay=20)
    script.send(51, "client", "FIN,ACK", 11, 1, delay=5)
    return script


def test_both_ends_of_a_page_load_and_its_four_way_close() -> None:
    expected = """
         client                                                                     server
     10.0.0.1:49152                                                               10.0.0.2:80
     CLOSED │                             times in seconds                             │ LISTEN
   SYN-SENT ● user: active OPEN / SYN · RFC 9293 3.10.1                                │
   0.000000 │── SYN seq=0 (3405691582) win=64240 <mss 1460, sackOK, ts, ws 7> ────────►│ 0.010000
            │                                        SYN / SYN,ACK · RFC 9293 3.10.7.2 ● SYN-RCVD
   0.020000 │◄─ SYN,ACK seq=0 (305419896) ack=1 (3405691583) win=64240 ────────────────│ 0.010000
            │   <mss 1460, sackOK, ts, ws 7>                                           │
ESTABLISHED ● SYN,ACK / ACK · RFC 9293 3.10.7.3                                        │
   0.020000 │── ACK seq=1 (3405691583) ack=1 (305419897) win=64256 ───────────────────►│ 0.030000
            │                                           ACK of SYN · RFC 9293 3.10.7.4 ● ESTABLISHED
   0.020100 │── PSH,ACK seq=1 (3405691583) ack=1 (305419897) len=78 win=64256 ────────►│ 0.030100
   0.040100 │◄─ PSH,ACK seq=1 (305419897) ack=79 (3405691661) len=250 win=64256 ───────│ 0.030100
   0.040100 │── ACK seq=79 (3405691661) ack=251 (305420147) win=64256 ────────────────►│ 0.050100
 FIN-WAIT-1 ● user: CLOSE / FIN · RFC 9293 3.10.4 · at 0.045000                        │
   0.045000 │── FIN,ACK seq=79 (3405691661) ack=251 (305420147) win=64256 ────────────►│ 0.055000
            │                                            FIN / ACK · RFC 9293 3.10.7.4 ● CLOSE-WAIT
   0.065000 │◄─ ACK seq=251 (305420147) ack=80 (3405691662) win=64256 ─────────────────│ 0.055000
 FIN-WAIT-2 ● ACK of FIN · RFC 9293 3.10.7.4                                           │
            │                        user: CLOSE / FIN · RFC 9293 3.10.4 · at 0.065000 ● LAST-ACK
   0.075000 │◄─ FIN,ACK seq=251 (305420147) ack=80 (3405691662) win=64256 ─────────────│ 0.065000
  TIME-WAIT ● FIN / ACK · RFC 9293 3.10.7.4                                            │
   0.075000 │── ACK seq=80 (3405691662) ack=252 (305420148) win=64256 ────────────────►│ 0.085000
            │                                           ACK of FIN · RFC 9293 3.10.7.4 ● CLOSED
            ┊                               60.0 s later                               ┊
     CLOSED ● timer: 2MSL · RFC 9293 3.10.8 · at 60.075000                             │
"""
    assert picture(draw(page().events())) == expected


def test_the_clients_trace_shows_the_peers_states_as_far_as_they_follow() -> None:
    expected = """
                    client                                                         peer
                10.0.0.1:49152                                                  10.0.0.2:80
   seconds      CLOSED │                 (state): once it has arrived                │
  0.000000    SYN-SENT ● user: active OPEN / SYN · RFC 9293 3.10.1                   │
  0.000000             │── SYN seq=0 (3405691582) win=64240 ────────────────────────►│
                       │   <mss 1460, sackOK, ts, ws 7>                              │
  0.020000             │◄─ SYN,ACK seq=0 (305419896) ack=1 (3405691583) win=64240 ───│ SYN-RCVD
                       │   <mss 1460, sackOK, ts, ws 7>                              │
           ESTABLISHED ● SYN,ACK / ACK · RFC 9293 3.10.7.3                           │
  0.020000             │── ACK seq=1 (3405691583) ack=1 (305419897) win=64256 ──────►│ (ESTABLISHED)
  0.020100             │── PSH,ACK seq=1 (3405691583) ack=1 (305419897) len=78 ─────►│
  0.040100             │◄─ PSH,ACK seq=1 (305419897) ack=79 (3405691661) len=250 ────│ ESTABLISHED
  0.040100             │── ACK seq=79 (3405691661) ack=251 (305420147) win=64256 ───►│
  0.045000  FIN-WAIT-1 ● user: CLOSE / FIN · RFC 9293 3.10.4                         │
  0.045000             │── FIN,ACK seq=79 (3405691661) ack=251 (305420147) ─────────►│ (CLOSE-WAIT)
  0.065000             │◄─ ACK seq=251 (305420147) ack=80 (3405691662) win=64256 ────│ CLOSE-WAIT
            FIN-WAIT-2 ● ACK of FIN · RFC 9293 3.10.7.4                              │
  0.075000             │◄─ FIN,ACK seq=251 (305420147) ack=80 (3405691662) ──────────│ LAST-ACK
             TIME-WAIT ● FIN / ACK · RFC 9293 3.10.7.4                               │
  0.075000             │── ACK seq=80 (3405691662) ack=252 (305420148) win=64256 ───►│ (CLOSED)
                       ┊                         60.0 s later                        ┊
 60.075000      CLOSED ● timer: 2MSL · RFC 9293 3.10.8                               │
"""
    assert picture(draw(page().events("client"))) == expected


def test_the_servers_trace_puts_the_peer_that_began_on_the_left() -> None:
    expected = """
                   curl (Linux)                                                     server
                  10.0.0.1:49152                                                  10.0.0.2:80
   seconds        CLOSED │                 (state): once it has arrived                │ LISTEN
  0.000000      SYN-SENT │── SYN seq=0 (3405691582) win=64240 ────────────────────────►│
                         │   <mss 1460, sackOK, ts, ws 7>                              │
                         │                           SYN / SYN,ACK · RFC 9293 3.10.7.2 ● SYN-RCVD
  0.000000 (ESTABLISHED) │◄─ SYN,ACK seq=0 (305419896) ack=1 (3405691583) win=64240 ───│
                         │   <mss 1460, sackOK, ts, ws 7>                              │
  0.020000   ESTABLISHED │── ACK seq=1 (3405691583) ack=1 (305419897) win=64256 ──────►│
                         │                              ACK of SYN · RFC 9293 3.10.7.4 ● ESTABLISHED
  0.020100               │── PSH,ACK seq=1 (3405691583) ack=1 (305419897) len=78 ─────►│
  0.020100               │◄─ PSH,ACK seq=1 (305419897) ack=79 (3405691661) len=250 ────│
  0.040100               │── ACK seq=79 (3405691661) ack=251 (305420147) win=64256 ───►│
  0.045000    FIN-WAIT-1 │── FIN,ACK seq=79 (3405691661) ack=251 (305420147) ─────────►│
                         │                               FIN / ACK · RFC 9293 3.10.7.4 ● CLOSE-WAIT
  0.045000  (FIN-WAIT-2) │◄─ ACK seq=251 (305420147) ack=80 (3405691662) win=64256 ────│
  0.055000               │                         user: CLOSE / FIN · RFC 9293 3.10.4 ● LAST-ACK
  0.055000   (TIME-WAIT) │◄─ FIN,ACK seq=251 (305420147) ack=80 (3405691662) ──────────│
  0.075000     TIME-WAIT │── ACK seq=80 (3405691662) ack=252 (305420148) win=64256 ───►│
                         │                              ACK of FIN · RFC 9293 3.10.7.4 ● CLOSED
"""
    assert picture(draw(page().events("server"), names={"10.0.0.1": "curl (Linux)"})) == expected


def test_a_download_is_one_row() -> None:
    expected = """
                         │                           SYN / SYN,ACK · RFC 9293 3.10.7.2 ● SYN-RCVD
  0.000000 (ESTABLISHED) │◄─ SYN,ACK seq=0 (305419896) ack=1 (3405691583) win=64240 ───│
                         │   <mss 1460, sackOK, ts, ws 7>                              │
  0.020000   ESTABLISHED │── ACK seq=1 (3405691583) ack=1 (305419897) win=64256 ──────►│
                         │                              ACK of SYN · RFC 9293 3.10.7.4 ● ESTABLISHED
  0.020100               │── PSH,ACK seq=1 (3405691583) ack=1 (305419897) len=78 ─────►│
  0.020100               │◄─ ACK seq=1 (305419897) ack=79 (3405691661) win=64256 ──────│
  0.021000               │◄═ 800 segments, 1.1 MB, seq 1..1,158,401, 40 ACKs back, ════│
                         │   98 ms, 94.6 Mbit/s                                        │
  0.131000    FIN-WAIT-1 │── FIN,ACK seq=79 (3405691661) ack=1,158,401 (306578297) ───►│
                         │                               FIN / ACK · RFC 9293 3.10.7.4 ● CLOSE-WAIT
  0.131000  (FIN-WAIT-2) │◄─ ACK seq=1,158,401 (306578297) ack=80 (3405691662) ────────│
"""
    assert picture(draw(download().events("server"))[5:-4]) == expected


def test_segments_that_cross_depart_and_arrive_on_rows_of_their_own() -> None:
    expected = """
   0.020000 │── ACK seq=1 (3405691583) ack=1 (305419897) win=64256 ───────────────────►│ 0.030000
            │                                           ACK of SYN · RFC 9293 3.10.7.4 ● ESTABLISHED
 FIN-WAIT-1 ● user: CLOSE · RFC 9293 3.10.4 · at 0.050000                              │
            │                              user: CLOSE · RFC 9293 3.10.4 · at 0.052000 ● FIN-WAIT-1
   0.050000 │── FIN,ACK seq=1 (3405691583) ack=1 (305419897) win=64256 ──────────┄┄ ①  │
   0.062000 │◄─ FIN,ACK seq=1 (305419897) ack=1 (3405691583) win=64256 ────────────────│ 0.052000
            │                                                    ① ┄┄─ FIN,ACK seq=1 ─►│ 0.060000
            │                                                  FIN · RFC 9293 3.10.7.4 ● CLOSING
    CLOSING ● FIN · RFC 9293 3.10.7.4                                                  │
            │  ② ┄┄─ ACK seq=2 (305419898) ack=2 (3405691584) win=64256 ───────────────│ 0.060000
   0.062000 │── ACK seq=2 (3405691584) ack=2 (305419898) win=64256 ───────────────────►│ 0.072000
   0.070000 │◄─ ACK seq=2 ack=2 ─┄┄ ②                                                  │
  TIME-WAIT ● ACK of FIN · RFC 9293 3.10.7.4                                           │
            │                                           ACK of FIN · RFC 9293 3.10.7.4 ● TIME-WAIT
            ┊                               60.0 s later                               ┊
     CLOSED ● timer: 2MSL · RFC 9293 3.10.8 · at 60.062000                             │
            │                             timer: 2MSL · RFC 9293 3.10.8 · at 60.062000 ● CLOSED
"""
    assert picture(draw(simultaneous_close().events())[9:]) == expected


def test_the_peer_of_a_simultaneous_close_is_in_closing_until_our_ack_arrives() -> None:
    expected = """
  0.020000             │── ACK seq=1 (3405691583) ack=1 (305419897) win=64256 ──────►│ (ESTABLISHED)
  0.050000  FIN-WAIT-1 ● user: CLOSE · RFC 9293 3.10.4                               │
  0.050000             │── FIN,ACK seq=1 (3405691583) ack=1 (305419897) win=64256 ──►│ (CLOSE-WAIT)
  0.062000             │◄─ FIN,ACK seq=1 (305419897) ack=1 (3405691583) win=64256 ───│ FIN-WAIT-1
               CLOSING ● FIN · RFC 9293 3.10.7.4                                     │
  0.062000             │── ACK seq=2 (3405691584) ack=2 (305419898) win=64256 ──────►│ (TIME-WAIT)
  0.070000             │◄─ ACK seq=2 (305419898) ack=2 (3405691584) win=64256 ───────│ CLOSING
                       │                                    once our ACK has arrived ● (TIME-WAIT)
             TIME-WAIT ● ACK of FIN · RFC 9293 3.10.7.4                              │
"""
    assert picture(draw(simultaneous_close().events("client"))[9:-2]) == expected


def test_a_lost_segment_ends_in_a_cross_and_its_retransmission_says_why() -> None:
    expected = """
   0.020000 │── ACK seq=1 (3405691583) ack=1 (305419897) win=64256 ───────────────────►│ 0.030000
            │                                           ACK of SYN · RFC 9293 3.10.7.4 ● ESTABLISHED
   0.020100 │── PSH,ACK seq=1 (3405691583) ack=1 (305419897) len=100 win=64256 ───────►│ 0.030100
   0.041000 │◄─ ACK seq=1 (305419897) ack=101 (3405691683) len=1,448 win=64256 ────────│ 0.031000
            │  lost ╳─ ACK seq=1,449 (305421345) ack=101 (3405691683) len=1,448 ───────│ 0.032000
   0.043000 │◄─ ACK seq=2,897 (305422793) ack=101 (3405691683) len=1,448 win=64256 ────│ 0.033000
   0.044000 │◄─ ACK seq=4,345 (305424241) ack=101 (3405691683) len=1,448 win=64256 ────│ 0.034000
   0.041000 │── ACK seq=101 (3405691683) ack=1,449 (305421345) win=64256 ─────────────►│ 0.051000
   0.043000 │── ACK seq=101 (3405691683) ack=1,449 (305421345) <sack 2,897..4,345> ───►│ 0.053000
   0.044000 │── ACK seq=101 (3405691683) ack=1,449 (305421345) <sack 2,897..5,793> ───►│ 0.054000
            │                                    ! retransmission: RACK · RFC 8985 6.2 │ 0.060000
   0.070000 │◄─ ACK seq=1,449 (305421345) ack=101 (3405691683) len=1,448 win=64256 ────│ 0.060000
   0.070000 │── ACK seq=101 (3405691683) ack=5,793 (305425689) win=64256 ─────────────►│ 0.080000
   0.100000 │── PSH,ACK seq=101 (3405691683) ack=5,793 (305425689) len=50 ─────╳ lost  │
            ┊                               1.0 s later                                ┊
   1.100000 │ ! retransmission: RTO · RFC 6298 5.4                                     │
   1.100000 │── PSH,ACK seq=101 (3405691683) ack=5,793 (305425689) len=50 win=64256 ──►│ 1.110000
   1.120000 │◄─ ACK seq=5,793 (305425689) ack=151 (3405691733) win=64256 ──────────────│ 1.110000
"""
    assert picture(draw(lossy().events())[9:]) == expected


def test_one_end_shows_what_is_missing_and_what_is_repeated() -> None:
    expected = """
  0.020100             │── PSH,ACK seq=1 (3405691583) ack=1 (305419897) len=100 ────►│
  0.041000             │◄─ ACK seq=1 (305419897) ack=101 (3405691683) len=1,448 ─────│ ESTABLISHED
  0.041000             │── ACK seq=101 (3405691683) ack=1,449 (305421345) ──────────►│
  0.043000             │◄─ ACK seq=2,897 (305422793) ack=101 (3405691683) ───────────│
                       │   len=1,448 [1,448 bytes missing before]                    │
  0.043000             │── ACK seq=101 (3405691683) ack=1,449 (305421345) ──────────►│
                       │   <sack 2,897..4,345>                                       │
  0.044000             │◄─ ACK seq=4,345 (305424241) ack=101 (3405691683) ───────────│
                       │   len=1,448                                                 │
  0.044000             │── ACK seq=101 (3405691683) ack=1,449 (305421345) ──────────►│
                       │   <sack 2,897..5,793>                                       │
  0.070000             │◄─ ACK seq=1,449 (305421345) ack=101 (3405691683) ───────────│
                       │   len=1,448 [repeated or late]                              │
  0.070000             │── ACK seq=101 (3405691683) ack=5,793 (305425689) ──────────►│
  0.100000             │── PSH,ACK seq=101 (3405691683) ack=5,793 (305425689) ──────►│
                       │   len=50                                                    │
                       ┊                         1.0 s later                         ┊
  1.100000             │ ! retransmission: RTO · RFC 6298 5.4                        │
  1.100000             │── PSH,ACK seq=101 (3405691683) ack=5,793 (305425689) ──────►│
                       │   len=50                                                    │
  1.120000             │◄─ ACK seq=5,793 (305425689) ack=151 (3405691733) ───────────│
"""
    assert picture(draw(lossy().events("client"))[10:]) == expected


def test_a_refused_connection() -> None:
    expected = """
         client                                                                     server
     10.0.0.1:49152                                                               10.0.0.2:80
     CLOSED │                             times in seconds                             │ CLOSED
   SYN-SENT ● user: active OPEN · RFC 9293 3.10.1                                      │
   0.000000 │── SYN seq=0 (3405691582) win=64240 <mss 1460, sackOK, ts, ws 7> ────────►│ 0.010000
   0.020000 │◄─ RST,ACK seq=0 (0) ack=1 (3405691583) ──────────────────────────────────│ 0.010000
     CLOSED ● RST: connection refused · RFC 9293 3.10.7.3                              │
"""
    assert picture(draw(refused().events())) == expected


def test_ascii_and_72_columns() -> None:
    expected = """
         client                                         server
     10.0.0.1:49152                                   10.0.0.2:80
     CLOSED |               times in seconds               | LISTEN
   SYN-SENT * user: active OPEN / SYN - RFC 9293 3.10.1    |
   0.000000 |-- SYN seq=0 (3405691582) win=64240 --------->| 0.010000
            |   <mss 1460, sackOK, ts, ws 7>               |
            |            SYN / SYN,ACK - RFC 9293 3.10.7.2 * SYN-RCVD
   0.020000 |<- SYN,ACK seq=0 (305419896) -----------------| 0.010000
            |   ack=1 (3405691583) win=64240               |
            |   <mss 1460, sackOK, ts, ws 7>               |
ESTABLISHED * SYN,ACK / ACK - RFC 9293 3.10.7.3            |
   0.020000 |-- ACK seq=1 (3405691583) ack=1 (305419897) ->| 0.030000
            |               ACK of SYN - RFC 9293 3.10.7.4 * ESTABLISHED
   0.020100 |-- PSH,ACK seq=1 (3405691583) --------------->| 0.030100
            |   ack=1 (305419897) len=78                   |
   0.040100 |<- PSH,ACK seq=1 (305419897) -----------------| 0.030100
            |   ack=79 (3405691661) len=250                |
   0.040100 |-- ACK seq=79 (3405691661) ------------------>| 0.050100
            |   ack=251 (305420147)                        |
 FIN-WAIT-1 * user: CLOSE / FIN - RFC 9293 3.10.4          |
            | at 0.045000                                  |
   0.045000 |-- FIN,ACK seq=79 (3405691661) -------------->| 0.055000
            |   ack=251 (305420147)                        |
            |                FIN / ACK - RFC 9293 3.10.7.4 * CLOSE-WAIT
   0.065000 |<- ACK seq=251 (305420147) -------------------| 0.055000
            |   ack=80 (3405691662)                        |
 FIN-WAIT-2 * ACK of FIN - RFC 9293 3.10.7.4               |
            |          user: CLOSE / FIN - RFC 9293 3.10.4 * LAST-ACK
            |                                  at 0.065000 |
   0.075000 |<- FIN,ACK seq=251 (305420147) ---------------| 0.065000
            |   ack=80 (3405691662)                        |
  TIME-WAIT * FIN / ACK - RFC 9293 3.10.7.4                |
   0.075000 |-- ACK seq=80 (3405691662) ------------------>| 0.085000
            |   ack=252 (305420148)                        |
            |               ACK of FIN - RFC 9293 3.10.7.4 * CLOSED
            :                 60.0 s later                 :
     CLOSED * timer: 2MSL - RFC 9293 3.10.8 - at 60.075000 |
"""
    assert picture(draw(page().events(), width=72, ascii_only=True)) == expected


def test_ascii_is_ascii() -> None:
    for script in (page(), download(), simultaneous_close(), lossy(), refused()):
        for hosts in (("client",), ("server",), ()):
            assert "\n".join(draw(script.events(*hosts), ascii_only=True)).isascii()


def test_no_line_is_wider_than_asked() -> None:
    for width in (72, 80, 100, 133):
        for script in (page(), download(), simultaneous_close(), lossy(), refused()):
            for hosts in (("client",), ("server",), ()):
                assert max(map(len, draw(script.events(*hosts), width=width))) <= width


def test_ipv6_addresses_stand_over_their_lifelines() -> None:
    expected = """
         client                                                                     server
   [2001:db8::1]:49152                                                         [2001:db8::2]:80
     CLOSED │                             times in seconds                             │ LISTEN
"""
    assert picture(draw(opened(Script("2001:db8::1", "2001:db8::2")).events())[:3]) == expected


def test_live_lines_are_those_of_the_finished_trace() -> None:
    for script in (page(), download(), simultaneous_close(), lossy(), refused()):
        for hosts in (("client",), ("server",), ()):
            events = script.events(*hosts)
            live: list[str] = []
            diagram = Diagram(live.append, both_ends=not hosts)
            for event in events:
                diagram(event)
            diagram.close()
            assert live == draw(events)


def test_lines_come_as_soon_as_they_are_certain() -> None:
    shown: list[str] = []
    diagram = Diagram(shown.append)
    events = page().events("client")
    diagram(events[0])
    assert len(shown) == 4  # the head and SYN-SENT
    diagram(events[1])
    assert "SYN seq=0" in shown[4]
    diagram(events[2])
    assert "SYN,ACK seq=0" in shown[6]


def test_pending_shows_the_bulk_so_far_and_flush_draws_it() -> None:
    shown: list[str] = []
    diagram = Diagram(shown.append)
    for event in download().events("server")[:40]:
        diagram(event)
    before = len(shown)
    pending = ["".join(text for text, _ in line).rstrip() for line in diagram.pending()]
    assert "segments" in pending[0]
    assert len(shown) == before
    diagram.flush()
    assert shown[before:] == pending


def test_tick_draws_a_run_that_has_paused() -> None:
    shown: list[str] = []
    diagram = Diagram(shown.append)
    for event in page().events("client")[:6]:
        diagram(event)
    before = len(shown)
    diagram.tick(100_000)
    assert len(shown) == before
    diagram.tick(300_000)
    assert "len=78" in shown[before]


def test_a_note_about_a_folded_segment_brings_it_out_of_the_fold() -> None:
    events = download().events("server")
    arrivals = [event for event in events if isinstance(event, PacketEvent) and not event.outgoing]
    dropped = arrivals[20]
    note = NoteEvent(dropped.at, "server", dropped.key, "dropped: PAWS", "7323 5.3")
    events.insert(events.index(dropped) + 1, note)
    lines = draw(events)
    noted = next(number for number, line in enumerate(lines) if "dropped: PAWS" in line)
    assert "ACK seq=79" in lines[noted - 1]
    assert "segments" in lines[noted - 2]
    assert "segments" in lines[noted + 1]


def test_with_both_ends_a_note_follows_the_arrival_that_it_speaks_of() -> None:
    events = download().events()
    dropped = [e for e in events if isinstance(e, PacketEvent) and e.host == "server" and not e.outgoing][12]
    note = NoteEvent(dropped.at, "server", dropped.key, "dropped: PAWS", "7323 5.3")
    events.insert(events.index(dropped) + 1, note)
    lines = draw(events)
    noted = next(number for number, line in enumerate(lines) if "dropped: PAWS" in line)
    assert "► 0.069000" in lines[noted - 1].replace("│", "")
    assert "ACK seq=79" in lines[noted - 1]
    assert len(lines) < 50


def test_without_folding_every_packet_has_its_row() -> None:
    assert sum("►" in line or "◄" in line for line in draw(download(20).events("server"), fold=False)) == 49


def test_connections_are_drawn_one_after_the_other() -> None:
    first, second = opened(Script()), opened(Script(ports=(49153, 80)))
    events = sorted(first.events() + second.events(), key=lambda event: event.at)
    assert draw(events) == [*draw(first.events()), "", *draw(second.events())]


def test_one_connection_can_be_chosen_by_either_ends_key() -> None:
    first, second = opened(Script()), opened(Script(ports=(49153, 80)))
    events = sorted(first.events() + second.events(), key=lambda event: event.at)
    for key in second.keys.values():
        assert draw(events, only=key) == draw(second.events())
        assert draw(events, only=[key]) == draw(second.events())
        assert draw(events, only={key}.__contains__) == draw(second.events())


def test_live_connections_that_take_turns_are_announced() -> None:
    first, second = opened(Script()), opened(Script(ports=(49153, 80)))
    events = sorted(first.events("client") + second.events("client"), key=lambda event: event.at)
    shown: list[str] = []
    diagram = Diagram(shown.append)
    for event in events:
        diagram(event)
    assert sum(line.startswith("── connection 1: client 10.0.0.1:49152 → peer 10.0.0.2:80 ─") for line in shown) == 1


def test_a_listener_is_no_connection() -> None:
    script = Script()
    script.state(0, "server", "CLOSED -> LISTEN", "passive OPEN", "9293 3.10.1", "user")
    assert draw(script.events()) == []


def test_an_icmp_error_is_a_remark_at_the_host_that_it_tells() -> None:
    script = opened(Script())
    quoted = build(script.segment("client", "PSH,ACK", 1, 1, 100))
    error = icmp.build_error(4, 3, 4, bytes((10, 0, 0, 9)), bytes((10, 0, 0, 1)), quoted, 1280)
    script.add(50, PacketEvent(50_000, "client", False, b"", Burst(error, [], 0)))
    assert any("! ICMP: packet too big, MTU 1280" in line for line in draw(script.events()))


def test_a_segment_that_arrives_twice_is_a_copy() -> None:
    script = opened(Script())
    script.send(50, "client", "PSH,ACK", 1, 1, 10)
    script.arrive(61, "server", build(script.segment("client", "PSH,ACK", 1, 1, 10)))
    lines = draw(script.events())
    assert "[a copy]" in lines[-1]
    assert "►│ 0.061000" in lines[-1]


def test_a_segment_that_the_other_end_never_sent_says_so() -> None:
    script = opened(Script())
    script.arrive(50, "server", build(script.segment("client", "RST", 700, 0)))
    lines = draw(script.events())
    assert "[not sent by the other end]" in "".join(lines[-2:])


def test_a_segment_given_up_that_arrives_after_all_is_drawn_when_it_does() -> None:
    script = opened(Script())
    script.send(50, "client", "PSH,ACK", 1, 1, 10, delay=5000)
    script.send(4000, "server", "PSH,ACK", 1, 1, 10)
    shown: list[str] = []
    diagram = Diagram(shown.append, both_ends=True)
    for event in script.events():
        diagram(event)
    diagram.close()
    assert sum("lost" in line for line in shown) == 1
    assert "[arrives after all]" in "".join(shown[-2:])


def test_a_segment_that_is_overtaken_arrives_on_a_row_of_its_own() -> None:
    expected = """
   0.050000 │── PSH,ACK seq=1 (3405691583) ack=1 (305419897) len=10 win=64256 ───┄┄ ①  │
   0.051000 │── FIN,ACK seq=11 (3405691593) ack=1 (305419897) win=64256 ──────────────►│ 0.056000
            │                                             ① ┄┄─ PSH,ACK seq=1 len=10 ─►│ 0.070000
"""
    assert picture(draw(overtaken().events())[11:]) == expected


def test_bytes_that_are_no_tcp_are_named() -> None:
    script = opened(Script())
    script.arrive(50, "client", b"\x45\x00")
    assert "unreadable: too short for an IP header" in draw(script.events("client"))[-1]


def test_a_new_incarnation_starts_at_zero_again() -> None:
    script = page()
    again = opened(Script(isns=(1_000_000, 2_000_000)))
    events = script.events()
    for event in again.events():
        event.at += 61_000_000
        events.append(event)
    lines = draw(events)
    second = next(number for number, line in enumerate(lines) if "(1000000)" in line)
    assert "SYN seq=0 (1000000)" in lines[second]
    assert any("ACK seq=1 (1000001) ack=1 (2000001)" in line for line in lines[second:])


def test_an_old_duplicate_syn_does_not_renumber_the_connection() -> None:
    script = opened(Script())
    script.send(50, "client", "SYN", -5000)
    script.send(60, "server", "ACK", 1, 1)
    lines = draw(script.events())
    assert any("SYN seq=0 (3405686582)" in line and "[new ISN]" in lines[n + 1] + line for n, line in enumerate(lines))
    assert "ACK seq=1 (305419897) ack=1 (3405691583)" in lines[-1]


def test_relative_numbers_do_not_wrap() -> None:
    script = opened(Script(isns=(0xFFFFFFF0, 0xFFFFFF00)))
    script.send(50, "client", "PSH,ACK", 1, 1, 100)
    script.send(70, "client", "PSH,ACK", 101, 1, 100)
    assert "seq=101 (85)" in draw(script.events())[-1]


def test_with_too_many_connections_those_that_are_over_make_room_before_the_oldest() -> None:
    numbers: list[int] = []
    rows = Rows(lambda number, row: numbers.append(number))
    limit = 4096

    def happens(peer: int, before: int, after: int) -> None:
        key = make_key((0x0A010000 + peer).to_bytes(4, "big"), b"\x0a\0\0\x01", 40000, 80)
        rows(TransitionEvent(peer, "server", key, before, after, "reason", "", CAUSE_SEGMENT))
        rows.flush()

    for peer in range(limit):
        happens(peer, states.LISTEN, states.SYN_RCVD)
    happens(7, states.SYN_RCVD, states.CLOSED)
    happens(5, states.SYN_RCVD, states.CLOSED)
    for peer in range(limit, limit + 3):  # in the places of 7, 5 and 0
        happens(peer, states.LISTEN, states.SYN_RCVD)
    numbers.clear()
    for peer in (1, 2, 3, 4, 6, 8):
        happens(peer, states.SYN_RCVD, states.ESTABLISHED)
    assert set(numbers) == {2, 3, 4, 5, 7, 9}
    numbers.clear()
    happens(7, states.LISTEN, states.SYN_RCVD)
    assert set(numbers) == {limit + 4}
