"""The commands, their options and their help. What a command does is in its own module.

Rule for the next editor: nothing heavy is imported here; a command imports what it needs when it runs.
"""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Annotated

import typer

from synfin import __version__, compiled


def version_text() -> str:
    """What `synfin --version` says."""
    form = "compiled" if compiled() else "interpreted"
    return f"synfin {__version__} ({form}, {platform.python_implementation()} {platform.python_version()})"


app = typer.Typer(
    name="synfin",
    help="A complete TCP for Python, in your own process: from the first SYN to the last FIN.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(version_text())
        raise typer.Exit


@app.callback()
def synfin(
    version: Annotated[
        bool,
        typer.Option("--version", callback=show_version, is_eager=True, help="Say the version, and if compiled."),
    ] = False,
) -> None:
    pass


@app.command()
def demo(
    megabytes: Annotated[
        int, typer.Option("--megabytes", "-m", min=1, max=4096, help="Size of the file that is fetched.")
    ] = 64,
    capture: Annotated[Path, typer.Option("--capture", "-c", help="Where to write the annotated capture.")] = Path(
        "demo.pcapng"
    ),
    memory: Annotated[
        bool, typer.Option("--memory", help="Use two synfin hosts in memory instead of a TUN device.")
    ] = False,
    ipv6: Annotated[bool, typer.Option("--ipv6", "-6", help="Use IPv6.")] = False,
) -> None:
    """Let the Linux kernel's TCP fetch a page and a file from a synfin host, and draw each connection.

    No root is needed: it runs in a network namespace of its own, with a TUN device. Where there is none it runs
    between two synfin hosts in memory, and says why.
    """
    from synfin.cli.demo import run

    raise typer.Exit(run(megabytes, capture, memory, ipv6))
