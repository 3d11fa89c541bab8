"""What a verdict is about: a hash over the project's loaded sources, what is installed, Python, and synfin's own build.

Not a revision of version control, which says nothing of a folder in which somebody is at work. Of a project's packages
all modules count, those too that are imported later; so do the modules that lie beside one that was loaded. A package
of which a test imports the first module while it runs is late: it counts as soon as somebody has seen it, which is told
to the ledger.
"""

from __future__ import annotations

import hashlib
import os
import platform
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from typing import Final

import synfin

_SETTINGS: Final = ("pyproject.toml", "pytest.ini", ".pytest.ini", "tox.ini", "setup.cfg")
_OURS: Final = Path(synfin.__file__).parent


@cache
def _foreign() -> tuple[str, ...]:
    """Folders whose code is no project's: the standard library's, and where distributions are installed."""
    paths = sysconfig.get_paths()
    folders = {paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib") if paths.get(name)}
    return tuple(f"{folder}{os.sep}" for folder in sorted({*folders, str(_OURS)}))


def is_of_project(file: str, root: Path) -> bool:
    """The file lies in the project, and is not installed there."""
    return file.startswith(f"{root}{os.sep}") and file.endswith(".py") and not file.startswith(_foreign())


def code_hash(root: Path) -> str:
    """Of what is loaded now."""
    return _hash(_lines(root))


class Late:
    """Folders of the project whose first module is loaded from now on."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known = _folders(root)
        self._modules = len(sys.modules)

    def take(self) -> dict[str, str]:
        """Those since the last look, each with its hash. Costs nothing where nothing was imported."""
        if len(sys.modules) == self._modules:
            return {}
        self._modules = len(sys.modules)
        new = _folders(self._root) - self._known
        self._known |= new
        names = sorted(folder.relative_to(self._root).as_posix() for folder in new)
        return {name: folder_hash(self._root, name) for name in names}


def folder_hash(root: Path, name: str) -> str:
    """Of the sources of a folder in the project, as they are now."""
    return _hash(_files(_sources(root / name), root))


def with_late(code: str, root: Path, late: Callable[[str], Mapping[str, str]]) -> str:
    """The code as it is now, late folders and all. late: those that were seen under a code, with their hashes then."""
    while seen := late(code):
        now = {name: folder_hash(root, name) for name in sorted(seen)}
        if now == seen:
            break
        code = _hash([code, *(f"{name} {its}" for name, its in now.items())])
    return code


def _hash(lines: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()[:16]


def _sources(folder: Path) -> Iterator[Path]:
    """Of a package all modules, of another folder those that lie in it."""
    return folder.rglob("*.py") if (folder / "__init__.py").exists() else folder.glob("*.py")


def _lines(root: Path) -> Iterator[str]:
    yield f"Python {sys.version} on {platform.machine()}"
    yield f"synfin {synfin.__version__}, {'compiled' if synfin.compiled() else 'interpreted'}"
    yield from _files(_OURS.rglob("*.py"), _OURS)
    yield from sorted({f"{one.metadata['Name']} {one.version}" for one in distributions()})
    found = {root / name for name in _SETTINGS}
    for folder in _folders(root):
        found.update(_sources(folder))
    yield from _files(found, root)


def _folders(root: Path) -> set[Path]:
    """Those of the project's loaded modules; of a package, the topmost."""
    folders = set()
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if not isinstance(file, str) or not is_of_project(file, root):
            continue
        folder = Path(file).parent
        while folder != root and (folder.parent / "__init__.py").exists():
            folder = folder.parent
        folders.add(folder)
    return folders


def _files(paths: Iterable[Path], root: Path) -> Iterator[str]:
    for path in sorted(set(paths)):
        if path.is_file():
            yield f"{path.relative_to(root).as_posix()} {hashlib.sha256(path.read_bytes()).hexdigest()}"
