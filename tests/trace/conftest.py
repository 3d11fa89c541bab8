"""The stage that every trace test is given."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.trace.scene import Stage


@pytest.fixture
def stage() -> Iterator[Stage]:
    """Scenes for one test; after it, nothing may be left unclaimed."""
    made = Stage()
    yield made
    made.end()
