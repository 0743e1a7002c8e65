"""Builds pyengine's two extension modules under sanitizers, for the fuzzers (tests/fuzz).

    python -m tools.sanitized_module

They go to a folder of their own, :data:`FOLDER`, and share the objects of the C++ tests under the
same sanitizers. Other than what setup.py builds, they have no -fwrapv of Python's own flags, which
defines signed overflow and so hides it, and checks of the kind PE_DCHECK are on.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy
import pybind11
from Cython.Build import cythonize
from setuptools import Extension

from tools.cpp_tests import ROOT, compile_all, compiler_flags, core_sources, is_x86

COMPILER = "g++"
SANITIZERS = "address,undefined"
FOLDER = ROOT / "build" / "sanitized"


def build() -> None:
    """Build both modules as far as they are not up to date. Raises CalledProcessError."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    includes = (sysconfig.get_path("include"), pybind11.get_include(), numpy.get_include())
    extra = [part for folder in includes for part in ("-isystem", folder)]
    bindings = sorted((ROOT / "csrc" / "bind").glob("*.cc"))
    core = compile_all(COMPILER, SANITIZERS, core_sources(is_x86(COMPILER)), [])
    _link("_core", core + compile_all(COMPILER, SANITIZERS, bindings, extra))
    _link("_ragged", compile_all(COMPILER, SANITIZERS, [_cythonized()], [*extra, "-w"]))


def _cythonized() -> Path:
    extension = Extension("pyengine._ragged", [str(ROOT / "pyengine" / "_ragged.pyx")])
    options = {"language_level": 3, "quiet": True, "build_dir": str(FOLDER)}
    [made] = cythonize([extension], **options)
    return Path(made.sources[0])


def _link(name: str, objects: list[Path]) -> None:
    target = FOLDER / f"{name}.so"
    command = [COMPILER, *compiler_flags(COMPILER, SANITIZERS), "-shared", *map(str, objects)]
    subprocess.run([*command, "-o", str(target)], check=True)


def library(name: str) -> str:
    """The path of one of the compiler's libraries, such as "libasan.so"."""
    command = [COMPILER, f"-print-file-name={name}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    try:
        build()
    except subprocess.CalledProcessError:
        sys.exit("the modules under sanitizers do not compile")
