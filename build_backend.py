"""The PEP 517 hooks: setuptools', and the one decision that this project adds: is the core compiled in this build?

A wheel is compiled wherever a C compiler works, so `pip install .` gives the fast package. It is pure

- under SYNFIN_PURE=1,
- where no C compiler works, or Python is not CPython,
- for an editable install, whose point is that an edit takes effect at once.

SYNFIN_COMPILE=1 turns the silent fallback into an error.
Rule for the next editor: nothing here may need a package other than setuptools, and a pure build needs no other either.
"""

from __future__ import annotations

import contextlib
import os
import sys
import sysconfig
import tempfile
from pathlib import Path

from setuptools import build_meta
from setuptools.build_meta import *  # noqa: F403

# Importing this file may have written its bytecode, and a build leaves nothing in the checkout.
if __spec__ is not None and __spec__.cached:
    Path(__spec__.cached).unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # not empty, or never made
        Path(__spec__.cached).parent.rmdir()

# mypyc's output changes with its version: one minor version at a time, moved on purpose.
COMPILE_REQUIRES = ["mypy>=2.4.1,<2.5"]


def asked(variable: str) -> bool:
    return os.environ.get(variable, "").lower() not in ("", "0", "no", "false")


def why_pure() -> str:
    """Say why this build does not compile the core; the empty string when it does."""
    if asked("SYNFIN_PURE"):
        return "SYNFIN_PURE is set"
    if sys.implementation.name != "cpython":
        return f"mypyc compiles for CPython only, and this is {sys.implementation.name}"
    reason = why_no_compiler()
    if reason and asked("SYNFIN_COMPILE"):
        raise SystemExit(f"synfin: SYNFIN_COMPILE is set, but {reason}")
    return reason


def why_no_compiler(*options: str) -> str:
    """Compile and link an extension module of one line, both with these options; say what went wrong, or nothing."""
    from distutils.ccompiler import new_compiler
    from distutils.sysconfig import customize_compiler

    paths = sysconfig.get_paths()
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "probe.c")
        source.write_text("#include <Python.h>\nint probe(void) { return PY_VERSION_HEX != 0; }\n")
        try:
            compiler = new_compiler()
            customize_compiler(compiler)
            include = [paths["include"], paths["platinclude"]]
            more = list(options)
            objects = compiler.compile([str(source)], folder, include_dirs=include, extra_postargs=more)
            compiler.link_shared_object(objects, str(Path(folder, "probe.so")), extra_postargs=more)
        except Exception as error:  # each platform's compiler class fails in its own way
            return f"no C compiler that can build a Python extension was found ({error})"
    return ""


def get_requires_for_build_wheel(config_settings=None):
    return [] if why_pure() else COMPILE_REQUIRES


def get_requires_for_build_editable(config_settings=None):
    return []


def get_requires_for_build_sdist(config_settings=None):
    return []


# Each hook runs in a process of its own: the variable reaches setup.py and nobody else.
def prepare_metadata_for_build_editable(metadata_directory, config_settings=None):
    os.environ["SYNFIN_PURE"] = "1"
    return build_meta.prepare_metadata_for_build_editable(metadata_directory, config_settings)


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    os.environ["SYNFIN_PURE"] = "1"
    return build_meta.build_editable(wheel_directory, config_settings, metadata_directory)


def build_sdist(sdist_directory, config_settings=None):
    os.environ["SYNFIN_PURE"] = "1"
    return build_meta.build_sdist(sdist_directory, config_settings)
