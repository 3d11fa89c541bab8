"""`synfin run`: any program on a network of its own, carried by synfin; what it did there is told at the end."""

from __future__ import annotations

import json as json_format
import os
import runpy
import secrets
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from synfin.aio.control import control_folder
from synfin.cli.device import CommandError
from synfin.cli.run_options import SETTINGS, WAYS
from synfin.cli.ss import control_socket
from synfin.cli.written import why_not
from synfin.run import detour, files, outside
from synfin.run.launch import Attend, LaunchError, end_like, launch
from synfin.run.namespace import Inside
from synfin.run.network import INSIDE, RunNetwork
from synfin.run.plan import GATEWAY, PROGRAM, Wanted
from synfin.run.policy import Policy
from synfin.run.publish import parse_published
from synfin.run.settings import parse_cut, parse_setting, parse_settings
from synfin.run.targets import parse_target

if TYPE_CHECKING:
    from synfin.run.session import Session

MTU: Final = 65520  # the largest whose packets fit 64 KiB with a header of the device's
MTU_BAD: Final = 1500
WAIT: Final = ("sleep", "infinity")  # what is run where only others use the network
HOST_NAME: Final = "host.synfin"
_WORDS: Final = 40  # of a name that `synfin ss` shows


def run(program: Sequence[str], values: Mapping[str, Any]) -> int:
    """The command; its exit status, where the program did not come to have one."""
    try:
        if not sys.platform.startswith("linux"):
            raise CommandError(f"network namespaces are Linux's, and this is {sys.platform}")
        if not program and values["netns"] is None:
            raise CommandError("say which program is to run: synfin run [OPTIONS] -- PROGRAM [ARGS]")
        program = program or WAIT
        wanted = read(program, values)
        mtu = values["mtu"] or (MTU if wanted.network is None else MTU_BAD)
        inside = _inside(wanted, mtu, values["netns"])
    except (CommandError, ValueError, TypeError) as error:
        print(f"synfin run: {error}", file=sys.stderr)
        return 2
    if shutil.which(program[0]) is None and not os.path.exists(program[0]):
        print(f"synfin run: there is no program {program[0]}", file=sys.stderr)
        return 127
    sessions: list[Session] = []

    def prepare() -> Attend:
        from synfin.run.session import Session  # takes time, which the inside takes too

        sessions.append(Session(wanted))
        return sessions[0].attend

    try:
        status = launch(inside, program, prepare, detour.leave if inside.netns == detour.HERE else None)
    except LaunchError as error:
        print(f"synfin run: {error}", file=sys.stderr)
        return error.code
    _keep(sessions[0], values["record"])
    with suppress(OSError):  # whoever read stderr may have gone
        _tell(sessions[0], values)
    return end_like(status)


# ---- what the user wants ----


def read(program: Sequence[str], values: Mapping[str, Any]) -> Wanted:
    """The options, checked. Raises CommandError, ValueError or TypeError."""
    unwritable = why_not(record=values["record"], report=values["report"])
    if unwritable:
        raise CommandError(unwritable)
    names = dict(_each("name", values, _parse_name))
    families = outside.families()
    hosts = [GATEWAY[family].split("/")[0] for family in families]
    if values["allow-host"]:
        names.setdefault(HOST_NAME, hosts[0])
    policy = Policy(
        deny=_each("deny", values, lambda text: parse_target(text, names)),
        allow=_each("allow", values, lambda text: parse_target(text, names)),
        host=hosts,
        allow_host=values["allow-host"],
    )
    word = "".join(c for c in Path(program[0]).name if c.isalnum() or c in "-_")[:_WORDS] or "program"
    return Wanted(
        families=families,
        names=names,
        policy=policy,
        published=_each("publish", values, parse_published),
        network=_network(values, names),
        cuts=_each("cut", values, parse_cut),
        script=_script(values["rules"]),
        control=control_socket(word),
        name=word,
        pcapng=values["pcapng"],
        record=values["record"],
        mark=detour.MARK if values["netns"] == detour.HERE else 0,
        diagram=values["diagram"],
    )


def _each(option: str, values: Mapping[str, Any], parse: Callable[[str], Any]) -> list[Any]:
    found = []
    for text in values[option] or ():
        try:
            found.append(parse(text))
        except (ValueError, TypeError) as error:
            raise CommandError(f"--{option}: {error}") from error
    return found


def _parse_name(text: str) -> tuple[str, str]:
    name, equals, address = text.partition("=")
    if not equals or not name or any(c.isspace() or c == "#" for c in name):
        raise ValueError(f"a name is given as db=10.1.2.3, not {text!r}")
    try:
        return name, str(ip_address(address))
    except ValueError:
        raise ValueError(f"{text!r}: {address!r} is no address") from None


def _network(values: Mapping[str, Any], names: Mapping[str, str]) -> RunNetwork | None:
    """The bad network; None if nothing was said of one."""
    both = ((INSIDE, "*"), ("*", INSIDE))
    ways = [(_settings(values, ""), list(both))]
    ways += [(_settings(values, f"{way}-"), [ends]) for way, ends in zip(WAYS, both, strict=True)]
    rules = _each("rule", values, _parse_rule)
    if not any(settings for settings, _ in ways) and not rules and not values["cut"] and values["rules"] is None:
        if values["seed"] is not None:
            raise CommandError("--seed is of chance, and no option says that anything happens by it")
        return None
    seed = values["seed"] if values["seed"] is not None else secrets.randbelow(10**6)
    network = RunNetwork(names, seed)
    for settings, directions in ways:
        for sender, receiver in directions:
            network.one_way(sender, receiver, **settings)
    for place, settings in rules:
        try:
            network.link(INSIDE, place, **settings)
        except ValueError as error:
            raise CommandError(f"--rule: {error}") from error
    return network


def _settings(values: Mapping[str, Any], way: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for option in SETTINGS:
        text = values[f"{way}{option}"]
        if text is None:
            continue
        try:
            if option == "mtu-hole":
                found.update([parse_setting("mtu", text), ("icmp", False)])
            else:
                found.update([parse_setting(option, text)])
        except (ValueError, TypeError) as error:
            raise CommandError(f"--{way}{option}: {error}") from error
    if values[f"{way}reorder"]:
        found["reorder"] = True
    return found


def _parse_rule(text: str) -> tuple[str, dict[str, Any]]:
    place, *words = text.split() or [""]
    if not words:
        raise ValueError(f"{text!r} sets nothing: write 'db:5432 delay=200ms'")
    return place, parse_settings(words)


def _script(file: Path | None) -> Callable[[RunNetwork], Any] | None:
    if file is None:
        return None
    try:
        function = runpy.run_path(str(file)).get("network")
    except OSError as error:
        raise CommandError(f"--rules {file}: {error.strerror}") from error
    except Exception as error:
        raise CommandError(f"--rules {file}: {error!r}") from error
    if not callable(function):
        raise CommandError(f"--rules {file}: it has no function network(net)")
    return function  # type: ignore[no-any-return]


def _inside(wanted: Wanted, mtu: int, netns: str | None) -> Inside:
    least = 1280 if 6 in wanted.families else 576
    if not least <= mtu <= MTU:
        raise CommandError(f"--mtu is from {least} to {MTU} bytes, not {mtu}")
    server = GATEWAY[wanted.families[0]].split("/")[0]
    return Inside(
        addresses=[PROGRAM[family] for family in wanted.families],
        mtu=mtu,
        offload=wanted.network is None,
        texts={
            files.HOSTS: files.hosts_text(wanted.names, files.read_outside(files.HOSTS)),
            files.RESOLVER: files.resolver_text([server], files.read_outside(files.RESOLVER)),
        },
        hidden=[control_folder(), Path(f"/tmp/synfin-{os.geteuid()}")],
        netns=netns,
    )


# ---- what is told at the end ----


def _tell(session: Session, values: Mapping[str, Any]) -> None:
    lines = session.drawing.lines(_width(), False) if values["diagram"] else []
    if values["json"]:
        lines += [json_format.dumps(row) for row in session.report.rows()]
    elif not values["quiet"]:
        told = session.report.lines()
        lines += ([""] if lines and told else []) + told + session.network_lines()
    if not values["quiet"]:
        lines += [f"synfin run: {line}" for line in session.limit_lines()]
    if session.capture is not None and session.capture.error is not None:
        lines.append(f"synfin run: --pcapng: {session.capture.error.strerror}: the capture is not whole")
    text = "".join(f"{line}\n" for line in lines)
    if values["report"] is not None:
        try:
            values["report"].write_text(text, encoding="utf-8")
        except OSError as error:
            print(f"synfin run: --report {values['report']}: {error.strerror}", file=sys.stderr)
    elif text:
        print(text, end="", file=sys.stderr)


def _keep(session: Session, file: Path | None) -> None:
    if file is None:
        return
    try:
        session.recording().save(file)
    except OSError as error:
        with suppress(OSError):
            print(f"synfin run: --record {file}: {error.strerror}", file=sys.stderr)


def _width() -> int:
    return min(max(shutil.get_terminal_size((100, 24)).columns, 72), 120)
