"""The shape of csrc: layers include downward only, and files stay short."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

CSRC = Path(__file__).resolve().parents[2] / "csrc"
# Lowest first; folders of one tuple may include each other (cpu chooses among the kernel tables).
LAYERS = [("base",), ("cpu", "kernels"), ("model",), ("decode",), ("engine",), ("bind",)]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
FILES = sorted(p for p in CSRC.rglob("*") if p.suffix in (".h", ".cc"))
IDS = [p.relative_to(CSRC).as_posix() for p in FILES]


def layer(path: str) -> str:
    """The first part of a path inside csrc, or the stem of a file that lies in csrc itself."""
    return path.split("/")[0].split(".")[0]


@pytest.mark.parametrize("file", FILES, ids=IDS)
def test_includes_point_downward(file):
    own = layer(file.relative_to(CSRC).as_posix())
    if file.name.endswith("_test.cc"):
        return
    for included in re.findall(r'^\s*#include "([^"]+)"', file.read_text(), re.M):
        assert (CSRC / included).exists(), f'"{included}" is not relative to csrc'
        assert RANK[layer(included)] <= RANK[own], f"{own} must not include {included}"


@pytest.mark.parametrize("file", FILES, ids=IDS)
def test_files_are_short(file):
    assert len(file.read_text().splitlines()) <= 500


def test_kernels_are_compiled_per_isa_only_from_their_isa_file():
    """An -inl.h needs the flags of an instruction set, which no other file is built with."""
    for file in FILES:
        if file.name.startswith("isa_") or file.name.endswith("-inl.h"):
            continue
        assert not re.search(r'#include "[^"]*(-inl|/vec_\w+)\.h"', file.read_text()), file


def test_only_one_file_reads_the_environment():
    readers = [p.relative_to(CSRC).as_posix() for p in FILES if "getenv" in p.read_text()]
    assert readers == ["cpu/isa.cc"]
