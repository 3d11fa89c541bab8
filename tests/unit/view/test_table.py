"""The table of connections."""

from __future__ import annotations

from synfin.view.table import connection_table, seconds

ROW = {
    "state": "ESTABLISHED", "local": "10.0.0.2:80", "peer": "[fd00::1]:40000", "recv_queue": 0, "send_queue": 1448,
    "timer": 200_000, "timer_name": "rto", "cwnd": 14480, "srtt_us": 20_400, "rto_us": 220_000, "in_flight": 1448,
    "retries": 0, "delivery_rate": 1_250_000, "busy_us": 1_000_000, "peer_limited_us": 430_000,
    "buffer_limited_us": 0, "congestion_limited_us": 20_000,
}  # fmt: skip


def test_each_connection_is_a_line_below_the_heads() -> None:
    head, one, two = connection_table([ROW, {**ROW, "state": "CLOSE-WAIT", "timer": None, "srtt_us": 0}])
    assert head.split()[:5] == ["State", "Recv-Q", "Send-Q", "Local", "Peer"]
    assert one.split()[:7] == ["ESTABLISHED", "0", "1448", "10.0.0.2:80", "[fd00::1]:40000", "rto", "200"]
    assert "20.4 ms" in one
    assert two.split()[5] == "-"
    assert one.index("10.0.0.2") == two.index("10.0.0.2") == head.index("Local")


def test_what_held_a_sender_up_the_longest_is_told_with_its_part_of_the_time() -> None:
    def held_up_by(**times: int) -> str:
        return connection_table([{**ROW, **times}])[1].split("   ")[-1].strip()

    assert connection_table([ROW])[1].split()[-5:] == ["0", "10", "Mbit/s", "peer", "43%"]
    assert held_up_by(buffer_limited_us=900_000).endswith("buffer 90%")
    assert held_up_by(congestion_limited_us=999_999).endswith("path 99%")
    assert held_up_by(busy_us=0, peer_limited_us=0, congestion_limited_us=0, delivery_rate=0).endswith("-")
    assert "800 kbit/s" in connection_table([{**ROW, "delivery_rate": 100_000}])[1]


def test_no_connections_leave_the_heads() -> None:
    assert len(connection_table([])) == 1


def test_times_are_in_the_unit_a_person_would_choose() -> None:
    assert [seconds(us) for us in (0, 40_000, 1_200_000, 7_200_000_000)] == ["0 ms", "40 ms", "1.2 s", "120 min"]
