import pytest

from synfin.wire.errors import WireError
from synfin.wire.options import Options, build, parse_untrusted
from synfin.wire.tcp_header import ACK, AE, CWR, ECE, FIN, PSH, RST, SYN, URG, flag_names


def parse(data: bytes, syn: bool = True) -> Options:
    options = Options()
    parse_untrusted(data, 0, len(data), syn, options)
    return options


def test_a_syn_has_the_layout_of_linux() -> None:
    options = Options()
    options.mss, options.wscale, options.sack_permitted = 1460, 7, True
    options.has_ts, options.ts_val, options.ts_ecr = True, 0x11223344, 0xAABBCCDD
    assert build(options).hex() == "020405b4" + "0402080a11223344aabbccdd" + "01030307"


def test_timestamps_alone_are_preceded_by_two_nops() -> None:
    options = Options()
    options.has_ts, options.ts_val, options.ts_ecr = True, 1, 2
    assert build(options).hex() == "0101080a0000000100000002"


def test_sack_permitted_alone_is_preceded_by_two_nops() -> None:
    options = Options()
    options.sack_permitted = True
    assert build(options).hex() == "01010402"


def test_sack_blocks_follow_the_timestamps() -> None:
    options = Options()
    options.has_ts = True
    options.sack = [(1, 0xFFFFFFFF), (3, 4), (5, 6)]
    built = build(options)
    assert built[12:].hex() == "0101051a" + "00000001ffffffff" + "0000000300000004" + "0000000500000006"
    assert len(built) == 40


@pytest.mark.parametrize(
    ("cookie", "built"),
    [(b"", "22020101"), (b"\xaa" * 6, "2208" + "aa" * 6), (b"\xbb" * 8, "220a" + "bb" * 8 + "0101")],
)
def test_a_fast_open_option_is_padded_to_a_word(cookie: bytes, built: str) -> None:
    options = Options()
    options.fast_open = cookie
    assert build(options).hex() == built
    assert parse(bytes.fromhex(built)).fast_open == cookie


def test_more_than_40_bytes_are_not_built() -> None:
    options = Options()
    options.mss = 1460
    options.sack = [(1, 2)] * 4
    assert len(build(options)) == 40
    options.wscale = 7
    with pytest.raises(ValueError):
        build(options)


@pytest.mark.parametrize("count", [0, 5])
def test_a_sack_option_with_no_or_five_blocks_is_not_built(count: int) -> None:
    options = Options()
    options.sack = [(1, 2)] * count
    with pytest.raises(ValueError):
        build(options)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 17, 18])
def test_a_cookie_of_illegal_length_is_neither_built_nor_read(size: int) -> None:
    options = Options()
    options.fast_open = b"c" * size
    with pytest.raises(ValueError):
        build(options)
    assert parse(bytes([34, 2 + size]) + b"c" * size).fast_open is None


def test_a_cookie_without_syn_is_ignored() -> None:
    assert parse(bytes([34, 6]) + b"cook", syn=False).fast_open is None
    assert parse(bytes([34, 6]) + b"cook", syn=True).fast_open == b"cook"


def test_unknown_options_are_skipped() -> None:
    options = parse(bytes([253, 5, 1, 2, 3, 254, 2, 2, 4, 5, 0xB4]))
    assert options.mss == 1460


def test_nothing_is_read_behind_the_end_of_option_list() -> None:
    options = parse(bytes([1, 0, 2, 4, 5, 0xB4, 2, 0]))
    assert options.mss == -1


def test_of_an_option_that_occurs_twice_the_last_counts() -> None:
    assert parse(bytes([2, 4, 0, 1, 2, 4, 0, 2])).mss == 2


def test_a_window_scale_above_14_is_given_as_it_is() -> None:
    assert parse(bytes([3, 3, 255])).wscale == 255


@pytest.mark.parametrize(
    "data",
    [
        bytes([2]),
        bytes([2, 4, 5]),
        bytes([253, 0, 0, 0]),
        bytes([253, 1, 0, 0]),
        bytes([253, 9, 0, 0]),
        bytes([2, 3, 0]),
        bytes([2, 5, 0, 0, 0]),
        bytes([3, 2]),
        bytes([3, 4, 1, 1]),
        bytes([4, 3, 0]),
        bytes([5, 2]),
        bytes([5, 9]) + bytes(7),
        bytes([5, 11]) + bytes(9),
        bytes([8, 9]) + bytes(7),
        bytes([8, 11]) + bytes(9),
    ],
)
def test_an_illegal_length_is_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        parse(data)


def test_an_option_does_not_reach_beyond_the_header_into_the_data() -> None:
    data = bytes([2, 4, 5, 0xB4])
    with pytest.raises(WireError):
        parse_untrusted(data, 0, 3, True, Options())


def test_flag_names_are_the_control_bits_from_the_lowest() -> None:
    assert flag_names(0) == ""
    assert flag_names(SYN | ACK) == "SYN,ACK"
    assert flag_names(FIN | SYN | RST | PSH | ACK | URG | ECE | CWR | AE) == "FIN,SYN,RST,PSH,ACK,URG,ECE,CWR,AE"


@pytest.mark.parametrize("kind", [172, 174])
@pytest.mark.parametrize(
    ("size", "fields"),
    [
        (2, (-1, -1, -1)), (3, (-1, -1, -1)), (4, (-1, -1, -1)), (5, (0x010203, -1, -1)), (7, (0x010203, -1, -1)),
        (8, (0x010203, 0x040506, -1)), (11, (0x010203, 0x040506, 0x070809)), (14, (0x010203, 0x040506, 0x070809)),
    ],
)  # fmt: skip
def test_of_an_accecn_option_whole_fields_count(kind: int, size: int, fields: tuple[int, int, int]) -> None:
    # RFC 9768 3.2.3: "MUST use those whole 3-octet fields that fit within the length and ignore the remainder"
    data = bytes([kind, size]) + bytes(range(1, size - 1))
    options = Options()
    parse_untrusted(data, 0, len(data), False, options)
    assert options.accecn_order == (0 if kind == 172 else 1)
    assert (options.accecn_first, options.accecn_ceb, options.accecn_last) == fields
