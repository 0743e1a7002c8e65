"""Products into which onnxruntime's optimiser fused a factor, a transposition or an activation."""

from __future__ import annotations

import numpy as np

from pyengine.models.forms.rewriting import OWN, Expansion, Rewriting
from pyengine.models.graph import Node


def _scaled_product(rewriting: Rewriting, node: Node) -> None:
    """FusedMatMul: alpha * a b, either of them transposed."""
    if node.attribute("transBatchA", 0) or node.attribute("transBatchB", 0):
        raise rewriting.refuse(node, "transposed last axes only", "transposed batches")
    rewriting.remove(node)
    output = node.outputs[0]
    factors = [rewriting.input(node, i) for i in range(2)]
    for i, name in enumerate(("transA", "transB")):
        if node.attribute(name, 0):
            turned = f"{output}/{name}"
            factors[i] = rewriting.add(node, "Transpose", [factors[i]], turned, "", domain=OWN)
    alpha = node.attribute("alpha", 1.0)
    if alpha != 1.0:
        factor = rewriting.add_constant(node, f"{output}/alpha", np.array(alpha, np.float32))
        factors[0] = rewriting.add(node, "Mul", [factors[0], factor], f"{output}/scaled", "")
    rewriting.add(node, "MatMul", factors, output)


def _activated_product(rewriting: Rewriting, node: Node) -> None:
    """FusedGemm: an activation, named in an attribute, of a Gemm."""
    rewriting.remove(node)
    output = node.outputs[0]
    plain = {name: node.attribute(name, 0) for name in ("transA", "transB")}
    factors = {name: node.attribute(name, 1.0) for name in ("alpha", "beta")}
    product = f"{output}/product"
    rewriting.add(node, "Gemm", node.inputs, product, **plain, **factors)
    rewriting.add(node, node.attribute("activation", "Relu"), [product], output, "")


EXPANSIONS: dict[str, Expansion] = {
    "FusedMatMul": _scaled_product,
    "FusedGemm": _activated_product,
}
