"""Operators of pyengine's own for what onnxruntime's operators compute of shapes and masks."""

from __future__ import annotations

from pyengine.models.forms.rewriting import OWN, Rewriting
from pyengine.models.graph import Node


def add_mask(
    rewriting: Rewriting, node: Node, mask: str, queries: str, keys: str, **attributes: int
) -> str:
    """What a fused attention adds to its scores, [batch, 1, rows, keys].

    Args:
        mask: lengths, or 1 for tokens and 0 for padding; "" for none.
        queries, keys: by heads.
        attributes: see `_attention_mask` in form_operators.py.
    """
    output = f"{node.outputs[0]}/mask"
    inputs = [mask, queries, keys]
    attributes.setdefault("unidirectional", node.attribute("unidirectional", 0))
    return rewriting.add(node, "AttentionMask", inputs, output, "", domain=OWN, **attributes)


def add_positions(rewriting: Rewriting, node: Node, x: str, given: list[str], name: str) -> str:
    """The positions [batch, rows] of the tokens of `x`.

    Args:
        given: these, or what they are counted from; of a GroupQueryAttention the place of each
            text's last token and how many tokens there are with those in the cache.
    """
    output = f"{node.outputs[0]}/{name}"
    return rewriting.add(node, "TokenPositions", [x, *given], output, "", domain=OWN)


def add_lengths(rewriting: Rewriting, node: Node, mask: str) -> None:
    """The second output of an embedding layer, how many tokens each text has, if it has one."""
    if mask and len(node.outputs) > 1 and node.outputs[1]:
        rewriting.add(node, "ReduceSum", [mask], node.outputs[1], "", axes=[1], keepdims=0)


def add_buckets(rewriting: Rewriting, node: Node, table: str) -> str:
    """The bucket of each distance, [queries, keys], of a RelativePositionBias."""
    output = f"{node.outputs[0]}/buckets"
    inputs = [table, rewriting.input(node, 1), rewriting.input(node, 2)]
    attributes = {
        "max_distance": node.attribute("max_distance", 128),
        "is_bidirectional": node.attribute("is_bidirectional", 0),
    }
    return rewriting.add(node, "RelativeBuckets", inputs, output, "", domain=OWN, **attributes)
