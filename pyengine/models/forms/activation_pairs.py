"""QDQ: a QuantizeLinear and a DequantizeLinear around every activation.

Both go, so that a value is read as it was before them: the engine quantises each row by itself when
a product takes it, and computes the rest in float32. What a DequantizeLinear makes of a stored
tensor stays.
"""

from __future__ import annotations

import numpy as np

from pyengine.models.forms.rewriting import Expansion, Rewriting
from pyengine.models.graph import Node, Scope


def _scaled_back(rewriting: Rewriting, node: Node) -> None:
    """A DequantizeLinear: the value before its QuantizeLinear, also where pairs follow pairs."""
    first = _first_of_pairs(node.scope, node)
    if first is None:
        return
    rewriting.remove(node)
    if _is_relu(first) and _is_multiplied(rewriting, node):
        rewriting.add(node, "Relu", [first.inputs[0]], node.outputs[0])
    else:
        rewriting.rename(node.scope, node.outputs[0], first.inputs[0])


def _first_of_pairs(scope: Scope, node: Node) -> Node | None:
    """The QuantizeLinear of the first of the pairs whose last ends with `node`, if one does."""
    first: Node | None = None
    for _ in range(8):
        quantize = scope.producer(node.inputs[0]) if node.inputs else None
        if quantize is None or quantize.op_type != "QuantizeLinear" or not quantize.inputs:
            break
        first = quantize
        before = scope.producer(quantize.inputs[0])
        if before is None or before.op_type != "DequantizeLinear":
            break
        node = before
    return first


def _is_relu(quantize: Node) -> bool:
    """Whether it stands for a Relu too: its zero point is the smallest integer.

    onnxruntime's quantiser leaves out a Relu whose output it quantises so. After other operators
    than sums and products nothing is negative anyway, and those without a weight or a bias have no
    Relu: such as the sum of a mask, whose range knows no padding.
    """
    before = quantize.scope.producer(quantize.inputs[0])
    zero = quantize.scope.constant(quantize.inputs[2]) if len(quantize.inputs) == 3 else None
    if before is None or zero is None or before.op_type not in ("Add", "MatMul", "Gemm"):
        return False
    if not any(before.scope.constant(name) for name in before.inputs):
        return False
    found = zero.constant.numbers()
    return found.dtype.kind in "iu" and bool((found == np.iinfo(found.dtype).min).all())


def _is_multiplied(rewriting: Rewriting, node: Node) -> bool:
    """Whether the value goes into other products at once, or is a gate.

    What goes elsewhere, such as one label's logit, may have been positive in all that the quantiser
    saw.
    """
    readers = rewriting.graph.consumers(node)
    if len(readers) == 1 and readers[0].op_type == "Mul":
        return all(_is_product(readers[0], name) for name in readers[0].inputs)
    return bool(readers) and all(
        reader.op_type in ("MatMul", "Gemm") and reader.scope.constant(reader.inputs[1]) is not None
        for reader in readers
    )


def _is_product(reader: Node, name: str) -> bool:
    """Whether an input of a node is a product's result as it is: no other activation."""
    node = reader.scope.producer(name)
    first = _first_of_pairs(reader.scope, node) if node is not None else None
    before = reader.scope.producer(first.inputs[0]) if first is not None else node
    return before is not None and before.op_type in ("Add", "MatMul", "Gemm")


def _drop(rewriting: Rewriting, node: Node) -> None:
    rewriting.remove(node)


EXPANSIONS: dict[str, Expansion] = {
    "DequantizeLinear": _scaled_back,
    "QuantizeLinear": _drop,
}
