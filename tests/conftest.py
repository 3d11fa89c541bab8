"""What all suites share: which synfin is under test, what the machine has, and hypothesis' profiles.

Environment variables, set by the Makefile and CI:

- SYNFIN_REQUIRE_ALL=1: what this machine lacks is a failure, not a skip.
- SYNFIN_EXPECT=interpreted | interpreted-without-librt | compiled: refuse to test anything else.
- HYPOTHESIS_PROFILE=default | ci | explore (or pytest's --hypothesis-profile).

Rule for the next editor: a test that needs something of the machine says so through a function or fixture of this file,
so that one variable makes every such need binding.
"""

from __future__ import annotations

import functools
import gc
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.machinery import ExtensionFileLoader
from importlib.util import find_spec
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).resolve().parent.parent
EXPECT = os.environ.get("SYNFIN_EXPECT", "")
REQUIRE_ALL = os.environ.get("SYNFIN_REQUIRE_ALL", "") not in ("", "0")

if EXPECT == "interpreted-without-librt":
    # None in sys.modules makes every later import of the name fail in this process.
    assert "librt" not in sys.modules, "too late: something imported librt before the tests"
    sys.modules["librt"] = None  # type: ignore[assignment]

# The same examples in every run and in both builds. No deadline and no "too slow": no wall clock is a verdict here.
hypothesis.settings.register_profile(
    "default",
    derandomize=True,
    deadline=None,
    print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.register_profile("ci", parent=hypothesis.settings.get_profile("default"), max_examples=200)
# For hunting: new examples in each run, many of them, and failures kept to be tried first.
hypothesis.settings.register_profile(
    "explore",
    parent=hypothesis.settings.get_profile("default"),
    derandomize=False,
    max_examples=5000,
    database=hypothesis.database.DirectoryBasedExampleDatabase(str(ROOT / ".hypothesis" / "examples")),
)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "default"))


def need(present: object, reason: str) -> None:
    """Skip the running test for `reason` unless `present`; under SYNFIN_REQUIRE_ALL fail it instead."""
    if present:
        return
    if REQUIRE_ALL:
        pytest.fail(f"SYNFIN_REQUIRE_ALL is set, but {reason}", pytrace=False)
    pytest.skip(reason, allow_module_level=True)


def need_library(name: str) -> None:
    """Skip the module that is being imported unless the library `name` can be imported; see `need`."""
    need(find_spec(name), f"the library {name} is not installed (pip install -e '.[libraries]')")


def find_program(name: str) -> str | None:
    """The path of a program, looked for also where servers live, which an ordinary user's PATH leaves out."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"]))


def in_new_netns(*command: str) -> list[str]:
    """The command line that runs `command` in a network namespace of its own, as root or as anyone."""
    unshare = find_program("unshare") or "unshare"
    mapping = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return [unshare, *mapping, "--net", "--", *command]


@functools.cache
def why_no_netns() -> str:
    """Why no network namespace can be had; the empty string when it can."""
    if find_program("unshare") is None:
        return "the program unshare is not installed"
    tried = subprocess.run(in_new_netns("true"), capture_output=True, text=True, check=False)
    return "" if tried.returncode == 0 else f"no network namespace can be made ({tried.stderr.strip()})"


@functools.cache
def why_no_tun() -> str:
    """Why no TUN device can be made inside a new network namespace; the empty string when it can."""
    reason = why_no_netns()
    if reason:
        return reason
    # TUNSETIFF with IFF_TUN | IFF_NO_PI: opening the device alone proves nothing.
    probe = (
        "import fcntl, os, struct\n"
        "device = os.open('/dev/net/tun', os.O_RDWR)\n"
        "fcntl.ioctl(device, 0x400454CA, struct.pack('16sH22x', b'probe0', 0x1001))\n"
    )
    command = in_new_netns(sys.executable, "-c", probe)
    tried = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if tried.returncode == 0 else f"no TUN device can be made ({tried.stderr.strip().splitlines()[-1]})"


@functools.cache
def find_compiler() -> str | None:
    """A C compiler that compiles and links, not just one that is there."""
    for name in filter(None, (os.environ.get("CC"), "cc", "gcc", "clang")):
        path = shutil.which(name)
        if path is None:
            continue
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "probe.c")
            source.write_text('#include <stdio.h>\nint main(void) { return puts("") < 0; }\n')
            command = [path, str(source), "-o", str(source.with_suffix(""))]
            if subprocess.run(command, capture_output=True, check=False).returncode == 0:
                return path
    return None


@pytest.fixture(scope="session")
def require_program() -> Callable[[str], str]:
    """A function that gives the path of a program, or skips: `curl = require_program("curl")`."""

    def path_of(name: str) -> str:
        path = find_program(name)
        need(path, f"the program {name} is not installed")
        assert path is not None
        return path

    return path_of


@pytest.fixture
def require_netns() -> None:
    """The test needs a network namespace of its own; `in_new_netns` runs a command in one."""
    need(not why_no_netns(), why_no_netns())


@pytest.fixture
def require_tun() -> None:
    """The test needs a TUN device in a network namespace of its own."""
    need(not why_no_tun(), why_no_tun())


@pytest.fixture(scope="session")
def require_compiler() -> str:
    """The path of a working C compiler."""
    path = find_compiler()
    need(path, "no C compiler works")
    assert path is not None
    return path


def core_modules() -> list[str]:
    """The dotted names of all modules that mypyc compiles."""
    source = ROOT / "src"
    files = [file for part in ("wire", "tcp", "stack") for file in (source / "synfin" / part).rglob("*.py")]
    return sorted(
        ".".join(file.relative_to(source).with_suffix("").parts) for file in files if file.name != "__init__.py"
    )


def wrong_form() -> str:
    """Why the synfin that tests would import is not the one that SYNFIN_EXPECT asks for; empty when it is."""
    for name in core_modules():
        spec = find_spec(name)
        if spec is None or spec.origin is None:
            return f"{name} is not in the package under test: it was installed from an older tree"
        compiled = isinstance(spec.loader, ExtensionFileLoader)
        if compiled != (EXPECT == "compiled"):
            return f"{name} is {'compiled' if compiled else 'interpreted'}: {spec.origin}"
        if EXPECT == "compiled" and Path(spec.origin).is_relative_to(ROOT / "src"):
            return f"{name} is not installed but in the source tree: {spec.origin}"
    return ""


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """An installed synfin brings its plugin along; beside a bare source tree there is no entry point to find it by."""
    if not pluginmanager.hasplugin("synfin"):
        pluginmanager.import_plugin("synfin.pytest_plugin")


def pytest_configure(config: pytest.Config) -> None:
    if EXPECT not in ("", "interpreted", "interpreted-without-librt", "compiled"):
        raise pytest.UsageError(f"SYNFIN_EXPECT={EXPECT} is not known")
    reason = wrong_form() if EXPECT else ""
    if reason:
        raise pytest.UsageError(f"SYNFIN_EXPECT={EXPECT}, but {reason}")


def pytest_collection_finish(session: pytest.Session) -> None:
    """What has been imported and collected stays: no garbage collection of a test need look at all of it again."""
    gc.freeze()


def pytest_report_header(config: pytest.Config) -> str:
    import synfin

    form = "compiled" if synfin.compiled() else "interpreted"
    try:
        import librt.strings  # noqa: F401  (find_spec would raise on the None in sys.modules)

        with_librt = "with librt"
    except ImportError:
        with_librt = "without librt"
    return f"synfin {synfin.__version__} ({form}, {with_librt}) from {synfin.__path__[0]}"
