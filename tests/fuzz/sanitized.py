"""Runs a process with the extension modules that tools/sanitized_module.py builds."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

_MEMORY = 4096
"""Megabytes that such a process may have; AddressSanitizer takes some times what is asked for."""


class _Finder:
    """Finds pyengine's extension modules in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, _, module = name.rpartition(".")
        file = self._folder / f"{module}.so"
        is_there = package == "pyengine" and file.exists()
        return importlib.util.spec_from_file_location(name, file) if is_there else None


def use_modules_in(folder: Path) -> None:
    """Let this process, which has not imported pyengine yet, take its modules from a folder."""
    assert "pyengine" not in sys.modules
    finder: Any = _Finder(folder)
    sys.meta_path.insert(0, finder)


def environment() -> dict[str, str]:
    """The variables that a process under the sanitizers needs."""
    from tools.sanitized_module import library

    return {
        **os.environ,
        "LD_PRELOAD": " ".join(map(library, ("libasan.so", "libstdc++.so"))),
        "ASAN_OPTIONS": f"detect_leaks=0:allocator_may_return_null=1:hard_rss_limit_mb={_MEMORY}",
        "UBSAN_OPTIONS": "print_stacktrace=1",
    }
