"""Builds and runs the C++ tests (tests/cpp), plain or under a sanitizer.

    python tools/cpp_tests.py [--sanitize address,undefined | thread] [--emulate Haswell]
    python tools/cpp_tests.py --compiler aarch64-linux-gnu-g++ --emulate aarch64

Needs doctest's header (Debian: ``doctest-dev``), and ``qemu-user`` to emulate. Checks of the kind
PE_DCHECK are on. Objects go to a folder under ``build/`` and are reused while they are newer than
all that the compiler read for them.
"""

import argparse
import ast
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
# g++ 12 warns of uninitialised values inside its own AVX-512 header at low optimisation.
QUIET = ["-Wno-uninitialized", "-Wno-maybe-uninitialized", "-Wno-unknown-warning-option"]


def from_setup(name: str) -> Any:
    """A constant or function of setup.py, which cannot be imported without building."""
    for node in ast.parse((ROOT / "setup.py").read_text(encoding="utf-8")).body:
        names = [getattr(target, "id", None) for target in getattr(node, "targets", [])]
        if name in (*names, getattr(node, "name", None)):
            namespace: dict[str, Any] = {"Path": Path}
            exec(compile(ast.Module([node], []), "setup.py", "exec"), namespace)
            return namespace[name]
    raise LookupError(name)


ISA_FLAGS: dict[str, list[str]] = from_setup("ISA_FLAGS")
is_stale: Callable[[str, str], bool] = from_setup("is_stale")
# The kernels of AVX-VNNI in the encoding that a CPU with AVX512-VNNI runs, for a test.
KERNEL_FLAGS = {**ISA_FLAGS, "evexvnni": ISA_FLAGS["avx512vnni"]}


def kernel_flags(source: Path) -> list[str] | None:
    """Flags of a file that is compiled for one instruction set of x86, None for all others."""
    flags = KERNEL_FLAGS.get(source.stem.removeprefix("isa_"))
    return flags and [*flags, *QUIET]


def is_x86(compiler: str) -> bool:
    """Whether `compiler` builds for a machine that has the SIMD variants."""
    target = subprocess.run([compiler, "-dumpmachine"], capture_output=True, text=True, check=True)
    return target.stdout.startswith("x86_64")


def core_sources(with_simd: bool) -> list[Path]:
    """Every source of the core but the bindings."""
    files = [f for f in (ROOT / "csrc").rglob("*.cc") if f.parent.name != "bind"]
    return sorted(f for f in files if with_simd or kernel_flags(f) is None)


def compile_all(compiler: str, sanitize: str, files: list[Path], extra: list[str]) -> list[Path]:
    """Compiles sources as far as their objects are stale; returns these.

    Args:
        extra: flags of all files, besides those of the tests.

    Raises:
        CalledProcessError: one does not compile.
    """
    folder = objects_folder(compiler, sanitize)
    folder.mkdir(parents=True, exist_ok=True)
    flags = compiler_flags(compiler, sanitize) + extra

    def compile_one(source: Path) -> Path:
        target = folder / f"{source.parent.name}-{source.stem}.o"
        if not target.exists() or is_stale(str(target), str(source)):
            command = [compiler, *flags, *(kernel_flags(source) or []), "-MMD", "-c", str(source)]
            subprocess.run([*command, "-o", str(target)], check=True)
        return target

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(compile_one, files))


def objects_folder(compiler: str, sanitize: str) -> Path:
    """Where the objects go."""
    return ROOT / "build" / f"cpp-tests-{compiler}-{sanitize.replace(',', '-') or 'plain'}"


def compiler_flags(compiler: str, sanitize: str) -> list[str]:
    """Those of every file. The code may become part of a module, which needs -fPIC."""
    flags = ["-std=c++20", "-O1", "-g", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror"]
    flags += ["-pthread", "-fPIC", f"-I{ROOT / 'csrc'}", f"-I{ROOT / 'tests' / 'cpp'}"]
    if is_x86(compiler):
        flags += [f"-DPYENGINE_HAVE_{isa.upper()}=1" for isa in ISA_FLAGS]
    if sanitize:
        flags += [f"-fsanitize={sanitize}", "-fno-sanitize-recover=all"]
    return flags


def build(compiler: str, sanitize: str) -> Path:
    """Compiles and links the test program; returns its path. Raises CalledProcessError."""
    files = core_sources(is_x86(compiler)) + sorted((ROOT / "tests" / "cpp").glob("*.cc"))
    objects = compile_all(compiler, sanitize, files, [])
    program = objects_folder(compiler, sanitize) / "tests"
    link = [compiler, *compiler_flags(compiler, sanitize), *map(str, objects)]
    subprocess.run([*link, "-o", str(program)], check=True)
    return program


def command(program: Path, cpu: str) -> list[str]:
    """How to run the tests, on this machine or on an emulated CPU.

    Emulated without the tests that fork, since qemu's user mode cannot start threads in a forked
    child, and without the one that needs a long call, which takes minutes there.
    """
    if not cpu:
        return [str(program)]
    exclude = "--test-case-exclude=a forked child*,an interrupted call*"
    if cpu == "aarch64":
        return ["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu", str(program), exclude]
    return ["qemu-x86_64", "-cpu", cpu, str(program), exclude]


def main() -> int:
    """Builds, runs, and returns the test program's exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sanitize", default="", help="address,undefined or thread")
    parser.add_argument("--compiler", default="g++")
    parser.add_argument("--emulate", default="", metavar="CPU", help="qemu's name, or aarch64")
    args = parser.parse_args()
    try:
        program = build(args.compiler, args.sanitize)
    except subprocess.CalledProcessError:
        print("the C++ tests do not compile", file=sys.stderr)
        return 1
    quiet = subprocess.DEVNULL if args.emulate else None  # qemu warns of CPU features it lacks
    return subprocess.run(command(program, args.emulate), stderr=quiet).returncode


if __name__ == "__main__":
    sys.exit(main())
