"""The operators of pyengine's own that pyengine/models/forms puts in place of onnxruntime's.

Source: onnxruntime's ContribOperators.md (Attention, MultiHeadAttention, GroupQueryAttention,
RotaryEmbedding, RelativePositionBias).
"""

from __future__ import annotations

import numpy as np

from pyengine.models.evaluation.attention_operators import MASKED, causal
from pyengine.models.evaluation.elementwise import Array, Operator
from pyengine.models.evaluation.relative import relative_buckets
from pyengine.models.graph import Node


def _attention_mask(node: Node, mask: Array, queries: Array, keys: Array) -> Array:
    """What is added to the scores, [batch, 1, rows, keys].

    Attributes of the node: unidirectional; are_last_positions: the mask holds the place of each
    text's last token; window: of keys that a query sees, -1 for all.
    """
    rows, size = queries.shape[2], keys.shape[3]
    added = np.zeros((1, 1, rows, size), np.float32)
    if node.attribute("unidirectional", 0):
        added = added + causal(rows, size)
    window = node.attribute("window", -1)
    if window > 0:
        distances = np.arange(size - rows, size)[:, None] - np.arange(size)
        added = added + np.where(distances < window, 0, MASKED)
    if mask is not None:
        added = added + _of_padding(node, mask, len(queries), rows, size)
    return np.maximum(added, MASKED).astype(np.float32)


def _of_padding(node: Node, mask: Array, batch: int, rows: int, size: int) -> Array:
    if node.attribute("are_last_positions", 0):
        mask = mask.reshape(-1) + 1
    if mask.ndim == 1 and len(mask) == batch:  # lengths
        mask = np.arange(size) < mask[:, None]
    if mask.ndim == 2 and mask.shape[1] == size:
        mask = mask[:, None, None]
    elif mask.ndim == 3:
        mask = mask[:, None]
    elif mask.ndim == 4:
        mask = mask[:, :, size - rows : size, :size]
    else:
        raise NotImplementedError(f"a mask of shape {list(mask.shape)}")
    return np.where(mask != 0, np.float32(0), MASKED)


def _token_positions(node: Node, x: Array, given: Array = None, total: Array = None) -> Array:
    """[batch, rows] of x [batch, rows, ...], or of heads [batch, heads, rows, width]."""
    rows = x.shape[2 if x.ndim == 4 else 1]
    if given is not None and given.ndim == 2 and total is None:
        return given
    first: Array = 0
    if total is not None and total.item() > rows:
        first = np.maximum(given.reshape(-1, 1) + 1 - rows, 0)
    elif total is None and given is not None:
        first = given.item()
    return np.broadcast_to(first + np.arange(rows), (len(x), rows))


def _relative_buckets(node: Node, table: Array, queries: Array, keys: Array) -> Array:
    """The row of the table [buckets, heads] for each distance, [queries, keys]."""
    distances = np.arange(keys.item())[None] - np.arange(queries.item())[:, None]
    farthest, both_ways = node.attribute("max_distance", 128), node.attribute("is_bidirectional", 0)
    return relative_buckets(distances, table.shape[0], farthest, bool(both_ways))


def _swap_last(node: Node, x: Array) -> Array:
    """Transposes matrices, whatever stands before their two axes."""
    return x.swapaxes(-1, -2)


OPERATORS: dict[str, Operator] = {
    "AttentionMask": _attention_mask,
    "TokenPositions": _token_positions,
    "RelativeBuckets": _relative_buckets,
    "Transpose": _swap_last,
}
