"""What a run records of its network, a simulation replays: the same is lost, late and twice, at the same times."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from synfin.run.network import INSIDE
from synfin.run.recorder import Distances, Recorder, follow
from synfin.sim import DROP, PASS, Delay, Network, Recording
from synfin.sim.recording import MOST_BYTES, MOST_PLACES
from synfin.sim.rules import Verdict
from tests.unit.run.bench import HERE, WEB, Bench, datagram

Arrivals = list[tuple[int, int]]  # microseconds since the beginning, and which datagram


def recorded(bench: Bench, recorder: Recorder, path: Path) -> Recording:
    """What was recorded, by way of its file."""
    recorder.recording().save(path)
    return Recording.load(path)


def arrivals(bench: Bench) -> Arrivals:
    return sorted((at - 1_000_000, int.from_bytes(packet[-2:], "big")) for at, packet in bench.arrived)


def send(bench: Bench, *numbers: int, port: int = 53) -> None:
    bench.up(*[datagram(HERE, WEB, port, number.to_bytes(2, "big")) for number in numbers])


def replayed(recording: Recording, *sends: tuple[str, range], place: str = "*", backwards: bool = False) -> Arrivals:
    """When which datagram arrives in a simulation; sends: after so much time, these."""
    network = Network(seed=99)
    a, b = network.host("a"), network.host("b")
    recording.install(network, *("ba" if backwards else "ab"), place=place)
    found: Arrivals = []

    class Door(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: object) -> None:
            found.append((round(network.now * 1_000_000), int.from_bytes(data, "big")))

    async def program(numbers: range) -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=("b", 53))
        for number in numbers:
            transport.sendto(number.to_bytes(2, "big"))
        await asyncio.sleep(1)
        transport.close()

    async def main() -> None:
        await b.start(asyncio.get_running_loop().create_datagram_endpoint(Door, local_addr=("0.0.0.0", 53)))
        tasks = []
        for after, numbers in sends:
            await network.after(after)
            tasks.append(a.start(program(numbers)))
        await asyncio.gather(*tasks)
        await network.after("5s")

    network.run(main())
    return sorted(found)


@pytest.mark.parametrize(
    "settings",
    [
        {"delay": "50ms", "loss": 0.3},
        {"delay": "50ms", "jitter": "20ms", "reorder": True},
        {"delay": "50ms", "jitter": "20ms", "distribution": "pareto"},
        {"delay": "50ms", "jitter": "20ms"},
        {"delay": "10ms", "burst_enter": 0.1, "burst_leave": 0.3},
        {"delay": "10ms", "duplicate": 0.2},
        {"delay": "10ms", "bandwidth": "1Mbit/s", "queue": "2KB"},
    ],
    ids="-".join,
)
def test_a_simulation_does_to_each_packet_what_the_run_did(settings: dict[str, Any], tmp_path: Path) -> None:
    bench = Bench(seed=5, **settings)
    recorder = follow(bench.link)
    send(bench, *range(60))
    bench.run()
    assert arrivals(bench) != [(50_000, number) for number in range(60)]
    assert replayed(recorded(bench, recorder, tmp_path / "file"), ("0s", range(60))) == arrivals(bench)


def test_what_rules_said_is_replayed_as_well(tmp_path: Path) -> None:
    bench = Bench(delay="10ms")
    recorder = follow(bench.link)
    verdicts: dict[int, Verdict] = {2: DROP, 4: Delay("7ms"), 6: Delay("9ms", overtake=False)}
    bench.network.rule(lambda packet: verdicts.get(packet.nth, PASS))
    send(bench, *range(10))
    bench.run()
    assert (17_000, 4) in arrivals(bench)
    assert replayed(recorded(bench, recorder, tmp_path / "file"), ("0s", range(10))) == arrivals(bench)


def test_settings_and_cuts_are_replayed_at_their_times(tmp_path: Path) -> None:
    bench = Bench(delay="10ms")
    recorder = follow(bench.link)
    steps = [
        lambda: bench.network.link(INSIDE, "*", delay="30ms"),
        bench.network.partition,
        bench.network.heal,
    ]
    send(bench, 0)
    bench.run()
    for number, step in enumerate(steps, 1):
        bench.now = 1_000_000 + number * 1_000_000 - 500_000
        step()
        bench.now = 1_000_000 + number * 1_000_000
        send(bench, number)
        bench.run()
    assert arrivals(bench) == [(10_000, 0), (1_030_000, 1), (3_030_000, 3)]
    recording = recorded(bench, recorder, tmp_path / "file")
    assert [at for at, _ in recording.places["*"][0].settings] == [0, 500_000, 1_500_000, 2_500_000]
    sends = [("1s" if number else "0s", range(number, number + 1)) for number in range(4)]
    assert replayed(recording, *sends) == arrivals(bench)


def test_after_what_is_known_chance_goes_on_by_the_settings(tmp_path: Path) -> None:
    bench = Bench(seed=5, loss=0.5)
    recorder = follow(bench.link)
    send(bench, *range(20))
    found = {number for _, number in replayed(recorded(bench, recorder, tmp_path / "file"), ("0s", range(220)))}
    assert {number for number in found if number < 20} == {number for _, number in arrivals(bench)}
    assert 60 <= len([number for number in found if number >= 20]) <= 140


def test_a_place_has_a_record_of_its_own(tmp_path: Path) -> None:
    bench = Bench(delay="10ms")
    bench.network.link(INSIDE, f"{WEB}:80", delay="40ms", loss=1.0)
    recorder = follow(bench.link)
    send(bench, 0)
    send(bench, 1, 2, port=80)
    recording = recorded(bench, recorder, tmp_path / "file")
    assert [(way.known, len(way.packets)) for way, _ in recording.places.values()] == [(2, 2), (1, 0)]
    assert replayed(recording, ("0s", range(1))) == [(10_000, 0)]
    assert replayed(recording, ("0s", range(2)), place=f"{WEB}:80") == []
    network = Network()
    with pytest.raises(ValueError, match=r"'db' was not recorded; there are \*, 10.9.9.9:80"):
        recording.install(network, "a", "b", place="db")
    network.close()


def test_so_many_packets_are_kept_and_the_others_counted() -> None:
    bench = Bench(loss=1.0)
    recorder = Recorder(bench.network, bench.link.elapsed, most=5)
    bench.link.traffic.on_fate = recorder.packet
    send(bench, *range(12))
    way, _ = recorder.recording().places["*"]
    assert (len(way.packets), way.known, way.left_out) == (5, 5, 7)


def test_so_many_changes_and_places_are_kept_and_the_others_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("synfin.run.recorder.MOST_CHANGES", 2 * MOST_PLACES + 20)
    bench = Bench()
    recorder = follow(bench.link)
    for number in range(50):
        bench.network.link(INSIDE, "*", loss=number % 2)
    for number in range(MOST_PLACES + 4):
        bench.network.link(INSIDE, f"*:{number + 1}", delay="1ms")
    recording = recorded(bench, recorder, tmp_path / "file")
    assert len(recording.places) == MOST_PLACES
    assert len(recording.places["*"][0].settings) == 11
    assert recording.left_out > MOST_PLACES


def test_what_found_no_room_on_its_way_is_recorded_as_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("synfin.run.bad_link.MOST", 3)
    bench = Bench(delay="1s")
    recorder = follow(bench.link)
    send(bench, *range(5))
    assert recorder.recording().places["*"][0].packets == [(3, DROP, 0, False), (4, DROP, 0, False)]


def test_without_faults_a_place_is_as_far_as_its_fastest_connection_took(tmp_path: Path) -> None:
    distances = Distances()
    for took in (90_000, 60_000, 75_000):
        distances.add("db:5432", took)
    distances.recording().save(tmp_path / "file")
    recording = Recording.load(tmp_path / "file")
    assert replayed(recording, ("0s", range(1)), place="db:5432") == [(30_000, 0)]
    assert replayed(recording, ("0s", range(1))) == [(0, 0)]
    for number in range(MOST_PLACES + 1):
        distances.add(f"10.0.0.1:{number + 1}", 1)
    assert (len(distances.recording().places), distances.recording().left_out) == (MOST_PLACES, 3)


def test_both_ways_are_replayed_each_by_its_own_count(tmp_path: Path) -> None:
    bench = Bench(delay="10ms")
    recorder = follow(bench.link)
    bench.network.rule(lambda packet: DROP if packet.sender != INSIDE and packet.nth == 1 else PASS)
    for _ in range(3):
        bench.down(datagram(WEB, HERE, 53, back=True))
    bench.run()
    recording = recorded(bench, recorder, tmp_path / "file")
    assert [way.known for way in recording.places["*"]] == [0, 3]
    assert replayed(recording, ("0s", range(3)), backwards=True) == [(10_000, 0), (10_000, 2)]


# ---- broken files ----

GOOD_WAY: dict[str, Any] = {
    "settings": [[0, {"loss": 0.1}]],
    "packets": [[0, "drop", 0, False]],
    "known": 1,
    "left_out": 0,
}


def spoilt(**changes: Any) -> str:
    places = {"*": {"up": {**GOOD_WAY, **changes}, "down": GOOD_WAY}}
    return json.dumps({"format": "synfin recording", "version": 1, "seed": 1, "left_out": 0, "places": places})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Expecting value"),
        ("[" * 100_000, "recursion"),
        ("[]", "does not say that it is"),
        ('{"format": "synfin recording", "version": 2}', "its version is 2, and this synfin reads version 1"),
        (spoilt(known=-1), "up: known is a number from 0"),
        (spoilt(known=0), "packet 0 is out of order, or beyond the 0 that are known"),
        (spoilt(known=True), "not True"),
        (spoilt(more=1), "has no 'more'"),
        (spoilt(settings={}), "settings: that is no list"),
        (spoilt(settings=[[0]]), "no list of 2"),
        (spoilt(settings=[[5, {}], [4, {}]]), "not in the order"),
        (spoilt(settings=[[0, {"speed": 1}]]), "a link has no setting 'speed'"),
        (spoilt(settings=[[0, {"loss": 2}]]), "loss is a probability"),
        (spoilt(settings=[[0, {"bandwidth": 1e308 * 10}]]), "bandwidth can't be inf"),
        (spoilt(settings=[[10**20, {}]]), "a time is a number from 0"),
        (spoilt(packets=[[0, "explode", 0, False]]), "not 'explode'"),
        (spoilt(packets=[[0, ["drop"], 0, False]]), "not ['drop']"),
        (spoilt(packets=[[0, "pass", 10**16, False]]), "a packet's delay is a number"),
        (spoilt(packets=[[0, "pass", 0, 1]]), "true or false, not 1"),
        (spoilt(packets=[[0, "pass", 0, False]] * 2, known=9), "packet 0 is out of order"),
        (spoilt(packets=[[n, "drop", 0, False] for n in range(100_001)], known=100_001), "there may be 100000"),
        (spoilt(packets="x" * 1000), "no list"),
        (spoilt().replace('"*"', '"\\u001b[31m"'), "is no place"),
        (spoilt().replace('"seed": 1', '"seed": "1"'), "seed is a number"),
        (" " * (MOST_BYTES + 1), "more than 8 MiB"),
    ],
)
def test_a_broken_file_is_refused_in_words(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "broken.json"
    file.write_text(text)
    with pytest.raises(ValueError, match="is no recording of a network: ") as caught:
        Recording.load(file)
    assert said in str(caught.value)
    assert len(str(caught.value)) < 500
    assert str(caught.value).isprintable()


def test_bytes_that_are_no_text_are_refused_too(tmp_path: Path) -> None:
    (tmp_path / "broken").write_bytes(b"\xff\xfe\xfd{")
    with pytest.raises(ValueError, match="is no recording"):
        Recording.load(tmp_path / "broken")
