"""SYN COOKIES: a SYN,ACK whose sequence number is all that is remembered of a SYN. RFC 4987 3.6.

When the SYN queue is full, an answer to a SYN costs no memory: what the third segment must prove is put into our
initial sequence number, and what the SYN's options said into the low bits of our timestamp. The cookie:

    bit 31      parity of the 64-second counter in which it was made: which of the two that are valid
    bits 30-28  index into a table of eight segment sizes
    bits 27-8   proof: keyed hash of 4-tuple, counter, the client's ISN, the index and the option bits
    bits 7-0    tag: the same without the client's ISN

One guess of a blind attacker is right with probability 2^-28. A segment from the middle of the client's text does not
tell its ISN; the tag still tells one that has overtaken others from one that never had to do with a cookie. It stands
in the lowest bits, where it does not outlive the first bytes that we send. What is lost: segment sizes between the
table's, and all other options of a client that sends no timestamps. Nothing here keeps state; keys are drawn anew
from the secret every 64 counter steps, and a cookie is checked with the key of its own step.
"""

from __future__ import annotations

from hashlib import blake2s
from typing import Final

from mypy_extensions import i64

from synfin.tcp.isn import number_of
from synfin.wire.endian import BytesWriter, put_u16, put_u32, write_i64_be

STEP_US: Final = 64_000_000
STEPS_PER_KEY: Final = 64
# What clients announce today: the defaults, Ethernet, Ethernet less what PPPoE, VPNs and tunnels take, jumbo frames.
MSS_IPV4: Final[tuple[int, ...]] = (536, 1220, 1340, 1380, 1400, 1440, 1460, 8960)
MSS_IPV6: Final[tuple[int, ...]] = (1220, 1280, 1340, 1360, 1380, 1420, 1440, 8940)

OPTION_BITS: Final = 6
OPTION_MASK: Final = 63
NO_SCALE: Final = 15
_SACK: Final = 16
_ECN: Final = 32
PROOF_MASK: Final = 0x0FFFFF00
TAG_MASK: Final = 0xFF


def pack_options(wscale: i64, sack: bool, ecn: bool) -> i64:
    """Six bits for the timestamp; wscale -1: none was offered."""
    return (wscale if wscale >= 0 else NO_SCALE) | (_SACK if sack else 0) | (_ECN if ecn else 0)


def option_wscale(bits: i64) -> i64:
    """The client's window scale; -1: none."""
    scale = bits & 15
    return -1 if scale == NO_SCALE else scale


def option_sack(bits: i64) -> bool:
    """The client permits SACK."""
    return bits & _SACK != 0


def option_ecn(bits: i64) -> bool:
    """The client asks for ECN, and was told that it has it."""
    return bits & _ECN != 0


def stamp(ts_now: i64, bits: i64) -> i64:
    """Our timestamp with the option bits in its lowest six. Rounded down, so that no later value goes back."""
    value = (ts_now & ~OPTION_MASK) | bits
    if value > ts_now:
        value -= OPTION_MASK + 1
    return value & 0xFFFFFFFF


def segment_size(key: bytes, iss: i64) -> i64:
    """What a valid cookie says of the client's segment size."""
    index = int((iss >> 28) & 7)
    return MSS_IPV4[index] if len(key) == 12 else MSS_IPV6[index]


class SynCookies:
    """Makes and checks cookies. `key` names the connection as in an incoming packet; times are microseconds."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) < 16:
            raise ValueError("a cookie secret needs at least 16 bytes of entropy")
        self._secret = secret[:32]
        self._keyed: dict[int, blake2s] = {}  # of the two periods that can matter

    def encode(self, key: bytes, irs: i64, mss: i64, bits: i64, now: i64) -> i64:
        """The initial sequence number that answers a SYN numbered `irs`. bits: 0 without timestamps."""
        table = MSS_IPV4 if len(key) == 12 else MSS_IPV6
        index: i64 = 0  # also below the table: its least is what every host must accept (RFC 791, RFC 8200 5)
        for place in range(len(table)):
            if table[place] <= mss:
                index = place
        counter = now // STEP_US
        proof, tag = self._proof(key, irs, index, bits, counter), self._tag(key, index, bits, counter)
        return ((counter & 1) << 31) | (index << 28) | proof | tag

    def key_at(self, now: i64) -> bytes:
        """What cookies are hashed with now."""
        return self._key(int(now // STEP_US) // STEPS_PER_KEY)

    def step(self, key: bytes, iss: i64, bits: i64, now: i64) -> i64:
        """The counter step, this one or the last, in which `iss` was made, if its tag says that it is a cookie; -1: no.

        One number in 256 bears the right tag by chance.
        """
        counter = now // STEP_US
        if (counter & 1) != (iss >> 31) & 1:
            counter -= 1
        if counter < 0 or self._tag(key, (iss >> 28) & 7, bits, counter) != iss & TAG_MASK:
            return -1
        return counter

    def proves(self, key: bytes, irs: i64, iss: i64, bits: i64, step: i64) -> bool:
        """The cookie `iss`, made in that step, answered a SYN numbered `irs`."""
        return self._proof(key, irs, (iss >> 28) & 7, bits, step) == iss & PROOF_MASK

    def _proof(self, key: bytes, irs: i64, index: i64, bits: i64, counter: i64) -> i64:
        text = BytesWriter()
        text.write(key)
        put_u32(text, irs)
        return self._hash(text, index, bits, counter) & PROOF_MASK

    def _tag(self, key: bytes, index: i64, bits: i64, counter: i64) -> i64:
        text = BytesWriter()
        text.write(key)
        return self._hash(text, index, bits, counter) & TAG_MASK

    def _hash(self, text: BytesWriter, index: i64, bits: i64, counter: i64) -> i64:
        write_i64_be(text, counter)
        put_u16(text, index << 8 | bits)
        period = int(counter // STEPS_PER_KEY)
        keyed = self._keyed.get(period)
        if keyed is None:
            keyed = blake2s(key=self._key(period), digest_size=4)
            if len(self._keyed) >= 2:
                del self._keyed[min(self._keyed)]
            self._keyed[period] = keyed
        return number_of(keyed, text.getvalue())

    def _key(self, period: int) -> bytes:
        return blake2s(period.to_bytes(8, "big"), key=self._secret, person=b"cookies").digest()
