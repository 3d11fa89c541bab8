"""Which of the peers this machine has: the command line of each, or what is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from bench.plan import GVISOR, LWIP, PASTA, PYTCP, SLIRP4NETNS

HERE = Path(__file__).resolve().parent
DEBIAN_GO = Path("/usr/share/gocode/src/gvisor.dev/gvisor")
PYTCP_PYTHON = HERE.parent.parent / ".venv-peers" / "bin" / "python"


PACKAGES = {
    GVISOR: "golang-gvisor-gvisor-dev",
    LWIP: "liblwip-dev",
    SLIRP4NETNS: "slirp4netns",
    PASTA: "passt",
}  # Debian's


class Missing(Exception):
    """A peer can't be had here; the text says what to install."""


def peers(wanted: set[str], folder: Path) -> tuple[dict[str, list[str]], dict[str, str]]:
    """The command line of each peer that is there, and why the others are left out. folder: for what is compiled."""
    there, missing = {}, {}
    for name, find in FINDERS.items():
        if name in wanted:
            try:
                there[name] = find(folder)
            except Missing as reason:
                missing[name] = str(reason)
    return there, missing


def version(name: str) -> str:
    """Which one it is, in Debian's words: not all can say themselves. "" if it is not Debian's."""
    command = ["dpkg-query", "--show", "--showformat=${Version}", PACKAGES.get(name, "")]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout if done.returncode == 0 else ""


def _gvisor(folder: Path) -> list[str]:
    if not (shutil.which("go") and DEBIAN_GO.exists()):
        raise Missing("Debian's packages golang-go and golang-gvisor-gvisor-dev")
    program = folder / "gvisor"
    environment = {"GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOCACHE": str(folder / "go")}
    _compile(["go", "build", "-o", str(program), str(HERE / "gvisor.go")], environment)
    return [str(program)]


def _lwip(folder: Path) -> list[str]:
    headers = Path("/usr/include/lwip")
    if not (headers / "lwip" / "tcp.h").exists():
        raise Missing("Debian's package liblwip-dev")
    program = folder / "lwip"
    compiler = os.environ.get("CC", "cc")
    _compile([compiler, "-O2", "-Wall", f"-I{headers}", "-o", str(program), str(HERE / "lwip.c"), "-llwip"], {})
    return [str(program)]


def _compile(command: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | environment)
    if done.returncode:
        raise Missing(f"what compiles: {(done.stderr.strip().splitlines() or ['the compiler failed'])[-1]}")


def _pytcp(folder: Path) -> list[str]:
    python = os.environ.get("SYNFIN_PYTCP_PYTHON", str(PYTCP_PYTHON))
    test = [python, "-c", "import pmd_pytcp"]
    if not Path(python).exists() or subprocess.run(test, capture_output=True, check=False).returncode:
        raise Missing("pmd-pytcp: python3 -m venv .venv-peers; .venv-peers/bin/pip install pmd-pytcp")
    return [python, str(HERE / "pytcp.py")]


def _slirp4netns(folder: Path) -> list[str]:
    found = shutil.which("slirp4netns")
    if found is None:
        raise Missing("Debian's package slirp4netns")
    return [found]


def _pasta(folder: Path) -> list[str]:
    found = shutil.which("pasta")
    if found is None or os.geteuid() != 0:
        raise Missing("Debian's package passt, and root, who gives it an ordinary user")
    return [found]


FINDERS: dict[str, Callable[[Path], list[str]]] = {
    GVISOR: _gvisor,
    LWIP: _lwip,
    PYTCP: _pytcp,
    SLIRP4NETNS: _slirp4netns,
    PASTA: _pasta,
}
