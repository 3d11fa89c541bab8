"""What a program is told when a connection goes wrong, in lines: `python -m tests.interop.errnos`.

Run without synfin and with it, in the same network, the lines must be the same.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable

from tests.interop.internet import NOWHERE, SILENT, WEB, WEB6

SECONDS = 30.0


def connected(port: int, address: str = WEB) -> socket.socket:
    made = socket.create_connection((address, port), timeout=SECONDS)
    made.settimeout(SECONDS)
    return made


def refused() -> str:
    connected(81)
    return "connected"


def refused_6() -> str:
    connected(81, WEB6)
    return "connected"


def unreachable() -> str:
    connected(80, NOWHERE)
    return "connected"


def timeout() -> str:
    with socket.socket() as one:
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_SYNCNT, 1)
        one.connect((SILENT, 80))
    return "connected"


def reset_in_the_middle() -> str:
    with connected(9) as one:
        one.sendall(b"line\n")
        return repr(one.recv(10))


def write_after_reset() -> str:
    with connected(9) as one:
        one.sendall(b"line\n")
        try:
            one.recv(10)
        except ConnectionResetError:
            one.sendall(b"more\n")
    return "written"


def half_close() -> str:
    with connected(11) as one:
        one.sendall(b"x" * 100_000)
        one.shutdown(socket.SHUT_WR)
        return repr(one.recv(100)) + repr(one.recv(100))


def half_closed_by_the_peer() -> str:
    with connected(13) as one:
        said = one.makefile("rb").read()
        one.sendall(b"still heard\n")
        return repr(said)


def datagram_refused() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.settimeout(SECONDS)
        one.connect((WEB, 81))
        one.send(b"x")
        return repr(one.recv(10))


SITUATIONS: dict[str, Callable[[], str]] = {
    function.__name__: function
    for function in (
        refused, refused_6, unreachable, timeout, reset_in_the_middle, write_after_reset, half_close,
        half_closed_by_the_peer, datagram_refused,
    )
}  # fmt: skip


def main() -> None:
    for name, situation in SITUATIONS.items():
        try:
            outcome = situation()
        except OSError as error:
            outcome = errno.errorcode.get(error.errno or 0, repr(error))
        print(name, outcome, flush=True)


if __name__ == "__main__":
    main()
