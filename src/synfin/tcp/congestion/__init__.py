"""Congestion controls behind one small abstract class (`base`), and how one is chosen (`choice`)."""

from __future__ import annotations

from synfin.tcp.congestion.choice import BY_NAME, factory

__all__ = ["BY_NAME", "factory"]
