"""The options of `synfin run`, made from tables: each setting of a link is an option, and one for either way."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

import typer

# option: (metavar, help). The names are those of the simulation's links, but for rate: their bandwidth.
SETTINGS: Final = {
    "delay": ("TIME", "Each packet takes so long: 80ms."),
    "jitter": ("TIME", "And up to so much more, by chance."),
    "distribution": ("NAME", "How that is spread: uniform (as it is without this), normal or pareto."),
    "loss": ("PART", "So many are lost: 2%."),
    "burst-enter": ("PART", "So often a burst of losses begins, per packet."),
    "burst-leave": ("PART", "So often it ends, per packet."),
    "burst-loss": ("PART", "So many are lost in one; all, if nothing is said."),
    "duplicate": ("PART", "So many arrive twice."),
    "corrupt": ("PART", "In so many a bit is turned over."),
    "mark": ("PART", "So many are marked as by a congested router, if they are capable of ECN."),
    "rate": ("RATE", "What the link carries: 5Mbit/s."),
    "queue": ("SIZE", "What may wait for the rate: 64KB; more is lost."),
    "mtu-hole": ("BYTES", "What is bigger vanishes, and no ICMP tells of it."),
}
REORDER: Final = "With jitter, packets may overtake each other."
WAYS: Final = ("up", "down")

Body = Callable[[list[str], dict[str, Any]], None]

_LISTS: Final = {
    "cut": ("5s..8s", "Nothing passes from then to then. May be repeated, as can all that follow here."),
    "rule": ("'PLACE SETTING=...'", "Other settings for one place: 'db:5432 delay=200ms', '10.0.0.0/8 loss=5%'."),
    "name": ("NAME=ADDRESS", "The program finds this name there: db=10.1.2.3."),
    "publish": ("[ADDR:]PORT:PORT[/udp]", "A port of this machine leads to one inside: 8080:80."),
    "deny": ("PLACE", "The program may not reach this: 10.0.0.0/8, *:25."),
    "allow": ("PLACE", "It may reach this all the same; without --deny: nothing else."),
}
_FLAGS: Final = {
    "allow-host": "This machine's own loopback is reachable inside, as host.synfin.",
    "diagram": "Draw each connection when it is over.",
    "json": "The report as JSON, a line a connection.",
    "quiet": "No report.",
}
_FILES: Final = {
    "rules": ("FILE.py", "Its function network(net) sets links and rules as a simulation does."),
    "report": ("FILE", "Write the report there, not to stderr."),
    "record": ("FILE", "Keep what the network does to packets, for a simulation to replay it."),
    "pcapng": ("FILE", "Write an annotated capture of what passes inside."),
}


def run_command(body: Body) -> Callable[..., None]:
    """A function for Typer: `body` gets the program's words, and each option's value by its name."""
    found: dict[str, tuple[Any, Any]] = {}
    for name, (metavar, text) in SETTINGS.items():
        found[name] = _option(str | None, text, name, metavar=metavar), None
    found["reorder"] = _option(bool, REORDER, "reorder"), False
    for way in WAYS:
        for name in SETTINGS:
            found[f"{way}-{name}"] = _option(str | None, "", f"{way}-{name}", hidden=True), None
        found[f"{way}-reorder"] = _option(bool, "", f"{way}-reorder", hidden=True), False
    found["seed"] = _option(int | None, "Of all chance; without it, another each time.", "seed", metavar="N"), None
    netns = _option(
        str | None,
        "Use a network that is there: a process in it, its path, or this one.",
        "netns",
        metavar="PID|PATH|here",
    )
    found["netns"] = netns, None
    found["mtu"] = _option(int | None, "Largest packet; 65520, or 1500 with faults.", "mtu", metavar="BYTES"), None
    for name, (metavar, text) in _LISTS.items():
        found[name] = _option(list[str] | None, text, name, metavar=metavar), None
    for name, (metavar, text) in _FILES.items():
        found[name] = _option(Path | None, text, name, metavar=metavar), None
    for name, text in _FLAGS.items():
        found[name] = _option(bool, text, name), False

    def command(program: list[str] | None, **values: Any) -> None:
        body(program or [], {name.replace("_", "-"): value for name, value in values.items()})

    program = Annotated[list[str] | None, typer.Argument(metavar="PROGRAM [ARGS]", help="What is run.")]
    kinds = {"program": program, **{name.replace("-", "_"): kind for name, (kind, _) in found.items()}}
    defaults = {"program": None} | {name.replace("-", "_"): default for name, (_, default) in found.items()}
    command.__annotations__ = {**kinds, "return": None}
    command.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=defaults.get(name, inspect.Parameter.empty),
                annotation=kind,
            )
            for name, kind in kinds.items()
        ]
    )
    command.__doc__ = body.__doc__
    return command


def _option(kind: Any, text: str, name: str, **more: Any) -> Any:
    return Annotated[kind, typer.Option(f"--{name}", help=text, show_default=False, **more)]


def ways_text() -> str:
    """The options for one way, for the end of the help."""
    names = [*SETTINGS, "reorder"]
    lines = [
        "  ".join(f"--{way}-{name}" for name in names[at : at + 4]) for way in WAYS for at in range(0, len(names), 4)
    ]
    return "For one way alone, up from the program or down to it:\n\n\b\n" + "\n".join(lines)
