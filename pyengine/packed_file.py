"""The file of a model's packed weights: written once, mapped by every later load.

Layout, numbers little-endian::

    8 bytes   b"PYENGINE"
    8 bytes   length of the JSON text
    4 bytes   CRC-32 of the JSON text
    JSON      see Header; then zeros up to a multiple of 64 bytes
    data      the arrays of _core.Weights.arrays(), each from a multiple of 64 bytes on

A file that is not exactly what its reader expects counts as none, and so does one that another
user could have written. Opening it costs no time that depends on the size of the data. The data has
checksums of its own, which :meth:`PackedFile.data_is_sound` compares before it is used.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import mmap
import os
import stat
import struct
import tempfile
import time
import zlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyengine import _core
from pyengine.models.source_file import FileState, open_without_waiting

SECTION = 1 << 18
"""Bytes under one checksum. They stay in a core's cache, three at a time."""

FileStates = dict[str, FileState]
"""How files were, by their names."""

_MAGIC = b"PYENGINE"
_PREFIX = struct.Struct("<8sQI")
_ALIGNMENT = 64
_HUGE_PAGE = 2 << 20
_UNFINISHED = ".tmp"
_ABANDONED = 3600
"""Seconds after which an unfinished file belongs to a process that was killed."""


@dataclass(frozen=True)
class Header:
    """What a file says of itself.

    Attributes:
        key: what decides how the arrays look; a reader wants it equal to its own.
        files: state of each file that the weights were read from, before they were.
        file_checksums: of each of these files as :func:`section_checksums` gives them.
        parameters: numbers in the model.
        offsets: of each array in the data; tied ones have one place.
        data_bytes: length of the data.
        checksums: those of the data.
    """

    key: dict[str, Any]
    files: FileStates
    file_checksums: dict[str, str]
    parameters: int
    offsets: list[int]
    data_bytes: int
    checksums: str

    @classmethod
    def parse(cls, text: bytes) -> Header:
        """From the JSON text of a file; ValueError if it is anything else."""
        try:
            raw = json.loads(text)
            header = cls(
                key=dict(raw["key"]),
                files=file_states_from(raw["files"]),
                file_checksums={str(k): str(v) for k, v in raw["file_checksums"].items()},
                parameters=int(raw["parameters"]),
                offsets=list(map(int, raw["offsets"])),
                data_bytes=int(raw["data_bytes"]),
                checksums=str(raw["checksums"]),
            )
        except (KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"not the header of a packed file: {error!r}") from error
        if not header.files or header.files.keys() != header.file_checksums.keys():
            raise ValueError("not the header of a packed file: it does not say what was packed")
        if len(header.checksums) != 8 * -(-header.data_bytes // SECTION) or header.parameters < 1:
            raise ValueError("not the header of a packed file: it does not fit the data")
        return header


def file_states_from(raw: Any) -> FileStates:
    """From JSON; raises ValueError, TypeError or AttributeError if it is anything else."""
    return {str(name): FileState(*map(int, state)) for name, state in raw.items()}


@dataclass(frozen=True)
class PackedFile:
    """A file whose header is sound.

    Attributes:
        path: where it lies.
        header: see there.
        data: its mapping; unmapped once nobody uses it.
    """

    path: Path
    header: Header
    data: memoryview

    def data_is_sound(self, num_threads: int = 1) -> bool:
        """Whether the data is what was written; reads all of it."""
        return section_checksums(self.data, num_threads) == self.header.checksums


def open_packed(path: Path, owners: Collection[int]) -> PackedFile | None:
    """Map a file; ``None`` if there is none, or none that is sound.

    Whoever cuts the file short while it is mapped kills the process (SIGBUS), as with every mapped
    file. Nothing here does: :func:`write_packed` puts a new file in the place of the old one.

    Args:
        path: the file.
        owners: users whose files count, see :func:`is_trusted`.
    """
    try:
        with open(path, "rb", opener=open_without_waiting) as file:
            if not is_trusted(os.fstat(file.fileno()), owners):
                return None
            mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        _ask_for_huge_pages(mapping)
        mapped = memoryview(mapping)
        length = _PREFIX.unpack_from(mapped)[1]
        text = _checked_text(bytes(mapped[: _PREFIX.size + length]))
        header = Header.parse(text)
        data = mapped[_aligned(_PREFIX.size + length) :]
        return PackedFile(path, header, data) if len(data) == header.data_bytes else None
    except (OSError, ValueError, OverflowError, struct.error):
        return None


def read_key(path: Path) -> dict[str, Any] | None:
    """The key in a file, whoever wrote it.

    Returns:
        Empty if the file is damaged or of another version; ``None`` if there is none.
    """
    try:
        with open(path, "rb", opener=open_without_waiting) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                return None
            head = file.read(_PREFIX.size)
            length = _PREFIX.unpack(head)[1]
            text = _checked_text(head + file.read(min(length, status.st_size)))
        return dict(json.loads(text)["key"])
    except OSError:
        return None
    except (ValueError, KeyError, TypeError, RecursionError, struct.error):
        return {}


def _checked_text(head: bytes) -> bytes:
    """The JSON text that a file begins with; ValueError or struct.error for another beginning."""
    magic, length, checksum = _PREFIX.unpack_from(head)
    text = head[_PREFIX.size :]
    if magic != _MAGIC or len(text) != length or zlib.crc32(text) != checksum:
        raise ValueError("not the beginning of a packed file")
    return text


def is_trusted(status: os.stat_result, owners: Collection[int]) -> bool:
    """Whether a file is a regular one that nobody but its owner, one of `owners`, can write."""
    is_shared = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return stat.S_ISREG(status.st_mode) and status.st_uid in owners and not is_shared


def write_packed(path: Path, header: Header, arrays: list[NDArray[np.uint8]], mode: int) -> None:
    """Write a file whole, then put it in its place: a reader sees the old one or the new one.

    Args:
        path: its folder exists.
        header: of :func:`header_for` these arrays.
        arrays: of ``_core.Weights.arrays``.
        mode: permissions of the file.

    Raises:
        OSError: the folder cannot be written, or the disk is full; nothing is left behind.
    """
    text = json.dumps(dataclasses.asdict(header)).encode()
    head = _PREFIX.pack(_MAGIC, len(text), zlib.crc32(text)) + text
    padded_head = head.ljust(_aligned(len(head)), b"\0")
    replace_file(path, _blocks(itertools.chain([padded_head], _parts(arrays))), mode)


def replace_file(path: Path, blocks: Iterable[bytes | bytearray], mode: int) -> None:
    """Write a file aside, then put it in its place; raises OSError, and then leaves nothing."""
    _remove_abandoned(path)
    handle, name = tempfile.mkstemp(prefix=f"{path.name}.", suffix=_UNFINISHED, dir=path.parent)
    try:
        with open(handle, "wb") as file:
            os.fchmod(handle, mode)
            for block in blocks:
                file.write(block)
            file.flush()
            os.fsync(handle)  # else a power cut could leave the name without the data
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def header_for(
    arrays: list[NDArray[np.uint8]],
    key: dict[str, Any],
    files: FileStates,
    file_checksums: dict[str, str],
    parameters: int,
) -> Header:
    """The header of a file with these arrays; reads all of them."""
    places = _places(arrays)
    return Header(
        key=key,
        files=files,
        file_checksums=file_checksums,
        parameters=parameters,
        offsets=[places.get(_address(array), 0) for array in arrays],
        data_bytes=sum(len(part) for part in _parts(arrays)),
        checksums="".join(map(section_checksums, _blocks(_parts(arrays)))),
    )


def holds(file: PackedFile, arrays: list[NDArray[np.uint8]]) -> bool:
    """Whether the data of a file is these arrays."""
    start = 0
    for part in _parts(arrays):
        if file.data[start : start + len(part)] != part:
            return False
        start += len(part)
    return start == len(file.data)


def section_checksums(block: bytearray | memoryview, num_threads: int = 1) -> str:
    """CRC-32C of each section of a block, 8 hexadecimal digits each, one after another."""
    return _core.checksums(block, SECTION, num_threads).astype(">u4").tobytes().hex()


def _places(arrays: list[NDArray[np.uint8]]) -> dict[int, int]:
    """Offset of each array in the data, by its address; an empty one has none."""
    places: dict[int, int] = {}
    end = 0
    for array in arrays:
        if array.nbytes and _address(array) not in places:
            places[_address(array)] = end
            end += _aligned(array.nbytes)
    return places


def _parts(arrays: list[NDArray[np.uint8]]) -> Iterator[memoryview | bytes]:
    """The data piece by piece: each array that lies apart, and the zeros after it."""
    places = _places(arrays)
    for array in arrays:
        if places.pop(_address(array), None) is not None:
            yield array.data
            yield bytes(_aligned(array.nbytes) - array.nbytes)


def _blocks(parts: Iterable[memoryview | bytes]) -> Iterator[bytearray]:
    """The same bytes in blocks of the size of a huge page.

    File systems with large folios (ext4, xfs) cache what is written at once in one; what is cached
    in smaller ones is mapped in small pages until it is read from the disk again.
    """
    block = bytearray()
    for part in parts:
        left = memoryview(part)
        while left:
            taken = _HUGE_PAGE - len(block)
            block += left[:taken]
            left = left[taken:]
            if len(block) == _HUGE_PAGE:
                yield block
                block.clear()
    yield block


def _ask_for_huge_pages(mapping: mmap.mmap) -> None:
    """Let the system read and map a file in pages of 2 MB where it can.

    Products that read their weights from memory are bound by address translation before: 16 rows of
    int8 over 64 MB on two threads of an EPYC (Zen 4) 550 -> 770 Gop/s. Reading ahead the whole file
    (``MADV_WILLNEED``) would fill the cache with small pages.
    """
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with contextlib.suppress(OSError):  # a kernel without them
            mapping.madvise(mmap.MADV_HUGEPAGE)


def _address(array: NDArray[np.uint8]) -> int:
    return int(array.__array_interface__["data"][0])


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def _remove_abandoned(path: Path) -> None:
    """Remove what processes left behind that were killed while they wrote the same file."""
    for unfinished in path.parent.glob(f"{path.name}.*{_UNFINISHED}"):
        with contextlib.suppress(OSError):
            if time.time() - unfinished.stat().st_mtime > _ABANDONED:
                unfinished.unlink()
