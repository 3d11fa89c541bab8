"""With which settings a seed is tried: blindly, or as what came of others suggests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Guide(Protocol):
    """Deterministic: what it proposes depends on nothing but the order in which it is asked and told."""

    def settings(self, test: str, seed: int) -> dict[str, Any]:
        """Those of the next seed of a test; plain JSON."""

    def note(self, test: str, seed: int, settings: dict[str, Any], verdict: str, novelty: int) -> None:
        """What came of it; novelty: how many features nobody had reached before."""


class Blind:
    """Nothing is added to what the marker says."""

    def settings(self, test: str, seed: int) -> dict[str, Any]:
        """None."""
        return {}

    def note(self, test: str, seed: int, settings: dict[str, Any], verdict: str, novelty: int) -> None:
        """It learns nothing."""


class Among:
    """Another guide's choice, among settings that hold for all seeds."""

    def __init__(self, settings: Mapping[str, Any], guide: Guide) -> None:
        self._settings = dict(settings)
        self._guide = guide
        self.note = guide.note

    def settings(self, test: str, seed: int) -> dict[str, Any]:
        """The other guide's, which stand before those of all seeds."""
        return {**self._settings, **self._guide.settings(test, seed)}
