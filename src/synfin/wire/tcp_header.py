"""The control bits of the TCP header (RFC 9293 3.1; ECE and CWR: RFC 3168 6.1; AE: RFC 9768 3.1.1)."""

from typing import Final

from mypy_extensions import i64

FIN: Final = 1
SYN: Final = 2
RST: Final = 4
PSH: Final = 8
ACK: Final = 16
URG: Final = 32
ECE: Final = 64
CWR: Final = 128
AE: Final = 256

HEADER_LEN: Final = 20  # without options
MAX_OPTIONS_LEN: Final = 40  # the data offset counts at most 15 words

_NAMES: Final = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "AE")


def flag_names(flags: i64) -> str:
    """The control bits as people write them, lowest bit first; "" for none.

    >>> flag_names(SYN | ACK)
    'SYN,ACK'
    """
    bits: int = flags
    return ",".join([name for place, name in enumerate(_NAMES) if bits >> place & 1])
