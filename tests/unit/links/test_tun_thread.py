"""When the kernel's thread of a device is switched on and off; the switch is a file of the test's own."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from synfin.links.tun_thread import LITTLE, MUCH, QUIET_US, WINDOW_US, DeviceThread


class Device:
    def __init__(self, file: Path) -> None:
        self.file = file
        self.file.write_text("")
        self.now = 1_000_000
        self.thread = DeviceThread(os.open(file, os.O_WRONLY))
        self.thread.look(self.now)

    def carry(self, rate: float, windows: int = 1) -> None:
        """rate: bytes a microsecond, in packets of a hundredth of a window's."""
        for _ in range(windows * 100):
            self.now += WINDOW_US // 100
            self.thread.carries([bytes(int(rate * WINDOW_US / 100))])
            self.thread.look(self.now)

    def said(self) -> str:
        return self.file.read_text()


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Device]:
    made = Device(tmp_path / "threaded")
    yield made
    made.thread.close()


def test_it_is_off_until_much_is_carried_and_on_as_long_as_that_lasts(device: Device) -> None:
    device.carry(MUCH * 0.9, windows=5)
    assert (device.thread.on, device.said()) == (False, "")
    device.carry(MUCH * 1.1)
    assert (device.thread.on, device.said()) == (True, "1")
    device.carry(LITTLE * 1.1, windows=5)
    assert (device.thread.on, device.said()) == (True, "1"), "what carries less now and then keeps it"
    device.carry(LITTLE * 0.9, windows=QUIET_US // WINDOW_US - 1)
    device.carry(LITTLE * 1.1)
    device.carry(LITTLE * 0.9, windows=QUIET_US // WINDOW_US - 1)
    assert (device.thread.on, device.said()) == (True, "1"), "a second of little, and no less"
    device.carry(LITTLE * 0.9)
    assert (device.thread.on, device.said()) == (False, "0")


def test_the_first_packet_after_a_pause_finds_that_little_was_carried(device: Device) -> None:
    device.carry(2 * MUCH)
    assert device.thread.on
    device.now += 60_000_000
    device.thread.carries([bytes(1500)])
    device.thread.look(device.now)
    assert not device.thread.on


def test_a_burst_within_a_window_decides_nothing(device: Device) -> None:
    device.thread.carries([bytes(1500)] * 1000)
    device.thread.look(device.now + WINDOW_US - 1)
    assert not device.thread.on


def test_a_switch_that_is_refused_is_let_go_and_packets_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = Device(tmp_path / "threaded")

    def refuse(*_: object) -> int:
        raise OSError(errno.ENODEV, "no such device")

    monkeypatch.setattr(os, "pwrite", refuse)
    device.carry(2 * MUCH, windows=3)
    assert not device.thread.on
    monkeypatch.undo()
    device.carry(2 * MUCH, windows=3)
    assert (device.thread.on, device.said()) == (False, "")


def test_closing_twice_closes_one_descriptor(tmp_path: Path) -> None:
    device = Device(tmp_path / "threaded")
    device.thread.close()
    other = os.open(tmp_path / "threaded", os.O_RDONLY)
    device.thread.close()
    os.fstat(other)
    os.close(other)
