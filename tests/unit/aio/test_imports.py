"""What an import costs: each part of synfin loads what it needs and no more."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"asyncio", "pyroute2", "rich", "ssl", "typer", "h11", "socket", "dataclasses", "ipaddress"}


def loaded_by(statement: str) -> set[str]:
    """The modules that a fresh interpreter loads for `statement`, beyond what it starts with."""
    script = f"import sys; before = set(sys.modules); {statement}; print(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-S", "-c", script], capture_output=True, text=True, check=False)
    if done.returncode:  # -S keeps what .pth files import out of the count, but hides an installed package too
        script = f"import sys; before = set(sys.modules); {statement}; print(*(set(sys.modules) - before))"
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_import_synfin_loads_two_modules_of_its_own_and_nothing_heavy() -> None:
    loaded = loaded_by("import synfin")
    assert {name for name in loaded if name.startswith("synfin")} == {"synfin", "synfin._version"}
    assert not loaded & HEAVY


@pytest.mark.parametrize(
    "statement", ["import synfin.aio.host", "from synfin import Host, Config, Stack, loop_factory"]
)
def test_a_host_loads_no_device_no_simulation_and_no_view(statement: str) -> None:
    loaded = loaded_by(statement)
    parts = ("synfin.links.tun", "synfin.links.netns", "synfin.sim", "synfin.lab", "synfin.view", "synfin.cli")
    wrong = {name for name in loaded for part in parts if name == part or name.startswith(part + ".")}
    assert not wrong
    assert not loaded & {"pyroute2", "rich", "typer", "h11"}


def test_the_core_loads_no_asyncio_no_socket_and_no_ssl() -> None:
    loaded = loaded_by("import synfin.stack.stack")
    assert not loaded & {"asyncio", "ssl", "socket", "selectors", "random", "pyroute2", "rich"}
    assert not {name for name in loaded if name.startswith(("synfin.aio", "synfin.links", "synfin.view"))}
