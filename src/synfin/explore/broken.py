"""What a law says when it does not hold."""

from __future__ import annotations


class Broken(AssertionError):
    """A law does not hold; the text says which, and where."""


def demand(holds: bool, what: str) -> None:
    """Raise Broken if it does not hold."""
    if not holds:
        raise Broken(what)
