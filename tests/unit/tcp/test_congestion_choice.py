"""Which congestion control a connection gets, and what it goes on with when it is exchanged."""

from __future__ import annotations

import functools

import pytest

from synfin.tcp.config import Config
from synfin.tcp.congestion import BY_NAME, factory
from synfin.tcp.congestion.base import CongestionControl
from synfin.tcp.congestion.bbr import BBR
from synfin.tcp.congestion.cubic import Cubic
from synfin.tcp.congestion.newreno import NewReno
from tests.unit.tcp.path_model import MSS, SECOND, Path


def test_names_and_whatever_makes_one_are_taken() -> None:
    assert factory("cubic") is Cubic and factory("bbr") is BBR
    assert factory("reno") is factory("newreno") is NewReno
    make = functools.partial(BBR, loss_thresh=0.1)
    assert factory(make) is make
    made = factory(make)(MSS)
    assert isinstance(made, BBR) and made.loss_thresh == 0.1


def test_an_unknown_name_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(ValueError, match="'vegas'; known: reno, newreno, cubic, bbr"):
        factory("vegas")
    with pytest.raises(TypeError, match="int"):
        factory(7)  # type: ignore[arg-type]


def test_the_default_is_cubic() -> None:
    assert factory(Config().congestion_control) is Cubic


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_each_tells_its_name_as_tcp_congestion_has_it(name: str) -> None:
    assert BY_NAME[name](MSS).name in (name, "newreno")


@pytest.mark.parametrize("first", ["newreno", "cubic", "bbr"])
@pytest.mark.parametrize("second", ["newreno", "cubic", "bbr"])
def test_an_exchange_in_the_middle_of_a_connection_keeps_the_path_full(first: str, second: str) -> None:
    old: CongestionControl = BY_NAME[first](MSS)
    path = Path(old, rate=1_250_000, rtt=40_000, queue=50_000)
    path.run(4 * SECOND)
    new = BY_NAME[second](MSS)
    new.take_over(old)
    assert (new.cwnd, new.ssthresh, new.mss) == (old.cwnd, old.ssthresh, MSS)
    path.control = new
    before, lost = path.delivered, path.lost
    path.run(4 * SECOND)
    assert path.delivered - before > 0.8 * 4 * 1_250_000
    assert path.lost - lost < 0.05 * (path.delivered - before)
