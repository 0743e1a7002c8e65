"""Small stand-ins for the weights of a model: a graph is checked whatever their values are."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pyengine.models.constants import Constant, Operand
from pyengine.models.tensors import Kind

_RANK = 8
_FEW_PRODUCTS = 1 << 17
_MOST_ROWS = 1 << 16  # more than any product has, and fewer than vocabularies
_POOL_SIZE = 65521  # prime, so that it repeats out of step with every width
Part = tuple[int, int, int] | None


@dataclass(frozen=True)
class Factors:
    """A matrix of low rank: left @ right.T.

    Attributes:
        left, right: [rows, rank] and [columns, rank]; of very many, the first, which repeat.
        shape: rows and columns.
    """

    left: np.ndarray
    right: np.ndarray
    shape: tuple[int, int]

    @property
    def T(self) -> Factors:
        """Transposed."""
        return Factors(self.right, self.left, self.shape[::-1])

    def transpose(self, axes: Sequence[int]) -> Factors:
        """As NumPy's."""
        return self.T if tuple(axes) == (1, 0) else self

    def __rmatmul__(self, x: np.ndarray) -> Any:
        if (len(self.left), len(self.right)) != self.shape:
            raise NotImplementedError(f"a product with a table of {list(self.shape)}")
        rows = x.reshape(-1, x.shape[-1])
        product = _multiplied(_multiplied(rows, self.left), self.right.T)
        return product.reshape(*x.shape[:-1], len(self.right))

    __array_ufunc__ = None  # x @ Factors is Factors' to compute

    def __getitem__(self, rows: Any) -> Any:
        first, *others = rows if isinstance(rows, tuple) else (rows,)
        if isinstance(first, slice):
            first = np.arange(self.shape[0])[first]
        found = self.left[first % len(self.left)] @ self.right.T
        columns = (..., *others)
        return found[columns]

    def dense(self) -> Any:
        """All its numbers."""
        return self[:]


def _multiplied(rows: np.ndarray, matrix: np.ndarray) -> Any:
    """Their product, in parts so small that OpenBLAS does not wake its threads for them."""
    count = len(rows) * matrix.size // _FEW_PRODUCTS + 1
    if count == 1 or len(rows) < 2:
        return rows @ matrix
    return np.concatenate([part @ matrix for part in np.array_split(rows, count)])


class Surrogates:
    """The stand-ins of one graph's weights, by where the graph reads them and by canonical name.

    Attributes:
        by_name: "x.weight" [in, out], [rows, width] or [width]; "x.bias" [out].
    """

    def __init__(self) -> None:
        self.by_name: dict[str, Any] = {}
        self._stored: dict[tuple[Constant, Part], Any] = {}
        self._pool = np.random.default_rng(0).standard_normal(_POOL_SIZE, np.float32)
        self._places = itertools.count(0, 8191)

    def of(self, operand: Operand) -> Any:
        """What stands in for a weight as an operator sees it; None of any other constant."""
        stored = self._stored.get((operand.constant, operand.part))
        if stored is None or not operand.axes:
            return stored
        return stored.transpose(operand.axes)

    def add(
        self,
        name: str,
        kind: Kind,
        shape: tuple[int, ...],
        operands: list[Operand],
        scale: float = 1.0,
    ) -> None:
        """Make one for the tensor `name`, which a graph reads by equal `operands`.

        Args:
            scale: of a matrix's numbers: of a table's rows, or of what a product gives.
        """
        known = [found for operand in operands if (found := self.of(operand)) is not None]
        value = known[0] if known else self._made(name, kind, shape, scale)
        self.by_name[name] = value if len(shape) == 2 else value.reshape(shape)
        for operand in operands:
            seen = value if len(shape) == 2 else value.reshape(operand.shape)
            stored = seen.transpose(np.argsort(operand.axes).tolist()) if operand.axes else seen
            self._stored.setdefault((operand.constant, operand.part), stored)

    def _made(self, name: str, kind: Kind, shape: tuple[int, ...], scale: float) -> Any:
        if kind is Kind.ANGLES:
            raise ValueError(f"{name} is computed with as it is")
        if len(shape) == 2:
            rows, columns = shape
            scale *= 1 if kind is Kind.TABLE else 1.5 * rows**-0.5
            left, right = (self._numbers(min(n, _MOST_ROWS) * _RANK) for n in shape)
            right = right * np.float32(scale * _RANK**-0.5)
            return Factors(left.reshape(-1, _RANK), right.reshape(-1, _RANK), (rows, columns))
        numbers = np.float32(0.3) * self._numbers(shape[0])
        is_factor = kind is Kind.NORM and name.endswith(".weight")
        return numbers + np.float32(1) if is_factor else numbers

    def _numbers(self, count: int) -> np.ndarray:
        first = next(self._places) % _POOL_SIZE
        if first + count <= _POOL_SIZE:
            return self._pool[first : first + count]
        return np.resize(np.roll(self._pool, -first), count)


Tensors = Mapping[str, Any]
"""Surrogates.by_name."""
