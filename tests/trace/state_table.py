"""STATE x EVENT: what each of the eleven states answers to each event, where that leads, and which section says so.

This is data; `test_states` plays every cell of it. `python -m tests.trace.state_table` writes docs/states.md from it
and from `synfin.tcp.states.TRANSITIONS`. A line reads

    event | what comes out | the next state, when it is another one | section

and one without more than an event cannot happen there: no such timer runs, or the interface has no such call. SYN-RCVD
stands here twice: as the listener's record of a passive open, and as the connection of a simultaneous open.

In the scene there are ten bytes on the left of either window; `RCV.NXT` is the next number that is expected, the window
is 65535 wide. What comes out is named by its flags (PSH left out), "+text" when it carries some, `-` when nothing does.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final, NamedTuple

from synfin.explore.joint import GONE_WITH, JOINT
from synfin.explore.report import HEAD, table_line
from synfin.tcp import states

EXPLORED: Final = Path(__file__).resolve().parents[1] / "explore" / "explored.json"
DOCUMENT: Final = Path(__file__).resolve().parents[2] / "docs" / "states.md"

_TEXT: Final = """
= CLOSED
SYN                           | RST,ACK    |             | 9293 3.10.7.1
the first SYN again           | RST,ACK    |             | 9293 3.10.7.1
SYN,ACK                       | RST        |             | 9293 3.10.7.1
ACK, acceptable               | RST        |             | 9293 3.10.7.1
ACK, old                      | RST        |             | 9293 3.10.7.1
ACK, too new                  | RST        |             | 9293 3.10.7.1
data in order                 | RST        |             | 9293 3.10.7.1
data out of order             | RST        |             | 9293 3.10.7.1
data left of the window       | RST        |             | 9293 3.10.7.1
data right of the window      | RST        |             | 9293 3.10.7.1
data overlapping RCV.NXT      | RST        |             | 9293 3.10.7.1
data without ACK              | RST,ACK    |             | 9293 3.10.7.1
data with URG                 | RST        |             | 9293 3.10.7.1
CLOSE, then data              |
FIN in order                  | RST        |             | 9293 3.10.7.1
FIN that acknowledges all     | RST        |             | 9293 3.10.7.1
FIN out of order              | RST        |             | 9293 3.10.7.1
FIN again                     |
RST, exact                    | -          |             | 9293 3.10.7.1
RST,ACK, exact                | -          |             | 9293 3.10.7.1
RST in the window             | -          |             | 9293 3.10.7.1
RST outside the window        | -          |             | 9293 3.10.7.1
FIN,RST, exact                | -          |             | 9293 3.10.7.1
SYN,FIN                       | RST,ACK    |             | 9293 3.10.7.1
OPEN                          | SYN        | SYN-SENT    | 9293 3.10.1
SEND                          | EPIPE      |             | 9293 3.10.2
RECEIVE                       | -          |             | 9293 3.10.3
CLOSE of our direction        | -          |             | 9293 3.10.4
CLOSE                         | -          |             | 9293 3.10.4
ABORT                         | -          |             | 9293 3.10.5
STATUS                        | -          |             | 9293 3.10.6
timer: retransmission         |
timer: no answer at all       |
timer: user timeout           |
timer: zero window            |
timer: delayed ACK            |
timer: keep-alive             |
timer: FIN-WAIT-2 after CLOSE |
timer: 2MSL                   |
= LISTEN
SYN                           | SYN,ACK    | SYN-RCVD    | 9293 3.10.7.2
the first SYN again           | SYN,ACK    | SYN-RCVD    | 9293 3.10.7.2
SYN,ACK                       | RST        |             | 9293 3.10.7.2
ACK, acceptable               | RST        |             | 9293 3.10.7.2
ACK, old                      | RST        |             | 9293 3.10.7.2
ACK, too new                  | RST        |             | 9293 3.10.7.2
data in order                 | RST        |             | 9293 3.10.7.2
data out of order             | RST        |             | 9293 3.10.7.2
data left of the window       | RST        |             | 9293 3.10.7.2
data right of the window      | RST        |             | 9293 3.10.7.2
data overlapping RCV.NXT      | RST        |             | 9293 3.10.7.2
data without ACK              | -          |             | 9293 3.10.7.2
data with URG                 | RST        |             | 9293 3.10.7.2
CLOSE, then data              |
FIN in order                  | RST        |             | 9293 3.10.7.2
FIN that acknowledges all     | RST        |             | 9293 3.10.7.2
FIN out of order              | RST        |             | 9293 3.10.7.2
FIN again                     |
RST, exact                    | -          |             | 9293 3.10.7.2
RST,ACK, exact                | -          |             | 9293 3.10.7.2
RST in the window             | -          |             | 9293 3.10.7.2
RST outside the window        | -          |             | 9293 3.10.7.2
FIN,RST, exact                | -          |             | 9293 3.10.7.2
SYN,FIN                       | -          |             | Linux
OPEN                          | EADDRINUSE |             | Linux
SEND                          |
RECEIVE                       |
CLOSE of our direction        |
CLOSE                         | -          | CLOSED      | 9293 3.10.4
ABORT                         | -          | CLOSED      | 9293 3.10.5
STATUS                        | -          |             | 9293 3.10.6
timer: retransmission         |
timer: no answer at all       |
timer: user timeout           |
timer: zero window            |
timer: delayed ACK            |
timer: keep-alive             |
timer: FIN-WAIT-2 after CLOSE |
timer: 2MSL                   |
= SYN-SENT
SYN                           | SYN,ACK    | SYN-RCVD    | 9293 3.10.7.3
the first SYN again           | SYN,ACK    | SYN-RCVD    | 9293 3.10.7.3
SYN,ACK                       | ACK        | ESTABLISHED | 9293 3.10.7.3
ACK, acceptable               | -          |             | 9293 3.10.7.3
ACK, old                      | RST        |             | 9293 3.10.7.3
ACK, too new                  | RST        |             | 9293 3.10.7.3
data in order                 | -          |             | 9293 3.10.7.3
data out of order             | -          |             | 9293 3.10.7.3
data left of the window       | -          |             | 9293 3.10.7.3
data right of the window      | -          |             | 9293 3.10.7.3
data overlapping RCV.NXT      | -          |             | 9293 3.10.7.3
data without ACK              | -          |             | 9293 3.10.7.3
data with URG                 | -          |             | 9293 3.10.7.3
CLOSE, then data              |
FIN in order                  | -          |             | 9293 3.10.7.3
FIN that acknowledges all     | -          |             | 9293 3.10.7.3
FIN out of order              | -          |             | 9293 3.10.7.3
FIN again                     |
RST, exact                    | -          |             | 9293 3.10.7.3, second
RST,ACK, exact                | -          | CLOSED      | 9293 3.10.7.3, second
RST in the window             | -          |             | 9293 3.10.7.3, second
RST outside the window        | -          |             | 9293 3.10.7.3, second
FIN,RST, exact                | -          | CLOSED      | 9293 3.10.7.3
SYN,FIN                       | SYN,ACK    | SYN-RCVD    | 9293 3.10.7.3
OPEN                          | EADDRINUSE |             | 9293 3.10.1
SEND                          | -          |             | 9293 3.10.2
RECEIVE                       | -          |             | 9293 3.10.3
CLOSE of our direction        | -          |             | 9293 3.10.4
CLOSE                         | -          | CLOSED      | 9293 3.10.4
ABORT                         | -          | CLOSED      | 9293 3.10.5
STATUS                        | -          |             | 9293 3.10.6
timer: retransmission         | SYN        |             | 6298 5.4
timer: no answer at all       | -          | CLOSED      | 9293 3.8.3
timer: user timeout           |
timer: zero window            |
timer: delayed ACK            |
timer: keep-alive             |
timer: FIN-WAIT-2 after CLOSE |
timer: 2MSL                   |
= SYN-RCVD
SYN                           | ACK        |             | 5961 4.2
the first SYN again           | SYN,ACK    |             | 9293 3.10.7.4
SYN,ACK                       | ACK        |             | 5961 4.2
ACK, acceptable               | -          | ESTABLISHED | 9293 3.10.7.4, fifth
ACK, old                      | RST        |             | 9293 3.10.7.4, fifth
ACK, too new                  | RST        |             | 9293 3.10.7.4, fifth
data in order                 | ACK        | ESTABLISHED | 9293 3.10.7.4, seventh
data out of order             | ACK        | ESTABLISHED | 9293 3.10.7.4, seventh
data left of the window       | ACK        |             | 9293 3.10.7.4, first
data right of the window      | ACK        |             | 9293 3.10.7.4, first
data overlapping RCV.NXT      | ACK        |             | 9293 3.10.7.4, seventh
data without ACK              | -          |             | 9293 3.10.7.4, fifth
data with URG                 | ACK        | ESTABLISHED | 9293 3.8.5
CLOSE, then data              |
FIN in order                  | ACK        | CLOSE-WAIT  | 9293 3.10.7.4, eighth
FIN that acknowledges all     | ACK        | CLOSE-WAIT  | 9293 3.10.7.4, eighth
FIN out of order              | ACK        | ESTABLISHED | 9293 3.10.7.4, seventh
FIN again                     |
RST, exact                    | -          | LISTEN      | 5961 3.2
RST,ACK, exact                | -          | LISTEN      | 5961 3.2
RST in the window             | -          |             | 5961 3.2
RST outside the window        | -          |             | 5961 3.2
FIN,RST, exact                | -          | LISTEN      | 5961 3.2
SYN,FIN                       | ACK        |             | 5961 4.2
OPEN                          | EADDRINUSE |             | 9293 3.10.1
SEND                          |
RECEIVE                       |
CLOSE of our direction        |
CLOSE                         | RST,ACK    | CLOSED      | 9293 3.10.5
ABORT                         | RST,ACK    | CLOSED      | 9293 3.10.5
STATUS                        | -          |             | 9293 3.10.6
timer: retransmission         | SYN,ACK    |             | 6298 5.4
timer: no answer at all       | -          | LISTEN      | 9293 3.8.3
timer: user timeout           |
timer: zero window            |
timer: delayed ACK            |
timer: keep-alive             |
timer: FIN-WAIT-2 after CLOSE |
timer: 2MSL                   |
= SYN-RCVD, active
SYN                           | ACK        |             | 5961 4.2
the first SYN again           | SYN,ACK    |             | 9293 3.10.7.4
SYN,ACK                       | -          | ESTABLISHED | 9293 3.5
ACK, acceptable               | -          | ESTABLISHED | 9293 3.10.7.4, fifth
ACK, old                      | RST        |             | 9293 3.10.7.4, fifth
ACK, too new                  | RST        |             | 9293 3.10.7.4, fifth
data in order                 | ACK        | ESTABLISHED | 9293 3.10.7.4, seventh
data out of order             | ACK        | ESTABLISHED | 9293 3.10.7.4, seventh
data left of the window       | ACK        |             | 9293 3.10.7.4, first
data right of the window      | ACK        |             | 9293 3.10.7.4, first
data overlapping RCV.NXT      | ACK        |             | 9293 3.10.7.4, seventh
data without ACK              | -          |             | 9293 3.10.7.4, fifth
data with URG                 | ACK        | ESTABLISHED | 9293 3.8.5
CLOSE, then data              | RST,ACK    | CLOSED      | 9293 3.6.1
FIN in order                  | ACK        | CLOSE-WAIT  | 9293 3.10.7.4, eighth
FIN that acknowledges all     | ACK        | CLOSE-WAIT  | 9293 3.10.7.4, eighth
FIN out of order              | ACK        | ESTABLISHED | 9293 3.10.7.4, seventh
FIN again                     |
RST, exact                    | -          | CLOSED      | 5961 3.2
RST,ACK, exact                | -          | CLOSED      | 5961 3.2
RST in the window             | ACK        |             | 5961 3.2
RST outside the window        | -          |             | 5961 3.2
FIN,RST, exact                | -          | CLOSED      | 5961 3.2
SYN,FIN                       | ACK        |             | 5961 4.2
OPEN                          | EADDRINUSE |             | 9293 3.10.1
SEND                          | -          |             | 9293 3.10.2
RECEIVE                       | -          |             | 9293 3.10.3
CLOSE of our direction        | -          |             | 9293 3.10.4
CLOSE                         | -          |             | 9293 3.10.4
ABORT                         | RST,ACK    | CLOSED      | 9293 3.10.5
STATUS                        | -          |             | 9293 3.10.6
timer: retransmission         | SYN,ACK    |             | 6298 5.4
timer: no answer at all       | -          | CLOSED      | 9293 3.8.3
timer: user timeout           |
timer: zero window            |
timer: delayed ACK            |
timer: keep-alive             |
timer: FIN-WAIT-2 after CLOSE |
timer: 2MSL                   |
= ESTABLISHED
SYN                           | ACK        |             | 5961 4.2
the first SYN again           | ACK        |             | 5961 4.2
SYN,ACK                       | ACK        |             | 5961 4.2
ACK, acceptable               | -          |             | 9293 3.10.7.4, fifth
ACK, old                      | -          |             | 5961 5.2
ACK, too new                  | ACK        |             | 5961 5.2
data in order                 | ACK        |             | 9293 3.10.7.4, seventh
data out of order             | ACK        |             | 9293 3.10.7.4, seventh
data left of the window       | ACK        |             | 9293 3.10.7.4, first
data right of the window      | ACK        |             | 9293 3.10.7.4, first
data overlapping RCV.NXT      | ACK        |             | 9293 3.10.7.4, seventh
data without ACK              | -          |             | 9293 3.10.7.4, fifth
data with URG                 | ACK        |             | 9293 3.8.5
CLOSE, then data              | RST,ACK    | CLOSED      | 9293 3.6.1
FIN in order                  | ACK        | CLOSE-WAIT  | 9293 3.10.7.4, eighth
FIN that acknowledges all     | ACK        | CLOSE-WAIT  | 9293 3.10.7.4, eighth
FIN out of order              | ACK        |             | 9293 3.10.7.4, seventh
FIN again                     |
RST, exact                    | -          | CLOSED      | 5961 3.2
RST,ACK, exact                | -          | CLOSED      | 5961 3.2
RST in the window             | ACK        |             | 5961 3.2
RST outside the window        | -          |             | 5961 3.2
FIN,RST, exact                | -          | CLOSED      | 5961 3.2
SYN,FIN                       | ACK        |             | 5961 4.2
OPEN                          | EADDRINUSE |             | 9293 3.10.1
SEND                          | ACK+text   |             | 9293 3.10.2
RECEIVE                       | -          |             | 9293 3.10.3
CLOSE of our direction        | FIN,ACK    | FIN-WAIT-1  | 9293 3.10.4
CLOSE                         | FIN,ACK    | FIN-WAIT-1  | 9293 3.10.4
ABORT                         | RST,ACK    | CLOSED      | 9293 3.10.5
STATUS                        | -          |             | 9293 3.10.6
timer: retransmission         | ACK+text   |             | 6298 5.4
timer: no answer at all       | RST,ACK    | CLOSED      | 9293 3.8.3
timer: user timeout           | RST,ACK    | CLOSED      | 9293 3.10.8
timer: zero window            | ACK+text   |             | 9293 3.8.6.1
timer: delayed ACK            | ACK        |             | 9293 3.8.6.3
timer: keep-alive             | ACK        |             | 9293 3.8.4
timer: FIN-WAIT-2 after CLOSE |
timer: 2MSL                   |
= FIN-WAIT-1
SYN                           | ACK        |             | 5961 4.2
the first SYN again           | ACK        |             | 5961 4.2
SYN,ACK                       | ACK        |             | 5961 4.2
ACK, acceptable               | -          | FIN-WAIT-2  | 9293 3.10.7.4, fifth
ACK, old                      | -          |             | 5961 5.2
ACK, too new                  | ACK        |             | 5961 5.2
data in order                 | ACK        |             | 9293 3.10.7.4, seventh
data out of order             | ACK        |             | 9293 3.10.7.4, seventh
data left of the window       | ACK        |             | 9293 3.10.7.4, first
data right of the window      | ACK        |             | 9293 3.10.7.4, first
data overlapping RCV.NXT      | ACK        |             | 9293 3.10.7.4, seventh
data without ACK              | -          |             | 9293 3.10.7.4, fifth
data with URG                 | ACK        |             | 9293 3.8.5
CLOSE, then data              | RST,ACK    | CLOSED      | 9293 3.6.1
FIN in order                  | ACK        | CLOSING     | 9293 3.10.7.4, eighth
FIN that acknowledges all     | ACK        | TIME-WAIT   | 9293 3.10.7.4, eighth
FIN out of order              | ACK        |             | 9293 3.10.7.4, seventh
FIN again                     |
RST, exact                    | -          | CLOSED      | 5961 3.2
RST,ACK, exact                | -          | CLOSED      | 5961 3.2
RST in the window             | ACK        |             | 5961 3.2
RST outside the window        | -          |             | 5961 3.2
FIN,RST, exact                | -          | CLOSED      | 5961 3.2
SYN,FIN                       | ACK        |             | 5961 4.2
OPEN                          | EADDRINUSE |             | 9293 3.10.1
SEND                          | EPIPE      |             | 9293 3.10.2
RECEIVE                       | -          |             | 9293 3.10.3
CLOSE of our direction        | -          |             | 9293 3.10.4
CLOSE                         | -          |             | 9293 3.10.4
ABORT                         | RST,ACK    | CLOSED      | 9293 3.10.5
STATUS                        | -          |             | 9293 3.10.6
timer: retransmission         | FIN,ACK    |             | 6298 5.4
timer: no answer at all       | RST,ACK    | CLOSED      | 9293 3.8.3
timer: user timeout           | RST,ACK    | CLOSED      | 9293 3.10.8
timer: zero window            |
timer: delayed ACK            | ACK        |             | 9293 3.8.6.3
timer: keep-alive             |
timer: FIN-WAIT-2 after CLOSE |
timer: 2MSL                   |
= FIN-WAIT-2
SYN                           | ACK        |             | 5961 4.2
the first SYN again           | ACK        |             | 5961 4.2
SYN,ACK                       | ACK        |             | 5961 4.2
ACK, acceptable               | -          |             | 9293 3.10.7.4, fifth
ACK, old                      | -          |             | 5961 5.2
ACK, too new                  | ACK        |             | 5961 5.2
data in order                 | ACK        |             | 9293 3.10.7.4, seventh
data out of order             | ACK        |             | 9293 3.10.7.4, seventh
data left of the window       | ACK        |             | 9293 3.10.7.4, first
data right of the window      | ACK        |             | 9293 3.10.7.4, first
data overlapping RCV.NXT      | ACK        |             | 9293 3.10.7.4, seventh
data without ACK              | -          |             | 9293 3.10.7.4, fifth
data with URG                 | ACK        |             | 9293 3.8.5
CLOSE, then data              | RST,ACK    | CLOSED      | 9293 3.6.1
FIN in order                  | ACK        | TIME-WAIT   | 9293 3.10.7.4, eighth
FIN that acknowledges all     | ACK        | TIME-WAIT   | 9293 3.10.7.4, eighth
FIN out of order              | ACK        |             | 9293 3.10.7.4, seventh
FIN again                     |
RST, exact                    | -          | CLOSED      | 5961 3.2
RST,ACK, exact                | -          | CLOSED      | 5961 3.2
RST in the window             | ACK        |             | 5961 3.2
RST outside the window        | -          |             | 5961 3.2
FIN,RST, exact                | -          | CLOSED      | 5961 3.2
SYN,FIN                       | ACK        |             | 5961 4.2
OPEN                          | EADDRINUSE |             | 9293 3.10.1
SEND                          | EPIPE      |             | 9293 3.10.2
RECEIVE                       | -          |             | 9293 3.10.3
CLOSE of our direction        | -          |             | 9293 3.10.4
CLOSE                         | -          |             | 9293 3.10.4
ABORT                         | RST,ACK    | CLOSED      | 9293 3.10.5
STATUS                        | -          |             | 9293 3.10.6
timer: retransmission         |
timer: no answer at all       |
timer: user timeout           |
timer: zero window            |
timer: delayed ACK            | ACK        |             | 9293 3.8.6.3
timer: keep-alive             | ACK        |             | 9293 3.8.4
timer: FIN-WAIT-2 after CLOSE | -          | CLOSED      | Linux tcp_fin_timeout
timer: 2MSL                   |
= CLOSE-WAIT
SYN                           | ACK        |             | 5961 4.2
the first SYN again           | ACK        |             | 5961 4.2
SYN,ACK                       | ACK        |             | 5961 4.2
ACK, acceptable               | -          |             | 9293 3.10.7.4, fifth
ACK, old                      | -          |             | 5961 5.2
ACK, too new                  | ACK        |             | 5961 5.2
data in order                 | ACK        |             | 9293 3.10.7.4, seventh
data out of order             | ACK        |             | 9293 3.10.7.4, seventh
data left of the window       | ACK        |             | 9293 3.10.7.4, first
data right of the window      | ACK        |             | 9293 3.10.7.4, first
data overlapping RCV.NXT      | ACK        |             | 9293 3.10.7.4, seventh
data without ACK              | -          |             | 9293 3.10.7.4, fifth
data with URG                 | ACK        |             | 9293 3.8.5
CLOSE, then data              |
FIN in order                  | ACK        |             | 9293 3.10.7.4, eighth
FIN that acknowledges all     | ACK        |             | 9293 3.10.7.4, eighth
FIN out of order              | ACK        |             | 9293 3.10.7.4, seventh
FIN again                     | ACK        |             | 9293 3.10.7.4, first
RST, exact                    | -          | CLOSED      | 5961 3.2
RST,ACK, exact                | -          | CLOSED      | 5961 3.2
RST in the window             | ACK        |             | 5961 3.2
RST outside the window        | -          |             | 5961 3.2
FIN,RST, exact                | -          | CLOSED      | 5961 3.2
SYN,FIN                       | ACK        |             | 5961 4.2
OPEN                          | EADDRINUSE |             | 9293 3.10.1
SEND                          | ACK+text   |             | 9293 3.10.2
RECEIVE                       | -          |             | 9293 3.10.3
CLOSE of our direction        | FIN,ACK    | LAST-ACK    | 9293 3.10.4
CLOSE                         | FIN,ACK    | LAST-ACK    | 9293 3.10.4
ABORT                         | RST,ACK    | CLOSED      | 9293 3.10.5
STATUS                        | -          |             | 9293 3.10.6
timer: retransmission         | ACK+text   |             | 6298 5.4
timer: no answer at all       | RST,ACK    | CLOSED      | 9293 3.8.3
timer: user timeout           | RST,ACK    | CLOSED      | 9293 3.10.8
timer: zero window            | ACK+text   |             | 9293 3.8.6.1
timer: delayed ACK            |
timer: keep-alive             | ACK        |             | 9293 3.8.4
timer: FIN-WAIT-2 after CLOSE |
timer: 2MSL                   |
= CLOSING
SYN                           | ACK        |             | 5961 4.2
the first SYN again           | ACK        |             | 5961 4.2
SYN,ACK                       | ACK        |             | 5961 4.2
ACK, acceptable               | -          | TIME-WAIT   | 9293 3.10.7.4, fifth
ACK, old                      | -          |             | 5961 5.2
ACK, too new                  | ACK        |             | 5961 5.2
data in order                 | ACK        |             | 9293 3.10.7.4, seventh
data out of order             | ACK        |             | 9293 3.10.7.4, seventh
data left of the window       | ACK        |             | 9293 3.10.7.4, first
data right of the window      | ACK        |             | 9293 3.10.7.4, first
data overlapping RCV.NXT      | ACK        |             | 9293 3.10.7.4, seventh
data without ACK              | -          |             | 9293 3.10.7.4, fifth
data with URG                 | ACK        |             | 9293 3.8.5
CLOSE, then data              |
FIN in order                  | ACK        |             | 9293 3.10.7.4, eighth
FIN that acknowledges all     | ACK        | TIME-WAIT   | 9293 3.10.7.4, eighth
FIN out of order              | ACK        |             | 9293 3.10.7.4, seventh
FIN again                     | ACK        |             | 9293 3.10.7.4, first
RST, exact                    | -          | CLOSED      | 5961 3.2
RST,ACK, exact                | -          | CLOSED      | 5961 3.2
RST in the window             | ACK        |             | 5961 3.2
RST outside the window        | -          |             | 5961 3.2
FIN,RST, exact                | -          | CLOSED      | 5961 3.2
SYN,FIN                       | ACK        |             | 5961 4.2
OPEN                          | EADDRINUSE |             | 9293 3.10.1
SEND                          | EPIPE      |             | 9293 3.10.2
RECEIVE                       | -          |             | 9293 3.10.3
CLOSE of our direction        | -          |             | 9293 3.10.4
CLOSE                         | -          |             | 9293 3.10.4
ABORT                         | -          | CLOSED      | 9293 3.10.5
STATUS                        | -          |             | 9293 3.10.6
timer: retransmission         | FIN,ACK    |             | 6298 5.4
timer: no answer at all       | -          | CLOSED      | 9293 3.8.3
timer: user timeout           | -          | CLOSED      | 9293 3.10.8
timer: zero window            |
timer: delayed ACK            |
timer: keep-alive             |
timer: FIN-WAIT-2 after CLOSE |
timer: 2MSL                   |
= LAST-ACK
SYN                           | ACK        |             | 5961 4.2
the first SYN again           | ACK        |             | 5961 4.2
SYN,ACK                       | ACK        |             | 5961 4.2
ACK, acceptable               | -          | CLOSED      | 9293 3.10.7.4, fifth
ACK, old                      | -          |             | 5961 5.2
ACK, too new                  | ACK        |             | 5961 5.2
data in order                 | ACK        |             | 9293 3.10.7.4, seventh
data out of order             | ACK        |             | 9293 3.10.7.4, seventh
data left of the window       | ACK        |             | 9293 3.10.7.4, first
data right of the window      | ACK        |             | 9293 3.10.7.4, first
data overlapping RCV.NXT      | ACK        |             | 9293 3.10.7.4, seventh
data without ACK              | -          |             | 9293 3.10.7.4, fifth
data with URG                 | ACK        |             | 9293 3.8.5
CLOSE, then data              |
FIN in order                  | ACK        |             | 9293 3.10.7.4, eighth
FIN that acknowledges all     | -          | CLOSED      | 9293 3.10.7.4, eighth
FIN out of order              | ACK        |             | 9293 3.10.7.4, seventh
FIN again                     | ACK        |             | 9293 3.10.7.4, first
RST, exact                    | -          | CLOSED      | 5961 3.2
RST,ACK, exact                | -          | CLOSED      | 5961 3.2
RST in the window             | ACK        |             | 5961 3.2
RST outside the window        | -          |             | 5961 3.2
FIN,RST, exact                | -          | CLOSED      | 5961 3.2
SYN,FIN                       | ACK        |             | 5961 4.2
OPEN                          | EADDRINUSE |             | 9293 3.10.1
SEND                          | EPIPE      |             | 9293 3.10.2
RECEIVE                       | -          |             | 9293 3.10.3
CLOSE of our direction        | -          |             | 9293 3.10.4
CLOSE                         | -          |             | 9293 3.10.4
ABORT                         | -          | CLOSED      | 9293 3.10.5
STATUS                        | -          |             | 9293 3.10.6
timer: retransmission         | FIN,ACK    |             | 6298 5.4
timer: no answer at all       | -          | CLOSED      | 9293 3.8.3
timer: user timeout           | -          | CLOSED      | 9293 3.10.8
timer: zero window            |
timer: delayed ACK            |
timer: keep-alive             |
timer: FIN-WAIT-2 after CLOSE |
timer: 2MSL                   |
= TIME-WAIT
SYN                           | SYN,ACK    | SYN-RCVD    | 6191 2
the first SYN again           | ACK        |             | 9293 3.6.1
SYN,ACK                       | ACK        |             | 5961 4.2
ACK, acceptable               | -          |             | 9293 3.10.7.4, fifth
ACK, old                      | -          |             | 9293 3.10.7.4, fifth
ACK, too new                  | ACK        |             | 5961 5.2
data in order                 | ACK        |             | 9293 3.10.7.4, seventh
data out of order             | ACK        |             | 9293 3.10.7.4, seventh
data left of the window       | ACK        |             | 9293 3.10.7.4, first
data right of the window      | ACK        |             | 9293 3.10.7.4, first
data overlapping RCV.NXT      | ACK        |             | 9293 3.10.7.4, seventh
data without ACK              | -          |             | 9293 3.10.7.4, fifth
data with URG                 | ACK        |             | 9293 3.8.5
CLOSE, then data              |
FIN in order                  | ACK        |             | 9293 3.10.7.4, eighth
FIN that acknowledges all     | ACK        |             | 9293 3.10.7.4, eighth
FIN out of order              | ACK        |             | 9293 3.10.7.4, seventh
FIN again                     | ACK        |             | 9293 3.10.7.4, first
RST, exact                    | -          |             | 1337 3
RST,ACK, exact                | -          |             | 1337 3
RST in the window             | -          |             | 1337 3
RST outside the window        | -          |             | 1337 3
FIN,RST, exact                | -          |             | 1337 3
SYN,FIN                       | ACK        |             | 5961 4.2
OPEN                          | EADDRINUSE |             | 9293 3.10.1
SEND                          | EPIPE      |             | 9293 3.10.2
RECEIVE                       | -          |             | 9293 3.10.3
CLOSE of our direction        | -          |             | 9293 3.10.4
CLOSE                         | -          |             | 9293 3.10.4
ABORT                         | -          |             | 9293 3.10.5
STATUS                        | -          |             | 9293 3.10.6
timer: retransmission         |
timer: no answer at all       |
timer: user timeout           |
timer: zero window            |
timer: delayed ACK            |
timer: keep-alive             |
timer: FIN-WAIT-2 after CLOSE |
timer: 2MSL                   | -          | CLOSED      | 9293 3.10.8
"""


class Cell(NamedTuple):
    """One event in one state. `output` and `after` are empty where it cannot happen."""

    state: str
    event: str
    output: str
    after: str
    section: str


def _read(text: str) -> list[Cell]:
    cells: list[Cell] = []
    state = ""
    for line in text.strip().splitlines():
        if line.startswith("= "):
            state = line[2:]
            continue
        event, output, after, section, *_ = [part.strip() for part in (line + "|||").split("|")]
        cells.append(Cell(state, event, output, (after or state.partition(",")[0]) if output else "", section))
    return cells


TABLE: Final = _read(_TEXT)
COLUMNS: Final = list(dict.fromkeys(cell.state for cell in TABLE))
EVENTS: Final = list(dict.fromkeys(cell.event for cell in TABLE))

# Played elsewhere, since more than one event leads to them.
BY_MORE_EVENTS: Final = {
    (states.CLOSED, states.LISTEN),  # passive OPEN: every scene with a listener
    (states.LISTEN, states.ESTABLISHED),  # test_cookies
    (states.SYN_RCVD, states.TIME_WAIT),  # test_close: an old duplicate SYN
    (states.SYN_RCVD, states.FIN_WAIT_1),  # test_open: CLOSE before the handshake was done
}

_HEAD: Final = """# The states of a connection

Written by `python -m tests.trace.state_table` from the table of transitions that every change of state is checked
against (`synfin.tcp.states.TRANSITIONS`) and from the table that `tests/trace/test_states.py` plays cell by cell.
Do not edit.

## The diagram

RST, ABORT and giving up lead from every state to CLOSED and are left out.

```mermaid
stateDiagram-v2
"""

_BETWEEN: Final = """```

## State by event

Each cell says what comes out and, after the arrow, the next state if it is another one; then the section that says so
(numbers are RFCs). `-`: nothing comes out. An empty cell cannot happen: no such timer runs in that state, or the
interface has no such call there. SYN-RCVD stands here twice: as the listener's record of a passive open, and as the
connection of a simultaneous open ("active").

Where synfin departs from the letter of RFC 9293, on purpose:

- A SYN in a synchronized state gets a challenge ACK, and a RST must bear the exact number (RFC 5961).
- SYN,FIN to a listener is dropped, as Linux does: nobody means it.
- A port that listens is not opened actively (RFC 9293 3.10.1 lets LISTEN become SYN-SENT), and no port is opened to
  itself on the own address: EADDRINUSE. Otherwise a client could become its own server.
- CLOSE in SYN-RCVD waits for the end of the handshake and then goes to FIN-WAIT-1; its FIN could not be sent before.
- CLOSE of a listener is ABORT to what is half open there, and so is the end of a host: no user has it yet. Linux says
  nothing and answers the third segment by RST, which nobody does for a host that has ended, nor when that was lost.
- LAST-ACK and FIN-WAIT-1 begin with CLOSE, also while bytes queued before it still have to go out; as Linux does.
- CLOSE with input unread, or after SO_LINGER with no time, sends what the windows let out of what was written, then RST
  at SND.NXT; the rest is dropped, as by a kernel, which had sent the first part at the write.
- A RST in CLOSING or LAST-ACK is told to the user as ECONNRESET when text of his is unacknowledged, as in Linux and
  FreeBSD; the RFC ends these states without a word. In CLOSE-WAIT it is EPIPE, as in Linux.
- In TIME-WAIT what brings no text is answered at most twice a second, as in the other states, or two hosts that
  disagree would acknowledge for ever; the last ACK again is not answered. And a RST does not end it (RFC 1337).
- A peer that has filled our window stands at its right edge: from there its ACK counts and its RST is challenged. At a
  closed window that is one number more, since its probe may have counted a byte or its FIN.
- Text and FIN on a SYN or SYN,ACK are not taken (3.10.7.2 and 3.10.7.3 queue or process them): the ACK covers the SYN
  only. On a SYN since its sender is not proved yet; on a SYN,ACK since hardly any peer sends it, and one way in is
  enough. The price: such a peer sends them once more, after its retransmission timeout, commonly a second.
- FIN-WAIT-2 ends after `Config.fin_timeout_us` when nobody is left to read.
- A segment without the timestamp that was agreed on is taken, as Linux does: without PAWS, TS.Recent unchanged
  (`Config.timestamps_required` drops it, as RFC 7323 3.2 recommends). The third segment after a SYN cookie is not: the
  options of the SYN travel in that timestamp.
- A SYN into TIME-WAIT that may begin a new incarnation (a newer timestamp, or where one side has none a higher number,
  RFC 6191) opens a half-open entry; TIME-WAIT ends only when its handshake does, and goes on when a RST shows that the
  SYN was an old duplicate (RFC 9293 3.6.1, MAY-2). Until then it runs its course, no longer for any SYN, and judges all
  that does not acknowledge our SYN,ACK. Any other SYN gets a challenge ACK, where RFC 6191 2 drops it silently.
"""


_JOINT: Final = """
## Both ends at once

Which states the two ends of one connection can be in at the same time. An end whose FIN is acknowledged has a peer that
has reached it, an end that has reached a FIN has a peer that has sent it, and not both can have been the first: all
pairs that do not contradict this, and no others. [`synfin explore`](explore.md) holds every state that it finds against
this table (`synfin.explore.joint`).
"""

_EXPLORED: Final = """
## Every order

What was explored, without a failure. The tests go through each of these with small bounds, as some of these rows have;
`synfin explore --all --record tests/explore/explored.json` takes the large ones and writes the rows anew, and
`python -m tests.trace.state_table` the table. Losses, duplicates and early timers are bounds for each path; states are
different ones, ends those in which nothing can happen any more; the longest is the number of steps to the state that is
farthest from the beginning; run is how often a host's stack had to be asked what an event leads to; seconds are a
processor's, compiled. Where a limit stopped the search, the states stand as the first so many, nearest to the
beginning.
"""


def _name(number: int) -> str:
    return states.NAMES[number].replace("-", "_")


def document() -> str:
    """docs/states.md."""
    lines = [_HEAD.rstrip("\n")]
    lines += [f"    {_name(a)} --> {_name(b)} : {why}" for (a, b), why in states.TRANSITIONS.items()]
    lines += [_BETWEEN.rstrip("\n")]
    cells = {(cell.state, cell.event): cell for cell in TABLE}
    for group in (COLUMNS[:4], COLUMNS[4:8], COLUMNS[8:]):
        lines += ["", "| event | " + " | ".join(group) + " |", "|---" * (len(group) + 1) + "|"]
        for event in EVENTS:
            row = [_cell(cells[state, event]) for state in group]
            if any(row):
                lines.append(f"| {event} | " + " | ".join(row) + " |")
    return "\n".join([*lines, *_joint(), *_explored()]) + "\n"


def _joint() -> list[str]:
    """The table of joint states, which `synfin explore` holds every state against."""
    ends = range(states.SYN_SENT, states.TIME_WAIT + 1)
    lines = [_JOINT, "| | " + " | ".join(states.NAMES[b] for b in ends) + " |", "|---" * (len(ends) + 1) + "|"]
    for a in ends:
        row = ["•" if (a, b) in JOINT else "" for b in ends]
        lines.append(f"| {states.NAMES[a]} | " + " | ".join(row) + " |")
    lines += ["", "And one end alone, while the other has no connection and no TIME-WAIT:", ""]
    return lines + [f"- {states.NAMES[state]}: {why}" for state, why in GONE_WITH.items() if state != states.CLOSED]


def _explored() -> list[str]:
    """What `synfin explore --record` has written."""
    rows = json.loads(EXPLORED.read_text(encoding="utf-8"))
    return [_EXPLORED, *HEAD, *[table_line(row) for row in rows]]


def _cell(cell: Cell) -> str:
    if not cell.output:
        return ""
    arrow = "" if cell.after == cell.state.partition(",")[0] else f" → {cell.after}"
    return f"{cell.output}{arrow} ({cell.section})"


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
