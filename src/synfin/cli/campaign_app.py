"""The command `campaign` with its options and their help; `synfin campaign TESTS` is `synfin campaign run TESTS`.

Rule for the next editor: nothing heavy is imported here; a command imports what it needs when it runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup


class RunByDefault(TyperGroup):
    """Whoever names no command means `run`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """With `run` before the first word that is no command, and asks for no help."""
        if args and args[0] not in (*self.commands, *ctx.help_option_names):
            args = ["run", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    name="campaign",
    cls=RunByDefault,
    no_args_is_help=True,
    rich_markup_mode=None,
    subcommand_metavar="[run] TEST... | COMMAND",
    help="""Run tests with very many seeds, and tell what fails.

    A campaign runs tests of the fixture `network` on all cores, or on a cluster; groups what fails, and makes it small.
    What was tried is in a ledger, .synfin/ledger.sqlite in the project's root: the same command again goes on where it
    ended, by Ctrl-C or otherwise, and runs no seed twice for the same code.

    Examples: synfin campaign tests/test_shop.py --seeds 100000

    synfin campaign tests --for 8h --junit campaign.xml; synfin campaign show

    Whoever names no command means `run`, whose options `synfin campaign run --help` tells.
    """,
)

TheLedger = Annotated[
    Path | None, typer.Option("--ledger", metavar="FILE", help="The ledger; else .synfin/ledger.sqlite.")
]
TheReport = Annotated[
    Path | None, typer.Option("--report", metavar="FILE", help="The HTML report; else beside the ledger.")
]
TheJunit = Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="Write JUnit XML there.")]
TheNumber = Annotated[int | None, typer.Argument(metavar="N", help="Which, as `ls` numbers them; none: the last.")]


@app.command()
def run(
    tests: Annotated[list[str], typer.Argument(metavar="TEST...", help="As pytest names them: files, folders, tests.")],
    seeds: Annotated[
        int | None, typer.Option("--seeds", "-n", min=1, metavar="N", help="Of each test. Without --for: 1000.")
    ] = None,
    duration: Annotated[str | None, typer.Option("--for", metavar="TIME", help="As many as go in 8h, 10min.")] = None,
    first: Annotated[int, typer.Option("--first", min=0, metavar="N", help="The first seed.")] = 0,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="An option of every Network, such as shuffle=true."),
    ] = None,
    guided: Annotated[
        bool, typer.Option("--guided", help="Try more of what reached something new; for tests with swarm=True.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option("--workers", "-j", min=1, metavar="N", help="Processes that run tests; one a core.")
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option("--scheduler", metavar="URL", help="Of a Dask cluster, tls://HOST:PORT; none: one process."),
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure-scheduler", help="Take one without TLS, where anybody can run code as you.")
    ] = False,
    tls_ca: Annotated[Path | None, typer.Option("--tls-ca-file", metavar="FILE", help="PEM: who is trusted.")] = None,
    tls_cert: Annotated[Path | None, typer.Option("--tls-cert", metavar="FILE", help="PEM: who we are.")] = None,
    tls_key: Annotated[Path | None, typer.Option("--tls-key", metavar="FILE", help="PEM: our key.")] = None,
    dashboard: Annotated[bool, typer.Option("--dashboard", help="Serve Dask's dashboard on loopback.")] = False,
    check_determinism: Annotated[
        bool, typer.Option("--check-determinism", help="Run each seed twice, and tell where the two differ.")
    ] = False,
    shrink: Annotated[
        int, typer.Option("--shrink", min=0, metavar="N", help="Make so many seeds of each failure small.")
    ] = 3,
    regressions: Annotated[
        bool, typer.Option("--regressions/--no-regressions", help="Run synfin_regressions.json first, and add to it.")
    ] = True,
    patience: Annotated[
        str, typer.Option("--patience", metavar="TIME", help="Real time of one callback, after which it hangs.")
    ] = "10s",
    memory: Annotated[
        str, typer.Option("--memory", metavar="SIZE", help="Of a process that runs tests, before it is ended.")
    ] = "2GiB",
    option: Annotated[
        list[str] | None, typer.Option("--pytest", metavar="OPTION", help="For pytest; may be repeated.")
    ] = None,
    ledger: TheLedger = None,
    report: TheReport = None,
    junit: TheJunit = None,
) -> None:
    """Run tests with very many seeds, group what fails, and make it small.

    It runs the tests of the fixture `network`, on all cores or on a cluster. What was tried is in a ledger: the same
    command again goes on where it ended.

    Example: synfin campaign run tests/test_shop.py --seeds 100000

    The exit status is 0 if nothing failed, 1 if something did or is flaky, 2 if it can't begin, 3 if
    nothing failed but some hung, 4 if it was stopped before its end (a full disk, a cluster that has gone), 130 by
    Ctrl-C.
    """
    from synfin.cli.campaign import Files
    from synfin.cli.campaign import run as run_it
    from synfin.cli.tls_files import together

    status = run_it(
        tests,
        duration,
        patience,
        memory,
        settings or [],
        Files(ledger, report, junit),
        guided,
        seeds=seeds,
        first=first,
        workers=workers,
        scheduler=scheduler,
        insecure=insecure,
        tls=together(tls_ca, tls_cert, tls_key),
        dashboard=dashboard,
        check_determinism=check_determinism,
        shrink=shrink,
        regressions=regressions,
        options=option or [],
    )
    raise typer.Exit(status)


@app.command()
def ls(ledger: TheLedger = None) -> None:
    """List the campaigns of a ledger."""
    from synfin.cli.campaign import ls as list_them

    raise typer.Exit(list_them(ledger))


@app.command()
def show(number: TheNumber = None, ledger: TheLedger = None) -> None:
    """Say what is known of a campaign's tests: failures, what is enough for them, how to replay them."""
    from synfin.cli.campaign import show as show_it

    raise typer.Exit(show_it(number, ledger))


@app.command()
def report(
    number: TheNumber = None, ledger: TheLedger = None, report: TheReport = None, junit: TheJunit = None
) -> None:
    """Write a campaign's HTML report, and JUnit XML, again."""
    from synfin.cli.campaign import Files
    from synfin.cli.campaign import report as report_it

    raise typer.Exit(report_it(number, Files(ledger, report, junit)))
