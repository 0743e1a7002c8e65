"""ONNX operators that move numbers and make shapes, masks and positions: in NumPy.

Source: onnx.ai/onnx/operators.
"""

from __future__ import annotations

import math

import numpy as np

from pyengine.models.evaluation.elementwise import Array, Operator
from pyengine.models.graph import Node

MOST = 1 << 24
"""Numbers in one value; those of a probe have far fewer."""


def _shape(node: Node, x: Array) -> Array:
    sizes = x.shape[node.attribute("start", 0) : node.attribute("end", len(x.shape))]
    return np.array(sizes, np.int64)


def _size(node: Node, x: Array) -> Array:
    return np.array(x.size, np.int64)


def _reshape(node: Node, x: Array, shape: Array) -> Array:
    sizes = shape.tolist()
    if not node.attribute("allowzero", 0):
        sizes = [x.shape[i] if size == 0 else size for i, size in enumerate(sizes)]
    return x.reshape(sizes)


def _flatten(node: Node, x: Array) -> Array:
    axis = node.attribute("axis", 1)
    return x.reshape(math.prod(x.shape[: axis if axis >= 0 else x.ndim + axis]), -1)


def _transpose(node: Node, x: Array) -> Array:
    return x.transpose(node.attribute("perm", []) or tuple(reversed(range(len(x.shape)))))


def _axes(node: Node, axes: Array) -> list[int]:
    return list(node.attribute("axes", [])) if axes is None else axes.reshape(-1).tolist()


def _unsqueeze(node: Node, x: Array, axes: Array = None) -> Array:
    return np.expand_dims(x, tuple(_axes(node, axes)))


def _squeeze(node: Node, x: Array, axes: Array = None) -> Array:
    return x.squeeze(tuple(_axes(node, axes)) or None)


def _concat(node: Node, *parts: Array) -> Array:
    return np.concatenate(parts, node.attribute("axis", 0))


def _split(node: Node, x: Array, sizes: Array = None) -> list[Array]:
    axis, count = node.attribute("axis", 0), len(node.outputs)
    given = node.attribute("split", []) if sizes is None else sizes.tolist()
    if not given:
        size = -(-x.shape[axis] // count)
        given = [size] * (count - 1) + [x.shape[axis] - size * (count - 1)]
    if sum(given) != x.shape[axis] or min(given) < 0:
        raise ValueError(f"sizes {given} of an axis of {x.shape[axis]}")
    return np.split(x, np.cumsum(given)[:-1], axis)


def _slice(
    node: Node,
    x: Array,
    starts: Array = None,
    ends: Array = None,
    axes: Array = None,
    steps: Array = None,
) -> Array:
    first = node.attribute("starts", []) if starts is None else starts.reshape(-1).tolist()
    last = node.attribute("ends", []) if ends is None else ends.reshape(-1).tolist()
    along = _axes(node, axes) or list(range(len(first)))
    strides = [1] * len(first) if steps is None else steps.reshape(-1).tolist()
    cut = [slice(None)] * len(x.shape)
    for axis, start, end, step in zip(along, first, last, strides, strict=True):
        if step < 0:  # an end before the first stands for none
            end = None if end < -x.shape[axis] else end
        cut[axis] = slice(start, end, step)
    return x[tuple(cut)]


def _gather(node: Node, x: Array, indices: Array) -> Array:
    axis = node.attribute("axis", 0)
    size = x.shape[axis]
    if indices.size and not -size <= indices.min() <= indices.max() < size:
        raise IndexError(f"index {indices.min()} or {indices.max()} of an axis of {size}")
    return x[indices] if axis == 0 else np.take(x, indices, axis)


def _gather_elements(node: Node, x: Array, indices: Array) -> Array:
    return np.take_along_axis(x, indices, node.attribute("axis", 0))


def _gather_nd(node: Node, x: Array, indices: Array) -> Array:
    batch = node.attribute("batch_dims", 0)
    if not batch:
        return x[tuple(np.moveaxis(indices, -1, 0))]
    lead = np.ix_(*(np.arange(size) for size in x.shape[:batch]))
    more = indices.ndim - 1 - batch
    lead = tuple(index.reshape(index.shape + (1,) * more) for index in lead)
    return x[lead + tuple(np.moveaxis(indices, -1, 0))]


def _scatter_nd(node: Node, x: Array, indices: Array, updates: Array) -> Array:
    if node.attribute("reduction", "none") != "none":
        raise NotImplementedError("a ScatterND that adds")
    result = x.copy()
    result[tuple(np.moveaxis(indices, -1, 0))] = updates
    return result


def _bounded(shape: list[int]) -> list[int]:
    if math.prod(shape) > MOST:
        raise ValueError(f"a value of shape {shape}")
    return shape


def _expand(node: Node, x: Array, shape: Array) -> Array:
    sizes = np.broadcast_shapes(x.shape, tuple(shape.tolist()))
    return np.broadcast_to(x, _bounded(list(sizes)))


def _constant_of_shape(node: Node, shape: Array) -> Array:
    from onnx import numpy_helper

    value = node.attributes.get("value")
    number = np.zeros(1, np.float32) if value is None else numpy_helper.to_array(value)
    if number.dtype.kind == "f":
        number = number.astype(np.float32)
    return np.full(_bounded(shape.tolist()), number.reshape(-1)[0])


def _range(node: Node, start: Array, limit: Array, delta: Array) -> Array:
    bounds = start.item(), limit.item(), delta.item()
    _bounded([max(0, int((bounds[1] - bounds[0]) / bounds[2]))])
    return np.arange(*bounds, dtype=start.dtype)


def _tile(node: Node, x: Array, repeats: Array) -> Array:
    _bounded([size * int(times) for size, times in zip(x.shape, repeats, strict=True)])
    return np.tile(x, repeats)


def _trilu(node: Node, x: Array, diagonal: Array = None) -> Array:
    k = 0 if diagonal is None else diagonal.item()
    return np.triu(x, k) if node.attribute("upper", 1) else np.tril(x, k)


OPERATORS: dict[str, Operator] = {
    **{"Shape": _shape, "Size": _size, "Reshape": _reshape, "Flatten": _flatten},
    **{"Transpose": _transpose, "Unsqueeze": _unsqueeze, "Squeeze": _squeeze},
    **{"Concat": _concat, "Split": _split, "Slice": _slice},
    **{"Gather": _gather, "GatherElements": _gather_elements, "GatherND": _gather_nd},
    **{"ScatterND": _scatter_nd, "Expand": _expand, "ConstantOfShape": _constant_of_shape},
    **{"Range": _range, "Tile": _tile, "Trilu": _trilu},
}
