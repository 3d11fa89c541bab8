"""The files that decide how names are found, as the inside of a run has them: bound over, masked, hidden.

glibc, musl and Go read /etc/hosts and /etc/resolv.conf; nscd and systemd-resolved would answer past both over UNIX
sockets, which no network namespace shuts off. All of it is in a mount namespace of the run's own: nobody else sees it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from synfin.run.linux import MS_BIND, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_REC, MS_SLAVE, mount, unmount

HOSTS: Final = "/etc/hosts"
RESOLVER: Final = "/etc/resolv.conf"
_STAGE: Final = "/tmp"
_LOCKED: Final = MS_NOSUID | MS_NODEV | MS_NOEXEC

# Who would tell a program names past its network.
NAME_SERVICES: Final = (
    "/run/nscd/socket",
    "/var/run/nscd/socket",
    "/run/systemd/resolve/io.systemd.Resolve",
    "/run/systemd/resolve/io.systemd.Resolve.Monitor",
    "/run/avahi-daemon/socket",
)


def own_mounts() -> None:
    """What is mounted from now on, in a new mount namespace, is not seen outside of it."""
    mount("", "/", "", MS_REC | MS_SLAVE)


def bind_texts(texts: Mapping[str, str]) -> list[str]:
    """Programs find these texts under these paths; the paths that could not be covered, since nothing is there.

    Raises OSError where nothing can be mounted.
    """
    missing = []
    mount("tmpfs", _STAGE, "tmpfs", _LOCKED, "mode=755,size=1m")
    try:
        for number, (path, text) in enumerate(texts.items()):
            if not os.path.exists(path):
                missing.append(path)
                continue
            file = Path(_STAGE, str(number))
            file.write_text(text, encoding="utf-8")
            file.chmod(0o644)
            mount(str(file), path, "", MS_BIND)
    finally:
        unmount(_STAGE)  # the files live on where they are bound
    return missing


def mask(paths: Iterable[str] = NAME_SERVICES) -> None:
    """Who connects to these sockets is refused."""
    for path in paths:
        if os.path.exists(path):
            mount("/dev/null", path, "", MS_BIND)


def hide(folders: Iterable[Path]) -> None:
    """These folders are empty, and what is made in them is the run's own."""
    for folder in folders:
        if folder.is_dir():
            mount("tmpfs", str(folder), "tmpfs", _LOCKED, "mode=700,size=1m")


def hosts_text(names: Mapping[str, str], outside: str) -> str:
    """/etc/hosts: these names first, then what the outside's file says of others."""
    lines = [f"{address}\t{name}" for name, address in names.items()]
    known = {name.lower() for name in names}
    for line in outside.splitlines():
        words = line.partition("#")[0].split()
        rest = [word for word in words[1:] if word.lower() not in known]
        if rest:
            lines.append("\t".join([words[0], *rest]))
    if "localhost" not in known and not any("localhost" in line.split()[1:] for line in lines):
        lines += ["127.0.0.1\tlocalhost", "::1\tlocalhost"]
    return "\n".join(lines) + "\n"


def resolver_text(servers: Iterable[str], outside: str) -> str:
    """/etc/resolv.conf: these servers, and how the outside's file wants names looked for (resolv.conf(5))."""
    lines = [f"nameserver {server}" for server in servers]
    lines += [line for line in outside.splitlines() if line.split()[:1] in (["search"], ["domain"], ["options"])]
    return "\n".join(lines) + "\n"


def read_outside(path: str) -> str:
    """What such a file says here; nothing, where there is none."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
