"""ONNX operators that compute each number by itself, along an axis, or as products: in NumPy.

All floating-point types are float32. Source: onnx.ai/onnx/operators.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from pyengine.models.graph import Node

Array = Any  # np.ndarray of any type; surrogates.Factors where a weight may stand
Operator = Callable[..., Any]
"""(node, *inputs) -> its first output, or a list of all its outputs; None: an input left out."""

_FLOATS = frozenset({1, 10, 11, 16})  # of TensorProto.DataType
_INTEGERS = {2: np.uint8, 3: np.int8, 4: np.uint16, 5: np.int16, 6: np.int32, 7: np.int64}
TYPES = {**dict.fromkeys(_FLOATS, np.float32), **_INTEGERS, 9: np.bool_}
"""What stands for each of TensorProto.DataType."""
_ERF = (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592)


def erf(x: Array) -> Array:
    """The error function to 2e-7: Abramowitz and Stegun, 7.1.26."""
    t = 1 / (1 + np.float32(0.3275911) * np.abs(x))
    rest = np.zeros_like(x)
    for coefficient in _ERF:
        rest = (rest + np.float32(coefficient)) * t
    return np.sign(x) * (1 - rest * np.exp(-x * x))


def gelu(x: Array) -> Array:
    """x Phi(x)."""
    return 0.5 * x * (1 + erf(x / np.float32(math.sqrt(2))))


def gelu_tanh(x: Array) -> Array:
    """The same with tanh in place of erf."""
    inner = np.float32(math.sqrt(2 / math.pi)) * (x + np.float32(0.044715) * x**3)
    return 0.5 * x * (1 + np.tanh(inner))


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x))."""
    return 1 / (1 + np.exp(-x))


def softmax(x: Array, axis: int = -1) -> Array:
    """exp(x) over its sum along an axis."""
    shares = np.exp(x - x.max(axis, keepdims=True))
    return shares / shares.sum(axis, keepdims=True)


def _plain(function: Callable[..., Array]) -> Operator:
    return lambda node, *inputs: function(*inputs)


def _cast(node: Node, x: Array) -> Array:
    return x.astype(TYPES[node.attribute("to", 1)])


def _cast_like(node: Node, x: Array, like: Array) -> Array:
    return x.astype(like.dtype)


def _div(node: Node, a: Array, b: Array) -> Array:
    if a.dtype.kind == "f":
        return a / b
    quotient = np.abs(a) // np.abs(b)
    return np.where((a < 0) == (b < 0), quotient, -quotient).astype(a.dtype)


def _pow(node: Node, a: Array, b: Array) -> Array:
    return (a ** b.astype(a.dtype) if b.dtype.kind == "f" else a**b).astype(a.dtype)


def _mod(node: Node, a: Array, b: Array) -> Array:
    return np.fmod(a, b) if node.attribute("fmod", 0) else np.mod(a, b)


def _fold(function: Callable[[Array, Array], Array]) -> Operator:
    def compute(node: Node, *inputs: Array) -> Array:
        result = inputs[0]
        for value in inputs[1:]:
            result = function(result, value)
        return result

    return compute


def _clip(node: Node, x: Array, low: Array = None, high: Array = None) -> Array:
    return x if low is None and high is None else np.clip(x, low, high)


def _gelu(node: Node, x: Array) -> Array:
    return gelu_tanh(x) if node.attribute("approximate", "none") == "tanh" else gelu(x)


def _softmax(node: Node, x: Array) -> Array:
    return softmax(x, node.attribute("axis", -1))


def _reduce(function: Callable[..., Array]) -> Operator:
    def compute(node: Node, x: Array, axes: Array = None) -> Array:
        given = node.attribute("axes", [0]) if axes is None else axes.tolist()
        if axes is None and "axes" not in node.attributes:
            given = [] if node.attribute("noop_with_empty_axes", 0) else list(range(x.ndim))
            if not given:
                return x
        kept = bool(node.attribute("keepdims", 1))
        return function(x, axis=tuple(given), keepdims=kept).astype(x.dtype)

    return compute


def _cumsum(node: Node, x: Array, axis: Array) -> Array:
    if node.attribute("exclusive", 0) or node.attribute("reverse", 0):
        raise NotImplementedError("an exclusive or reversed CumSum")
    return x.cumsum(int(axis), dtype=x.dtype)


def layer_norm(x: Array, weight: Array, bias: Array, epsilon: float) -> Array:
    """(x - mean) / sqrt(variance + epsilon) * weight + bias over the last axis."""
    centred = x - x.mean(-1, keepdims=True)
    normal = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + np.float32(epsilon))
    return normal * weight if bias is None else normal * weight + bias


def rms_norm(x: Array, weight: Array, epsilon: float) -> Array:
    """x / sqrt(mean(x^2) + epsilon) * weight over the last axis."""
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + np.float32(epsilon)) * weight


def _layer_norm(node: Node, x: Array, weight: Array, bias: Array = None) -> Array:
    _last_axis(node, x)
    return layer_norm(x, weight, bias, node.attribute("epsilon", 1e-5))


def _rms_norm(node: Node, x: Array, weight: Array) -> Array:
    _last_axis(node, x)
    return rms_norm(x, weight, node.attribute("epsilon", 1e-5))


def _last_axis(node: Node, x: Array) -> None:
    if node.attribute("axis", -1) not in (-1, x.ndim - 1):
        raise ValueError(f"axis {node.attribute('axis', -1)}, expected the last")


def _gemm(node: Node, a: Array, b: Array, c: Array = None) -> Array:
    a = a.T if node.attribute("transA", 0) else a
    b = b.T if node.attribute("transB", 0) else b
    product = (a @ b) * np.float32(node.attribute("alpha", 1.0))
    return product if c is None else product + np.float32(node.attribute("beta", 1.0)) * c


def _einsum(node: Node, *inputs: Array) -> Array:
    return np.einsum(node.attribute("equation", ""), *inputs)


OPERATORS: dict[str, Operator] = {
    **{"Add": _plain(np.add), "Sub": _plain(np.subtract), "Mul": _plain(np.multiply)},
    **{"Div": _div, "Pow": _pow, "Mod": _mod},
    **{"Max": _fold(np.maximum), "Min": _fold(np.minimum), "Sum": _fold(np.add)},
    **{"Neg": _plain(np.negative), "Abs": _plain(np.abs), "Sqrt": _plain(np.sqrt)},
    **{"Exp": _plain(np.exp), "Log": _plain(np.log), "Reciprocal": _plain(lambda x: 1 / x)},
    **{"Cos": _plain(np.cos), "Sin": _plain(np.sin), "Tanh": _plain(np.tanh)},
    **{"Floor": _plain(np.floor), "Ceil": _plain(np.ceil), "Sign": _plain(np.sign)},
    **{"Erf": _plain(erf), "Sigmoid": _plain(sigmoid), "Gelu": _gelu, "Softmax": _softmax},
    **{"Relu": _plain(lambda x: np.maximum(x, 0)), "Clip": _clip},
    **{"Identity": _plain(lambda x: x), "Cast": _cast, "CastLike": _cast_like},
    **{"Not": _plain(np.logical_not), "And": _plain(np.logical_and)},
    **{"Or": _plain(np.logical_or), "Xor": _plain(np.logical_xor), "Where": _plain(np.where)},
    **{"Equal": _plain(np.equal), "Less": _plain(np.less), "Greater": _plain(np.greater)},
    **{"LessOrEqual": _plain(np.less_equal), "GreaterOrEqual": _plain(np.greater_equal)},
    **{"IsNaN": _plain(np.isnan), "IsInf": _plain(np.isinf)},
    **{"ReduceMean": _reduce(np.mean), "ReduceSum": _reduce(np.sum)},
    **{"ReduceMax": _reduce(np.max), "ReduceMin": _reduce(np.min)},
    **{"ReduceProd": _reduce(np.prod), "CumSum": _cumsum},
    **{"LayerNormalization": _layer_norm, "RMSNormalization": _rms_norm},
    **{"MatMul": lambda node, a, b: a @ b, "Gemm": _gemm, "Einsum": _einsum},
}
