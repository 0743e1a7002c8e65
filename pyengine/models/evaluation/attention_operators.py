"""ONNX's operators of attention and rotary positions: in NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from pyengine.models.evaluation.elementwise import Array, Operator, softmax
from pyengine.models.graph import Node

MASKED = np.float32(-1e30)
"""Added to a score that counts for nothing; finite, so that a row of them has no NaN."""


def turned(x: Array, cosines: Array, sines: Array) -> Array:
    """Rotary positions: the halves [..., pairs] of x turn against each other."""
    pairs = cosines.shape[-1]
    a, b, rest = x[..., :pairs], x[..., pairs : 2 * pairs], x[..., 2 * pairs :]
    return np.concatenate([a * cosines - b * sines, b * cosines + a * sines, rest], axis=-1)


def _rotary(node: Node, x: Array, cosines: Array, sines: Array, positions: Array = None) -> Array:
    """RotaryEmbedding of opset 23: x [batch, heads, rows, width] or [batch, rows, all heads]."""
    if node.attribute("interleaved", 0) or node.attribute("rotary_embedding_dim", 0):
        raise NotImplementedError("interleaved or partial rotary positions")
    if positions is not None:
        cosines, sines = cosines[positions], sines[positions]
    if x.ndim == 4:
        return turned(x, cosines[:, None], sines[:, None])
    count = node.attribute("num_heads", 0) or x.shape[-1] // (2 * cosines.shape[-1])
    heads = x.reshape(*x.shape[:2], count, -1)
    return turned(heads, cosines[:, :, None], sines[:, :, None]).reshape(x.shape)


def _by_heads(x: Array, heads: int) -> Array:
    return x if x.ndim == 4 else x.reshape(*x.shape[:2], heads, -1).transpose(0, 2, 1, 3)


def attend(
    q: Array,
    k: Array,
    v: Array,
    scale: float,
    added: Array,
    step: Callable[[Array], Array] = lambda x: x,
) -> Array:
    """softmax(scale q k + added) v by heads; those of keys are shared by groups of queries.

    Args:
        q, k, v: [batch, heads, rows, width].
        added: what broadcasts to the scores.
        step: is given what is computed on the way, and gives it back.
    """
    group = q.shape[1] // k.shape[1]
    if group > 1:
        k, v = np.repeat(k, group, axis=1), np.repeat(v, group, axis=1)
    scores = step(step(step(q) @ step(k).transpose(0, 1, 3, 2)) * np.float32(scale))
    return step(step(softmax(step(scores + added))) @ step(v))


def causal(queries: int, keys: int) -> Array:
    """[queries, keys]: MASKED where a key comes after its query, the last of both at one place."""
    return np.triu(np.full((queries, keys), MASKED), keys - queries + 1)


def _attention(
    node: Node,
    q: Array,
    k: Array,
    v: Array,
    mask: Array = None,
    past_k: Array = None,
    past_v: Array = None,
) -> Array:
    """Attention of opset 23."""
    if node.attribute("softcap", 0.0):
        raise NotImplementedError("a softcap")
    is_flat, heads = q.ndim == 3, node.attribute("q_num_heads", 0)
    key_heads = node.attribute("kv_num_heads", 0)
    q, k, v = _by_heads(q, heads), _by_heads(k, key_heads), _by_heads(v, key_heads)
    if past_k is not None:
        k, v = np.concatenate([past_k, k], 2), np.concatenate([past_v, v], 2)
    added: Array = np.float32(0)
    if mask is not None:
        added = np.where(mask, 0, MASKED) if mask.dtype == bool else np.maximum(mask, MASKED)
    if node.attribute("is_causal", 0):
        added = added + causal(q.shape[2], k.shape[2])
    scale = node.attribute("scale", 0.0) or 1 / math.sqrt(q.shape[-1])
    mixed = attend(q, k, v, scale, added.astype(np.float32))
    return mixed.transpose(0, 2, 1, 3).reshape(len(q), q.shape[2], -1) if is_flat else mixed


OPERATORS: dict[str, Operator] = {"Attention": _attention, "RotaryEmbedding": _rotary}
