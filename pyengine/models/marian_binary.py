"""Marian's binary model file, version 1, as Firefox Translations ships it.

    uint64 version, number of tensors
    four uint64 a tensor: length of its name, type, number of dimensions, bytes of data
    the names, each with a final NUL; the shapes, int32; a uint64 of padding and the padding
    the data of each tensor

Facts from marian-dev, src/common/binary.cpp and src/common/types.h. An int8 matrix is stored
transposed, [columns, rows] in memory, and followed by a float32: the multiplier that its values
were quantised with. The token table, which Marian multiplies with transposed, is stored as it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pyengine.errors import ModelFormatError, UnsupportedModelError
from pyengine.models.binary_file import Cursor, read_file

VERSION = 1
FLOAT32, INT8_QUANTIZED = 0x404, 0x4101  # of marian::Type
CONFIG_NAME = "special:model.yml"
MAX_TENSORS, MAX_NAME, MAX_RANK = 1 << 16, 1 << 10, 8  # far above any model
MIN_MULTIPLIER = 1e-30  # far below any; its inverse is a float32, and 127 times that


@dataclass(frozen=True)
class MarianTensor:
    """One tensor of a Marian file.

    Attributes:
        values: float32, or int8 of the same shape; read-only.
        multiplier: what int8 values were multiplied with; 1 for float32.
    """

    values: np.ndarray
    multiplier: float = 1.0

    @property
    def is_quantized(self) -> bool:
        """Whether the values are int8."""
        return self.values.dtype == np.int8

    @property
    def scale(self) -> float:
        """What int8 values are multiplied with; a float32."""
        return float(np.float32(1 / self.multiplier))

    def dequantized(self) -> np.ndarray:
        """The values, float32."""
        values: np.ndarray = np.multiply(self.values, self.scale, dtype=np.float32)
        return values


@dataclass(frozen=True)
class MarianFile:
    """A Marian model: ``tensors`` by name, and the configuration it carries, as YAML text."""

    name: str
    tensors: dict[str, MarianTensor]
    yaml: str


def read_marian_binary(path: Path) -> MarianFile:
    """Reads a ``.bin`` file, gzipped or not.

    Raises:
        ModelFormatError: not such a file, or damaged; says what was found and expected.
        UnsupportedModelError: a tensor of another type than float32 and intgemm's int8.
    """
    cursor = Cursor(path.name, read_file(path))
    version, count = cursor.integers("the header", "<u8", 2)
    if version != VERSION:
        raise ModelFormatError(
            f"{path.name}: not a Marian binary model: found version {version}, expected {VERSION}"
        )
    if count > MAX_TENSORS:
        raise ModelFormatError(
            f"{path.name}: found {count} tensors, expected at most {MAX_TENSORS}"
        )
    headers = [cursor.integers("the table of tensors", "<u8", 4) for _ in range(count)]
    for length, _, rank, _ in headers:
        if not 1 <= length <= MAX_NAME or rank > MAX_RANK:
            raise ModelFormatError(
                f"{path.name}: a tensor has a name of {length} bytes and rank {rank}, expected at "
                f"most {MAX_NAME} and {MAX_RANK}"
            )
    names = [_name(cursor, length) for length, *_ in headers]
    shapes = [cursor.integers("the shapes", "<i4", rank) for _, _, rank, _ in headers]
    cursor.take("the padding", *cursor.integers("the padding", "<u8", 1))
    tensors: dict[str, MarianTensor] = {}
    yaml = ""
    for name, shape, (_, kind, _, num_bytes) in zip(names, shapes, headers, strict=True):
        data = cursor.take(repr(name), num_bytes)
        if name == CONFIG_NAME:
            yaml = bytes(data).rstrip(b"\0").decode("utf-8", errors="replace")
        elif name in tensors:
            raise ModelFormatError(f"{path.name}: {name!r} is there twice")
        else:
            tensors[name] = _tensor(f"{path.name}: {name!r}", "Wemb" in name, kind, shape, data)
    return MarianFile(path.name, tensors, yaml)


def _name(cursor: Cursor, length: int) -> str:
    try:
        return bytes(cursor.take("the names", length)).rstrip(b"\0").decode("utf-8")
    except UnicodeDecodeError as error:
        raise ModelFormatError(f"{cursor.name}: a tensor's name is not UTF-8") from error


def _tensor(
    where: str, is_table: bool, kind: int, shape: list[int], data: memoryview
) -> MarianTensor:
    size = math.prod(shape)
    if any(dim < 1 for dim in shape):
        raise ModelFormatError(f"{where} has shape {shape}, expected positive sizes")
    if kind not in (FLOAT32, INT8_QUANTIZED):
        raise UnsupportedModelError(
            f"{where} has Marian's type {kind:#x}, supported are float32 and intgemm's int8"
        )
    needed = 4 * size if kind == FLOAT32 else size + 4
    if len(data) < needed:
        raise ModelFormatError(
            f"{where} holds {len(data)} bytes, expected {needed} for shape {shape}"
        )
    if kind == FLOAT32:
        aligned = np.require(np.frombuffer(data, "<f4", size), requirements="A")
        return MarianTensor(aligned.reshape(shape))
    multiplier = float(np.frombuffer(data, "<f4", 1, size)[0])
    if not MIN_MULTIPLIER < multiplier < math.inf:
        raise ModelFormatError(f"{where} has the multiplier {multiplier}, expected a positive one")
    values = np.frombuffer(data, np.int8, size)
    if values.min() < -127:  # which intgemm never makes
        raise ModelFormatError(f"{where} holds -128, expected values from -127 to 127")
    if is_table or len(shape) != 2:
        return MarianTensor(values.reshape(shape), multiplier)
    return MarianTensor(values.reshape(shape[::-1]).T, multiplier)
