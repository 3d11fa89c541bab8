"""What a user is told to type, for each way in which synfin may have been installed, and what works before that."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

import synfin
from synfin import _install
from synfin._install import how_to_add, how_to_compile
from tests.conftest import ROOT

SOURCE = ROOT / "src" / "synfin"


class Installed:
    """A distribution as its metadata tells it; origin: what direct_url.json says, None where there is none."""

    requires = (
        "mypy_extensions>=1.0",
        "h11>=0.14; extra == 'cli'",
        'pyroute2>=0.9; sys_platform == "linux" and extra == "cli"',
        'librt>=0.16; extra == "librt"',
    )

    def __init__(self, origin: object) -> None:
        self._origin = origin

    def read_text(self, name: str) -> str | None:
        assert name == "direct_url.json"
        return None if self._origin is None else json.dumps(self._origin)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, and a pip beside the interpreter."""
    monkeypatch.setattr(_install, "_installer", lambda: "pip install")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def told(monkeypatch: pytest.MonkeyPatch, origin: object) -> str:
    monkeypatch.setattr(_install, "distribution", lambda name: Installed(origin))
    return how_to_add("cli")


def test_from_a_checkout_the_checkout_is_named(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    origin = {"url": here.as_uri(), "dir_info": {}}
    assert told(monkeypatch, origin) == "pip install '.[cli]'"
    monkeypatch.chdir("/")
    assert told(monkeypatch, origin) == f"pip install '{here}[cli]'"


def test_an_editable_installation_stays_editable(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(monkeypatch, {"url": here.as_uri(), "dir_info": {"editable": True}}) == "pip install -e '.[cli]'"


def test_a_folder_whose_name_needs_quotes_has_them(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = here / "a folder"
    folder.mkdir()
    assert told(monkeypatch, {"url": folder.as_uri(), "dir_info": {}}) == f"pip install '{folder}[cli]'"


def test_a_repository_is_named_with_its_commit(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    origin = {"url": "https://example.org/synfin", "vcs_info": {"vcs": "git", "commit_id": "abc"}}
    assert told(monkeypatch, origin) == "pip install 'synfin[cli] @ git+https://example.org/synfin@abc'"


def test_a_wheel_is_named_while_it_exists(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = here / "synfin.whl"
    wheel.touch()
    origin = {"url": wheel.as_uri(), "archive_info": {}}
    assert told(monkeypatch, origin) == f"pip install 'synfin[cli] @ {wheel.as_uri()}'"
    wheel.unlink()
    assert told(monkeypatch, origin) == "pip install h11 pyroute2"


def test_where_the_source_is_not_known_the_libraries_are_named(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(monkeypatch, None) == "pip install h11 pyroute2"


def test_a_source_tree_on_the_path_is_named(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(_install, "distribution", nothing)
    assert how_to_add("cli") == f"pip install '{Path(_install.__file__).parents[2]}[cli]'"


@pytest.mark.parametrize("editable", [False, True])
def test_the_compiled_package_is_built_from_where_this_one_came_from(
    here: Path, monkeypatch: pytest.MonkeyPatch, editable: bool
) -> None:
    origin = {"url": here.as_uri(), "dir_info": {"editable": editable}}
    monkeypatch.setattr(_install, "distribution", lambda name: Installed(origin))
    assert how_to_compile() == "SYNFIN_COMPILE=1 pip install --force-reinstall ."


@pytest.mark.parametrize("origin", [None, {"url": "file:///gone/synfin.whl", "archive_info": {}}])
def test_where_there_is_no_source_a_wheel_is_advised(
    here: Path, monkeypatch: pytest.MonkeyPatch, origin: object
) -> None:
    monkeypatch.setattr(_install, "distribution", lambda name: Installed(origin))
    assert how_to_compile().startswith("install a compiled wheel")


@pytest.mark.parametrize("fast", [False, True])
def test_the_version_says_how_to_get_the_compiled_form_once_and_where_it_is_missing(
    monkeypatch: pytest.MonkeyPatch, fast: bool
) -> None:
    from synfin.cli import version

    monkeypatch.setattr(version, "compiled", lambda: fast)
    first, *more = version.version_text().splitlines()
    assert first.startswith(f"synfin {synfin.__version__} ({'compiled' if fast else 'interpreted'}, ")
    assert len(more) == (0 if fast else 1)


def test_the_installer_is_that_of_this_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("python", "pip"):
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(_install, "find_spec", lambda name: object())
    assert _install._installer() == f"{tmp_path}/python -m pip install"
    monkeypatch.setattr(_install, "find_spec", lambda name: None)
    assert _install._installer() == f"uv pip install --python {tmp_path}/python"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert _install._installer() == "pip install"


def imported(file: Path) -> Iterator[str]:
    """The packages that a module imports anywhere in it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        yield from (name.partition(".")[0] for name in names)


def test_one_extra_has_every_library_that_the_command_imports() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["cli"]
    folders = ("aio", "cli", "lab", "links", "sim", "view")
    names = {name for folder in folders for file in (SOURCE / folder).rglob("*.py") for name in imported(file)}
    foreign = names - sys.stdlib_module_names - {"", "_pytest", "mypy_extensions", "synfin"}
    assert (
        foreign == {*LIBRARIES, "time_machine"} == {re.split(r"[^\w-]", text)[0].replace("-", "_") for text in declared}
    )


LIBRARIES = ("h11", "pyroute2", "pytest", "resvg_py", "rich", "typer")


def without(missing: tuple[str, ...], *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command `synfin` where these libraries are missing."""
    code = f"import sys; sys.modules.update(dict.fromkeys({missing!r})); from synfin.cli.main import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False, env=dict(os.environ)
    )


def test_the_version_is_told_without_any_library() -> None:
    from synfin.cli.version import version_text

    done = without(LIBRARIES, "--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, version_text() + "\n", "")


@pytest.mark.parametrize(
    ("missing", "arguments"),
    [
        ("typer", ()),
        ("typer", ("--help",)),
        ("h11", ("serve", ".")),
        ("h11", ("demo",)),
        ("pytest", ("shrink", "test_x.py::test_y", "--seed", "1")),
    ],
)
def test_a_command_that_lacks_a_library_says_in_one_line_what_to_type(missing: str, arguments: tuple[str, ...]) -> None:
    done = without((missing,), *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"synfin: the command needs {missing}, which is not installed. Type: ")
    assert done.stderr.endswith(how_to_add("cli") + "\n")
    assert done.stderr.count("\n") == 1


def test_a_module_of_synfin_that_is_missing_is_a_fault_and_no_advice() -> None:
    done = without(("synfin.cli.app",), "lab")
    assert "ModuleNotFoundError" in done.stderr
