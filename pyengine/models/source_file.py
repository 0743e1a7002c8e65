"""Files of a model: regular ones alone, and what is read of them is one version or an error."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import BinaryIO, NamedTuple

from pyengine.errors import Error, ModelFormatError, ModelNotFoundError

_TICK = 0.02
"""Seconds after which a second change of a file has another time: Linux's clock for files moves on
every 1 to 10 ms."""

_SUFFIXES = frozenset(
    (".json", ".onnx", ".spm", ".model", ".bin", ".npz", ".yml", ".yaml", ".s2t", ".txt")
)
"""Of the files that pyengine may read in a model folder."""

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class FileState(NamedTuple):
    """What tells two versions of a file apart; times in nanoseconds. No program can set the one at
    which its inode was changed last.
    """

    size: int
    modified: int
    inode: int
    changed: int

    @classmethod
    def of(cls, status: os.stat_result) -> FileState:
        """From what the system says."""
        return cls(status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns)


class Snapshot:
    """One version of a model's files, which :meth:`reading` holds to.

    Args:
        folder: the model folder; the files in it are seen now.

    Raises:
        ModelFormatError: what has the name of a model's file is a folder, a FIFO or a device.
    """

    def __init__(self, folder: Path) -> None:
        self._states: dict[Path, FileState] = {}
        for path, status in _entries(folder):
            if stat.S_ISREG(status.st_mode):
                self._states[path] = FileState.of(status)
            elif path.suffix in _SUFFIXES:
                _check_regular(path, status.st_mode)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """A block in which every file that this thread opens must be as it was when the snapshot
        first saw it, and still be so at the end.

        There may be several, as for a tokenizer that is read later than the weights.

        Raises:
            ModelFormatError: a file was changed.
        """
        seen = _Seen(self._states, set())
        token = _seen.set(seen)
        try:
            yield
        finally:
            _seen.reset(token)
        for path in seen.paths:
            if state_of(path) != self._states[path]:
                raise _changed(path)


def _entries(folder: Path) -> list[tuple[Path, os.stat_result]]:
    """What is in a folder, and what links in it lead to; nothing of what cannot be looked at, which
    whoever reads it reports."""
    found = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                with suppress(OSError):
                    found.append((folder / entry.name, entry.stat()))
    except (OSError, ValueError):
        pass
    return found


class _Seen(NamedTuple):
    """The files of a snapshot, and those that one block has seen."""

    states: dict[Path, FileState]
    paths: set[Path]

    def check(self, path: Path, state: FileState) -> None:
        """Raise ModelFormatError unless a file is as it was when it was seen first."""
        self.paths.add(path)
        if self.states.setdefault(path, state) != state:
            raise _changed(path)


_seen: ContextVar[_Seen | None] = ContextVar("seen", default=None)


def is_there(path: Path) -> bool:
    """Whether there is a file, of which nothing is to be read yet; a link to nothing is none.

    Raises:
        ModelFormatError: it is a folder, a FIFO or a device.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return False
    _check_regular(path, mode)
    return True


def is_source(path: Path) -> bool:
    """Whether there is a file to read.

    Raises:
        ModelNotFoundError: a link whose target is not there.
        ModelFormatError: it is a folder, a FIFO or a device, or cannot be looked at.
    """
    try:
        _check_regular(path, os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        if path.is_symlink():
            raise ModelNotFoundError(
                f"{path.name}: is a link to {os.readlink(path)!r}, which is not there"
            ) from None
        return False
    except ModelFormatError:
        raise
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    return True


def names_in(folder: Path) -> list[str]:
    """The names of what a folder holds, in order.

    Raises:
        ModelFormatError: it cannot be listed.
    """
    try:
        return sorted(os.listdir(folder))
    except (OSError, ValueError) as error:
        raise _unreadable(folder, error) from error


def state_of(path: Path) -> FileState:
    """How a file is now.

    Raises:
        ModelNotFoundError: there is none.
        ModelFormatError: in a :class:`Snapshot`: it was changed since that first saw it.
    """
    try:
        state = FileState.of(os.stat(path))
    except (OSError, ValueError) as error:
        raise ModelNotFoundError(f"{path.name}: is not there any more") from error
    if (seen := _seen.get()) is not None:
        seen.check(path, state)
    return state


@contextmanager
def open_source(path: Path) -> Iterator[BinaryIO]:
    """Open a regular file to read; at the end of the block it must be as it was.

    Raises:
        ModelFormatError: it cannot be read, is no regular file, or was changed while it was read,
            or in a :class:`Snapshot` since that first saw it.
    """
    with _opened(path) as file:
        state = _settled(path, file.fileno())
        if (seen := _seen.get()) is not None:
            seen.check(path, state)
        try:
            yield file
            found = FileState.of(os.fstat(file.fileno()))
        except OSError as error:
            if isinstance(error, Error):
                raise
            raise _unreadable(path, error) from error
        if found != state:
            raise _changed(path)


def read_source(path: Path) -> bytes:
    """All of a file; raises what :func:`open_source` does."""
    with open_source(path) as file:
        return file.read()


def _opened(path: Path) -> BinaryIO:
    try:
        _check_regular(path, os.stat(path).st_mode)  # opening a device may have effects
        return open(path, "rb", opener=open_without_waiting)
    except ModelFormatError:
        raise
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def open_without_waiting(path: str, flags: int) -> int:
    """An opener that does not wait for a writer where a FIFO has taken the file's place."""
    return os.open(path, flags | os.O_NONBLOCK)


def _settled(path: Path, descriptor: int) -> FileState:
    """The state of an open file, from which every later change differs.

    A change within the same tick of the clock would leave the same time.
    """
    status = os.fstat(descriptor)
    _check_regular(path, status.st_mode)
    age = time.time() - status.st_ctime
    if 0 <= age < _TICK:
        time.sleep(_TICK - age)
        status = os.fstat(descriptor)
    return FileState.of(status)


def _check_regular(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "a special file")
        raise ModelFormatError(f"{path.name}: is {kind}, expected a regular file")


def _changed(path: Path) -> ModelFormatError:
    return ModelFormatError(f"{path.name}: was changed while the model was read; load it again")


def _unreadable(path: Path, error: Exception) -> ModelFormatError | MemoryError:
    reason = getattr(error, "strerror", None) or str(error)
    message = f"{path.name}: cannot be read ({reason})"
    if getattr(error, "errno", None) == errno.ENOMEM:  # no fault of the file
        return MemoryError(message)
    return ModelFormatError(message)
