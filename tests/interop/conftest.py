"""The harness asserts for its tests: let it say what was there instead."""

import fcntl
from collections.abc import Iterator

import pytest

pytest.register_assert_rewrite("tests.interop.harness")


@pytest.fixture(params=["tun", "packet"])
def device(request: pytest.FixtureRequest) -> str:
    """What joins synfin to the kernel: `synfin_side.Settings.device`."""
    return str(request.param)


@pytest.fixture(autouse=True)
def one_at_a_time(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Each of these tests is several programs on two kernels' clocks: workers beside each other take turns."""
    with open(tmp_path_factory.getbasetemp().parent / "interop.lock", "w") as turn:
        fcntl.lockf(turn, fcntl.LOCK_EX)  # of this process alone: what a test forks holds nobody up
        yield
