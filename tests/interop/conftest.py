"""The harness asserts for its tests: let it say what was there instead."""

import pytest

pytest.register_assert_rewrite("tests.interop.harness")


@pytest.fixture(params=["tun", "packet"])
def device(request: pytest.FixtureRequest) -> str:
    """What joins synfin to the kernel: `synfin_side.Settings.device`."""
    return str(request.param)
