"""What onnxsim makes of products: flattened to matrices, joined, or with a factor in their weights.

Its nodes have no module in their names; what their results are called still does. Seen in onnxsim
0.8.1, with `onnxsim.simplify(model)`.
"""

from __future__ import annotations

import numpy as np

from pyengine.models.constants import Computed
from pyengine.models.forms.rewriting import Expansion, Rewriting, optional, slice_of
from pyengine.models.graph import Node


def _flattened(rewriting: Rewriting, node: Node) -> None:
    """Reshape to a matrix, Gemm, Reshape back: the product and its bias as exporters write them.

    One Reshape may also stand for that which joins heads before it, or splits them after it.
    """
    before, readers = node.scope.producer(optional(node, 0)), rewriting.graph.consumers(node)
    weight = node.scope.constant(optional(node, 1))
    factors = node.attribute("alpha", 1.0), node.attribute("beta", 1.0), node.attribute("transA", 0)
    if node.path or before is None or len(readers) != 1 or weight is None or factors != (1, 1, 0):
        return
    after, is_turned = readers[0], node.attribute("transB", 0)
    depth, width = weight.shape[::-1] if is_turned else weight.shape
    if not (_is_matrix(before, depth) and _last_size(after) == width):
        return
    rewriting.remove(node)
    x, factor, output, bias = before.inputs[0], node.inputs[1], after.outputs[0], optional(node, 2)
    if _is_split(after):
        output = node.outputs[0]
    else:
        rewriting.remove(after)
    heads = node.scope.producer(x)
    if heads is not None and heads.op_type == "Transpose":
        sizes = rewriting.add_constant(node, f"{output}/sizes", np.array([0, 0, depth], np.int64))
        x = rewriting.add(node, "Reshape", [x, sizes], f"{output}/merged", "")
    if is_turned:
        factor = rewriting.add(node, "Transpose", [factor], f"{output}/weight", "", perm=[1, 0])
    product = f"{output}/product" if bias else output
    rewriting.add(node, "MatMul", [x, factor], product, after.path)
    if bias:
        rewriting.add(node, "Add", [product, bias], output, after.path)


def _is_matrix(node: Node, width: int) -> bool:
    """Whether a Reshape gives rows of `width` numbers."""
    shape = node.scope.stored(optional(node, 1)) if node.op_type == "Reshape" else None
    return shape is not None and shape.integers() == [-1, width]


def _is_split(node: Node) -> bool:
    """Whether a Reshape gives numbers by heads, which have an axis more."""
    shape = node.scope.producer(node.inputs[1])
    if shape is not None and shape.op_type == "Concat":
        return len(shape.inputs) == 4
    stored = node.scope.stored(node.inputs[1])
    return stored is not None and stored.size == 4


def _last_size(node: Node) -> int | None:
    """The last size that a Reshape gives; None if it is not stored."""
    name = optional(node, 1) if node.op_type == "Reshape" else ""
    shape = node.scope.producer(name)
    if shape is not None and shape.op_type == "Concat" and shape.inputs:
        name = shape.inputs[-1]
    stored = node.scope.stored(name) if name else None
    return None if stored is None else stored.integer()


def _joined(rewriting: Rewriting, node: Node) -> None:
    """Products of one input, joined and split again: each by its part of the weight."""
    product = node.scope.producer(optional(node, 0))
    if product is None or product.op_type != "MatMul" or product.path:
        return
    weight = node.scope.constant(optional(product, 1))
    stored = node.scope.stored(optional(node, 1)) if optional(node, 1) else None
    sizes = node.attribute("split", [0]) if stored is None else stored.integers()
    if weight is None or len(sizes) != len(node.outputs) or sum(sizes) != weight.shape[-1]:
        return
    rewriting.remove(node)
    first = 0
    for i, size in enumerate(sizes):
        part = slice_of(rewriting, node, product.inputs[1], f"weight_{i}", 1, first, size)
        readers = rewriting.graph.consumers(node, i)
        path = readers[0].path if [reader.op_type for reader in readers] == ["Add"] else ""
        rewriting.add(node, "MatMul", [product.inputs[0], part], node.outputs[i], path)
        first += size


def _with_factor(rewriting: Rewriting, node: Node) -> None:
    """The last norm's weight with T5's factor in it, before the product that gives the logits."""
    readers = rewriting.graph.consumers(node)
    weights = [name for name in node.inputs if node.scope.constant(name)]
    is_last = len(readers) == 1 and "logits" in readers[0].outputs
    if node.path or not is_last or len(weights) != 1 or len(node.inputs) != 2:
        return
    x = next(name for name in node.inputs if name != weights[0])
    norm, constant = node.scope.producer(x), node.scope.stored(weights[0])
    if norm is None or not norm.path.endswith("final_layer_norm"):
        return
    if constant is None or not constant.dims:  # as T5 is exported
        return
    scale, output = float(constant.size) ** -0.5, node.outputs[0]
    name = f"{output}/weight"
    node.scope.constants[name] = Computed(
        name, constant.dims, [constant], lambda: constant.array() / np.float32(scale)
    )
    rewriting.remove(node)
    normalized = rewriting.add(node, "Mul", [x, name], f"{output}/normalized", norm.path)
    factor = rewriting.add_constant(node, f"{output}/factor", np.array(scale, np.float32))
    rewriting.add(node, "Mul", [normalized, factor], output)


EXPANSIONS: dict[str, Expansion] = {
    "Gemm": _flattened,
    "Split": _joined,
    "Mul": _with_factor,
}
