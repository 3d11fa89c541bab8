"""With which settings a seed is tried: blindly, or as what came of others suggests."""

from __future__ import annotations

from typing import Any, Protocol


class Guide(Protocol):
    """Deterministic: what it proposes depends on nothing but the order in which it is asked and told."""

    def settings(self, test: str, seed: int) -> dict[str, Any]:
        """Those of the next seed of a test; plain JSON."""

    def note(self, test: str, seed: int, settings: dict[str, Any], verdict: str, novelty: int) -> None:
        """What came of it; novelty: how many features nobody had reached before."""


class Blind:
    """The same for all."""

    def __init__(self, settings: dict[str, Any] | None = None) -> None:
        self._settings = settings or {}

    def settings(self, test: str, seed: int) -> dict[str, Any]:
        return dict(self._settings)

    def note(self, test: str, seed: int, settings: dict[str, Any], verdict: str, novelty: int) -> None:
        """It learns nothing."""
