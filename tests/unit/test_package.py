"""The package as a whole: what `import synfin` costs, gives and promises."""

from __future__ import annotations

import ast
import importlib.metadata
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

import synfin
from tests.conftest import EXPECT, ROOT

LAZY = ["Config", "Host", "Stack"]


def modules_after(statement: str) -> set[str]:
    """The modules that `statement` loads in a fresh interpreter."""
    script = f"import sys; before = set(sys.modules); {statement}; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, check=True)
    return set(done.stdout.split())


def test_import_synfin_loads_nothing_but_its_version() -> None:
    loaded = modules_after("import synfin")
    assert {name for name in loaded if name.startswith("synfin")} == {"synfin", "synfin._version"}
    assert not loaded & {"asyncio", "dataclasses", "pyroute2", "rich", "socket", "ssl", "typer", "typing_extensions"}


def test_asking_for_the_form_loads_no_heavy_module() -> None:
    assert not modules_after("import synfin; synfin.compiled()") & {"asyncio", "ssl", "pyroute2", "rich", "typer"}


def test_version_is_the_one_that_was_installed() -> None:
    assert importlib.metadata.version("synfin") == synfin.__version__


def test_compiled_says_whether_the_core_is_an_extension_module() -> None:
    from synfin.wire import seq

    assert seq.__file__ is not None
    assert synfin.compiled() is (Path(seq.__file__).suffix in (".so", ".pyd"))
    if EXPECT:
        assert synfin.compiled() is (EXPECT == "compiled")


def test_no_coroutine_is_compiled() -> None:
    """Those of mypyc's are ended by throw() with three arguments, of which Python warns from 3.12 on."""
    assigned = [node for node in ast.parse((ROOT / "setup.py").read_text()).body if isinstance(node, ast.Assign)]
    named = {name.id: node.value for node in assigned for name in node.targets if isinstance(name, ast.Name)}
    folder = ROOT / "src" / "synfin"
    compiled = [file for part in ast.literal_eval(named["CORE"]) for file in (folder / part).rglob("*.py")]
    compiled += [folder / f"{name}.py" for name in ast.literal_eval(named["CARRIERS"])]
    asynchronous = [
        (file.name, node.name)
        for file in compiled
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.AsyncFunctionDef)
    ]
    assert len(compiled) > 80
    assert asynchronous == []


def test_types_and_sources_are_in_the_package() -> None:
    package = files("synfin")
    assert (package / "py.typed").is_file()
    assert (package / "wire" / "seq.py").is_file()


@pytest.mark.parametrize("name", LAZY)
def test_public_names_resolve_on_first_use(name: str) -> None:
    assert getattr(synfin, name).__name__ == name
    assert name in vars(synfin)


def test_dir_lists_public_names_before_their_first_use() -> None:
    assert {*LAZY, "compiled", "__version__"} <= set(dir(synfin))


def test_unknown_attribute_is_an_attribute_error_that_names_it() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Socket'"):
        _ = synfin.Socket  # type: ignore[attr-defined]


def test_the_package_runs_as_the_console_script() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "synfin", "--version"], stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    assert synfin.__version__ in said
