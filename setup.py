"""What pyproject.toml cannot say: the compiled core, where a build works, and a dependency of compiled wheels only.

build_backend.py decides whether to compile; this file says what. The sources stay in the wheel beside the compiled
modules: they are what a debugger and a reader open.

Rule for the next editor: a build writes below WORK and nowhere else; the checkout is the reader's.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.metadata import version
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

from build_backend import why_no_compiler, why_pure

CORE = ("wire", "tcp", "stack")
# Beyond the core: what else each packet passes, here or in a simulation.
CARRIERS = (
    "links/beat",
    "links/memory",
    "links/tunnel",
    "links/vnet",
    "aio/attention",
    "aio/beat",
    "aio/driver",
    "aio/engine",
    "sim/door",
    "sim/flights",
    "sim/handles",
    "sim/link",
    "sim/station",
    "sim/traffic",
    "sim/turns",
)
SOURCE = Path("src")
GROUP = "synfin._core"
INLINING = ["-O3", "-fvisibility=hidden", "-flto=auto"]
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def work_folder() -> Path:
    """Where everything is built: SYNFIN_BUILD, which outlives the build and saves compiling twice, or one for once."""
    kept = os.environ.get("SYNFIN_BUILD")
    if kept:
        Path(kept).mkdir(parents=True, exist_ok=True)
        return Path(kept).absolute()
    folder = tempfile.mkdtemp(prefix="synfin-build-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


WORK = work_folder()


def core_modules() -> list[str]:
    """The modules that mypyc compiles; the __init__ files hold names only and stay as they are."""
    found = [file for part in CORE for file in (SOURCE / "synfin" / part).rglob("*.py") if file.name != "__init__.py"]
    found += [SOURCE / "synfin" / f"{name}.py" for name in CARRIERS]
    return sorted(str(file) for file in found)


def extensions() -> list[Extension]:
    from mypyc.build import mypycify

    # mypy also reads what synfin/__init__ names: `make check` judges that, and a build has not all that it imports.
    arguments = ["--follow-imports=silent", f"--cache-dir={WORK / 'mypy'}", *core_modules()]
    # One group: calls between the core's modules are plain C calls, which the linker inlines. A unit of C for each
    # module: all processors compile.
    built = mypycify(arguments, opt_level="3", debug_level="0", group_name=GROUP, multi_file=True, target_dir=str(WORK))
    # What others may replace at run time is never inlined: hence hidden. Together a tenth of a segment's cost.
    inlining = [] if why_no_compiler(*INLINING) else INLINING
    for extension in built:
        # mypyc puts the units beside the folder of a dotted group's headers.
        extension.include_dirs.append(str(WORK.joinpath(*GROUP.split(".")[:-1])))
        # mypyc makes warnings in its C errors; a compiler that it has not met yet should not stop an installation.
        if "-Werror" in extension.extra_compile_args:
            extension.extra_compile_args.remove("-Werror")
        if extension.name == f"{GROUP}__mypyc":  # the others only point into it
            extension.extra_compile_args += inlining
            extension.extra_link_args += inlining
    return built


class BuildExt(build_ext):
    """All units of C side by side, not only those of different extensions."""

    def build_extensions(self) -> None:
        compile_in_turn = self.compiler.compile
        self.parallel = CORES
        with ThreadPoolExecutor(CORES) as pool:

            def compile_side_by_side(sources: list[str], *args: object, **options: object) -> list[str]:
                made = pool.map(lambda source: compile_in_turn([source], *args, **options), sources)
                return [name for names in made for name in names]

            self.compiler.compile = compile_side_by_side
            super().build_extensions()


class BuildPy(build_py):
    """A work folder may outlive a build; what is deleted, or compiled no more, must not get into a wheel."""

    def run(self) -> None:
        compiled = set(core_modules()) if translating else set()
        for built in Path(self.build_lib).glob("synfin/**/*"):
            suffix = next((suffix for suffix in (".py", *EXTENSION_SUFFIXES) if built.name.endswith(suffix)), None)
            if suffix is None or built.name.endswith("__mypyc" + suffix):
                continue
            source = (SOURCE / built.relative_to(self.build_lib)).with_name(built.name.removesuffix(suffix) + ".py")
            if not source.exists() or (suffix != ".py" and str(source) not in compiled):
                built.unlink()
        super().run()


reason = why_pure()
translating = not reason and not {"bdist_wheel", "build_ext", "build"}.isdisjoint(sys.argv)
print(
    f"synfin: building a pure wheel: {reason}"
    if reason
    else f"synfin: building a compiled wheel: {len(core_modules())} modules, {CORES} at a time",
    flush=True,
)

requires = ["mypy_extensions>=1.0"]
if not reason:
    # The compiled core calls librt's C interface, which grows with its versions: never older than at the build.
    requires.append(f"librt>={version('librt')}")

setup(
    ext_modules=extensions() if translating else [],
    install_requires=requires,
    cmdclass={"build_ext": BuildExt, "build_py": BuildPy},
    options={
        "build": {"build_base": str(WORK)},
        "egg_info": {"egg_base": str(WORK), "ignore_egg_info_in_manifest": True},
    },
)
