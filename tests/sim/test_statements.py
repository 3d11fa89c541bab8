"""What must hold at all times, what must come to hold in time, and points in a program that its director waits for."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from synfin import sim
from synfin.sim import Network, Violation
from tests.sim.test_plugin import Pytest


class Account:
    """Two halves whose sum is 100 whenever another task can look; but for a moment, if `careless`."""

    def __init__(self, careless: bool = False) -> None:
        self.left, self.right = 100, 0
        self._careless = careless

    async def move(self, amount: int) -> None:
        self.left -= amount
        if self._careless:
            await asyncio.sleep(0)
        self.right += amount


def test_what_always_holds_is_checked_after_each_event() -> None:
    network, account, looks = Network(), Account(), 0

    def whole() -> None:
        nonlocal looks
        looks += 1
        assert account.left + account.right == 100

    async def main() -> None:
        network.always(whole)
        for _ in range(10):
            await account.move(1)
            await network.after("1s")

    network.run(main())
    assert looks >= 20  # each second: a timer, and the task that it wakes


def test_the_step_that_breaks_a_statement_is_named_with_its_time() -> None:
    network, account = Network(), Account(careless=True)

    def whole() -> None:
        assert account.left + account.right == 100

    async def main() -> None:
        network.always(whole)
        await network.after("3s")
        await network.host("bank").start(account.move(10))

    with pytest.raises(Violation) as caught:
        network.run(main())
    error = caught.value
    assert error.time == pytest.approx(3)
    assert error.statement.startswith("always test_the_step_that_breaks_a_statement_is_named_with_its_time.whole (")
    assert "test_statements.py:" in error.statement
    before, after = error.place.split(" -> ")
    assert "bank/Account.move went on" in before
    assert "in Account.move" in before
    assert "in Account.move" in after
    assert "assert (90 + 0) == 100" in str(error)
    assert isinstance(error.__cause__, AssertionError)


def test_a_check_may_return_what_holds() -> None:
    network, done = Network(), False

    async def main() -> None:
        nonlocal done
        network.always(lambda: not done)
        await network.after("1s")
        done = True
        await network.after("1s")

    with pytest.raises(Violation, match=r"always .*<lambda> .*does not hold at 1\.000000 s: it is False"):
        network.run(main())


def test_a_statement_sees_what_packets_do_before_any_task_runs() -> None:
    """An arrival is an event, even if nobody awaits what it brings."""
    network = Network()
    received = 0

    class Count(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: object) -> None:
            nonlocal received
            received += 1

    async def send() -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=("server", 9))
        transport.sendto(b"one")
        transport.sendto(b"two")

    async def main() -> None:
        server, client = network.host("server"), network.host("client")
        loop = asyncio.get_running_loop()
        await server.start(loop.create_datagram_endpoint(Count, local_addr=("0.0.0.0", 9)))
        await client.start(send())
        network.always(lambda: received < 2)
        await network.after("1s")

    with pytest.raises(Violation) as caught:
        network.run(main())
    assert caught.value.time == pytest.approx(0.001, abs=1e-4)


def test_a_statement_that_is_ended_is_checked_no_more() -> None:
    network, done = Network(), False

    async def main() -> None:
        nonlocal done
        statement = network.always(lambda: not done)
        await network.after("1s")
        statement.end()
        done = True
        await network.after("1s")

    network.run(main())


def test_what_comes_true_in_time_is_awaited() -> None:
    network, done = Network(), False

    def finish() -> None:
        nonlocal done
        done = True

    async def main() -> float:
        asyncio.get_running_loop().call_later(4, finish)
        await network.eventually("10s", lambda: done)
        return network.now

    assert network.run(main()) == pytest.approx(4)


def test_what_does_not_come_true_in_time_is_told_with_who_waits_where() -> None:
    network = Network()
    orders: list[str] = []

    def served() -> None:
        assert orders == ["tea"]

    async def main() -> None:
        await network.after("1s")
        network.host("shop").start(asyncio.Event().wait())
        network.eventually("10s", served)
        await network.after("1h")

    with pytest.raises(Violation) as caught:
        network.run(main())
    assert caught.value.time == pytest.approx(11)
    assert caught.value.statement.startswith("eventually within 10 s ")
    assert "shop/Event.wait: Event.wait, at " in caught.value.place
    assert "assert [] == ['tea']" in str(caught.value)


def test_a_promise_outlives_the_program_that_gave_it() -> None:
    """The end of the director's program decides nothing: hosts go on until the promise is kept or broken."""

    def run(needs: float) -> float:
        network, done = Network(), False

        async def work() -> None:
            nonlocal done
            await asyncio.sleep(needs)
            done = True

        async def main() -> None:
            network.host("worker").start(work())
            network.eventually("10s", lambda: done)

        network.run(main())
        return network.now

    assert run(9) == pytest.approx(9)
    with pytest.raises(Violation):
        run(11)


def test_a_check_is_a_plain_function() -> None:
    network = Network()

    async def check() -> None: ...

    for wrong in (check, "balance == 0", None):
        with pytest.raises(TypeError, match="a check is a"):
            network.always(wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="within"):
        network.eventually("soon", lambda: True)
    network.close()


def test_an_error_that_is_no_verdict_ends_the_run_as_itself() -> None:
    network = Network()
    accounts: dict[str, int] = {}

    async def main() -> None:
        network.always(lambda: accounts["mine"] >= 0)
        await network.after("1s")

    with pytest.raises(KeyError):
        network.run(main())


# ---- points ----


def test_a_point_costs_a_program_nothing_outside_of_a_simulation() -> None:
    """Not one module is loaded for it but its own and two that name others."""
    code = (
        "import sys; before = set(sys.modules)\n"
        "from synfin import sim; sim.point('here')\n"
        "print(*sorted(name for name in set(sys.modules) - before if name.startswith('synfin')))\n"
        "print('asyncio' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.splitlines()
    allowed = {"synfin", "synfin._version", "synfin._install", "synfin.sim", "synfin.sim.points"}
    assert set(said[0].split()) <= allowed
    assert said[1] == "False"


class Store:
    """Answers each write when it is on its disk; `log` is the disk, and outlives a crash."""

    def __init__(self) -> None:
        self.log: list[str] = []

    async def serve(self) -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while line := await reader.readline():
                self.log.append(line.decode().strip())
                sim.point("written")
                writer.write(b"ok\n")
                await writer.drain()

        async with await asyncio.start_server(answer, port=7) as server:
            await server.serve_forever()


async def write(text: str) -> bytes:
    reader, writer = await asyncio.open_connection("store", 7)
    writer.write(f"{text}\n".encode())
    try:
        return await reader.readline()
    finally:
        writer.close()


def test_a_director_waits_until_a_program_passes_a_point() -> None:
    network, store = Network(), Store()

    async def main() -> None:
        network.host("store").start(store.serve)
        writing = network.host("client").start(write("a"))
        host = await network.reached("written")
        assert host is network.hosts["store"]
        assert store.log == ["a"]
        assert await writing == b"ok\n"

    network.run(main())
    assert network.points == {"written": 1}


def test_a_host_that_is_held_at_a_point_says_nothing_more() -> None:
    network, store = Network(), Store()

    async def main() -> None:
        network.host("store").start(store.serve)
        writing = network.host("client").start(write("a"))
        host = await network.reached("written", host="store", hold=True)
        assert host is not None
        await network.after("20s")
        assert not writing.done()
        host.resume()
        assert await writing == b"ok\n"

    network.run(main())
    assert network.now > 20


def test_a_host_can_crash_between_its_commit_and_its_answer() -> None:
    network, store = Network(), Store()

    async def main() -> None:
        network.host("store").start(store.serve)
        writing = network.host("client").start(write("a"))
        host = await network.reached("written", hold=True)
        assert host is not None
        host.crash()
        assert store.log == ["a"]
        await network.after("1s")
        host.restart()
        await network.after("60s")
        assert not writing.done()  # half-open: it has nothing to send that would be answered by a RST
        assert store.log == ["a"]

    network.run(main())


def test_a_point_of_another_host_or_name_is_not_taken_for_it() -> None:
    network = Network()

    async def visit(point: str, at: float) -> None:
        await asyncio.sleep(at)
        sim.point(point)

    async def main() -> None:
        for host, point, at in (("a", "x", 1), ("b", "y", 2), ("b", "x", 3)):
            network.host(host).start(visit(point, at))
        await network.reached("x", host="b")
        assert network.now == pytest.approx(3)
        sim.point("x")

    network.run(main())
    assert network.points == {"x": 3, "y": 1}


def test_two_directors_may_wait_for_the_same_point() -> None:
    network = Network()

    async def main() -> None:
        waiting = [asyncio.ensure_future(network.reached("x")) for _ in range(2)]
        given_up = asyncio.ensure_future(network.reached("x"))
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.sleep(0)
        sim.point("x")
        assert await asyncio.gather(*waiting) == [None, None]

    network.run(main())


def test_a_violation_shrinks_to_the_faults_that_matter(tmp_path: Path) -> None:
    """Two statements are two failures, though both are a Violation."""
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib\n")
    (tmp_path / "test_it.py").write_text(SHRINKS)
    pytest_here = Pytest(tmp_path)
    said = pytest_here.shrink("test_it.py::test_it", "3")
    assert "(Violation of always test_it.none_twice (test_it.py:" in said
    assert "1 fault is enough" in said


SHRINKS = """
import asyncio

import pytest


@pytest.mark.synfin(seeds=[3])
async def test_it(network):
    got = []

    class Take(asyncio.DatagramProtocol):
        def datagram_received(self, data, addr):
            got.append(data)

    def none_twice():
        assert len(got) == len(set(got))

    async def send():
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=("server", 9))
        for number in range(20):
            transport.sendto(b"%d" % number)
            await asyncio.sleep(0.1)

    loop = asyncio.get_running_loop()
    network.host("client")
    await network.host("server").start(loop.create_datagram_endpoint(Take, local_addr=("0.0.0.0", 9)))
    network.link("client", "server", loss=0.2, duplicate=0.2)
    network.always(none_twice)
    await network.hosts["client"].start(send())
    await network.after("1s")
"""
