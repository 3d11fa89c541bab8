"""`synfin site`: the documentation as `make site` has built it, over HTTP on loopback.

The pages read from a folder as well; the search and the playground need HTTP. Every answer carries the policy that the
pages also have as meta: nothing from elsewhere, no inline script, no inline style.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path
from typing import Final

POLICY: Final = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'self'"
)
FIELDS: Final = (
    ("Content-Security-Policy", f"{POLICY}; frame-ancestors 'none'"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cache-Control", "no-cache"),
)
FOLDER: Final = Path("build", "site")
ADDRESS: Final = "127.0.0.1"


def run(folder: Path, port: int) -> int:
    """The command; its exit status."""
    if not (folder / "index.html").is_file():
        print(
            f"synfin site: there is no site in {folder}; type `make site` in a checkout of synfin, or say --folder",
            file=sys.stderr,
        )
        return 1
    from synfin.cli.ending import run_until_ended

    return run_until_ended(_serve(folder, port))


async def _serve(folder: Path, port: int) -> int:
    from synfin.cli.http_server import HttpServer
    from synfin.cli.site import DirectorySite

    server = HttpServer(DirectorySite(folder), more=FIELDS)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.CancelledError):  # the command ends: asyncio 3.11 would report it
            await server.serve(reader, writer)

    try:
        listening = await asyncio.start_server(serve, ADDRESS, port)
    except OSError as error:
        print(f"synfin site: {error.strerror or error}; --port takes another one", file=sys.stderr)
        return 1
    async with listening:
        print(f"http://{ADDRESS}:{listening.sockets[0].getsockname()[1]}/", "Ctrl-C ends it.", sep="\n", flush=True)
        await asyncio.Future()  # until a signal comes
    return 0
