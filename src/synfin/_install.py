"""What a user types to add something to this installation of synfin: told by how it was installed (PEP 610).

Rule for the next editor: it is read while something is missing, so nothing but the standard library is imported here.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname


def how_to_add(extra: str) -> str:
    """The command line that installs what the extra names.

    It names synfin itself only where that can be found again: a folder, a file, a repository. Else it names what the
    extra requires, which any index has.
    """
    try:
        found = distribution("synfin")
    except PackageNotFoundError:  # a source tree on the path
        return f"{_installer()} {_folder(Path(__file__).parents[2], extra)}"
    return f"{_installer()} {_source(found, extra) or _requirements(found, extra)}"


def how_to_compile() -> str:
    """The command line that puts the compiled package in the place of this one, or what to do where none is known."""
    try:
        found = distribution("synfin")
    except PackageNotFoundError:
        source = _folder(Path(__file__).parents[2], "")
    else:
        origin = json.loads(found.read_text("direct_url.json") or "{}")
        # An editable install is never compiled, nor a wheel built anew.
        origin.get("dir_info", {}).pop("editable", None)
        source = "" if "archive_info" in origin else _origin(origin, "")
    if not source:
        return "install a compiled wheel, or build from the source where a C compiler works"
    return f"SYNFIN_COMPILE=1 {_installer()} --force-reinstall {source}"


def _source(found: Distribution, extra: str) -> str:
    """Where this synfin came from, with the extra; the empty string if that is not known, or gone."""
    return _origin(json.loads(found.read_text("direct_url.json") or "{}"), extra)


def _origin(origin: dict[str, Any], extra: str) -> str:
    """What PEP 610 records of where it came from, as pip takes it."""
    url = str(origin.get("url", ""))
    parts = urlsplit(url)
    here = Path(url2pathname(parts.path)) if parts.scheme == "file" else None
    if here is not None and not here.exists():
        return ""
    if here is not None and "dir_info" in origin:
        return ("-e " if origin["dir_info"].get("editable") else "") + _folder(here, extra)
    if "vcs_info" in origin:
        url = f"{origin['vcs_info']['vcs']}+{url}@{origin['vcs_info']['commit_id']}"
    return shlex.quote(f"synfin{_bracketed(extra)} @ {url}") if url else ""


def _folder(folder: Path, extra: str) -> str:
    place = "." if folder == Path.cwd() else str(folder)
    return shlex.quote(f"{place}{_bracketed(extra)}")


def _bracketed(extra: str) -> str:
    return f"[{extra}]" if extra else ""


def _requirements(found: Distribution, extra: str) -> str:
    wanted = re.compile(rf"""([\w.-]+).*;.*\bextra\s*==\s*["']{re.escape(extra)}["']""")
    return " ".join(match[1] for text in found.requires or () if (match := wanted.match(text)))


def _installer() -> str:
    """`pip install` of the Python that runs now, which need not be the first one on the PATH."""
    pip = shutil.which("pip")
    if pip is not None and Path(pip).parent == Path(sys.executable).parent:
        return "pip install"
    if find_spec("pip") is not None:
        return f"{shlex.quote(sys.executable)} -m pip install"
    return f"uv pip install --python {shlex.quote(sys.executable)}"
