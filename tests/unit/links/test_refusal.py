from __future__ import annotations

import errno
from pathlib import Path

import pytest

from synfin.links.refusal import why_refused


@pytest.mark.parametrize(
    ("file", "text", "number", "expected"),
    [
        ("proc/sys/kernel/unprivileged_userns_clone", "0", errno.EPERM, "sysctl kernel.unprivileged_userns_clone=1"),
        ("proc/sys/user/max_user_namespaces", "0", errno.ENOSPC, "sysctl user.max_user_namespaces=10000"),
        (
            "proc/sys/kernel/apparmor_restrict_unprivileged_userns",
            "1",
            errno.EPERM,
            "sysctl kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        ("proc/self/status", "Name:\tpython\nSeccomp:\t2\n", errno.EPERM, "--security-opt seccomp=unconfined"),
        ("proc/self/status", "Seccomp:\t0\n", errno.EPERM, "run as root"),
        ("proc/self/status", "", errno.ENOSPC, "nested too deep"),
        ("proc/self/status", "", errno.EINVAL, "CONFIG_USER_NS"),
    ],
)
def test_a_refusal_names_its_cause_and_what_to_do(
    tmp_path: Path, file: str, text: str, number: int, expected: str
) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text(f"{text}\n")
    assert expected in why_refused(number, tmp_path)
