"""Imports every module of programs, which registers them."""

from tests.unit.aio.promises.programs import ending, flow, order

__all__ = ["ending", "flow", "order"]
