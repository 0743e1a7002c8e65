"""The tensors of a model as its files hold them: each is read when it is asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pyengine.models.graph import Constant, Operand
from pyengine.models.quantized import SCALE

_BLOCK = 1 << 20
"""Numbers compared at once: a block fits a cache, also transposed."""


@dataclass(frozen=True)
class StoredTensor:
    """A constant of a graph in the shape that the model's table asks for.

    Attributes:
        operand: the constant, transposed or not.
        shape: that of the operand, or that without leading ones.
    """

    operand: Operand
    shape: tuple[int, ...]

    @property
    def constant(self) -> Constant:
        """Where the values come from."""
        return self.operand.constant

    def array(self) -> np.ndarray:
        """float32 or int8 of `shape`, read-only; raises what Constant.array does."""
        return self.operand.array().reshape(self.shape)

    def scales(self) -> np.ndarray | None:
        """What int8 values are multiplied with; None of float32 ones."""
        return None if self.operand.scale is None else self.operand.scale.array()

    def transposed(self) -> StoredTensor:
        """The same matrix the other way round."""
        first, second = self.operand.axes or (0, 1)
        axes = () if (second, first) == (0, 1) else (second, first)
        return StoredTensor(dataclasses.replace(self.operand, axes=axes), self.shape[::-1])


@dataclass(frozen=True)
class StoredScales:
    """The scales of an int8 weight.

    Attributes:
        operand: the weight.
        axis: of the weight, one scale for each entry.
    """

    operand: Operand
    axis: int

    @property
    def constant(self) -> Constant | None:
        """Where the values come from."""
        return self.operand.scale

    def array(self) -> np.ndarray:
        """float32 [entries]; raises what Operand.scales does."""
        return self.operand.scales(self.axis)


class StoredTensors(Mapping[str, np.ndarray]):
    """Canonical name -> float32 or int8 array. Those that share their values share their memory
    while one of them is in use.
    """

    def __init__(self, tensors: dict[str, StoredTensor | StoredScales]) -> None:
        self._tensors = tensors

    def __getitem__(self, name: str) -> np.ndarray:
        return self._tensors[name].array()

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    @property
    def parameters(self) -> int:
        """Numbers in the tensors; what two of them share counts once."""
        weights = {
            tensor.constant for tensor in self._tensors.values() if isinstance(tensor, StoredTensor)
        }
        return sum(constant.size for constant in weights)

    @property
    def files(self) -> set[Path]:
        """The files that hold values."""
        constants = {tensor.constant for tensor in self._tensors.values()}
        spans = (constant.check() for constant in constants if constant is not None)
        return {span.path for span in spans if span is not None}


class ArrayTensors(dict[str, np.ndarray]):
    """The same of tensors that are in memory.

    Args:
        arrays: canonical name -> array.
        files: the files that hold values.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], files: set[Path]) -> None:
        super().__init__(arrays)
        self.files = files

    @property
    def parameters(self) -> int:
        """Numbers in the tensors; what two of them share counts once."""
        sizes = {
            array.__array_interface__["data"][0]: array.size
            for name, array in self.items()
            if not name.endswith(SCALE)
        }
        return sum(sizes.values())


def shared(tensor: StoredTensor, original: StoredTensor | StoredScales | None) -> StoredTensor:
    """`original`, transposed or not, if that has the bits of `tensor`; else `tensor`."""
    if isinstance(original, StoredTensor):
        for candidate in (original, original.transposed()):
            if same_values(tensor, candidate):
                return candidate
    return tensor


def same_values(a: StoredTensor, b: StoredTensor) -> bool:
    """Two tensors are equal bit for bit, so NaN equals itself and -0 differs from 0.

    Holds `b` in memory, and `a` in blocks.
    """
    if a.shape != b.shape or a.constant.dtype != b.constant.dtype:
        return False
    if not np.array_equal(a.scales(), b.scales()):  # type: ignore[arg-type]
        return False
    if a.constant is b.constant and a.operand.axes == b.operand.axes:
        return True
    values = b.array().reshape(a.operand.shape)
    if a.operand.axes:
        values = values.transpose(np.argsort(a.operand.axes))  # as `a` is stored
    bits = f"u{values.itemsize}"
    for start, block in a.constant.blocks(_BLOCK):
        expected = values[start : start + len(block)]
        if not np.array_equal(block.view(bits), expected.view(bits)):
            return False
    return True
