"""Imports every module of programs, which registers them."""

from tests.unit.aio.promises.programs import connecting, datagrams, ending, faces, flow, listening, order, sockets, tls

__all__ = ["connecting", "datagrams", "ending", "faces", "flow", "listening", "order", "sockets", "tls"]
