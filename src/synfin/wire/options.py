"""TCP options (RFC 9293 3.2): the bytes between the fixed header and the data, and the fields they mean.

MSS (RFC 9293 3.7.1), window scale and timestamps (RFC 7323 2.2, 3.2), SACK (RFC 2018 2, 3), Fast Open (RFC 7413 4.1.1),
AccECN (RFC 9768 3.2.3).
Values are kept as they stand on the wire; what an option means for a connection is decided in tcp/. Options are written
in Linux's order whatever the flags, so one set of fields has one encoding.
"""

from typing import Final

from mypy_extensions import i64

from synfin.wire.endian import BytesWriter, put_u16, put_u32, read_i64_be, read_u16, read_u32
from synfin.wire.errors import WireError
from synfin.wire.tcp_header import MAX_OPTIONS_LEN

EOL: Final = 0
NOP: Final = 1
MSS: Final = 2
WINDOW_SCALE: Final = 3
SACK_PERMITTED: Final = 4
SACK: Final = 5
TIMESTAMPS: Final = 8
FAST_OPEN: Final = 34
ACCECN_0: Final = 172  # fields e0b, ceb, e1b
ACCECN_1: Final = 174  # fields e1b, ceb, e0b

NO_ECN_OPTION: Final = -1

TS_BLOCK: Final = 0x0101080A  # NOP, NOP, kind 8, length 10: the layout RFC 7323 appendix A recommends


class Options:
    """The option fields of one segment."""

    def __init__(self) -> None:
        self.mss: i64 = -1  # -1: absent
        self.wscale: i64 = -1  # -1: absent; the raw shift, which may exceed 14
        self.sack_permitted: bool = False
        self.has_ts: bool = False
        self.ts_val: i64 = 0  # 0 unless has_ts
        self.ts_ecr: i64 = 0  # 0 unless has_ts
        self.sack: list[tuple[int, int]] | None = None  # wire numbers (left, right), one to four blocks, as sent
        self.fast_open: bytes | None = None  # b"": a cookie request; else the cookie, 4 to 16 bytes, even
        self.accecn_order: i64 = NO_ECN_OPTION  # 0 or 1: which of the two AccECN options there is
        self.accecn_first: i64 = -1  # its fields, of 24 bits; -1: absent, and so are those after it
        self.accecn_ceb: i64 = -1
        self.accecn_last: i64 = -1

    def clear_options(self) -> None:
        """No option is left."""
        self.mss = -1
        self.wscale = -1
        self.sack_permitted = False
        self.has_ts = False
        self.ts_val = 0
        self.ts_ecr = 0
        self.sack = None
        self.fast_open = None
        self.accecn_order = NO_ECN_OPTION
        self.accecn_first = -1
        self.accecn_ceb = -1
        self.accecn_last = -1


def parse_untrusted(data: bytes, start: i64, end: i64, syn: bool, into: Options) -> None:
    """Read the options in `data[start:end]` into fields that `clear_options` has cleared.

    An option that occurs twice counts as it was last. Raises WireError on an illegal length.
    """
    at = start
    while at < end:
        kind: i64 = data[at]
        if kind == EOL:
            return
        if kind == NOP:
            at += 1
            continue
        # RFC 9293 3.1, MUST-7: be prepared for an illegal option length. A length below 2 would never advance.
        if at + 2 > end:
            raise WireError("TCP option without its length")
        size: i64 = data[at + 1]
        if size < 2 or at + size > end:
            raise WireError("TCP option with an illegal length")
        if kind == TIMESTAMPS:
            _expect(size, 10)
            stamps = read_i64_be(data, at + 2)
            into.has_ts = True
            into.ts_val = (stamps >> 32) & 0xFFFFFFFF
            into.ts_ecr = stamps & 0xFFFFFFFF
        elif kind == SACK:
            if size < 10 or (size - 2) % 8 != 0:
                raise WireError("SACK option with an illegal length")
            into.sack = _read_sack(data, at + 2, at + size)
        elif kind == MSS:
            _expect(size, 4)
            into.mss = read_u16(data, at + 2)
        elif kind == WINDOW_SCALE:
            _expect(size, 3)
            into.wscale = data[at + 2]
        elif kind == SACK_PERMITTED:
            _expect(size, 2)
            into.sack_permitted = True
        elif kind == FAST_OPEN and syn and cookie_len_ok(size - 2):
            # RFC 7413 4.1.1: with an invalid cookie length or without SYN the option MUST be ignored, not refused.
            into.fast_open = data[at + 2 : at + size]
        elif kind == ACCECN_0 or kind == ACCECN_1:
            _read_accecn(data, at, at + size, into)
        # RFC 9293 3.1, MUST-6: options that are not implemented are ignored.
        at += size


def cookie_len_ok(size: i64) -> bool:
    """RFC 7413 4.1.1: a cookie is 4 to 16 bytes and even; 0 bytes ask for one."""
    return size == 0 or (4 <= size <= 16 and size % 2 == 0)


def build(options: Options) -> bytes:
    """The options as bytes, a multiple of 4 long. Raises ValueError if they need more than 40 bytes.

    Layout and padding are Linux's: MSS; SACK-permitted and timestamps in three words; NOP window scale;
    NOP NOP SACK; Fast Open; AccECN.
    """
    w = BytesWriter()
    if options.mss >= 0:
        w.append(MSS)
        w.append(4)
        put_u16(w, options.mss)
    if options.sack_permitted:
        if not options.has_ts:
            _nops(w, 2)
        w.append(SACK_PERMITTED)
        w.append(2)
    if options.has_ts:
        if not options.sack_permitted:
            _nops(w, 2)
        w.append(TIMESTAMPS)
        w.append(10)
        put_u32(w, options.ts_val)
        put_u32(w, options.ts_ecr)
    if options.wscale >= 0:
        scale: int = options.wscale
        w.append(NOP)
        w.append(WINDOW_SCALE)
        w.append(3)
        w.append(scale)
    sack = options.sack
    if sack is not None:
        if not 1 <= len(sack) <= 4:
            raise ValueError(f"a SACK option has one to four blocks, not {len(sack)}")
        _nops(w, 2)
        w.append(SACK)
        w.append(2 + 8 * len(sack))
        for left, right in sack:
            put_u32(w, left)
            put_u32(w, right)
    cookie = options.fast_open
    if cookie is not None:
        if not cookie_len_ok(len(cookie)):
            raise ValueError(f"a Fast Open cookie of {len(cookie)} bytes")
        w.append(FAST_OPEN)
        w.append(2 + len(cookie))
        w.write(cookie)
        _nops(w, (2 - len(cookie)) % 4)
    if options.accecn_order != NO_ECN_OPTION:
        _write_accecn(w, options)
    built = w.getvalue()
    if len(built) > MAX_OPTIONS_LEN:
        raise ValueError(f"{len(built)} bytes of TCP options, at most {MAX_OPTIONS_LEN} fit")
    return built


def _expect(size: i64, legal: i64) -> None:
    if size != legal:
        raise WireError("TCP option with an illegal length")


def _read_sack(data: bytes, at: i64, end: i64) -> list[tuple[int, int]]:
    blocks: list[tuple[int, int]] = []
    while at < end:
        blocks.append((read_u32(data, at), read_u32(data, at + 4)))
        at += 8
    return blocks


def _read_accecn(data: bytes, at: i64, end: i64, into: Options) -> None:
    """RFC 9768 3.2.3: whole fields that fit the length count, and nothing else of it."""
    into.accecn_order = 0 if data[at] == ACCECN_0 else 1
    into.accecn_first = _read_u24(data, at + 2) if at + 5 <= end else -1
    into.accecn_ceb = _read_u24(data, at + 5) if at + 8 <= end else -1
    into.accecn_last = _read_u24(data, at + 8) if at + 11 <= end else -1


def _read_u24(data: bytes, at: i64) -> i64:
    upper: i64 = data[at]
    return (upper << 16) | read_u16(data, at + 1)


def _write_accecn(w: BytesWriter, options: Options) -> None:
    fields = (options.accecn_first, options.accecn_ceb, options.accecn_last)
    count: i64 = 0
    while count < 3 and fields[count] >= 0:
        count += 1
    size: int = 2 + 3 * count
    w.append(ACCECN_0 if options.accecn_order == 0 else ACCECN_1)
    w.append(size)
    for place in range(count):
        field: i64 = fields[place]
        upper: int = (field >> 16) & 0xFF
        w.append(upper)
        put_u16(w, field & 0xFFFF)
    _nops(w, -size % 4)


def _nops(w: BytesWriter, count: i64) -> None:
    while count > 0:
        w.append(NOP)
        count -= 1
