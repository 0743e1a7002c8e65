"""Where packed weights are kept, and whether a file there belongs to a model as it is now."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import stat
import sys
import time
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyengine import _core
from pyengine._version import __version__
from pyengine.errors import Error, OptionError, excerpt
from pyengine.models.source_file import (
    FileState,
    open_source,
    open_without_waiting,
    state_of,
)
from pyengine.packed_file import (
    FileStates,
    PackedFile,
    file_states_from,
    is_trusted,
    replace_file,
    section_checksums,
)

if TYPE_CHECKING:
    from pyengine.models import ModelConfig, ModelFolder

_SECOND = 10**9
_BLOCK = 1 << 21  # bytes read at once, a multiple of a section
DAY = 86_400  # seconds
_NOTE = ".files"
_NOTE_SIZE = 1 << 20  # bytes; far more than the names of a model's files take


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
    if isinstance(path, str) and path and "\0" not in path and _has_bytes(path):
        return Path(path)
    raise OptionError(f"cache_dir: found {excerpt(cache_dir)}, expected None, a folder or False")


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
    """Whose weights are packed, and what decides how, but for their values."""
    candidate_table = needs_candidate_table(model, compute_type)
    core = core_config(model.config)
    return {
        "model": str(model.path.resolve()),
        "version": __version__,
        "layout": _core.packed_layout(core, compute_type, candidate_table),
        "byteorder": sys.byteorder,
        "compute_type": compute_type,
        "candidate_table": candidate_table,
        "config": dataclasses.asdict(model.config),
        "read": [_name(model.path, path) for path in model.graph_paths.values()],
    }


def core_config(config: ModelConfig) -> _core.ModelConfig:
    """The same record as the core has it."""
    return _core.ModelConfig(vars(config))


def needs_candidate_table(model: ModelFolder, compute_type: str) -> bool:
    """Whether the columns of the output projection are also kept as the rows of a table, from which
    int8 products take the candidates of a shortlist.
    """
    return compute_type == "int8" and model.shortlist is not None


def file_states(folder: Path, files: Iterable[Path]) -> FileStates:
    """How files are, by their names as seen from `folder`; raises what :func:`state_of` does."""
    return {_name(folder, file): state_of(file) for file in files}


def file_checksums(file: Path) -> str:
    """Those of the sections of a file; raises what :func:`open_source` does."""
    block = memoryview(bytearray(_BLOCK))
    with open_source(file) as opened:
        sizes = iter(lambda: opened.readinto(block), 0)  # type: ignore[attr-defined]
        return "".join(section_checksums(block[:size]) for size in sizes)


def trusted_owners(model: ModelFolder) -> set[int]:
    """The users whose packed files count: who runs this, the system's, and whom the model's folder
    belongs to, who decides about the weights anyway.
    """
    owners = {os.geteuid(), 0}
    with contextlib.suppress(OSError):  # who reads the folder says that it has gone
        owners.add(model.path.stat().st_uid)
    return owners


def is_safe(cache_dir: Path, owners: set[int]) -> bool:
    """Whether nobody else can put other files in the place of those in a folder."""
    try:
        status = cache_dir.stat()
    except (OSError, ValueError):
        return False
    is_open = status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX
    return status.st_uid in owners and not is_open


def is_current(file: PackedFile, model: ModelFolder) -> bool:
    """Whether no file has changed since it was packed, of a file with the model's own key.

    Archives (tar, the layers of container images) keep whole seconds, so a time that has become one
    counts as the same, and make new inodes. Where only the inode is another, or when it changed,
    the content decides, which is read once for that and noted beside the packed file.
    """
    header = file.header
    if not set(header.key["read"]) <= header.files.keys():
        return False
    try:
        found = {name: state_of(model.path / name) for name in header.files}
        if found == header.files:
            return True
        if not all(_may_be_same(header.files[name], state) for name, state in found.items()):
            return False
        if _are_noted(file, found, trusted_owners(model)):
            return True
        moved = [name for name, state in found.items() if state != header.files[name]]
        if any(file_checksums(model.path / name) != header.file_checksums[name] for name in moved):
            return False
    except (Error, OSError):
        return False
    _note(file, found)
    return True


def note_of(packed: Path) -> Path:
    """The file beside a packed one with other states of the model's files that have its content."""
    return packed.with_name(f"{packed.name}{_NOTE}")


def note_use(path: Path) -> None:
    """Remember the day on which a packed file was used, as its modification time."""
    with contextlib.suppress(OSError):
        if time.time() - path.stat().st_mtime > DAY:
            os.utime(path)


def _may_be_same(packed: FileState, found: FileState) -> bool:
    """Whether a file as it is may have the content that was packed."""
    times = (packed.modified, packed.modified // _SECOND * _SECOND)
    return found.size == packed.size and found.modified in times


def _are_noted(file: PackedFile, states: FileStates, owners: set[int]) -> bool:
    try:
        with open(note_of(file.path), "rb", opener=open_without_waiting) as note:
            if not is_trusted(os.fstat(note.fileno()), owners):
                return False
            packed, found = map(file_states_from, json.loads(note.read(_NOTE_SIZE)))
    except (OSError, ValueError, TypeError, AttributeError, RecursionError, OverflowError):
        return False
    return packed == file.header.files and found == states


def _note(file: PackedFile, states: FileStates) -> None:
    text = json.dumps([file.header.files, states]).encode()
    with contextlib.suppress(OSError):
        mode = stat.S_IMODE(file.path.stat().st_mode)
        replace_file(note_of(file.path), [text], mode)


def _has_bytes(path: str) -> bool:
    """Whether the system's encoding can write a path."""
    try:
        os.fsencode(path)
    except UnicodeError:
        return False
    return True


def _name(folder: Path, file: Path) -> str:
    if file.parent == folder:  # which takes no look at the folders above
        return file.name
    return os.path.relpath(file.parent.resolve() / file.name, folder.resolve())
