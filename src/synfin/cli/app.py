"""The commands, their options and their help. What a command does is in its own module.

Rule for the next editor: nothing heavy is imported here; a command imports what it needs when it runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from synfin.cli.campaign_app import app as campaign_app
from synfin.cli.run_options import run_command, ways_text
from synfin.cli.version import version_text

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
    """--version: say it and end, before any command is looked at."""
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
    """What stands before the command."""


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
    cwnd: Annotated[
        bool, typer.Option("--cwnd", help="Also draw the file over time, with cwnd and its like; the capture has it.")
    ] = False,
) -> None:
    """Fetch a page and a file over synfin, and draw each connection.

    The Linux kernel's TCP (curl) is the client, an HTTP server on a synfin host its peer. No root is needed: it runs
    in a network namespace of its own, with a TUN device. Where there is none it runs between two synfin hosts in
    memory, and says why.
    """
    from synfin.cli.demo import run

    raise typer.Exit(run(megabytes, capture, memory, ipv6, cwnd))


Addresses = Annotated[
    list[str] | None,
    typer.Option(
        "--address", "-a", metavar="ADDRESS/PREFIX",
        help="An address of synfin's; may be repeated. The kernel takes the first other one of that network.",
    ),
]  # fmt: skip
TunName = Annotated[
    str, typer.Option("--tun-name", "-t", metavar="NAME", help="Of the TUN device; %d becomes a free number.")
]
InterfaceName = Annotated[
    str | None,
    typer.Option(
        "--interface", "-i", metavar="NAME",
        help="An Ethernet interface instead of a TUN device, by a packet socket; needs an --address of its network.",
    ),
]  # fmt: skip
Gateways = Annotated[
    list[str] | None,
    typer.Option("--gateway", "-g", metavar="ADDRESS", help="Of --interface's network, the way to all others."),
]
Mtu = Annotated[
    int | None,
    typer.Option(
        "--mtu", min=576, max=65535,
        help="Largest packet in bytes; IPv6 needs 1280. Without it 1500, or what --interface has.",
    ),
]  # fmt: skip
Ipv4 = Annotated[bool, typer.Option("--ipv4", "-4", help="Use IPv4 only.")]
Ipv6 = Annotated[bool, typer.Option("--ipv6", "-6", help="Use IPv6 only.")]


def families(ipv4: bool, ipv6: bool) -> tuple[int, ...]:
    """The IP versions that two options leave."""
    if ipv4 and ipv6:
        raise typer.BadParameter("each of --ipv4 and --ipv6 leaves the other out; both are used without them")
    return (4,) if ipv4 else (6,) if ipv6 else (4, 6)


@app.command()
def serve(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", exists=True, file_okay=False, help="The folder whose files are served.")
    ],
    address: Addresses = None,
    port: Annotated[int, typer.Option("--port", "-p", min=1, max=65535, help="The port to listen on.")] = 80,
    tun_name: TunName = "synfin%d",
    interface: InterfaceName = None,
    gateway: Gateways = None,
    mtu: Mtu = None,
    ipv4: Ipv4 = False,
    ipv6: Ipv6 = False,
    processes: Annotated[
        int, typer.Option("--processes", "-n", min=1, max=64, help="Each serves its share of the connections.")
    ] = 1,
) -> None:
    """Serve the files of DIR over HTTP, by synfin's TCP.

    It makes a TUN device, over which this machine reaches synfin: at 10.9.0.2 and fd00:9::2 unless --address says
    otherwise. Browsers and curl need nothing else. It ends by Ctrl-C, or by TERM or HUP, and with it its connections.

    Only root may make a device. Anybody else gets a private network with one, and is told how to run programs in it,
    and what root can do once so that all programs of the machine see it.

    With --interface it is one more machine of that network: other machines reach it, this one does not. It takes the
    right to open packet sockets, which root has, and everybody in a network namespace of his own.
    """
    from synfin.cli.serve import run

    versions = families(ipv4, ipv6)
    raise typer.Exit(run(folder, address or [], versions, port, tun_name, mtu, processes, interface, gateway or []))


@app.command()
def connect(
    host: Annotated[str, typer.Argument(metavar="HOST", help="A name or an address.")],
    port: Annotated[int, typer.Argument(metavar="PORT", min=1, max=65535)],
    address: Addresses = None,
    tun_name: TunName = "synfin%d",
    interface: InterfaceName = None,
    gateway: Gateways = None,
    mtu: Mtu = None,
    ipv4: Ipv4 = False,
    ipv6: Ipv6 = False,
    wait: Annotated[float, typer.Option("--wait", "-w", min=0.1, help="Seconds until connecting fails.")] = 20,
    draw: Annotated[bool, typer.Option("--draw", "-d", help="Draw every segment, on stderr.")] = False,
) -> None:
    """Connect to a port by synfin's TCP, as nc does.

    stdin is sent, and what comes is written to stdout. The end of stdin closes this direction (FIN); the other goes on
    until HOST closes it. At a terminal, HOST's end is the end. (nginx, for one, takes the FIN for a client that has
    gone: keep stdin open until its answer has come.)

    It makes a TUN device, for which one must be root (or root has prepared one). Over it this machine is 10.9.1.1 and
    fd00:9:1::1, and synfin is 10.9.1.2 and fd00:9:1::2, unless --address says otherwise. Other machines are reached if
    this one forwards packets for them. With --interface synfin is one more machine of that network.

    Example: printf 'GET / HTTP/1.0\\r\\n\\r\\n' | synfin connect 10.9.1.1 80
    """
    from synfin.cli.connect import run

    versions = families(ipv4, ipv6)
    raise typer.Exit(run(host, port, address or [], versions, tun_name, mtu, wait, draw, interface, gateway or []))


@app.command()
def shrink(
    test: Annotated[str, typer.Argument(metavar="TEST", help="As pytest names it: tests/test_x.py::test_y")],
    seed: Annotated[int, typer.Option("--seed", "-s", metavar="N", help="A seed with which the test fails.")],
    runs: Annotated[int, typer.Option("--runs", min=1, help="How often the test is run at most.")] = 2000,
    settings: Annotated[
        str, typer.Option("--settings", metavar="JSON", help="Options of its network, as a campaign says them.")
    ] = "",
) -> None:
    """Find the few lost or delayed packets, crashes and partitions that make a simulation fail.

    TEST is a test of the fixture `network` (synfin.sim). It is run with fewer and fewer of the faults that the seed had
    made by chance, as long as it fails the same way. What is left is printed as packet rules to paste into the test.
    """
    from synfin.cli.shrink import run

    raise typer.Exit(run(test, seed, runs, settings))


app.add_typer(campaign_app)


@app.command()
def lab(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="The experiment, or all; none: list them.")] = None,
    seed: Annotated[int, typer.Option("--seed", "-s", min=0, metavar="N", help="Another seed, other numbers.")] = 0,
    values: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PARAMETER=N", help="Set a parameter; may be repeated. The list names them."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Say it as JSON.")] = False,
    pcapng: Annotated[Path | None, typer.Option("--pcapng", metavar="FILE", help="Write the segments there.")] = None,
    svg: Annotated[Path | None, typer.Option("--svg", metavar="FILE", help="Write the plot or diagram there.")] = None,
    cwnd: Annotated[
        bool, typer.Option("--cwnd", help="Also draw what was sent over time, with cwnd and its like; --pcapng has it.")
    ] = False,
) -> None:
    """Answer a question that people ask about TCP by an experiment.

    It runs over synfin's stack, in virtual time, and prints its question, what happened, what it found and why. The
    exit status is 1 if the expected outcome did not happen.

    Example: synfin lab time-wait --set msl_ms=0
    """
    from synfin.cli.lab import run

    raise typer.Exit(run(name, seed, values or [], json, pcapng, svg, cwnd))


@app.command()
def scenario(
    file: Annotated[
        str | None,
        typer.Argument(metavar="SCENARIO", help="A JSON file, - for stdin, or an example; none lists these."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Say what happened as JSON.")] = False,
    pcapng: Annotated[
        Path | None, typer.Option("--pcapng", metavar="FILE", help="Write the annotated capture there.")
    ] = None,
    pytest: Annotated[
        Path | None, typer.Option("--pytest", metavar="FILE", help="Write a test there that replays it.")
    ] = None,
    svg: Annotated[Path | None, typer.Option("--svg", metavar="FILE", help="Write the diagram there.")] = None,
    show: Annotated[
        bool, typer.Option("--print", help="Print the scenario itself, to change it, and run nothing.")
    ] = False,
) -> None:
    """Run a scenario: what hosts, their programs, the network and a forger do, in virtual time.

    It draws what happens, and says how each program ended. What a scenario may say is in docs/scenarios.md; the
    playground of the site makes and saves them. The exit status is 2 for a file that can't be read or is no scenario.

    Example: synfin scenario syn-ack-lost --print > mine.json; synfin scenario mine.json --pytest test_mine.py
    """
    from synfin.cli.scenario import run

    raise typer.Exit(run(file, json, pcapng, pytest, svg, show))


@app.command()
def explore(
    scenario: Annotated[
        str | None,
        typer.Argument(metavar="SCENARIO", help="One of the suite, an example, or a JSON file; none lists the suite."),
    ] = None,
    losses: Annotated[int | None, typer.Option("--losses", min=0, max=20, help="Packets lost on one path.")] = None,
    duplicates: Annotated[
        int | None, typer.Option("--duplicates", min=0, max=20, help="Packets that arrive twice on one path.")
    ] = None,
    early_timers: Annotated[
        int | None,
        typer.Option("--early-timers", min=0, max=20, help="Timers that fire while packets are still under way."),
    ] = None,
    whole_suite: Annotated[bool, typer.Option("--all", help="Explore the suite, with its large bounds.")] = False,
    max_states: Annotated[
        int, typer.Option("--max-states", min=0, help="Stop a scenario after so many states; 0: go through all.")
    ] = 0,
    workers: Annotated[
        int,
        typer.Option("--workers", "-n", min=0, max=256, help="Of a campaign's engine: 0, one for each core; 1: none."),
    ] = 1,
    scheduler: Annotated[
        str | None, typer.Option("--scheduler", metavar="ADDRESS", help="Another cluster's Dask scheduler, tls://...")
    ] = None,
    insecure_scheduler: Annotated[
        bool, typer.Option("--insecure-scheduler", help="Use a scheduler without TLS: whoever reaches it is you.")
    ] = False,
    tls_ca: Annotated[Path | None, typer.Option("--tls-ca-file", metavar="FILE", help="PEM: who is trusted.")] = None,
    tls_cert: Annotated[Path | None, typer.Option("--tls-cert", metavar="FILE", help="PEM: who we are.")] = None,
    tls_key: Annotated[Path | None, typer.Option("--tls-key", metavar="FILE", help="PEM: our key.")] = None,
    record: Annotated[
        Path | None, typer.Option("--record", metavar="FILE", help="Write the table there, as JSON.")
    ] = None,
    pytest: Annotated[
        Path | None,
        typer.Option("--pytest", metavar="FILE", help="Write a test there that walks the way to a failure."),
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option("--save", metavar="FILE", help="Write the way to a failure there, as a scenario to look at."),
    ] = None,
) -> None:
    """Go through every order in which packets, timers and programs of a scenario can follow each other.

    In each state any packet under way may arrive, be lost or arrive twice, a program may go on where its scenario names
    a time, the next timer may fire; states that nothing could tell apart are gone through once. In each, laws are
    checked: deadlines, accounts, bytes, the joint state of both ends; and at each end that nothing is left. A failure
    is shown by a shortest way to it, with a diagram and an address for the playground.

    Examples: synfin explore open --losses 2 --duplicates 1 --early-timers 1

    synfin explore mine.json --workers 0 --save failure.json; synfin scenario failure.json

    The exit status is 0 if all laws hold, 1 if one does not, 2 for what can't be read, written or reached.
    """
    from synfin.cli.explore import Files, Workers, run
    from synfin.cli.tls_files import together

    tls = together(tls_ca, tls_cert, tls_key)
    bounds = (losses, duplicates, early_timers)
    cluster = Workers(workers, scheduler, insecure_scheduler, tls)
    raise typer.Exit(run(scenario, whole_suite, bounds, max_states, cluster, Files(record, pytest, save)))


@app.command()
def plot(
    file: Annotated[Path, typer.Argument(metavar="CAPTURE", help="A pcapng or pcap file, of any stack; - for stdin.")],
    svg: Annotated[Path | None, typer.Option("--svg", metavar="FILE", help="Write an SVG there.")] = None,
    png: Annotated[Path | None, typer.Option("--png", metavar="FILE", help="Write a PNG there.")] = None,
    connection: Annotated[
        int | None, typer.Option("--connection", "-n", metavar="N", min=1, help="Which one; else what carried most.")
    ] = None,
    reverse: Annotated[
        bool, typer.Option("--reverse", "-r", help="What the other end sent, and not the one that sent more.")
    ] = False,
    begin: Annotated[float, typer.Option("--from", metavar="SECONDS", min=0, help="Draw from there on.")] = 0,
    end: Annotated[float | None, typer.Option("--to", metavar="SECONDS", min=0, help="Draw up to there.")] = None,
    dark: Annotated[bool, typer.Option("--dark", help="Light on dark, whatever the reader's scheme.")] = False,
    listing: Annotated[bool, typer.Option("--list", "-l", help="List the connections instead.")] = False,
) -> None:
    """Draw a connection of a capture: what was sent when, sent again, lost, acknowledged, reported by SACK; windows,
    rates and round trips.

    Without --svg and --png it is drawn in the terminal. A capture that synfin wrote with --cwnd also has the sender's
    own figures: cwnd, ssthresh, pacing rate, smoothed round trip. Of others what is in flight and the round trip are
    told from the packets.

    Example: tcpdump -w - -c 1000 tcp port 443 | synfin plot - --svg plot.svg
    """
    from synfin.cli.plot import run

    raise typer.Exit(run(file, svg, png, connection, reverse, begin, end, dark, listing))


@app.command()
def site(
    folder: Annotated[Path, typer.Option("--folder", "-f", metavar="DIR", help="Where `make site` has put it.")] = Path(
        "build/site"
    ),
    port: Annotated[int, typer.Option("--port", "-p", min=0, max=65535, help="Of 127.0.0.1; 0: any.")] = 8000,
) -> None:
    """Serve the documentation, the textbook, the lab and the playground to a browser on this machine.

    `make site` builds them. The pages can also be opened as files, but for the search and the playground.
    """
    from synfin.cli.pages import run

    raise typer.Exit(run(folder, port))


def _run(program: list[str], values: dict[str, object]) -> None:
    """Run a program, of any language and unchanged, with synfin as its network.

    It needs no root. The program has a network of its own, with synfin behind it, which carries its connections to
    where they would go; IPv4, IPv6, UDP, names and pings work. At the end each connection is told in a line, on stderr.
    With the options of a link, the network is a bad one. Terminal, signals and exit status are the program's own.

    It is a network boundary, and no sandbox: files and UNIX sockets are where they are. This machine's own loopback is
    out of reach unless --allow-host.

    Example: synfin run --delay 80ms --loss 2% --seed 7 -- curl https://example.org
    """
    from synfin.cli.run import run

    raise typer.Exit(run(program, values))


# What stands behind the first word is the program's.
app.command(
    "run", context_settings={"allow_interspersed_args": False}, epilog=ways_text(), options_metavar="[OPTIONS] --"
)(run_command(_run))


@app.command()
def fault(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the run: its program's, as `synfin ss` shows it.")],
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PLACE] [SETTING=...]", help="As in --rule of `synfin run`; no place: all the network."
        ),
    ] = None,
    up: Annotated[bool, typer.Option("--up", help="Only what the program sends.")] = False,
    down: Annotated[bool, typer.Option("--down", help="Only what it is sent.")] = False,
) -> None:
    """Change the network of a program while `synfin run` runs it, or show what it is set to.

    The run must have been started with an option of its link, and be it --delay 0.

    Example: synfin fault curl loss=10%; synfin fault curl db:5432 delay=200ms; synfin fault curl up=no
    """
    from synfin.cli.fault import run

    if up and down:
        raise typer.BadParameter("each of --up and --down leaves the other out; both ways are set without them")
    raise typer.Exit(run(name, words or [], "up" if up else "down" if down else "both"))


@app.command()
def watch(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="The host, as it calls its control socket; none: the only one.")
    ] = "",
    port: Annotated[int, typer.Option("--port", "-p", min=0, max=65535, help="Of 127.0.0.1; 0: any.")] = 0,
) -> None:
    """Watch a running synfin host in a browser.

    Its connections with their queues, windows, round trips and rates over time, and the sequence diagram of one of them
    as it happens: of an open one, or of the next that begins.

    It prints an address that is good once. Only your own hosts can be watched, and nothing can be changed. What it
    costs the host is bounded, however many connections there are and however slow the browser is. `synfin ss` shows
    the same hosts as a table in the terminal.
    """
    from synfin.cli.watch.command import run

    raise typer.Exit(run(name, port))


@app.command()
def ss(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Only hosts whose socket begins so.")] = None,
    watch: Annotated[
        float | None, typer.Option("--watch", "-w", min=0.1, metavar="SECONDS", help="Show it again and again.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Say it as JSON, one line a host.")] = False,
) -> None:
    """Show the connections of your running synfin hosts.

    State, queues, timers, congestion window and round-trip time of each.

    `synfin serve` and `synfin demo` can be asked, and every program that says Host(..., control="name"). Only the user
    who runs it can.
    """
    from synfin.cli.ss import run

    raise typer.Exit(run(name, watch, json))
