import pytest

from synfin.links.link import check_mtu


@pytest.mark.parametrize("mtu", [576, 1279, 1280, 1500, 65535])
def test_an_mtu_that_ip_allows_is_taken(mtu: int) -> None:
    assert check_mtu(mtu) == mtu


@pytest.mark.parametrize("mtu", [-1, 0, 575, 65536])
def test_an_mtu_outside_576_to_65535_is_refused(mtu: int) -> None:
    with pytest.raises(ValueError, match="576 to 65535"):
        check_mtu(mtu)


def test_ipv6_needs_1280() -> None:
    assert check_mtu(1280, ipv6=True) == 1280
    with pytest.raises(ValueError, match="1280"):
        check_mtu(1279, ipv6=True)


@pytest.mark.parametrize("mtu", ["1500", 1500.0, None])
def test_an_mtu_that_is_no_integer_is_refused(mtu: object) -> None:
    with pytest.raises(TypeError):
        check_mtu(mtu)  # type: ignore[arg-type]
