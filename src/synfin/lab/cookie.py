"""One SYN cookie: recomputed by hand, and what third segments get that are not quite right."""

from __future__ import annotations

from hashlib import blake2s

from synfin.lab.experiment import Finding, Settings
from synfin.lab.world import PORT, SECOND, SERVER, answers, entropy
from synfin.stack.stack import Stack
from synfin.tcp.config import COOKIES_ALWAYS, Config
from synfin.wire.key import make_key
from synfin.wire.segment import Segment, build
from synfin.wire.tcp_header import ACK, RST, SYN

NOW = 1000 * SECOND


class OneCookie:
    """A server that keeps no entry, and its answer to one SYN."""

    def __init__(self, seed: int) -> None:
        secrets: list[bytes] = []
        source = entropy(seed, "cookie")

        def remembered(n: int) -> bytes:
            secrets.append(source(n))
            return secrets[-1]

        self.server = Stack([SERVER], Config(syn_cookies=COOKIES_ALWAYS), entropy=remembered)
        self.server.listen(PORT)
        self.secret = secrets[2]  # the third that a Stack draws
        self.syn = _syn()
        self.server.receive(build(self.syn), NOW)
        self.answer = answers(self.server, NOW)[0]
        self.bits = int(self.answer.ts_val % 64)  # window scale, SACK, ECN

    def by_hand(self) -> int:
        """The cookie, from its definition in tcp/syn_cookies, with nothing of its code."""
        mss_index = 6
        counter = NOW // 64_000_000
        period_key = blake2s((counter // 64).to_bytes(8, "big"), key=self.secret, person=b"cookies").digest()
        rest = counter.to_bytes(8, "big") + bytes([mss_index, self.bits])
        client_isn = int(self.syn.seq).to_bytes(4, "big")
        proof = blake2s(self.syn.key + client_isn + rest, key=period_key, digest_size=4).digest()
        tag = blake2s(self.syn.key + rest, key=period_key, digest_size=4).digest()
        return (counter % 2 << 31) + (mss_index << 28) + (int.from_bytes(proof, "big") >> 8 << 8) % (1 << 28) + tag[3]

    def third(self, *, seq: int = 1, ack: int | None = None, port: int = 40000, later: int = 0) -> str:
        """What a third segment gets. seq: from the client's number on. ack: None, the right one."""
        seg = _syn()
        seg.key = make_key(bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2)), port, PORT)
        ack = self.answer.seq + 1 if ack is None else ack
        seg.seq, seg.ack, seg.flags, seg.mss, seg.wscale = self.syn.seq + seq, ack & 0xFFFFFFFF, ACK, -1, -1
        seg.ts_val, seg.ts_ecr, seg.sack_permitted = 78, self.answer.ts_val, False
        self.server.receive(build(seg), NOW + later)
        said = answers(self.server, NOW + later)
        if any(answer.flags & RST for answer in said):
            return "reset"
        listener = self.server.accepting()
        return "connected" if listener is not None and listener.accept() is not None else "nothing"


def _syn() -> Segment:
    seg = Segment()
    seg.key = make_key(bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2)), 40000, PORT)
    seg.seq, seg.flags, seg.window, seg.mss, seg.wscale = 1_000_000, SYN, 65535, 1460, 7
    seg.has_ts, seg.ts_val, seg.sack_permitted = True, 77, True
    return seg


def cookie(settings: Settings, finding: Finding) -> None:
    """One cookie: its fields, what it is made of, and what becomes of third segments that are not quite right."""
    one = OneCookie(settings.seed)
    number, bits, again = one.answer.seq, one.bits, one.by_hand()
    finding.say(
        f"A cookie: the server's number is {number} = 0x{number:08x}",
        f"  bit 31      {number >> 31}          parity of the 64-second counter, {NOW // 64_000_000}",
        f"  bits 30-28  {number >> 28 & 7}          place in the table of segment sizes: 1460",
        f"  bits 27-8   0x{number >> 8 & 0xFFFFF:05x}    hash of 4-tuple, client's number, counter and options",
        f"  bits 7-0    0x{number & 0xFF:02x}       the same without the client's number",
        f"  timestamp   low bits {bits:06b}: window scale {bits % 16}, SACK {bits >> 4 & 1}, ECN {bits >> 5}",
        f"  by hand     0x{again:08x}",
    )
    outcomes = {
        "one bit of the number changed": one.third(ack=(number ^ 1) + 1),
        "from another port": one.third(port=40001),
        "later text came first": one.third(seq=2),
        "200 s later": one.third(later=200 * SECOND),
        "as it should be": one.third(),
    }
    finding.say("Third segments:", *(f"  {what:34} {outcome}" for what, outcome in outcomes.items()), "")
    server = one.server
    failed = int(server.counters.SyncookiesFailed)
    finding.data["cookie"] = {
        "number": int(number),
        "by_hand": again,
        "outcomes": outcomes,
        "SyncookiesFailed": failed,
        "half_open": server.census()["half_open"],
    }
    finding.expect("the cookie, recomputed by hand from its definition, is the server's number", again == number)
    finding.expect("no entry was kept for it", server.census()["half_open"] == 0)
    finding.expect(
        "its ACK opens a connection, with window scale and SACK kept",
        outcomes["as it should be"] == "connected"
        and server.connections()[0].snapshot().snd_wnd == 65535 << 7
        and server.connections()[0].sender.losses.sack,
    )
    finding.expect(
        "an altered, foreign or old one gets a RST",
        failed == 3 and sum(outcome == "reset" for outcome in outcomes.values()) == 3,
    )
    finding.expect("what has overtaken it is dropped, and comes again", outcomes["later text came first"] == "nothing")
