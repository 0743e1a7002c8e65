"""Activations that onnxruntime's optimiser fused, with the bias before them or without."""

from __future__ import annotations

import math

from pyengine.models.forms.rewriting import Expansion, Rewriting, add_bias, optional
from pyengine.models.graph import Node


def _bias_gelu(rewriting: Rewriting, node: Node) -> None:
    """BiasGelu(x, bias), by the error function."""
    _gelu(rewriting, node, "none")


def _fast_gelu(rewriting: Rewriting, node: Node) -> None:
    """FastGelu(x, bias), by the hyperbolic tangent."""
    _gelu(rewriting, node, "tanh")


def _gelu(rewriting: Rewriting, node: Node, approximate: str) -> None:
    rewriting.remove(node)
    x, bias = rewriting.input(node, 0), optional(node, 1)
    if bias:
        x = add_bias(rewriting, node, x, bias)
    rewriting.add(node, "Gelu", [x], node.outputs[0], approximate=approximate)


def _quick_gelu(rewriting: Rewriting, node: Node) -> None:
    """QuickGelu: x * sigmoid(alpha x), which is SiLU where alpha is 1."""
    if not math.isclose(node.attribute("alpha", 1.702), 1.0, rel_tol=1e-6):
        return
    rewriting.remove(node)
    x, output = rewriting.input(node, 0), node.outputs[0]
    sigmoid = rewriting.add(node, "Sigmoid", [x], f"{output}/sigmoid")
    rewriting.add(node, "Mul", [x, sigmoid], output)


EXPANSIONS: dict[str, Expansion] = {
    "BiasGelu": _bias_gelu,
    "FastGelu": _fast_gelu,
    "QuickGelu": _quick_gelu,
}
