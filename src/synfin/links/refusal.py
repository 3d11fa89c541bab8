"""Why this system refuses a namespace, as far as it can be told, and what to do about it."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final

_SECCOMP_FILTER: Final = "2"  # the field Seccomp of proc_pid_status(5)
_IN_CONTAINER: Final = "in a container: --security-opt seccomp=unconfined --security-opt apparmor=unconfined"


def why_refused(number: int, root: Path = Path("/")) -> str:
    """One line about unshare(2) or what follows it having failed with this errno. root: where /proc is."""
    user = "any user" if os.geteuid() == 0 else "an ordinary user"
    failed = f"this system does not let {user} have a network namespace"
    if _read(root / "proc/sys/kernel/unprivileged_userns_clone") == "0":
        return f"{failed} (Debian's switch): sysctl kernel.unprivileged_userns_clone=1 as root, or run as root"
    if _read(root / "proc/sys/user/max_user_namespaces") == "0":
        return f"{failed} (none are left): sysctl user.max_user_namespaces=10000 as root, or run as root"
    if number in (errno.EPERM, errno.EACCES):
        # The namespace is made there, but without capabilities in it, and what comes next fails.
        if _read(root / "proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1":
            return (
                f"{failed} with any rights in it (AppArmor, as Ubuntu sets it up): sysctl "
                "kernel.apparmor_restrict_unprivileged_userns=0 as root, give this Python a profile with "
                "`userns,` (apparmor.d(5)), or run as root"
            )
        if _field(root / "proc/self/status", "Seccomp") == _SECCOMP_FILTER:
            return f"{failed} (a filter of system calls, as containers have): {_IN_CONTAINER}, or --cap-add SYS_ADMIN"
    if number == errno.ENOSPC:
        return f"{failed} (too many are there, or nested too deep): sysctl user.max_user_namespaces=10000 as root"
    if number in (errno.EINVAL, errno.ENOSYS):
        return f"{failed}: its kernel has none (CONFIG_USER_NS, CONFIG_NET_NS); run as root, or use another kernel"
    return f"{failed} ({os.strerror(number)}): run as root, or allow it; {_IN_CONTAINER}"


def _read(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""


def _field(file: Path, name: str) -> str:
    for line in _read(file).splitlines():
        if line.startswith(f"{name}:"):
            return line.partition(":")[2].strip()
    return ""
