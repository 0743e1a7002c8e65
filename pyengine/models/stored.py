"""The tensors of a model as its files hold them: each is read when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pyengine.models.graph import Constant, Operand

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
        """float32 of `shape`, read-only; raises what Constant.array does."""
        return self.operand.array().reshape(self.shape)

    def transposed(self) -> StoredTensor:
        """The same matrix the other way round."""
        first, second = self.operand.axes or (0, 1)
        axes = () if (second, first) == (0, 1) else (second, first)
        return StoredTensor(Operand(self.constant, axes), self.shape[::-1])


class StoredTensors(Mapping[str, np.ndarray]):
    """Canonical name -> float32 array. Those that share their values share their memory while one
    of them is in use.
    """

    def __init__(self, tensors: dict[str, StoredTensor]) -> None:
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
        return sum(constant.size for constant in self._constants())

    @property
    def files(self) -> set[Path]:
        """The files that hold values."""
        spans = (constant.check() for constant in self._constants())
        return {span.path for span in spans if span is not None}

    def _constants(self) -> set[Constant]:
        return {tensor.constant for tensor in self._tensors.values()}


def shared(tensor: StoredTensor, original: StoredTensor | None) -> StoredTensor:
    """`original`, transposed or not, if that has the bits of `tensor`; else `tensor`."""
    if original is not None:
        for candidate in (original, original.transposed()):
            if same_values(tensor, candidate):
                return candidate
    return tensor


def same_values(a: StoredTensor, b: StoredTensor) -> bool:
    """Two tensors are equal bit for bit, so NaN equals itself and -0 differs from 0.

    Holds `b` in memory, and `a` in blocks.
    """
    if a.shape != b.shape:
        return False
    if a.constant is b.constant and a.operand.axes == b.operand.axes:
        return True
    values = b.array().reshape(a.operand.shape)
    if a.operand.axes:
        values = values.transpose(np.argsort(a.operand.axes))  # as `a` is stored
    for start, block in a.constant.blocks(_BLOCK):
        expected = values[start : start + len(block)]
        if not np.array_equal(block.view(np.uint32), expected.view(np.uint32)):
            return False
    return True
