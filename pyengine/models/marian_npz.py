"""Marian's float32 model file: a NumPy archive with the same names as the binary form."""

from __future__ import annotations

import io
import math
import os
import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from pyengine.errors import Error, ModelFormatError, UnsupportedModelError
from pyengine.models.marian_binary import (
    CONFIG_NAME,
    MAX_RANK,
    MAX_TENSORS,
    MarianFile,
    MarianTensor,
)
from pyengine.models.source_file import open_source

_MAX_GROWTH = 100  # of what is compressed; weights hardly shrink

# What zipfile raises, fuzzed.
_DAMAGE = (
    OSError,
    EOFError,
    UnicodeDecodeError,
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,
    RuntimeError,
)


def read_marian_npz(path: Path) -> MarianFile:
    """Reads a ``.npz`` file as Marian's training writes it.

    Raises:
        ModelFormatError: not such a file, or damaged; says what was found and expected.
        UnsupportedModelError: a tensor of another type than float32.
    """
    tensors: dict[str, MarianTensor] = {}
    yaml = ""
    try:
        with open_source(path) as file, zipfile.ZipFile(file) as archive:
            _check_sizes(path, archive, os.fstat(file.fileno()).st_size)
            for entry in archive.infolist():
                name = entry.filename.removesuffix(".npy")
                if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise ModelFormatError(
                        f"{path.name}: {name!r} is compressed by method {entry.compress_type}, "
                        "expected none or deflate"
                    )
                values = _read_npy(f"{path.name}: {name!r}", archive.read(entry))
                if name == CONFIG_NAME:
                    yaml = values.tobytes().rstrip(b"\0").decode("utf-8", errors="replace")
                elif name in tensors:
                    raise ModelFormatError(f"{path.name}: {name!r} is there twice")
                elif values.dtype == np.dtype("<f4"):
                    tensors[name] = MarianTensor(values)
                else:
                    raise UnsupportedModelError(
                        f"{path.name}: {name!r} is {values.dtype}, supported is float32"
                    )
    except Error:
        raise
    except _DAMAGE as error:
        raise ModelFormatError(f"{path.name}: not a NumPy archive ({error!r})") from error
    return MarianFile(path.name, tensors, yaml)


def _check_sizes(path: Path, archive: zipfile.ZipFile, size: int) -> None:
    entries = archive.infolist()
    total, limit = sum(e.file_size for e in entries), _MAX_GROWTH * size
    if len(entries) > MAX_TENSORS or total > limit:
        raise ModelFormatError(
            f"{path.name}: {len(entries)} arrays of {total} bytes, expected at most "
            f"{MAX_TENSORS} and {limit}"
        )


def _read_npy(where: str, content: bytes) -> np.ndarray:
    """The array in an .npy file of the only version that Marian writes, read-only."""
    stream = io.BytesIO(content)
    try:
        version = npy.read_magic(stream)
        if version != (1, 0):
            raise ValueError(f"version {version}, expected (1, 0)")
        shape, is_fortran, dtype = npy.read_array_header_1_0(stream)
    except Exception as error:  # NumPy lets through what Python's own parser raises
        raise ModelFormatError(f"{where} is no array ({error!r:.80})") from error
    size = math.prod(shape)
    data = memoryview(content)[stream.tell() :]
    is_sized = len(shape) <= MAX_RANK and all(type(dim) is int and dim > 0 for dim in shape)
    if dtype.kind not in "biuf" or not is_sized or len(data) != size * dtype.itemsize:
        raise ModelFormatError(
            f"{where} holds {len(data)} bytes, expected shape {list(shape)} of {dtype}"
        )
    array = np.frombuffer(data, dtype)
    return array.reshape(shape[::-1]).T if is_fortran else array.reshape(shape)
