"""A build leaves the checkout as it was: each hook of PEP 517 and 660, as a front end calls it."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.conftest import ROOT, need

FILES = ("setup.py", "build_backend.py", "pyproject.toml", "README.md", "LICENSE", "MANIFEST.in", "CHANGELOG.md")
HOOKS = (
    "prepare_metadata_for_build_wheel",
    "build_wheel",
    "prepare_metadata_for_build_editable",
    "build_editable",
    "build_sdist",
)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What a build needs of the tree."""
    need(find_spec("setuptools"), "setuptools is not installed")
    version = int(importlib.metadata.version("setuptools").partition(".")[0])
    need(version >= 77, f"setuptools {version} is too old for this pyproject.toml")
    folder = tmp_path / "checkout"
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in FILES:
        shutil.copy(ROOT / name, folder)
    return folder


def build(checkout: Path, hook: str, target: Path, **environment: str) -> Path:
    """Run one hook in a process of its own; what it made."""
    target.mkdir()
    temporary = target.parent / "temporary"
    temporary.mkdir(exist_ok=True)
    code = f"import sys; sys.path.insert(0, '.'); import build_backend; build_backend.{hook}(sys.argv[1])"
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("SYNFIN_", "PYTHONDONTWRITE"))}
    done = subprocess.run(
        [sys.executable, "-c", code, str(target)], cwd=checkout, capture_output=True, text=True, check=False,
        env={**kept, "TMPDIR": str(temporary), **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(temporary.iterdir()) == []
    (made,) = (path for path in target.iterdir() if path.suffix != ".egg-info")
    return made


def state(folder: Path) -> Iterator[tuple[str, int]]:
    """Each file and when it was written."""
    for path in sorted(folder.rglob("*")):
        yield str(path.relative_to(folder)), 0 if path.is_dir() else path.stat().st_mtime_ns


@pytest.mark.parametrize("hook", HOOKS)
def test_a_build_leaves_nothing_in_the_checkout(checkout: Path, tmp_path: Path, hook: str) -> None:
    before = list(state(checkout))
    build(checkout, hook, tmp_path / "made", SYNFIN_PURE="1")
    assert list(state(checkout)) == before


def test_a_compiled_build_leaves_nothing_either(checkout: Path, tmp_path: Path) -> None:
    need(find_spec("mypyc"), "mypyc is not installed")
    need(find_spec("librt"), "librt is not installed")
    # mypyc translates a part of the core, and instead of the C compiler, which would take a minute, something makes
    # the files that it is asked for.
    setup = checkout / "setup.py"
    part = "core_modules = lambda: ['src/synfin/wire/errors.py', 'src/synfin/wire/seq.py']\n\n\ndef extensions()"
    text = setup.read_text()
    setup.write_text(text.replace("def extensions()", part))
    assert setup.read_text() != text
    compiler = tmp_path / "compiler"
    compiler.write_text('#!/bin/sh\nwhile [ "$1" != -o ]; do shift; done\necho >"$2"\n')
    compiler.chmod(0o755)
    before = list(state(checkout))
    environment = {"SYNFIN_COMPILE": "1", "CC": str(compiler), "LDSHARED": str(compiler)}
    wheel = build(checkout, "build_wheel", tmp_path / "made", **environment)
    assert list(state(checkout)) == before
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert "synfin/wire/seq.py" in names
    assert sorted(name.partition(".")[0] for name in names if name.endswith((".so", ".pyd"))) == [
        "synfin/_core__mypyc", "synfin/wire/errors", "synfin/wire/seq",
    ]  # fmt: skip


def test_a_source_distribution_builds_the_same_wheel(checkout: Path, tmp_path: Path) -> None:
    with tarfile.open(build(checkout, "build_sdist", tmp_path / "sdist", SYNFIN_PURE="1")) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    wheels = [
        build(folder, "build_wheel", tmp_path / f"wheel{number}", SYNFIN_PURE="1")
        for number, folder in enumerate((checkout, unpacked))
    ]
    ours, theirs = (zipfile.ZipFile(wheel) for wheel in wheels)
    with ours, theirs:
        assert sorted(ours.namelist()) == sorted(theirs.namelist())


def test_a_work_folder_that_is_named_is_kept(checkout: Path, tmp_path: Path) -> None:
    before = list(state(checkout))
    build(checkout, "build_wheel", tmp_path / "made", SYNFIN_PURE="1", SYNFIN_BUILD=str(tmp_path / "kept"))
    assert list(state(checkout)) == before
    assert (tmp_path / "kept" / "lib" / "synfin" / "__init__.py").exists()
