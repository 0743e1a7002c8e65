"""``pyengine cache``: the packed weights that loads have left behind."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from pyengine.cache import resolve_cache_dir
from pyengine.cache_files import (
    CachedFile,
    beyond,
    cache_limit,
    cached_files,
    checked_size,
    remove,
)
from pyengine.errors import ModelNotFoundError, OptionError


def manage_cache(arguments: argparse.Namespace) -> None:
    """Do what the command says; see ``pyengine cache --help``.

    Raises:
        OptionError: no folder, no size, or an argument of another action.
        ModelNotFoundError: no such folder, and nothing packed of it.
        OSError: a file cannot be removed.
    """
    for name, action in (("model", "clear"), ("max_size", "trim")):
        if getattr(arguments, name) is not None and arguments.action != action:
            shown = "MODEL" if name == "model" else "--max-size"
            raise OptionError(f"{shown}: expected with {action}, found {arguments.action}")
    folder = resolve_cache_dir(arguments.cache_dir)
    if folder is None:
        raise OptionError("--cache-dir: found none and no home of the user, expected a folder")
    files = cached_files(folder)
    if arguments.action == "list":
        print("\n".join([*map(_line, files), _total(folder, files)]))
        return
    going = _chosen(files, arguments)
    remove(going)
    print(f"removed {_size(sum(file.size for file in going))} in {_count(len(going))} of {folder}")


def _chosen(files: list[CachedFile], arguments: argparse.Namespace) -> list[CachedFile]:
    """The files to remove."""
    if arguments.action == "trim":
        text = arguments.max_size
        return beyond(files, cache_limit() if text is None else checked_size("--max-size", text))
    if arguments.model is None:
        return files
    place = Path(arguments.model).resolve()
    found = [file for file in files if file.model == str(place)]
    if not found and not place.is_dir():
        raise ModelNotFoundError(
            f"MODEL: found {arguments.model!r}, expected a model folder, or the path of one that "
            "has packed weights, as pyengine cache lists them"
        )
    return found


def _line(file: CachedFile) -> str:
    day = time.strftime("%Y-%m-%d", time.localtime(file.used))
    return f"{_size(file.size):>11}  {day}  {file.compute_type:<8}  {file.model}"


def _total(folder: Path, files: list[CachedFile]) -> str:
    limit = cache_limit()
    bound = "any size" if limit is None else f"at most {_size(limit)}"
    size = _size(sum(file.size for file in files))
    return f"{size:>11}  in {_count(len(files))} of {folder} ({bound})"


def _count(number: int) -> str:
    return "1 file" if number == 1 else f"{number} files"


def _size(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.1f} MiB"
