"""Marian's float32 model file: a NumPy archive with the same names as the binary form."""

from __future__ import annotations

import math
import os
import re
import zipfile
import zlib
from pathlib import Path

import numpy as np

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

# As NumPy and cnpy, which Marian writes by, make it; Python 2 wrote an L behind integers.
_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00..\{ *"
    rb"'descr': *'([<>|=](?:b1|[iu][1248]|f[248]))', *"
    rb"'fortran_order': *(True|False), *"
    rb"'shape': *\(((?:\d{1,19}L?(?:, *|(?=\))))*)\),? *\} *\n?",
    re.DOTALL,
)
_SIZE = re.compile(rb"\d+")

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
    """The array in an .npy file of the only version that Marian writes, read-only.

    NumPy's own reader takes headers for Python, and warns of what it had to mend.
    """
    header = _HEADER.match(content)
    if header is None or header.end() != 10 + int.from_bytes(content[8:10], "little"):
        raise ModelFormatError(
            f"{where} is no array: found {content[:60]!r}, expected the header of a .npy file of "
            "version 1.0"
        )
    dtype, is_fortran = np.dtype(header[1].decode()), header[2] == b"True"
    shape = tuple(map(int, _SIZE.findall(header[3])))
    size = math.prod(shape)
    data = memoryview(content)[header.end() :]
    is_sized = len(shape) <= MAX_RANK and 0 not in shape
    if not is_sized or len(data) != size * dtype.itemsize:
        raise ModelFormatError(
            f"{where} holds {len(data)} bytes, expected shape {list(shape)} of {dtype}"
        )
    array = np.frombuffer(data, dtype)
    return array.reshape(shape[::-1]).T if is_fortran else array.reshape(shape)
