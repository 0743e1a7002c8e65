"""Objects are kept from one build to the next, also where pip builds them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pybind11
import pytest

ROOT = Path(__file__).resolve().parents[2]

COMPILER = f"""#!{sys.executable}
import sys
from pathlib import Path

arguments = sys.argv[1:]
output = Path(arguments[arguments.index("-o") + 1]) if "-o" in arguments else None
if "-c" in arguments and output is not None:
    source = arguments[arguments.index("-c") + 1]
    with Path(__file__).with_name("compiled").open("a") as log:
        log.write(source + "\\n")
    output.with_suffix(".d").write_text(f"{{output}}: {{source}} csrc/engine.h\\n")
if output is not None:
    output.touch()
"""
"""Compiles nothing, and writes down what it was asked to compile."""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what a build reads, beside a compiler."""
    tree = tmp_path / "tree"
    for folder in ("csrc", "pyengine"):
        ignored = shutil.ignore_patterns("*.so", "__pycache__", "_ragged.c")
        shutil.copytree(ROOT / folder, tree / folder, ignore=ignored)
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    shutil.copytree(ROOT / "licenses", tree / "licenses")
    for place in ("first", "second"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "pybind11").symlink_to(Path(pybind11.__file__).parent)
    (tmp_path / "compiler").write_text(COMPILER)
    (tmp_path / "compiler").chmod(0o755)
    return tree


def build(tree: Path, environment: str) -> list[str]:
    """What an editable install in this environment compiles, the probes of flags left out."""
    log = tree.parent / "compiled"
    log.unlink(missing_ok=True)
    compiler = str(tree.parent / "compiler")
    path = str(tree.parent / environment)
    env = {**os.environ, "CC": compiler, "CXX": compiler, "PYTHONPATH": path}
    code = "from setuptools import build_meta; build_meta.build_editable('.')"
    subprocess.run([sys.executable, "-c", code], cwd=tree, env=env, check=True, capture_output=True)
    lines = log.read_text().splitlines() if log.exists() else []
    return sorted(line for line in lines if line.startswith(("csrc/", "pyengine/")))


def test_a_second_install_compiles_only_what_changed(tree: Path) -> None:
    everything = build(tree, "first")
    assert "csrc/engine.cc" in everything and "pyengine/_ragged.c" in everything
    assert build(tree, "second") == []
    os.utime(tree / "csrc/engine.cc", (2**32, 2**32))
    assert build(tree, "second") == ["csrc/engine.cc"]
