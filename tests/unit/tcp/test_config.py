"""Every setting that no TCP could work with is refused at construction, by its name."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from synfin.tcp.config import SWITCHES, Config
from synfin.tcp.congestion.newreno import NewReno

# name, largest value refused below, smallest refused above
LIMITS = [
    ("mtu", 575, 65536),
    ("receive_buffer", 2047, (1 << 30) + 1),
    ("receive_buffer_max", 128 * 1024 - 1, (1 << 30) + 1),
    ("send_buffer", 2047, (1 << 30) + 1),
    ("send_buffer_max", 64 * 1024 - 1, (1 << 30) + 1),
    ("initial_window", 0, 1001),
    ("send_mss_max", 47, 65536),
    ("rto_min_us", 999, 60_000_001),
    ("rto_max_us", 199_999, 3_600_000_001),
    ("rto_initial_us", 999, 120_000_001),
    ("ack_delay_us", -1, 500_001),
    ("syn_retries", -1, 256),
    ("synack_retries", -1, 256),
    ("retries", -1, 256),
    ("orphan_retries", -1, 256),
    ("user_timeout_us", -1, (1 << 48) + 1),
    ("keepalive_idle_us", -1, (1 << 48) + 1),
    ("keepalive_interval_us", 999, (1 << 48) + 1),
    ("keepalive_probes", 0, 128),
    ("msl_us", -1, 600_000_001),
    ("fin_timeout_us", 999, (1 << 48) + 1),
    ("syn_queue_limit", 0, (1 << 30) + 1),
    ("half_open_limit", 0, (1 << 30) + 1),
    ("orphan_limit", 0, (1 << 30) + 1),
    ("challenge_ack_limit", 0, (1 << 30) + 1),
    ("icmp_msgs_per_sec", 0, 1_000_001),
    ("icmp_msgs_burst", 0, (1 << 30) + 1),
    ("icmp_ratelimit_us", -1, 3_600_000_001),
    ("syn_cookies", -1, 3),
    ("time_wait_limit", 0, (1 << 30) + 1),
    ("connection_limit", 0, (1 << 30) + 1),
    ("outbox_limit", 0, (1 << 30) + 1),
    ("reassembly_limit", 0, (1 << 30) + 1),
    ("port_first", 0, 65536),
    ("port_last", 32767, 65536),
]


def config(**settings: Any) -> Config:
    """A Config whose arguments the type checker does not look at."""
    return Config(**settings)


@pytest.mark.parametrize(("name", "below", "above"), LIMITS)
def test_a_value_outside_its_limits_is_refused_by_name(name: str, below: int, above: int) -> None:
    for value in (below, above):
        with pytest.raises(ValueError, match=rf"Config\.{name} must be within"):
            config(**{name: value})
    others = {"rto_initial_us": 200_000} if name == "rto_max_us" else {}
    assert getattr(config(**{name: below + 1}, **others), name) == below + 1


@pytest.mark.parametrize("name", [name for name, _, _ in LIMITS])
@pytest.mark.parametrize("value", ["1500", 1500.0, None])
def test_what_is_no_integer_is_refused(name: str, value: object) -> None:
    with pytest.raises(TypeError, match="int"):
        config(**{name: value})


def test_every_switch_is_known_as_one() -> None:
    assert {field.name for field in dataclasses.fields(Config) if isinstance(field.default, bool)} == set(SWITCHES)


@pytest.mark.parametrize("name", SWITCHES)
@pytest.mark.parametrize("value", ["no", 0, None])
def test_what_is_no_switch_is_refused(name: str, value: object) -> None:
    # "no" would mean yes, and only compiled code would say so
    with pytest.raises(TypeError, match="bool"):
        config(**{name: value})


@pytest.mark.parametrize(
    ("limits", "error"),
    [
        ((1 << 20, 1 << 20), TypeError),
        ([1 << 20, 2 << 20, 3 << 20], TypeError),
        (1 << 20, TypeError),
        ((1 << 20, 2.0, 3 << 20), TypeError),
        ((4095, 2 << 20, 3 << 20), ValueError),
        ((2 << 20, 1 << 20, 3 << 20), ValueError),
        ((1 << 20, 3 << 20, 2 << 20), ValueError),
        ((1 << 20, 2 << 20, (1 << 48) + 1), ValueError),
    ],
)
def test_the_limits_of_memory_are_three_the_lowest_first(limits: object, error: type[Exception]) -> None:
    # Compiled, a wrong type is refused by the field itself.
    with pytest.raises(error, match=r"Config\.tcp_mem|tuple\[int, int, int\]"):
        config(tcp_mem=limits)
    assert config(tcp_mem=(4096, 4096, 4096)).tcp_mem == (4096, 4096, 4096)


def test_the_congestion_control_is_a_name_or_something_to_call() -> None:
    assert config(congestion_control="reno").congestion_control == "reno"
    assert config(congestion_control=NewReno).congestion_control is NewReno
    with pytest.raises(TypeError, match=r"Config\.congestion_control"):
        config(congestion_control=7)


def test_an_unknown_congestion_control_is_refused_with_the_names_that_are_known() -> None:
    with pytest.raises(ValueError, match=r"Config\.congestion_control: .*'vegas'; known: .*reno"):
        config(congestion_control="vegas")


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(TypeError):
        config(delayed_ack=True)


def test_a_config_does_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().mtu = 9000  # type: ignore[misc]


def test_the_defaults_are_valid_and_as_documented() -> None:
    made = Config()
    assert (made.syn_retries, made.synack_retries, made.retries) == (6, 5, 15)
    assert (made.msl_us, made.keepalive_idle_us, made.user_timeout_us) == (30_000_000, 0, 0)


@pytest.mark.parametrize("setting", ["", "ON", "always"])
def test_an_unknown_ecn_setting_is_refused(setting: object) -> None:
    with pytest.raises(ValueError, match=r"Config\.ecn is one of"):
        Config(ecn=setting)  # type: ignore[arg-type]


def test_path_mtu_probing_is_one_of_three() -> None:
    for choice in ("off", "black-hole", "always"):
        assert Config(path_mtu_probing=choice).path_mtu_probing == choice
    with pytest.raises(ValueError, match="path_mtu_probing is off, black-hole or always, not 'on'"):
        Config(path_mtu_probing="on")


@pytest.mark.parametrize("setting", [1, None, b"on"])
def test_an_ecn_setting_that_is_no_str_is_refused(setting: object) -> None:
    # Compiled, the field itself refuses it.
    with pytest.raises(TypeError, match=r"Config\.ecn must be a str|str object expected"):
        Config(ecn=setting)  # type: ignore[arg-type]
