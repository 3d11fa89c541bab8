"""What is written on an arrow: flags, relative and true numbers, length, window, options, and what is odd about it."""

from __future__ import annotations

from synfin.view.numbering import Packet
from synfin.view.rows import Words
from synfin.wire.tcp_header import ACK, FIN, RST, SYN, URG, flag_names


def style_of(packet: Packet) -> str:
    """The style that says what kind of segment it is."""
    if packet.flags & RST or (packet.fields.trouble and not packet.flags):
        return "rst"
    if packet.flags & SYN:
        return "syn"
    if packet.flags & FIN:
        return "fin"
    return "data" if packet.length else "ack"


def label(packet: Packet) -> tuple[Words, ...]:
    """Everything worth knowing of a segment or burst. The window is optional unless it is news."""
    fields = packet.fields
    if fields.trouble and not packet.flags and not fields.seq:
        return (Words(f"unreadable: {fields.trouble}", "rst"),)
    seq = 0 if packet.flags & SYN else packet.seq
    words = [Words(flag_names(packet.flags) or "no flags", style_of(packet)), Words(f"seq={seq:,} ({fields.seq})")]
    if packet.flags & ACK:
        words.append(Words(f"ack={packet.ack:,} ({fields.ack})"))
    if packet.length:
        words.append(Words(f"len={packet.length:,}"))
    if packet.count > 1:
        words.append(Words(f"({packet.count} segments)"))
    window = Words(f"win={packet.window}", "", not packet.window_matters)
    if packet.flags & SYN:
        words.append(window)
    options = _options(packet)
    if options:
        words.append(Words(f"<{options}>", "dim"))
    if packet.flags & URG:
        words.append(Words(f"urgent={fields.urgent}"))
    if fields.congestion:
        words.append(Words("[congestion experienced]", "note"))
    if packet.remark:
        words.append(Words(f"[{packet.remark}]", "note"))
    if fields.trouble:
        words.append(Words(f"[{fields.trouble}]", "rst"))
    if not packet.flags & (SYN | RST):
        words.append(window)
    return tuple(words)


def short_label(packet: Packet) -> tuple[Words, ...]:
    """Enough to recognise a segment whose full label stands further up."""
    seq = 0 if packet.flags & SYN else packet.seq
    words = [Words(flag_names(packet.flags) or "no flags", style_of(packet)), Words(f"seq={seq:,}")]
    if packet.length:
        words.append(Words(f"len={packet.length:,}"))
    elif packet.flags & ACK and not packet.flags & (SYN | FIN):
        words.append(Words(f"ack={packet.ack:,}"))
    return tuple(words)


def _options(packet: Packet) -> str:
    fields = packet.fields
    syn = packet.flags & SYN != 0
    if not syn and fields.options_end - fields.options_at <= 12:
        return ""  # timestamps at most
    options = fields.options
    parts: list[str] = []
    if options.mss >= 0:
        parts.append(f"mss {options.mss}")
    if options.sack_permitted:
        parts.append("sackOK")
    if options.has_ts and syn:
        parts.append("ts")
    if options.wscale >= 0:
        parts.append(f"ws {options.wscale}")
    if options.fast_open is not None:
        size = len(options.fast_open)
        parts.append(f"fast open cookie of {size} bytes" if size else "fast open request")
    if options.sack:
        base = packet.ack
        blocks = [
            f"{base + _signed(left - fields.ack):,}..{base + _signed(right - fields.ack):,}"
            for left, right in options.sack
        ]
        parts.append("sack " + " ".join(blocks))
    return ", ".join(parts)


def _signed(delta: int) -> int:
    return ((delta + 0x80000000) & 0xFFFFFFFF) - 0x80000000


def count_text(number: int, what: str) -> str:
    """A number of things, in the plural where there are several."""
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def bytes_text(size: int) -> str:
    """
    >>> bytes_text(67_108_864)
    '64.0 MB'
    """
    if size < 1024:
        return count_text(size, "byte")
    for unit in ("KB", "MB", "GB"):
        if size < 1024**2 or unit == "GB":
            return f"{size / 1024:,.1f} {unit}"
        size //= 1024
    raise AssertionError


def duration_text(us: int) -> str:
    """Microseconds as a person reads them."""
    if us < 1000:
        return f"{us} us"
    if us < 1_000_000:
        return f"{us / 1000:.3g} ms"
    return f"{us / 1_000_000:.3g} s"


def rate_text(size: int, us: int) -> str:
    """Bytes in microseconds, as bits a second."""
    mbits = size * 8 / us
    return f"{mbits / 1000:.3g} Gbit/s" if mbits >= 1000 else f"{mbits:.3g} Mbit/s"
