"""Network(check=True) runs a seed twice, and tells the first difference as a place in the program."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from synfin.sim import Network
from synfin.sim.journal import first_difference

PROGRAM = """
import asyncio, os
from synfin.sim import Network

async def serve():
    async def answer(reader, writer):
        writer.write((await reader.readline()).upper())
        writer.close()
    await (await asyncio.start_server(answer, port=7)).serve_forever()

async def ask():
    reader, writer = await asyncio.open_connection("server", 7)
    {write}
    await reader.readline()
    writer.close()

async def main():
    network.host("server").start(serve)
    network.link("server", "client", delay="10ms", jitter="2ms", loss=0.1)
    await network.after("1s")
    await network.host("client").start(ask())

Network(1, check=True).run(asyncio.sleep(1))
network = Network(2, check=True, shuffle=True)
network.host("client")
try:
    network.run(main())
finally:
    print("after", network.now > 1)
"""


def run(folder: Path, write: str) -> subprocess.CompletedProcess[str]:
    (folder / "program.py").write_text(PROGRAM.format(write=write))
    command = [sys.executable, "program.py"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100, check=False)


def test_two_runs_of_a_program_that_its_seed_decides_are_the_same(tmp_path: Path) -> None:
    done = run(tmp_path, 'writer.write(b"hello\\n")')
    assert (done.returncode, done.stdout, done.stderr) == (0, "after True\n", "")


@pytest.mark.parametrize(
    "write",
    [
        'writer.write(b"%d\\n" % (hash("text") % 100_000))',
        'writer.write(" ".join({"a", "b", "c", "d", "e", "f"}).encode() + b"\\n")',
        'writer.write(b"%d\\n" % os.getpid())',
    ],
)
def test_text_that_depends_on_the_process_is_told_with_who_wrote_it(tmp_path: Path, write: str) -> None:
    done = run(tmp_path, write)
    assert done.returncode == 1
    assert "Nondeterminism: two runs of seed 2 are not the same; the first difference:" in done.stderr
    assert "here:  1.0" in done.stderr
    assert "client -> server: PSH,ACK seq 1 ack 1" in done.stderr
    before = done.stderr.partition("before: ")[2]
    assert "client: client/ask: ask, at " in before
    assert "program.py:12 in ask -> ask, at " in before
    assert "program.py:14 in ask" in before


def test_a_step_that_only_one_run_takes_is_told_with_its_place(tmp_path: Path) -> None:
    done = run(tmp_path, 'writer.write(b"x\\n"); await asyncio.sleep(os.getpid() / 1000)')
    assert done.returncode == 1
    assert "two runs of seed 2 are not the same" in done.stderr
    assert "program.py:13 in ask" in done.stderr


def test_a_test_can_be_checked_by_its_mark(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import asyncio, os, pytest\n"
        "async def wait(network, seconds):\n    await asyncio.sleep(seconds)\n"
        "@pytest.mark.synfin(seeds=2, check=True)\nasync def test_same(network):\n    await wait(network, 1)\n"
        "@pytest.mark.synfin(check=True)\nasync def test_other(network):\n    await wait(network, os.getpid())\n"
    )
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)
    assert "1 failed, 2 passed" in done.stdout, done.stdout + done.stderr
    assert "Nondeterminism: two runs of seed 0 are not the same" in done.stdout
    assert "test_it.py:3 in wait" in done.stdout


def test_what_ends_earlier_differs_there() -> None:
    assert first_difference(["1 a: b -> c", "2 a: c"], ["1 a: b -> c"]) == (
        "  here:  2 a: c\n  again: (it had ended)\n  before: 1 a: b -> c"
    )
    assert first_difference(["1 a"], ["1 a"]) == ""


def story(seed: int) -> Network:
    """One connection over a bad link; what it sends depends on the seed alone."""
    network = Network(seed, keep_journal=True)
    server, client = network.host("server"), network.host("client")
    network.link("server", "client", delay="10ms", jitter="2ms", loss=0.1)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        writer.close()

    async def serve() -> None:
        await (await asyncio.start_server(answer, port=7)).serve_forever()

    async def ask() -> None:
        reader, writer = await asyncio.open_connection("server", 7)
        writer.write(b"line\n")
        await reader.readline()
        writer.close()

    async def main() -> None:
        server.start(serve)
        await network.after("1s")
        await client.start(ask())

    network.run(main())
    return network


def test_runs_of_one_seed_have_one_digest_and_one_journal_and_other_seeds_have_others() -> None:
    one, again, other = story(1), story(1), story(2)
    assert one.digest == again.digest != other.digest
    assert one.journal == again.journal != other.journal
    assert one.journal[-1].endswith("the run ends")
