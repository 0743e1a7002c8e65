"""Embeddings that onnxruntime's optimiser fused: tables, their sum and its norm."""

from __future__ import annotations

import numpy as np

from pyengine.models.constants import Computed
from pyengine.models.forms.masks import add_buckets, add_lengths, add_positions
from pyengine.models.forms.norms import layer_norm
from pyengine.models.forms.rewriting import Expansion, Rewriting, optional
from pyengine.models.graph import Node


def _embeddings(rewriting: Rewriting, node: Node) -> None:
    """EmbedLayerNormalization(ids, types, three tables, gamma, beta, mask, position ids)."""
    rewriting.remove(node)
    output, ids, types = node.outputs[0], rewriting.input(node, 0), optional(node, 1)
    positions = add_positions(rewriting, node, ids, [optional(node, 8)], "positions")
    tables = [(2, ids), (3, positions)] + ([(4, types)] if types and optional(node, 4) else [])
    rows = [
        rewriting.add(
            node, "Gather", [rewriting.input(node, i), which], f"{output}/rows_{i}", "", axis=0
        )
        for i, which in tables
    ]
    total = rows[0]
    for i, term in enumerate(rows[1:]):
        total = rewriting.add(node, "Add", [total, term], f"{output}/sum_{i}", "")
    layer_norm(rewriting, node, [total, rewriting.input(node, 5), optional(node, 6)])
    add_lengths(rewriting, node, optional(node, 7))


def _relative_positions(rewriting: Rewriting, node: Node) -> None:
    """RelativePositionBias(table, number of queries, number of keys).

    The table's shape is [buckets, heads], but its numbers lie column by column.
    """
    table = node.scope.constant(rewriting.input(node, 0))
    if table is None or len(table.shape) != 2 or table.axes:
        raise rewriting.refuse(node, "a stored table", f"{node.inputs[0]!r}")
    stored = table.constant

    def by_rows() -> np.ndarray:
        turned: np.ndarray = stored.array().reshape(stored.dims[::-1]).T
        return turned

    name = f"{node.outputs[0]}/table"
    node.scope.constants[name] = Computed(name, stored.dims, [stored], by_rows)
    rewriting.remove(node)
    output = node.outputs[0]
    rows = [name, add_buckets(rewriting, node, name)]
    bias = rewriting.add(node, "Gather", rows, f"{output}/rows", axis=0)
    turned = rewriting.add(node, "Transpose", [bias], f"{output}/heads", "", perm=[2, 0, 1])
    rewriting.add(node, "Unsqueeze", [turned], output, "", axes=[0])


EXPANSIONS: dict[str, Expansion] = {
    "EmbedLayerNormalization": _embeddings,
    "RelativePositionBias": _relative_positions,
}
