"""The tensors of a model as its files hold them: each is read when it is asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pyengine.models.constants import Constant, Operand
from pyengine.models.quantized import SCALE, ZERO_POINT

_BLOCK = 1 << 20
"""Numbers compared at once: a block fits a cache, also transposed."""


@dataclass(frozen=True)
class StoredTensor:
    """A constant of a graph in the shape that the model's table asks for.

    Attributes:
        operand: the constant, transposed or not.
        shape: that of the operand, or that without leading ones.
        is_float: integers are given as what they stand for, and not left to the engine.
    """

    operand: Operand
    shape: tuple[int, ...]
    is_float: bool = False

    @property
    def constant(self) -> Constant:
        """Where the values come from."""
        return self.operand.constant

    def array(self) -> np.ndarray:
        """float32 or int8 of `shape`; raises what Constant.array and Operand.values do."""
        array = self.operand.values() if self.is_float else self.operand.array()
        return array.reshape(self.shape)

    def steps(self) -> tuple[np.ndarray, ...]:
        """Scales and zero points of integers; empty for float32."""
        quantization = self.operand.quantization
        return () if quantization is None else quantization.steps(self.constant)

    def transposed(self) -> StoredTensor:
        """The same matrix the other way round."""
        first, second = self.operand.axes or (0, 1)
        axes = () if (second, first) == (0, 1) else (second, first)
        operand = dataclasses.replace(self.operand, axes=axes)
        return dataclasses.replace(self, operand=operand, shape=self.shape[::-1])


@dataclass(frozen=True)
class StoredSteps:
    """The scales or the zero points of an int8 weight.

    Attributes:
        operand: the weight.
        axis: of the weight, one number for each entry.
        which: 0 for the scales, 1 for the zero points.
    """

    operand: Operand
    axis: int
    which: int

    def array(self) -> np.ndarray:
        """float32 [entries]; raises what Operand.steps does."""
        return self.operand.steps(self.axis)[self.which]


class StoredTensors(Mapping[str, np.ndarray]):
    """Canonical name -> float32 or int8 array. Those that share their values share their memory
    while one of them is in use.
    """

    def __init__(self, tensors: dict[str, StoredTensor | StoredSteps]) -> None:
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
        constants = {c for tensor in self._tensors.values() for c in tensor.operand.constants}
        spans = (constant.check() for constant in constants)
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
            if not name.endswith((SCALE, ZERO_POINT))
        }
        return sum(sizes.values())


def shared(tensor: StoredTensor, original: StoredTensor | StoredSteps | None) -> StoredTensor:
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
    if not all(map(np.array_equal, a.steps(), b.steps())) or len(a.steps()) != len(b.steps()):
        return False
    if a.constant is b.constant and (a.operand.axes, a.operand.part) == (
        b.operand.axes,
        b.operand.part,
    ):
        return True
    if a.operand.part is not None:
        return a.array().tobytes() == b.array().tobytes()
    values = b.operand.array().reshape(a.operand.shape)
    if a.operand.axes:
        values = values.transpose(np.argsort(a.operand.axes))  # as `a` is stored
    bits = f"u{values.itemsize}"
    for start, block in a.constant.blocks(_BLOCK):
        expected = values[start : start + len(block)]
        # Along the first axis, where a transposed tensor lies in one piece.
        if not np.array_equal(block.view(bits).T, expected.view(bits).T):
            return False
    return True
