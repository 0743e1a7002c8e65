"""What lies in a cache folder: listed, removed, and kept below a bound."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pyengine.cache import DAY, note_of
from pyengine.errors import OptionError
from pyengine.packed_file import read_key

LIMIT_VARIABLE = "PYENGINE_CACHE_SIZE"
DEFAULT_LIMIT = 5 << 30
"""Bytes: some sixty models of OPUS-MT's shape in int8. ccache has the same."""

_UNLIMITED = "unlimited"
_UNKNOWN = "unknown"
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,3})?)\s*(?:([KMGT])i?)?B?", re.IGNORECASE)
_UNITS = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}
_NAME = re.compile(r".+-[0-9a-f]{8}\.packed")


@dataclass(frozen=True)
class CachedFile:
    """A packed file in a cache folder.

    Attributes:
        path: the file.
        size: in bytes.
        used: when it was written, or the day on which it was used last; seconds since 1970.
        model: the folder of its model; "unknown" if the file is damaged or of another version.
        compute_type: the type of its weights, or the same.
    """

    path: Path
    size: int
    used: float
    model: str
    compute_type: str

    @property
    def is_orphan(self) -> bool:
        """Whether the model's folder has gone."""
        return self.model != _UNKNOWN and not os.path.isdir(self.model)


def cached_files(cache_dir: Path) -> list[CachedFile]:
    """The files in a folder that are named as packed ones are, the one used last at the end; none
    if there is no folder.
    """
    names = []
    with contextlib.suppress(OSError):
        names = [name for name in os.listdir(cache_dir) if _NAME.fullmatch(name)]
    found = []
    for path in (cache_dir / name for name in names):
        key = read_key(path)
        if key is not None:
            status = path.stat()
            place, kind = (str(key.get(field, _UNKNOWN)) for field in ("model", "compute_type"))
            found.append(CachedFile(path, status.st_size, status.st_mtime, place, kind))
    return sorted(found, key=lambda file: (file.used, file.path))


def remove(files: Iterable[CachedFile]) -> None:
    """Remove packed files. Models that have them mapped go on.

    Raises:
        OSError: one cannot be removed.
    """
    for file in files:
        for path in (note_of(file.path), file.path):
            path.unlink(missing_ok=True)


def beyond(files: list[CachedFile], limit: int | None) -> list[CachedFile]:
    """Which files must go: those whose models have gone for a day, and of the others those that
    were not used for longest, so that the rest takes at most `limit` bytes; ``None``: any.
    """
    yesterday = time.time() - DAY
    going = [file for file in files if file.is_orphan and file.used < yesterday]
    staying = [file for file in files if file not in going]
    left = sum(file.size for file in staying)
    while limit is not None and left > limit:
        going.append(staying.pop(0))
        left -= going[-1].size
    return going


def bound(cache_dir: Path, newest: Path) -> None:
    """Keep a folder below :func:`cache_limit`, in which the file `newest` has just been written and
    stays whatever its size.

    Raises:
        OptionError: see :func:`cache_limit`.
        OSError: a file cannot be removed.
    """
    files = cached_files(cache_dir)
    own = sum(file.size for file in files if file.path == newest)
    limit = cache_limit()
    room = None if limit is None else max(0, limit - own)
    remove(beyond([file for file in files if file.path != newest], room))


def cache_limit() -> int | None:
    """Bytes that a cache folder takes at most, as ``PYENGINE_CACHE_SIZE`` says; ``None``: any.

    Raises:
        OptionError: it says no size.
    """
    text = os.environ.get(LIMIT_VARIABLE, "")
    return checked_size(LIMIT_VARIABLE, text) if text else DEFAULT_LIMIT


def checked_size(name: str, text: str) -> int | None:
    """A number of bytes such as "2G", "500 MiB" or "1048576"; ``None`` for "unlimited".

    Raises:
        OptionError: none of these; names `name`.
    """
    if text.strip().lower() == _UNLIMITED:
        return None
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise OptionError(
            f"{name}: found {text!r:.40}, expected a size such as 2G, or {_UNLIMITED}"
        )
    return int(float(match[1]) * (1 << _UNITS[(match[2] or "").upper()]))
