"""Where packed weights are kept, and whether a file there belongs to a model as it is now."""

from __future__ import annotations

import dataclasses
import os
import re
import sys
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyengine import _core
from pyengine._version import __version__
from pyengine.errors import OptionError
from pyengine.packed_file import FileStates, Header

if TYPE_CHECKING:
    from pyengine.models import ModelFolder

_SECOND = 10**9


def resolve_cache_dir(cache_dir: Any) -> Path | None:
    """The folder that the setting ``cache_dir`` stands for; ``None`` for no cache.

    Raises:
        OptionError: neither ``None``, nor a folder's path, nor ``False``.
    """
    if cache_dir is None:
        return default_cache_dir()
    if cache_dir is False:
        return None
    path = os.fspath(cache_dir) if isinstance(cache_dir, (str, os.PathLike)) else None
    if isinstance(path, str) and path and "\0" not in path:
        return Path(path)
    raise OptionError(f"cache_dir: found {cache_dir!r:.60}, expected None, a folder or False")


def default_cache_dir() -> Path | None:
    """The user's cache folder by the XDG rules; ``None`` for a user without a home."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(base):
        return Path(base, "pyengine")
    try:
        return Path.home() / ".cache" / "pyengine"
    except RuntimeError:
        return None


def packed_path(cache_dir: Path, model: ModelFolder, compute_type: str) -> Path:
    """The file of a model folder: one for each place, variant and compute type, so that a model
    which is replaced takes the room of the one before.
    """
    place = str(model.path.resolve())
    digest = f"{zlib.crc32(os.fsencode(place)):08x}"
    name = re.sub(r"[^A-Za-z0-9._-]", "_", Path(place).name)[:60]
    kind = compute_type if model.variant is None else f"{model.variant}-{compute_type}"
    return cache_dir / f"{name}-{kind}-{digest}.packed"


def cache_key(model: ModelFolder, compute_type: str) -> dict[str, Any]:
    """What decides how a model's weights are packed, but for their values."""
    return {
        "version": __version__,
        "layout": _core.PACKED_LAYOUT,
        "byteorder": sys.byteorder,
        "compute_type": compute_type,
        "candidate_table": needs_candidate_table(model, compute_type),
        "config": dataclasses.asdict(model.config),
        "read": [_name(model.path, path) for path in model.graph_paths.values()],
    }


def needs_candidate_table(model: ModelFolder, compute_type: str) -> bool:
    """Whether the columns of the output projection are also kept as the rows of a table, from which
    int8 products take the candidates of a shortlist.
    """
    return compute_type == "int8" and model.shortlist is not None


def file_states(folder: Path, files: Iterable[Path]) -> FileStates:
    """Size and modification time of files, by their names as seen from `folder`.

    Raises:
        OSError: one of them is gone.
    """
    return {_name(folder, file): _state(file) for file in files}


def is_current(header: Header, model: ModelFolder) -> bool:
    """Whether no file has changed since it was packed.

    Archives (tar, the layers of container images) keep whole seconds: a time that has become one
    counts as the same.
    """
    for name, (size, time) in header.files.items():
        try:
            found_size, found_time = _state(model.path / name)
        except (OSError, ValueError):
            return False
        if found_size != size or found_time not in (time, time // _SECOND * _SECOND):
            return False
    return True


def _state(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_size, status.st_mtime_ns


def _name(folder: Path, file: Path) -> str:
    return os.path.relpath(file.parent.resolve() / file.name, folder.resolve())
