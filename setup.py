"""Builds pyengine._core (C++20, every instruction set in one module) and pyengine._ragged.

Everything that does not need code stands in pyproject.toml.
"""

from __future__ import annotations

import hashlib
import os
import platform
import sysconfig
from pathlib import Path
from typing import Any

import pybind11
from Cython.Build import cythonize
from pybind11.setup_helpers import ParallelCompile, Pybind11Extension, has_flag
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

# Extra flags of the files that are compiled for one instruction set; all others get none.
ISA_FLAGS = {
    "avx2": ["-mavx2", "-mfma"],
    "avxvnni": ["-mavx2", "-mfma", "-mavxvnni"],
    "avx512": ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma"],
    "avx512vnni": [
        "-mavx512f",
        "-mavx512bw",
        "-mavx512dq",
        "-mavx512vl",
        "-mavx512vnni",
        "-mfma",
    ],
}
# Kernels throw nothing; without exceptions their files share not even a weak symbol with others.
# And gcc 12 warns about its own AVX-512 header (GCC bug 105593).
KERNEL_FLAGS = ["-fno-exceptions", "-Wno-uninitialized", "-Wno-maybe-uninitialized"]
# One rounding per written operation: results must not depend on what the compiler contracts.
CXX_FLAGS = ["-O3", "-ffp-contract=off", "-Wall", "-Wextra", "-pthread", "-MMD"]
# As headers of the system, which -MMD does not name: pip installs pybind11 into a new folder for
# each build; objects that named it would be out of date at once. Their folder tells its version.
PYBIND11_FLAGS = ["-isystem", pybind11.get_include()]


def core_sources() -> list[str]:
    """Every C++ file of the core but tests; instruction sets are added for the machine at hand."""
    files = (path.as_posix() for path in sorted(Path("csrc").rglob("*.cc")))
    isa_files = {f"csrc/kernels/isa_{isa}.cc" for isa in ISA_FLAGS}
    return [file for file in files if not file.endswith("_test.cc") and file not in isa_files]


def is_stale(obj: str, src: str) -> bool:
    """Whether `obj` is older than anything the compiler read for it (its -MMD file lists that)."""
    depfile = Path(obj).with_suffix(".d")
    if not depfile.exists():
        return True
    read = depfile.read_text(encoding="utf-8").replace("\\\n", " ").partition(":")[2].split()
    paths = [Path("setup.py"), Path(src), *map(Path, read)]
    built = Path(obj).stat().st_mtime
    return any(not path.exists() or path.stat().st_mtime > built for path in paths)


def objects_folder() -> str:
    """Where objects are kept from one build to the next: one folder for each compiler and Python.

    setuptools would take a new one for each editable install, and compile everything again.
    """
    environment = [os.environ.get(name, "") for name in ("CC", "CXX", "CFLAGS", "CPPFLAGS")]
    python = sysconfig.get_config_var("EXT_SUFFIX")
    made_by = repr([environment, python, platform.machine(), pybind11.__version__])
    return f"build/objects-{hashlib.sha256(made_by.encode()).hexdigest()[:12]}"


class BuildExt(build_ext):
    """build_ext that knows the flags of each instruction set and rebuilds only stale objects."""

    def finalize_options(self) -> None:
        super().finalize_options()
        self.build_temp = objects_folder()

    def build_extensions(self) -> None:
        compile_one = self.compiler._compile

        def compile_with_isa_flags(
            obj: str, src: str, ext: str, cc_args: Any, postargs: Any, pp_opts: Any
        ) -> None:
            if src.startswith("csrc/kernels/isa_"):
                isa = Path(src).stem.removeprefix("isa_")
                postargs = [*postargs, *KERNEL_FLAGS, *ISA_FLAGS.get(isa, [])]
            compile_one(obj, src, ext, cc_args, postargs, pp_opts)

        for isa in self.usable_isas():
            self.core.sources.append(f"csrc/kernels/isa_{isa}.cc")
            self.core.define_macros.append((f"PYENGINE_HAVE_{isa.upper()}", "1"))
        self.compiler._compile = compile_with_isa_flags
        with ParallelCompile("PYENGINE_BUILD_JOBS", default=2, needs_recompile=is_stale):
            super().build_extensions()

    @property
    def core(self) -> Extension:
        return next(ext for ext in self.extensions if ext.name == "pyengine._core")

    def usable_isas(self) -> list[str]:
        """Instruction sets that this compiler can build for this machine, besides scalar."""
        if platform.machine().lower() not in ("x86_64", "amd64"):
            return []
        return [
            isa
            for isa, flags in ISA_FLAGS.items()
            if Path(f"csrc/kernels/isa_{isa}.cc").exists()
            and all(has_flag(self.compiler, flag) for flag in flags)
        ]


class Core(Pybind11Extension):
    """The core; relinked whenever any of its sources or headers changed."""

    def __init__(self) -> None:
        super().__init__(
            "pyengine._core",
            core_sources(),
            include_dirs=["csrc"],
            depends=["setup.py", *(p.as_posix() for p in Path("csrc").rglob("*.[hc]*"))],
            extra_compile_args=[*CXX_FLAGS, *PYBIND11_FLAGS],
            extra_link_args=["-pthread"],
            include_pybind11=False,
            cxx_std=20,
        )


def extensions() -> list[Extension]:
    flags = ["-g0", "-MMD"]
    ragged = Extension("pyengine._ragged", ["pyengine/_ragged.pyx"], extra_compile_args=flags)
    return [Core(), *cythonize([ragged], language_level=3)]


setup(ext_modules=extensions(), cmdclass={"build_ext": BuildExt})
