"""Pages of the API reference: which modules it has, in the order of the house, and one page for each package."""

from __future__ import annotations

from pathlib import Path

PACKAGES = ("wire", "tcp", "tcp.congestion", "stack", "links", "aio", "view", "sim", "scenario", "lab")
FACES = {
    "synfin.Host": "synfin.aio.host",
    "synfin.Config": "synfin.tcp.config",
    "synfin.Stack": "synfin.stack.stack",
    "synfin.loop_factory": "synfin.aio.loop",
}


def pages(source: Path) -> dict[str, str]:
    """Name and text of each page; source: the folder of the package synfin."""
    found = {"api/index": _index()}
    for package in PACKAGES:
        folder = source.joinpath(*package.split("."))
        modules = [f"synfin.{package}"] + [
            f"synfin.{package}.{file.stem}" for file in sorted(folder.glob("*.py")) if not file.stem.startswith("_")
        ]
        title = f"synfin.{package}"
        lines = [title, "=" * len(title), ""]
        for module in modules:
            if module != title:
                lines += [module, "-" * len(module), ""]
            lines += [f".. automodule:: {module}", ""]
        found[f"api/{title}"] = "\n".join(lines)
    return found


def _index() -> str:
    lines = ["API reference", "=============", ""]
    lines += ["What a program imports:", ""]
    lines += [f"- ``{name}``: :py:mod:`{module}`" for name, module in FACES.items()]
    lines += ["", "All modules, in the order in which they stand on each other; the docstrings are in English.", ""]
    lines += [".. toctree::", "   :maxdepth: 1", ""]
    lines += [f"   synfin.{package}" for package in PACKAGES]
    return "\n".join([*lines, ""])
