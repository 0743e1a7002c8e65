"""The types of stored numbers that are read, and what is made of them: float32, int8 or int32."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class NumberType:
    """One of TensorProto.DataType.

    Attributes:
        name: such as "float16".
        stored: the little-endian NumPy type of the bytes in the file; bfloat16's are unsigned
            integers, the upper halves of float32 numbers.
        dtype: of the values, float32, int8 or int32. float16 and bfloat16 widen exactly, float64
            is rounded. uint8 is given as int8, less 128, and integers of 4 bits as int8.
        listed: the field of a TensorProto that has them one by one, 16-bit types as their bits.
    """

    name: str
    stored: np.dtype[Any]
    dtype: np.dtype[Any]
    listed: str
    per_stored: int = 1
    """Numbers in one that is stored, the first in the lowest bits."""

    @property
    def is_plain(self) -> bool:
        """The values are the stored numbers."""
        return self.stored == self.dtype

    @property
    def offset(self) -> int:
        """What is taken off from every number."""
        return 128 if self.name == "uint8" else 0

    def num_stored(self, size: int) -> int:
        """How many are stored of so many numbers."""
        return -(-size // self.per_stored)

    def convert(self, stored: np.ndarray, values: np.ndarray) -> None:
        """Put the values of stored numbers into `values`, without a copy of more than 8 bits."""
        if self.name == "uint8":
            np.bitwise_xor(stored, 128, out=values.view(np.uint8))
            return
        if self.per_stored == 2:
            halves = np.stack([stored & 15, stored >> 4], axis=1).ravel()[: values.size]
            values[:] = halves if self.name == "uint4" else (halves ^ 8).view(np.int8) - 8
            return
        if self.name != "bfloat16":
            with np.errstate(all="ignore"):  # a float64 above float32's range becomes infinite
                values[:] = stored
            return
        bits = values.view(np.uint32)
        bits[:] = stored
        bits <<= 16

    def from_list(self, numbers: Any) -> np.ndarray:
        """The numbers of the field `listed` as stored; OverflowError for one that is none."""
        is_bits = self.name in ("float16", "bfloat16")
        kind = np.dtype(np.uint16) if is_bits else self.stored
        wide = np.array(numbers)
        if kind.kind in "iu" and wide.size:
            limits = np.iinfo(kind)
            if wide.min() < limits.min or wide.max() > limits.max:
                raise OverflowError(f"it holds numbers from {wide.min()} to {wide.max()}")
        return wide.astype(kind).view(self.stored)


_FLOAT32 = np.dtype("<f4")
NUMBER_TYPES = {
    1: NumberType("float32", _FLOAT32, _FLOAT32, "float_data"),
    2: NumberType("uint8", np.dtype("u1"), np.dtype("i1"), "int32_data"),
    3: NumberType("int8", np.dtype("i1"), np.dtype("i1"), "int32_data"),
    6: NumberType("int32", np.dtype("<i4"), np.dtype("<i4"), "int32_data"),
    10: NumberType("float16", np.dtype("<f2"), _FLOAT32, "int32_data"),
    11: NumberType("float64", np.dtype("<f8"), _FLOAT32, "double_data"),
    16: NumberType("bfloat16", np.dtype("<u2"), _FLOAT32, "int32_data"),
    21: NumberType("uint4", np.dtype("u1"), np.dtype("i1"), "int32_data", 2),
    22: NumberType("int4", np.dtype("u1"), np.dtype("i1"), "int32_data", 2),
}
"""By their numbers in TensorProto.DataType."""


def narrowed(value: float) -> set[float]:
    """`value` as float16 and as bfloat16 hold it, which a graph in these types has in its place."""
    with np.errstate(over="ignore", under="ignore"):
        half = float(np.float16(value))
        bits = np.float32(value).view(np.uint32)
    rounded = (int(bits) + 0x7FFF + (int(bits) >> 16 & 1)) >> 16 << 16  # to nearest, ties to even
    return {half, float(np.uint32(rounded & 0xFFFFFFFF).view(np.float32))}
