"""The path of the goodput benchmarks: what it loses, spares and counts. Packets cross it without delay."""

from __future__ import annotations

import json
import socket
import struct
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from bench.runner import compile_program

SYN, ACK = 2, 16
LEFT_ISN, RIGHT_ISN = 0xFFFFFF00, 7  # the left's numbers wrap early


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory, require_compiler: str) -> Path:
    return compile_program("relay", tmp_path_factory.mktemp("relay"))


def packet(number: int, flags: int = ACK, seq: int = 0, ack: int = 0, text: int = 0) -> bytes:
    """An IPv4 packet with a TCP header, as far as the relay looks; its identification tells it apart."""
    ip = struct.pack("!BBHHHBBHII", 0x45, 0, 40 + text, number, 0, 64, 6, 0, 1, 2)
    return (
        ip + struct.pack("!HHIIBBHHH", 1, 2, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, 5 << 4, flags, 0, 0, 0) + bytes(text)
    )


def number_of(data: bytes) -> int:
    number: int = struct.unpack_from("!H", data, 4)[0]
    return number


def cross(relay: Path, words: list[str], packets: list[tuple[str, bytes]]) -> tuple[dict[str, list[int]], Any]:
    """Send packets, each from "left" or "right", one after the other; which reached each side, and the report."""
    left, right = (socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(2))
    ends = {"left": left[0], "right": right[0]}
    fds = [left[1].fileno(), right[1].fileno()]
    command = [str(relay), *map(str, fds), *words]
    with subprocess.Popen(command, pass_fds=fds, stdout=subprocess.PIPE, text=True) as process:
        for theirs in (left[1], right[1]):
            theirs.close()
        came: dict[str, list[int]] = {"left": [], "right": []}
        for side, data in packets:
            ends[side].send(data)
        for end in ends.values():
            end.shutdown(socket.SHUT_WR)
        for side in ("left", "right"):
            while data := ends[side].recv(1 << 16):
                came[side].append(number_of(data))
        assert process.stdout is not None
        report = json.loads(process.stdout.read())
    for end in ends.values():
        end.close()
    assert process.returncode == 0
    return came, report


def from_left(relay: Path, words: list[str], packets: list[bytes]) -> list[int]:
    """What reaches the right."""
    return cross(relay, words, [("left", data) for data in packets])[0]["right"]


def test_the_same_packets_are_lost_whatever_they_are(relay: Path) -> None:
    words = ["loss=0.3", "seed=5"]
    small = from_left(relay, words, [packet(number) for number in range(100)])
    large = from_left(relay, words, [packet(number, text=1400) for number in range(100)])
    assert small == large
    assert 50 < len(small) < 90
    assert small != from_left(relay, ["loss=0.3", "seed=6"], [packet(number) for number in range(100)])


def test_a_syn_is_never_lost_and_does_not_change_what_is(relay: Path) -> None:
    text = [packet(number) for number in range(60)]
    without = from_left(relay, ["loss=0.5"], text)
    syns = [packet(1000 + number, SYN) for number in range(60)]
    both = from_left(relay, ["loss=0.5"], [data for pair in zip(syns, text, strict=True) for data in pair])
    assert [number for number in both if number < 1000] == without
    assert [number for number in both if number >= 1000] == list(range(1000, 1060))


def test_each_direction_has_losses_of_its_own(relay: Path) -> None:
    packets = [(side, packet(number)) for number in range(80) for side in ("left", "right")]
    came, report = cross(relay, ["loss=0.4"], packets)
    assert came["left"] != came["right"]
    assert report["lost"] == [80 - len(came["right"]), 80 - len(came["left"])]
    came, report = cross(relay, ["loss=0/0.4"], packets)
    assert came["right"] == list(range(80))
    assert report["lost"][0] == 0 < report["lost"][1]


def test_bursts_lose_so_many_in_a_row(relay: Path) -> None:
    came = from_left(relay, ["loss=0.2", "burst=20"], [packet(number) for number in range(1000)])
    gaps = [after - before - 1 for before, after in pairwise(came) if after - before > 1]
    assert gaps
    assert min(gaps) >= 20


def test_what_is_larger_than_the_hole_is_lost(relay: Path) -> None:
    assert from_left(relay, ["hole=1000"], [packet(1, text=960), packet(2, text=961), packet(3)]) == [1, 3]


def test_what_the_queue_can_not_hold_is_dropped(relay: Path) -> None:
    # At one bit a second the first packet is never through: what follows waits behind it.
    packets = [("left", packet(number, text=60)) for number in range(10)]
    _, report = cross(relay, ["rate=1", "queue=350", "limit_ms=200"], packets)
    assert report["dropped"] == [7, 0]


def test_it_ends_when_the_text_is_acknowledged(relay: Path) -> None:
    packets = [
        ("left", packet(1, SYN, seq=LEFT_ISN)),
        ("right", packet(2, SYN | ACK, seq=RIGHT_ISN, ack=LEFT_ISN + 1)),
        ("left", packet(3, seq=LEFT_ISN + 1, ack=RIGHT_ISN + 1, text=600)),
        ("right", packet(4, seq=RIGHT_ISN + 1, ack=LEFT_ISN + 601)),
    ]
    _, report = cross(relay, ["size=600"], packets)
    assert report["finished"]
    assert report["acked"] == [600, 0]
    assert report["text"] == [600, 0]
    assert report["packets"] == [2, 2]
    assert not cross(relay, ["size=601"], packets)[1]["finished"]


def test_an_unknown_word_is_refused(relay: Path) -> None:
    done = subprocess.run([str(relay), "0", "1", "los=1"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "los" in done.stderr
