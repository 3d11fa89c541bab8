"""Faults that a seed draws: which, how strong, when; and episodes at random times, in swarms and schedules."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from synfin.sim import Network, SimHost, SimulationError
from synfin.sim.kinds import KINDS, LINK_KINDS, OF_EPISODES
from synfin.sim.plan import draw
from synfin.sim.units import bits_per_second, microseconds, rate_text, time_text
from tests.sim.programs import PORT, echo, fingerprint
from tests.sim.test_plugin import Pytest

MINUTE = 60_000_000
ALL = frozenset(KINDS)


async def talk(times: int) -> int:
    """Asks the server so many times; how often it answered in time."""
    answered = 0
    for _ in range(times):
        try:
            async with asyncio.timeout(2):
                reader, writer = await asyncio.open_connection("server", PORT)
                try:
                    writer.write(b"hello\n")
                    answered += await reader.readline() == b"hello\n"
                finally:
                    writer.close()
        except OSError:
            pass
        await asyncio.sleep(0.5)
    return answered


def run(network: Network, times: int = 20) -> int:
    async def main() -> int:
        network.host("server").start(echo)
        await network.after("1ms")
        answered: int = await network.host("client").start(talk(times))
        return answered

    result: int = network.run(main())
    return result


# ---- what is drawn ----


def test_the_same_lineage_draws_the_same_plan() -> None:
    assert [draw(str(seed), ALL, MINUTE) for seed in range(50)] == [draw(str(seed), ALL, MINUTE) for seed in range(50)]


def test_every_kind_is_drawn_by_some_seed_and_left_out_by_most() -> None:
    plans = [draw(str(seed), ALL, MINUTE) for seed in range(1000)]
    counts = Counter(knob.kind for plan in plans for knob in plan)
    assert set(counts) == ALL
    assert all(150 < count < 450 for count in counts.values())


def test_every_number_of_a_plan_is_in_its_range() -> None:
    for seed in range(300):
        for knob in draw(f"{seed}/{seed}/{seed + 1}/7", ALL, MINUTE):
            kind = KINDS[knob.kind]
            assert kind.least <= knob.strength <= kind.most
            assert 0 <= knob.begins <= knob.ends <= MINUTE
            assert (knob.every > 0) == (knob.kind in OF_EPISODES)


def test_a_kind_that_is_not_allowed_changes_nothing_of_the_others() -> None:
    for seed in range(100):
        without = draw(str(seed), ALL - {"loss"}, MINUTE)
        assert without == tuple(knob for knob in draw(str(seed), ALL, MINUTE) if knob.kind != "loss")


def test_a_change_changes_one_kind() -> None:
    changed = 0
    for seed in range(300):
        before = {knob.kind: knob for knob in draw(str(seed), ALL, MINUTE)}
        after = {knob.kind: knob for knob in draw(f"{seed}/3", ALL, MINUTE)}
        kinds = [kind for kind in ALL if before.get(kind) != after.get(kind)]
        assert len(kinds) <= 1
        changed += len(kinds)
    assert changed > 250  # what may not change: its time, if both are drawn as all of it


def test_what_is_no_lineage_or_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="a lineage is"):
        Network(swarm=True, drawn_by="7/x")
    with pytest.raises(ValueError, match="there is no fault 'fire'"):
        Network(swarm=["fire"])


@pytest.mark.parametrize("us", [1, 999, 1_000, 1_500, 20_000, 1_234_000, 90_000_000])
def test_a_time_is_written_as_it_is_read(us: int) -> None:
    assert microseconds(time_text(us)) == us


@pytest.mark.parametrize("bits", [1, 9_600, 100_000, 1_500_000, 10**9])
def test_a_rate_is_written_as_it_is_read(bits: int) -> None:
    assert bits_per_second(rate_text(bits)) == bits


# ---- a swarm ----


def test_the_seed_alone_makes_a_swarm_again() -> None:
    def story(seed: int) -> tuple[str, object, list[tuple[float, str]]]:
        network = Network(seed, swarm=True)
        packets = fingerprint(network)
        run(network)
        return packets(), network.episodes, network.incidents

    assert [story(seed) for seed in range(10)] == [story(seed) for seed in range(10)]


@pytest.mark.parametrize("kind", [kind.name for kind in LINK_KINDS])
def test_a_swarm_makes_links_worse_and_ends(kind: str) -> None:
    """Each kind of links' faults is seen in the settings of a link in its time, and in none afterwards."""
    seed = next(seed for seed in range(1000) if any(_long(knob) for knob in draw(str(seed), [kind], MINUTE)))
    network = Network(seed, swarm=[kind])
    plain = network.direction
    seen = 0

    async def main() -> None:
        nonlocal seen
        network.host("a"), network.host("b"), network.host("c")
        ways = [plain(*way) for way in (("a", "b"), ("b", "a"), ("a", "c"), ("c", "a"), ("b", "c"), ("c", "b"))]
        await network.after("30s")
        seen = sum(way.settings != way.declared for way in ways)
        await network.after("31s")
        assert all(way.settings == way.declared for way in ways)

    network.run(main())
    assert seen


def _long(knob: object) -> bool:
    return getattr(knob, "begins", 0) < 20_000_000 and getattr(knob, "ends", 0) == MINUTE


def test_what_a_test_sets_of_a_link_stays_below_what_is_drawn() -> None:
    plans = (draw(str(seed), ["delay"], MINUTE) for seed in range(1000))
    seed = next(number for number, plan in enumerate(plans) if plan and not plan[0].begins)
    network = Network(swarm=["delay"], drawn_by=str(seed))

    async def main() -> None:
        network.host("a"), network.host("b")
        network.link("a", "b", delay="20ms", mtu=1400)
        await network.after("1ms")
        direction = network.direction("a", "b")
        if direction.settings.delay == 20_000:  # half of all directions are left alone
            direction = network.direction("b", "a")
        assert direction.settings.delay > 20_000
        network.link("a", "b", mtu=1300)
        assert direction.settings.delay > 20_000
        assert direction.declared.delay == 20_000
        assert direction.settings.mtu == 1300
        network.calm()
        assert direction.settings == direction.declared

    network.run(main())


def test_the_report_tells_what_was_drawn() -> None:
    network = Network(11, swarm=True)
    run(network)
    report = network.report().splitlines()
    assert report[0] == "seed 11"
    assert report[1 : 1 + len(network.plan)] == [knob.sentence(MINUTE) for knob in network.plan]
    assert network.plan


def test_calm_ends_all_and_undoes_it() -> None:
    network = Network(5)

    async def main() -> None:
        server, client = network.host("server"), network.host("client")
        server.start(echo)
        client.start(echo)
        network.schedule(crash="1s", partition="1s", pause="1s", slow="1s", lasting="1h", until="1d")
        await network.after("1min")
        network.calm()
        assert server.is_up() and client.is_up()
        assert not (server.life.paused or client.life.paused or server.life.throttled or client.life.throttled)
        assert network.direction("server", "client").open and network.direction("client", "server").open
        happened = len(network.episodes)
        network.schedule(crash="1s")
        await network.after("1min")
        assert len(network.episodes) == happened > 3

    network.run(main())


# ---- schedules ----


def scheduled(seed: int, **options: Any) -> Network:
    network = Network(seed, keep_events=0)

    async def main() -> None:
        for name in ("a", "b", "c"):
            network.host(name).start(echo)
        network.schedule(**options)
        await network.after("1h")

    network.run(main())
    return network


def test_episodes_come_at_their_mean_rate_and_last_as_long_as_their_mean() -> None:
    network = scheduled(1, pause="10s", lasting="2s", until="1h")
    count = len(network.episodes)
    assert 300 < count < 420
    assert 1.7 < sum(lasts for _, _, lasts, _, _ in network.episodes) / count / 1_000_000 < 2.3
    assert {who for _, _, _, who, _ in network.episodes} == {(("a",),), (("b",),), (("c",),)}


def test_a_partition_has_two_sides_and_heals_by_itself() -> None:
    network = scheduled(1, partition="10s", lasting="2s", until="1h")
    kinds = Counter(kind for kind, *_ in network.episodes)
    assert set(kinds) == {"partition", "partition_one_way"}
    for _, _, _, (one, other), _ in network.episodes:
        assert sorted(one + other) == ["a", "b", "c"]
    assert all(direction.open for direction in network._traffic.directions.values())


def test_overlapping_partitions_end_apart_and_leave_the_directors_own() -> None:
    network = Network()

    async def passing(after: float) -> tuple[bool, bool]:
        await network.after(after)
        return network.direction("a", "b").open, network.direction("b", "a").open

    async def main() -> None:
        network.host("a"), network.host("b")
        network.inflict([("partition", 1_000_000, 5_000_000, (("a",), ("b",)), 0)])
        network.inflict([["partition_one_way", 2_000_000, 8_000_000, [["a"], ["b"]], 0]])  # as JSON has it
        assert await passing(3) == (False, False)
        assert await passing(4) == (False, True)
        network.partition("a", "b")
        assert await passing(4) == (False, False)
        network.heal()
        assert await passing(0) == (True, True)

    network.run(main())


def test_only_a_host_that_lives_again_as_it_was_is_crashed_by_chance() -> None:
    network = Network()

    async def main() -> None:
        network.host("program").start(echo)
        network.host("once").start(echo())
        both = network.host("both")
        both.start(echo)
        both.start(asyncio.sleep(1800))
        network.host("idle")
        network.schedule(crash="10s", lasting="1s", until="1h")
        await network.after("29min")
        assert {who for _, _, _, who, _ in network.episodes} == {(("program",),)}
        await network.after("30min")
        assert (("both",),) in {who for _, _, _, who, _ in network.episodes}
        await network.after("10min")
        assert all(host.is_up() for host in network.hosts.values())

    network.run(main())


def test_a_spared_host_is_left_alone() -> None:
    network = Network()

    async def main() -> None:
        for name in ("a", "b", "c"):
            network.host(name).start(echo)
        network.spare("a")
        network.spare("b", "crash", "pause")
        network.schedule(crash="5s", pause="5s", slow="5s", partition="5s", until="1h", lasting="500ms")
        await network.after("1h")

    network.run(main())
    befallen = {
        (kind.partition("_")[0], name) for kind, _, _, who, _ in network.episodes for group in who for name in group
    }
    assert befallen == {
        ("crash", "c"), ("pause", "c"), ("slow", "c"), ("slow", "b"), ("partition", "b"), ("partition", "c")
    }  # fmt: skip


def test_the_director_may_restart_what_chance_crashed() -> None:
    network = Network()

    async def main() -> None:
        server = network.host("server")
        server.start(echo)
        network.inflict([("crash", 1_000_000, 10_000_000, (("server",),), 0)])
        await network.after("2s")
        server.restart()
        life = server.life
        await network.after("20s")
        assert server.life is life

    network.run(main())


def test_a_pause_by_chance_does_not_end_one_by_the_director() -> None:
    network = Network()

    async def main() -> None:
        a = network.host("a")
        network.inflict([("pause", 1_000_000, 1_000_000, (("a",),), 0)])
        await network.after("1.5s")
        a.pause()
        await network.after("1s")
        assert a.life.paused
        a.resume()
        assert not a.life.paused

    network.run(main())


def test_a_schedule_is_checked_at_the_call() -> None:
    network = Network()
    for wrong, what in (({"fire": "1s"}, "no fault"), ({"loss": "1s"}, "not loss"), ({"crash": 0}, "every 0")):
        with pytest.raises(ValueError, match=what):
            network.schedule(**wrong)
    with pytest.raises(SimulationError, match="no host 'a'"):
        network.spare("a")
    for episode in (("crash", 1), ("fire", 0, 0, (("a",),), 0), ("crash", 0, 0, (("a",), ("b",)), 0)):
        with pytest.raises(ValueError, match="episode"):
            network.inflict([episode])
    network.close()


# ---- a slow host ----


def test_a_slow_host_answers_late_and_is_quick_again_afterwards() -> None:
    network = Network()

    async def main() -> None:
        server, client = network.host("server"), network.host("client")
        server.start(echo)
        await network.after("1ms")

        async def time(times: int) -> float:
            begun = network.now
            assert await client.start(talk(times)) == times
            return network.now - begun - 0.5 * times

        quick = await time(10)
        server.slow(0.05)
        slow = await time(10)
        server.slow(0.5)  # it changes while it lasts
        slower = await time(10)
        server.slow(1)
        assert await time(10) == pytest.approx(quick)
        assert quick < slower < slow < 2

    network.run(main())


def test_a_crash_ends_slowness_and_a_wrong_share_is_refused() -> None:
    network = Network()

    async def main() -> None:
        server = network.host("server")
        for share in (0, 1.5, -1):
            with pytest.raises(ValueError, match=r"part of the time|from 0 to 1"):
                server.slow(share)
        server.slow(0.1)
        server.crash()
        with pytest.raises(SimulationError, match="is down"):
            server.slow(0.1)
        server.restart()
        await network.after("1s")
        assert not _is_slow(server)

    network.run(main())


def _is_slow(host: SimHost) -> bool:
    return host.life.throttled or host.life.paused


# ---- made again ----


def test_the_episodes_alone_happen_again() -> None:
    """As shrinking needs it: through JSON, with nothing else left to chance."""
    for seed in range(12):
        network = Network(seed, swarm=True, keep_faults=True)
        run(network)
        again = Network(
            seed,
            swarm=True,
            only_faults=network.faults,
            only_swaps=network.swaps,
            only_episodes=json.loads(json.dumps(network.episodes)),
        )
        run(again)
        assert again.episodes == network.episodes
        assert again.now == network.now


def test_a_swarm_in_pytest_tells_how_to_make_it_again(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib\n")
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "@pytest.mark.synfin(swarm=['pause', 'loss'], seeds=[5], swarm_until='10s')\n"
        "async def test_it(network):\n"
        "    network.host('a')\n"
        "    await network.after('20s')\n"
        "    assert not network.plan, [knob.kind for knob in network.plan]\n"
    )
    here = Pytest(tmp_path)
    settings = '{"drawn_by": "3/1/4"}'
    said = here.run("--synfin-settings", settings)
    assert f"--synfin-seed 5 --synfin-settings '{settings}'" in said
    assert f"shrink: synfin shrink 'test_it.py::test_it[seed5]' --seed 5 --settings '{settings}'" in said


FORGETS = """
import asyncio

import pytest


@pytest.mark.synfin(seeds=SEEDS, swarm=True)
async def test_it(network):
    answers = []

    async def serve():
        count = 0  # in memory: a crash forgets it

        async def answer(reader, writer):
            nonlocal count
            count += 1
            try:
                writer.write(b"%d\\n" % count)
                await writer.drain()
            except OSError:
                pass
            finally:
                writer.close()

        await (await asyncio.start_server(answer, port=7)).serve_forever()

    async def ask():
        try:
            async with asyncio.timeout(5):
                reader, writer = await asyncio.open_connection("server", 7)
                try:
                    if line := await reader.readline():
                        answers.append(int(line))
                finally:
                    writer.close()
        except OSError:
            pass

    def it_counts_up():
        assert answers == sorted(answers)

    network.host("server").start(serve)
    client = network.host("client")
    network.always(it_counts_up)
    for _ in range(20):
        await client.start(ask())
        await network.after("1s")
"""


def test_a_swarm_shrinks_to_the_episode_that_matters(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib\n")
    (tmp_path / "test_it.py").write_text(FORGETS.replace("SEEDS", "range(40)"))
    here = Pytest(tmp_path)
    said = here.run("--tb=no")
    seeds = re.findall(r"FAILED test_it.py::test_it\[seed(\d+)\]", said)
    assert seeds, said
    for seed in seeds[:3]:
        shrunk = here.shrink(f"test_it.py::test_it[seed{seed}]", seed)
        assert "1 episode is enough" in shrunk, shrunk
        assert "  server crashes, at " in shrunk
    rules = shrunk.partition(f"with seed {seed}:\n\n")[2]
    assert "network.inflict(" in rules
    again = FORGETS.replace("SEEDS", f"[{seed}]").replace("    answers = []\n", f"{rules}\n    answers = []\n")
    (tmp_path / "test_it.py").write_text(again)
    assert "1 failed" in here.run("--tb=no")
