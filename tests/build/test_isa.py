"""The instruction sets: what each object file exports, and which one runs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from pyengine import _core
from tools.cpp_tests import from_setup, is_stale

ROOT = Path(__file__).resolve().parents[2]
TABLES = {
    "scalar": "kScalarKernels",
    "avx2": "kAvx2Kernels",
    "avxvnni": "kAvxVnniKernels",
    "avx512": "kAvx512Kernels",
    "avx512vnni": "kAvx512VnniKernels",
}
AVAILABLE = _core.available_isas()


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs `code` in a new interpreter with the environment variables changed."""
    env = {**os.environ, **environment}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


# What was not built here is compiled, though it may not run.
@pytest.fixture(scope="module", params=TABLES if "avx2" in AVAILABLE else ["scalar"])
def symbols(request, tmp_path_factory) -> tuple[str, list[str]]:
    """(isa, lines of nm) of one instruction set's object file."""
    if not shutil.which("nm"):
        pytest.skip("needs nm")
    obj = built_object(request.param) or compiled(request.param, tmp_path_factory.mktemp("nm"))
    listing = subprocess.run(["nm", "-C", str(obj)], check=True, capture_output=True, text=True)
    return request.param, listing.stdout.splitlines()


def built_object(isa: str) -> Path | None:
    """What setup.py made, unless the sources have changed since."""
    source = f"csrc/kernels/isa_{isa}.cc"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        objects = Path("build").glob(f"objects-*/{source.removesuffix('.cc')}.o")
        return next((ROOT / obj for obj in objects if not is_stale(str(obj), source)), None)


def compiled(isa: str, folder: Path) -> Path:
    """The same, with the flags of setup.py."""
    compiler = (sysconfig.get_config_var("CXX") or "c++").split()[0]
    if not shutil.which(compiler):
        pytest.skip("needs a C++ compiler")
    flags = [*from_setup("CXX_FLAGS"), *from_setup("KERNEL_FLAGS")]
    flags += from_setup("ISA_FLAGS").get(isa, [])
    flags += ["-std=c++20", "-fPIC", "-fvisibility=hidden", "-w", f"-I{ROOT / 'csrc'}"]
    source, obj = ROOT / f"csrc/kernels/isa_{isa}.cc", folder / "isa.o"
    subprocess.run([compiler, *flags, "-c", str(source), "-o", str(obj)], check=True)
    return obj


def test_an_isa_exports_its_table_only(symbols):
    """A weak symbol could replace another file's copy of a function by one with AVX in it."""
    isa, lines = symbols
    kinds = [re.match(r"[0-9a-f ]{16} (\w) (.*)", line).groups() for line in lines]
    exported = [name for kind, name in kinds if kind.isupper() and kind != "U"]
    assert exported == [f"pyengine::{TABLES[isa]}"]
    assert not [name for kind, name in kinds if kind in "wWvVu"]


def test_an_isa_needs_little(symbols):
    """No C++ library, no allocation, no static initialiser: a handful of C functions."""
    _, lines = symbols
    needed = {line.split()[-1] for line in lines if " U " in line}
    assert needed <= {"memcpy", "memset", "memmove", "fmaf", "sqrtf", "_GLOBAL_OFFSET_TABLE_"}


@pytest.mark.parametrize("isa", AVAILABLE)
def test_override_is_obeyed(isa, monkeypatch):
    monkeypatch.setenv("PYENGINE_ISA", isa)
    name = _core.resolve_isa("")
    assert [name, _core.kernels.table_name(name), _core.kernels.table_name("")] == [isa] * 3


def test_best_is_the_default(monkeypatch):
    monkeypatch.setenv("PYENGINE_ISA", "")
    assert _core.resolve_isa("") == AVAILABLE[0]


@pytest.mark.parametrize("name", ["avx1024", "AVX2", "scalar "])
def test_unknown_override_lists_the_possible(name, monkeypatch):
    monkeypatch.setenv("PYENGINE_ISA", name)
    with pytest.raises(ValueError, match="PYENGINE_ISA") as caught:
        _core.resolve_isa("")
    assert f'"{name}"' in str(caught.value) and ", ".join(AVAILABLE) in str(caught.value)


def test_unknown_name_lists_the_possible():
    with pytest.raises(ValueError, match=", ".join(AVAILABLE)):
        _core.resolve_isa("neon")


def test_argument_beats_environment():
    code = "from pyengine import _core; print(_core.resolve_isa('scalar'))"
    assert run_python(code, PYENGINE_ISA="nonsense").stdout.split() == ["scalar"]


def test_scalar_is_always_possible_and_last():
    assert AVAILABLE[-1] == "scalar"
    assert set(AVAILABLE) <= set(TABLES)


@pytest.mark.skipif("avx512" not in AVAILABLE, reason="needs AVX-512")
def test_the_tables_differ():
    """The names are not labels on one function: only the AVX-512 object uses zmm registers."""
    objdump = shutil.which("objdump")
    if objdump is None:
        pytest.skip("needs objdump")
    module = subprocess.run(
        [objdump, "-d", "--no-show-raw-insn", _core.__file__], capture_output=True, text=True
    ).stdout
    assert "zmm" in module and "ymm" in module
