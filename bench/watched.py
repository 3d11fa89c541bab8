"""What `synfin watch` costs the host: a bulk transfer beside 1,000 connections, slices with and without in one run."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

from bench.setting import Setting
from bench.users import Sink

CONNECTIONS = 1000
WATCHED = 8  # slices with a watcher, each between two without
SLICE_SECONDS = 1.2  # of each, at least: the table is told once a second
SETTLE_SECONDS = 0.2
PATIENCE_SECONDS = 60.0  # for the watcher to have seen the whole table, on a busy machine


def control_path() -> Path:
    """For this process alone."""
    return Path(tempfile.mkdtemp(prefix="synfin-bench-")) / "host.sock"


async def slowdown(setting: Setting, path: Path, address: str, port: int, *, by_processor: bool) -> float:
    """Percent by which watching slows it: by the bytes of a second, or of a second of this process's processor."""
    pipe = subprocess.PIPE
    holding = await asyncio.create_subprocess_exec(
        *setting.command("hold", address, port, CONNECTIONS), stdin=pipe, stdout=pipe
    )
    assert holding.stdout is not None
    await asyncio.wait_for(holding.stdout.readline(), setting.patience)
    watcher = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.watcher", str(path), stdin=pipe, stdout=pipe
    )
    length = max(setting.seconds, SLICE_SECONDS)
    duration = int((setting.warm + (2 * WATCHED + 1) * (length + SETTLE_SECONDS) + PATIENCE_SECONDS) * 1000)
    sending = await asyncio.create_subprocess_exec(*setting.command("send", address, port, duration))
    await asyncio.sleep(setting.warm)
    rates: dict[str, list[float]] = {"off": [], "on": []}
    for number in range(2 * WATCHED + 1):
        word = "off" if number % 2 == 0 else "on"
        await _say(watcher, word, setting.patience)
        await asyncio.sleep(SETTLE_SECONDS)
        rates[word].append(await _rate(length, by_processor))
    if sending.returncode is not None:
        raise RuntimeError("the sender ended too early")
    # A slice with beside those before and after it, since a busy machine changes by the second.
    beside = [statistics.mean(pair) for pair in pairwise(rates["off"])]
    return (1 - statistics.median(on / off for on, off in zip(rates["on"], beside, strict=True))) * 100


async def _say(watcher: asyncio.subprocess.Process, word: str, patience: float) -> None:
    assert watcher.stdin is not None
    assert watcher.stdout is not None
    watcher.stdin.write(f"{word}\n".encode())
    if (await asyncio.wait_for(watcher.stdout.readline(), patience)).decode().strip() != word:
        raise RuntimeError("the watcher has ended")


async def _rate(seconds: float, by_processor: bool) -> float:
    clock = time.process_time if by_processor else time.perf_counter
    bytes_before, before = Sink.received, clock()
    await asyncio.sleep(seconds)
    bytes_after, after = Sink.received, clock()
    if bytes_after == bytes_before:
        raise RuntimeError("nothing was carried")
    return (bytes_after - bytes_before) / (after - before)
