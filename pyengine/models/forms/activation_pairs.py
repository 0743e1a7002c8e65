"""QDQ: a QuantizeLinear and a DequantizeLinear around every activation.

Both go, so that a value is read as it was before them: the engine quantises each row by itself when
a product takes it. What a DequantizeLinear makes of a stored tensor stays.
"""

from __future__ import annotations

from pyengine.models.forms.rewriting import Expansion, Rewriting
from pyengine.models.graph import Node, Scope


def _scaled_back(rewriting: Rewriting, node: Node) -> None:
    """A DequantizeLinear: the value before its QuantizeLinear, also where pairs follow pairs."""
    source = _before(node.scope, node)
    if source is not None:
        rewriting.remove(node)
        rewriting.rename(node.scope, node.outputs[0], source)


def _before(scope: Scope, node: Node) -> str | None:
    """What a pair that ends with `node` was given, None if `node` ends none."""
    source: str | None = None
    for _ in range(8):
        quantize = scope.producer(node.inputs[0]) if node.inputs else None
        if quantize is None or quantize.op_type != "QuantizeLinear" or not quantize.inputs:
            break
        source = quantize.inputs[0]
        before = scope.producer(source)
        if before is None or before.op_type != "DequantizeLinear":
            break
        node = before
    return source


def _drop(rewriting: Rewriting, node: Node) -> None:
    rewriting.remove(node)


EXPANSIONS: dict[str, Expansion] = {
    "DequantizeLinear": _scaled_back,
    "QuantizeLinear": _drop,
}
