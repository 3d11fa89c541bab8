"""What the library tests share: each runs on every path between the two machines."""

from __future__ import annotations

import pytest

from tests.libraries.world import PATHS, World


@pytest.fixture(params=list(PATHS))
def world(request: pytest.FixtureRequest) -> World:
    """Two machines in memory, or one that talks to itself; nothing has run on them yet."""
    return World(PATHS[request.param])
