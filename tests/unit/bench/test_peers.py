"""Whom the benchmarks measure beside synfin."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import runner
from bench.peers import beside, found
from bench.plan import BENCHMARKS, CARRIERS, GVISOR, KERNEL, LWIP, PACKET, PEERS, PROTOCOL, RUN, TUN, Benchmark

WITH_PEERS = [benchmark for benchmark in BENCHMARKS if set(PEERS) & set(benchmark.references)]


def named(name: str) -> Benchmark:
    return next(benchmark for benchmark in BENCHMARKS if benchmark.name == name)


def measured(benchmark: Benchmark, peers: dict[str, list[str]]) -> list[str]:
    one = runner.Runner({"interpreted": "python"}, Path("load"), Path("flood"), "cubic", 0.1, 0.1, peers)
    return [measurement.subject for measurement in one.of(benchmark)]


def test_each_peer_can_be_looked_for_and_serves_all_that_is_measured_beside_it() -> None:
    assert set(found.FINDERS) == set(PEERS)
    assert {benchmark.measure for benchmark in WITH_PEERS} == set(beside.SERVED)


def test_a_peer_that_is_not_installed_is_left_out_with_a_word(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    there, missing = found.peers({GVISOR, *CARRIERS}, tmp_path)
    assert there == {}
    assert "golang-gvisor-gvisor-dev" in missing[GVISOR]
    assert "slirp4netns" in missing["slirp4netns"]
    assert "passt" in missing["pasta"]
    assert measured(named("ping_pong"), there) == ["protocol", "kernel", "asyncio", "streams"]
    assert measured(named("ping_pong"), {LWIP: ["lwip"]}) == ["protocol", "kernel", "asyncio", "streams", "lwip"]


def test_only_what_can_do_it_is_measured_with_offload() -> None:
    """gVisor's offload is a socket's; lwIP has none. What two rows need is measured once."""
    for benchmark in WITH_PEERS:
        offloaded = {
            name for name in set(PEERS) & set(benchmark.references) if runner.measurement(benchmark, name, "").offload
        }
        assert offloaded <= ({GVISOR} if benchmark.link == PACKET else set(CARRIERS))
    on_tun, on_socket = named("ping_pong"), named("ping_pong_packet")
    assert runner.measurement(on_tun, GVISOR, "compiled").link == TUN
    assert runner.measurement(on_socket, GVISOR, "interpreted") == runner.measurement(on_socket, GVISOR, "compiled")
    assert runner.measurement(on_socket, GVISOR, "compiled").link == PACKET


def test_synfin_run_is_measured_in_each_mode_beside_what_carries_a_network_too() -> None:
    rows = [benchmark for benchmark in BENCHMARKS if benchmark.link == RUN]
    assert {benchmark.measure for benchmark in rows} == set(beside.SERVED)
    for benchmark in rows:
        assert benchmark.references == (KERNEL, *CARRIERS)
        assert runner.measurement(benchmark, PROTOCOL, "compiled").link == RUN
    both_ways = [(benchmark.measure, benchmark.offload) for benchmark in rows if benchmark.unit == "Gbit/s"]
    assert sorted(both_ways) == [(way, big) for way in ("bulk_receive", "bulk_send") for big in (False, True)]


def test_a_peer_s_version_is_the_package_s_or_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert found.version("pasta") == ""
    fake = tmp_path / "dpkg-query"
    fake.write_text('#!/bin/sh\n[ "$3" = passt ] && printf 1.2-1\n')
    fake.chmod(0o755)
    assert found.version("pasta") == "1.2-1"
    assert found.version("pytcp") == ""
