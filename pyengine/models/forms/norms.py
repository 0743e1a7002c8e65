"""Norms that onnxruntime's optimiser fused, with the residual sum before them or without."""

from __future__ import annotations

import numpy as np

from pyengine.models.forms.rewriting import Expansion, Rewriting, add_bias, optional
from pyengine.models.graph import Node

_PRODUCTS = ("MatMul", "Gemm", "FusedMatMul", "FusedGemm")


def _skip_layer_norm(rewriting: Rewriting, node: Node) -> None:
    """SkipLayerNormalization(x, residual, gamma, beta, bias)."""
    rewriting.remove(node)
    total = _sum(rewriting, node, optional(node, 4))
    layer_norm(rewriting, node, [total, rewriting.input(node, 2), optional(node, 3)])


def _skip_rms_norm(rewriting: Rewriting, node: Node) -> None:
    """SkipSimplifiedLayerNormalization(x, residual, gamma, bias)."""
    rewriting.remove(node)
    total = _sum(rewriting, node, optional(node, 3))
    _rms_norm(rewriting, node, total, rewriting.input(node, 2))


def _simplified(rewriting: Rewriting, node: Node) -> None:
    """SimplifiedLayerNormalization(x, gamma), or RMSNormalization of opset 23."""
    rewriting.remove(node)
    _rms_norm(rewriting, node, rewriting.input(node, 0), rewriting.input(node, 1))


def _sum(rewriting: Rewriting, node: Node, bias: str) -> str:
    """The residual sum, which the operator's fourth output may hand on."""
    terms = [rewriting.input(node, 0), rewriting.input(node, 1)]
    if bias:  # it belongs to the product
        producers = (node.scope.producer(term) for term in terms)
        of_products = [before is not None and before.op_type in _PRODUCTS for before in producers]
        i = of_products.index(True) if True in of_products else 0
        terms[i] = add_bias(rewriting, node, terms[i], bias)
    output = node.outputs[3] if len(node.outputs) > 3 and node.outputs[3] else ""
    return rewriting.add(node, "Add", terms, output or f"{node.outputs[0]}/sum", "")


def layer_norm(rewriting: Rewriting, node: Node, inputs: list[str]) -> None:
    """What `node` gives as a LayerNormalization of (x, gamma, beta or "")."""
    epsilon = node.attribute("epsilon", 1e-12)
    given = [name for name in inputs if name]
    rewriting.add(node, "LayerNormalization", given, node.outputs[0], axis=-1, epsilon=epsilon)


def _rms_norm(rewriting: Rewriting, node: Node, x: str, gamma: str) -> None:
    """gamma * x / sqrt(mean(x^2) + epsilon)."""
    output = node.outputs[0]
    epsilon = np.float32(node.attribute("epsilon", 1e-5))
    two = rewriting.add_constant(node, f"{output}/2", np.array(2, np.float32))
    small = rewriting.add_constant(node, f"{output}/epsilon", np.array(epsilon))
    square = rewriting.add(node, "Pow", [x, two], f"{output}/square")
    mean = rewriting.add(node, "ReduceMean", [square], f"{output}/mean", axes=[-1])
    shifted = rewriting.add(node, "Add", [mean, small], f"{output}/shifted")
    root = rewriting.add(node, "Sqrt", [shifted], f"{output}/root")
    scaled = rewriting.add(node, "Div", [x, root], f"{output}/scaled")
    rewriting.add(node, "Mul", [scaled, gamma], output)


EXPANSIONS: dict[str, Expansion] = {
    "SkipLayerNormalization": _skip_layer_norm,
    "SkipSimplifiedLayerNormalization": _skip_rms_norm,
    "SimplifiedLayerNormalization": _simplified,
    "RMSNormalization": _simplified,
}
