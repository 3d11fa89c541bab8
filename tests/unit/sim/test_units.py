"""Quantities as people write them."""

from __future__ import annotations

import pytest

from synfin.sim.units import bits_per_second, byte_count, microseconds, probability


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("20ms", 20_000), ("3s", 3_000_000), ("1.5h", 5_400_000_000), ("1d", 86_400_000_000), (" 7 us ", 7),
        ("7µs", 7), ("2min", 120_000_000), (0.25, 250_000), (0, 0),
    ],
)  # fmt: skip
def test_times_are_microseconds(text: str | float, value: int) -> None:
    assert microseconds(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [("10Mbit/s", 10_000_000), ("1.5 kbit/s", 1500), ("2Gbit/s", 2 * 10**9), (56_000, 56_000), (None, 0)],
)
def test_rates_are_bits_a_second(text: str | float | None, value: int) -> None:
    assert bits_per_second(text) == value


@pytest.mark.parametrize(("text", "value"), [("64KB", 64_000), ("1MiB", 1 << 20), ("20B", 20), (1500, 1500), (None, 0)])
def test_sizes_are_bytes(text: str | int | None, value: int) -> None:
    assert byte_count(text) == value


@pytest.mark.parametrize("text", ["", "ms", "20", "20 m s", "-1s", "1e3s", "20 parsecs", -1, 1e12, "nan s"])
def test_a_time_that_makes_no_sense_is_refused(text: str | float) -> None:
    with pytest.raises(ValueError, match="time"):
        microseconds(text)


@pytest.mark.parametrize("value", [True, None, b"20ms", ["20ms"]])
def test_a_quantity_of_another_type_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        microseconds(value)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        probability(value, "loss")  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_a_probability_is_from_0_to_1(value: float) -> None:
    with pytest.raises(ValueError, match="loss is a probability from 0 to 1"):
        probability(value, "loss")


@pytest.mark.parametrize("value", [0.5, -1, float("inf"), float("nan"), 10**19, "9" * 400 + "Gbit/s", "0bit/s"])
def test_a_rate_that_no_link_has_is_refused(value: str | float) -> None:
    with pytest.raises(ValueError, match="bandwidth can't be"):
        bits_per_second(value)


@pytest.mark.parametrize("value", [0, -1, 10**19, "9" * 400 + "GB", "0.4B"])
def test_a_size_that_no_memory_has_is_refused(value: str | int) -> None:
    with pytest.raises(ValueError, match="queue can't be"):
        byte_count(value, "queue")
