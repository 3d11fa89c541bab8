"""What pyproject.toml cannot say: the compiled core, and the dependencies that only a compiled wheel has.

build_backend.py decides whether to compile; this file says what. The sources stay in the wheel beside the compiled
modules: they are what a debugger and a reader open.
"""

from __future__ import annotations

import sys
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.metadata import version
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_py import build_py

from build_backend import why_pure

CORE = ("wire", "tcp", "stack")
SOURCE = Path("src")


def core_modules() -> list[str]:
    """The modules that mypyc compiles; the __init__ files hold names only and stay as they are."""
    found = [file for part in CORE for file in (SOURCE / "synfin" / part).rglob("*.py") if file.name != "__init__.py"]
    return sorted(str(file) for file in found)


def extensions() -> list[Extension]:
    from mypyc.build import mypycify

    # mypy also reads what synfin/__init__ names: `make check` judges that, and a build has not all that it imports.
    arguments = ["--follow-imports=silent", *core_modules()]
    # One group in one translation unit: calls between the core's modules are plain C calls that the compiler inlines.
    built = mypycify(arguments, opt_level="3", debug_level="0", group_name="synfin._core")
    # mypyc makes warnings in its C errors; a compiler that it has not met yet should not stop an installation.
    for extension in built:
        if "-Werror" in extension.extra_compile_args:
            extension.extra_compile_args.remove("-Werror")
    return built


class BuildPy(build_py):
    """The build directory outlives a build, which saves compiling twice; deleted modules must not get into a wheel."""

    def run(self) -> None:
        for built in Path(self.build_lib).glob("synfin/**/*"):
            suffix = next((suffix for suffix in (".py", *EXTENSION_SUFFIXES) if built.name.endswith(suffix)), None)
            if suffix is None or built.name.endswith("__mypyc" + suffix):
                continue
            source = (SOURCE / built.relative_to(self.build_lib)).with_name(built.name.removesuffix(suffix) + ".py")
            if not source.exists():
                built.unlink()
        super().run()


reason = why_pure()
print(f"synfin: building a pure wheel: {reason}" if reason else "synfin: building a compiled wheel")

requires = ["mypy_extensions>=1.0"]
if not reason:
    # The compiled core calls librt's C interface, which grows with its versions: never older than at the build.
    requires.append(f"librt>={version('librt')}")

translating = not reason and not {"bdist_wheel", "build_ext", "build"}.isdisjoint(sys.argv)
setup(
    ext_modules=extensions() if translating else [],
    install_requires=requires,
    cmdclass={"build_py": BuildPy},
)
