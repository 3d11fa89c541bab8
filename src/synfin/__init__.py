"""synfin: a complete TCP for Python, in your own process.

    async with synfin.Host("fd00::2/64", link=link) as host:
        reader, writer = await host.open_connection("fd00::1", 443, ssl=context)

`Host` speaks asyncio over anything that carries IP packets; `Stack` is the protocol without any I/O; `Config` holds
what both may be told. The names are resolved on first use (PEP 562): `import synfin` alone costs next to nothing.

Rule for the next editor: nothing is imported here but the version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from synfin._version import __version__

if TYPE_CHECKING:
    from synfin.aio.host import Host
    from synfin.aio.loop import loop_factory
    from synfin.stack.admission import ACCEPT, DROP, REFUSE, unreachable
    from synfin.stack.stack import Stack
    from synfin.tcp.config import Config

__all__ = [
    "ACCEPT",
    "DROP",
    "REFUSE",
    "Config",
    "Host",
    "Stack",
    "__version__",
    "compiled",
    "loop_factory",
    "unreachable",
]

_HOMES = {
    "ACCEPT": "synfin.stack.admission",
    "Config": "synfin.tcp.config",
    "DROP": "synfin.stack.admission",
    "Host": "synfin.aio.host",
    "loop_factory": "synfin.aio.loop",
    "REFUSE": "synfin.stack.admission",
    "Stack": "synfin.stack.stack",
    "unreachable": "synfin.stack.admission",
}


def compiled() -> bool:
    """Tell whether the core runs compiled by mypyc (True) or as plain Python (False)."""
    from importlib.machinery import ExtensionFileLoader
    from importlib.util import find_spec

    spec = find_spec("synfin.wire.seq")
    return spec is not None and isinstance(spec.loader, ExtensionFileLoader)


# Hidden from type checkers, to whom a module with __getattr__ would seem to have every name.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = getattr(import_module(home), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
