"""Which activation a few operators of a graph compute: found by computing it at some points."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from pyengine.models.dataflow import Value, input_of, number_of
from pyengine.models.graph import Node

Numbers = Any  # float64, a number or one for each of _POINTS

_POINTS = np.linspace(-4.0, 4.0, 65)
_TOLERANCE = 2e-3  # constants in float16 are off by less; gelu and gelu_tanh by 5e-4
_DEEPEST = 24  # operators behind each other; the longest known form has 9


def _erf(x: Numbers) -> Numbers:
    return np.vectorize(math.erf)(x)


def _sigmoid(x: Numbers) -> Numbers:
    return 1 / (1 + np.exp(-x))


def _gelu(x: Numbers) -> Numbers:
    return x * 0.5 * (1 + _erf(x / math.sqrt(2)))


def _gelu_tanh(x: Numbers) -> Numbers:
    return x * 0.5 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def _relu(x: Numbers) -> Numbers:
    return np.maximum(x, 0)


_KNOWN: dict[str, Callable[[Numbers], Numbers]] = {
    "relu": _relu,
    "silu": lambda x: x * _sigmoid(x),
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
}
_OPERATORS: dict[str, Callable[..., Numbers]] = {
    **{"Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": np.divide, "Pow": np.power},
    **{"Neg": np.negative, "Tanh": np.tanh, "Erf": _erf, "Sigmoid": _sigmoid, "Relu": _relu},
}


def activation_between(inner: Value, outer: Value) -> str | None:
    """The activation that makes `outer` of `inner`, in ModelConfig's spelling.

    Returns:
        None if it is none of those that pyengine runs.
    """
    known: dict[Value, Numbers | None] = {inner.plain: _POINTS}
    with np.errstate(all="ignore"):
        found = _computed(outer.plain, known, 0)
    if found is None or found.shape != _POINTS.shape:
        return None
    errors = {name: float(np.abs(found - f(_POINTS)).max()) for name, f in _KNOWN.items()}
    name = min(errors, key=lambda known: errors[known])
    return name if errors[name] <= _TOLERANCE else None


def _computed(value: Value, known: dict[Value, Numbers | None], depth: int) -> Numbers | None:
    """The numbers of `value`; None if an operator is unknown. Adds to those that are known."""
    if value in known:
        return known[value]
    known[value] = None  # for a damaged graph with a cycle
    number, node = number_of(value), value.producer
    if number is not None:
        known[value] = np.float64(number)
    elif node is not None and value.constant is None and depth < _DEEPEST:
        inputs = [
            _computed(input_of(node, i).plain, known, depth + 1) for i in range(len(node.inputs))
        ]
        numbers = [x for x in inputs if x is not None]
        known[value] = _applied(node, numbers) if len(numbers) == len(inputs) else None
    return known[value]


def _applied(node: Node, inputs: list[Numbers]) -> Numbers | None:
    if node.op_type == "Gelu" and len(inputs) == 1:
        form = {"none": _gelu, "tanh": _gelu_tanh}.get(node.attribute("approximate", "none"))
        return form(inputs[0]) if form else None
    operator = _OPERATORS.get(node.op_type)
    if operator is None or len(inputs) != getattr(operator, "nin", 1):
        return None
    return operator(*inputs)
