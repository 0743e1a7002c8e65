"""Bytes of a model file, plain or gzipped, and numbers in them that are checked before use."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path

import numpy as np

from pyengine.errors import ModelFormatError
from pyengine.models.source_file import read_source

# A gzipped file of weights is hardly smaller than its content, a shortlist a quarter. What claims
# to grow a hundredfold is no model.
_MAX_GROWTH = 100


def read_file(path: Path) -> bytes:
    """The content of ``path``, unpacked if its name ends in ".gz".

    Raises:
        ModelFormatError: it cannot be read, or is damaged; names the file.
    """
    content = read_source(path)
    if path.suffix != ".gz":
        return content
    limit = _MAX_GROWTH * len(content) + (1 << 16)
    try:
        with gzip.open(io.BytesIO(content)) as file:
            content = file.read(limit)
    except (OSError, EOFError, zlib.error) as error:
        raise ModelFormatError(f"{path.name}: cannot be read ({error})") from error
    if len(content) == limit:
        raise ModelFormatError(f"{path.name}: expands to more than {limit} bytes")
    return content


class Cursor:
    """Reads arrays one after another from a file's content; never beyond its end."""

    def __init__(self, name: str, content: bytes) -> None:
        self.name = name
        self.position = 0
        self._content = memoryview(content)

    def take(self, what: str, count: int) -> memoryview:
        """The next ``count`` bytes.

        Args:
            what: what they are, for errors.

        Raises:
            ModelFormatError: the file ends before.
        """
        left = len(self._content) - self.position
        if not 0 <= count <= left:
            raise ModelFormatError(
                f"{self.name}: {what} needs {count} bytes at byte {self.position}, found {left}"
            )
        self.position += count
        return self._content[self.position - count : self.position]

    def array(self, what: str, dtype: str, count: int) -> np.ndarray:
        """The next ``count`` numbers, read-only, without a copy."""
        return np.frombuffer(self.take(what, count * np.dtype(dtype).itemsize), dtype)

    def integers(self, what: str, dtype: str, count: int) -> list[int]:
        """The next ``count`` integers as Python's, so that sums of them cannot overflow."""
        return [int(value) for value in self.array(what, dtype, count)]

    def check_end(self) -> None:
        """Raises ModelFormatError unless everything was read."""
        if left := len(self._content) - self.position:
            raise ModelFormatError(f"{self.name}: found {left} more bytes than expected")
