"""The Transformer in plain NumPy, float64: the oracle for the reader of models and the C++ core.

It is written for clarity from "Attention Is All You Need": one sentence at a time, no cache, no
batch. Tensors have the canonical names of pyengine/models/tensors.py.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pyengine.models import ModelConfig

Tensors = Mapping[str, np.ndarray]


def layer_norm(x: np.ndarray, tensors: Tensors, name: str, eps: float) -> np.ndarray:
    """(x - mean) / sqrt(variance + eps) * weight + bias over the last axis."""
    centred = x - x.mean(-1, keepdims=True)
    variance = (centred**2).mean(-1, keepdims=True)
    normal = centred / np.sqrt(variance + eps)
    return normal * tensors[f"{name}.weight"] + tensors[f"{name}.bias"]


def rms_norm(x: np.ndarray, tensors: Tensors, name: str, eps: float) -> np.ndarray:
    """x / sqrt(mean(x^2) + eps) * weight over the last axis."""
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + eps) * tensors[f"{name}.weight"]


def linear(x: np.ndarray, tensors: Tensors, name: str) -> np.ndarray:
    """x weight + bias: [rows, in] -> [rows, out]."""
    product = x @ tensors[f"{name}.weight"].astype(np.float64)
    return product + tensors[f"{name}.bias"] if f"{name}.bias" in tensors else product


def activate(x: np.ndarray, activation: str) -> np.ndarray:
    """max(x, 0), x sigmoid(x), x Phi(x), or the last with tanh."""
    if activation == "relu":
        return np.maximum(x, 0)
    if activation == "silu":
        return x / (1 + np.exp(-x))
    if activation == "gelu_tanh":
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    assert activation == "gelu", activation
    return 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


class Heads(NamedTuple):
    """The attention heads of a stack, whether their scores are scaled, and what is added to them:
    [heads, queries, keys], or 0."""

    count: int
    scaled: bool
    bias: np.ndarray | int = 0


def relative_bucket(distance: int, num_buckets: int, max_distance: int, both_ways: bool) -> int:
    """T5's bucket of a key's position less its query's, by Raffel et al. 2020, section 2.1."""
    if both_ways:
        half = num_buckets // 2
        far = relative_bucket(-abs(distance), half, max_distance, False)
        return far + (half if distance > 0 else 0)
    exact, past = num_buckets // 2, -distance
    if past < exact:
        return past
    growth = math.log(past / exact) / math.log(max_distance / exact) * (num_buckets - exact)
    return min(exact + int(growth + 1e-6), num_buckets - 1)


def relative_bias(config: ModelConfig, tensors: Tensors, name: str, length: int) -> np.ndarray:
    """What self-attention adds to its scores, [heads, length, length]; 0 for keys to come."""
    table = tensors[f"{name}.relative_attention_bias.weight"]
    bias = np.zeros((table.shape[1], length, length))
    sizes = config.relative_buckets, config.relative_max_distance
    for query in range(length):
        for key in range(length if name == "encoder" else query + 1):
            bucket = relative_bucket(key - query, *sizes, both_ways=name == "encoder")
            bias[:, query, key] = table[bucket]
    return bias


def attention(
    x: np.ndarray, memory: np.ndarray, tensors: Tensors, name: str, shape: Heads, causal: bool
) -> np.ndarray:
    """Multi-head attention of x [rows, hidden] over memory [keys, hidden] -> [rows, hidden]."""

    def heads(y: np.ndarray, projection: str) -> np.ndarray:
        projected = linear(y, tensors, f"{name}.{projection}")
        return projected.reshape(len(y), shape.count, -1).transpose(1, 0, 2)

    query, key, value = heads(x, "q_proj"), heads(memory, "k_proj"), heads(memory, "v_proj")
    scores = query @ key.transpose(0, 2, 1)
    if shape.scaled:
        scores /= math.sqrt(query.shape[-1])
    scores += shape.bias
    if causal:
        scores += np.triu(np.full(scores.shape[1:], -np.inf), k=1)
    shares = np.exp(scores - scores.max(-1, keepdims=True))
    context = (shares / shares.sum(-1, keepdims=True)) @ value
    return linear(context.transpose(1, 0, 2).reshape(len(x), -1), tensors, f"{name}.out_proj")


def ssru(x: np.ndarray, tensors: Tensors, name: str) -> np.ndarray:
    """Simple recurrent unit, Kim et al. 2019: [rows, hidden] -> the relu of its states."""
    fresh = linear(x, tensors, f"{name}.in_proj")
    gates = 1 / (1 + np.exp(-linear(x, tensors, f"{name}.gate")))
    state = np.zeros(x.shape[1])
    states = []
    for gate, value in zip(gates, fresh, strict=True):
        state = gate * state + (1 - gate) * value
        states.append(np.maximum(state, 0))
    return np.array(states)


def feed_forward(config: ModelConfig, x: np.ndarray, tensors: Tensors, layer: str) -> np.ndarray:
    """Two products with an activation between them, or a gate: [rows, hidden] -> the same."""
    y = linear(x, tensors, f"{layer}.fc1")
    if config.gated_ffn:
        y = activate(linear(x, tensors, f"{layer}.gate"), config.activation) * y
    else:
        y = activate(y, config.activation)
    return linear(y, tensors, f"{layer}.fc2")


def embed(config: ModelConfig, tensors: Tensors, ids: Sequence[int], name: str) -> np.ndarray:
    """What enters the first layer, [len(ids), hidden_size]."""
    x = tensors[f"{name}.embed_tokens.weight"][list(ids)].astype(np.float64) * config.embed_scale
    if config.position_kind == "table":
        counted = np.array([name == "decoder" or i != config.position_padding_id for i in ids])
        rows = np.where(counted, counted.cumsum(), 0) + config.position_offset - 1
        x = x + tensors[f"{name}.embed_positions.weight"][rows]
    if config.normalize_embeddings:
        x = norm(config, x, tensors, f"{name}.layernorm_embedding")
    return x


def norm(config: ModelConfig, x: np.ndarray, tensors: Tensors, name: str) -> np.ndarray:
    """The model's kind of norm."""
    kind = {"layer_norm": layer_norm, "rms_norm": rms_norm}[config.norm_kind]
    return kind(x, tensors, name, config.norm_eps)


def stack(
    config: ModelConfig,
    tensors: Tensors,
    ids: Sequence[int],
    name: str,
    encoder_hidden_states: np.ndarray | None = None,
) -> np.ndarray:
    """The encoder, or the decoder given the encoder's output: ids -> [len(ids), hidden_size]."""
    heads = Heads(getattr(config, f"{name}_num_heads"), config.scale_attention)
    own = heads
    if config.position_kind == "relative":
        own = heads._replace(bias=relative_bias(config, tensors, name, len(ids)))
    x = embed(config, tensors, ids, name)
    for i in range(getattr(config, f"{name}_layers")):
        layer = f"{name}.layers.{i}"

        def enter(y: np.ndarray, which: str, layer: str = layer) -> np.ndarray:
            before = config.normalize_before
            return norm(config, y, tensors, f"{layer}.{which}") if before else y

        def leave(y: np.ndarray, which: str, layer: str = layer) -> np.ndarray:
            before = config.normalize_before
            return y if before else norm(config, y, tensors, f"{layer}.{which}")

        if name == "decoder" and config.decoder_kind == "ssru":
            y = ssru(enter(x, "ssru_layer_norm"), tensors, f"{layer}.ssru")
            x = leave(x + y, "ssru_layer_norm")
        else:
            y = enter(x, "self_attn_layer_norm")
            y = attention(y, y, tensors, f"{layer}.self_attn", own, causal=name == "decoder")
            x = leave(x + y, "self_attn_layer_norm")
        if encoder_hidden_states is not None:
            y = enter(x, "encoder_attn_layer_norm")
            cross = f"{layer}.encoder_attn"
            y = attention(y, encoder_hidden_states, tensors, cross, heads, causal=False)
            x = leave(x + y, "encoder_attn_layer_norm")
        y = feed_forward(config, enter(x, "final_layer_norm"), tensors, layer)
        x = leave(x + y, "final_layer_norm")
    if config.normalize_before:
        x = norm(config, x, tensors, f"{name}.layer_norm")
    return x


def encode(config: ModelConfig, tensors: Tensors, source_ids: Sequence[int]) -> np.ndarray:
    """Encoder hidden states [len(source_ids), hidden_size], float64."""
    return stack(config, tensors, source_ids, "encoder")


def logits(
    config: ModelConfig,
    tensors: Tensors,
    source_ids: Sequence[int],
    decoder_input_ids: Sequence[int],
) -> np.ndarray:
    """Teacher-forced logits [len(decoder_input_ids), vocab_size], float64."""
    hidden = encode(config, tensors, source_ids)
    last = stack(config, tensors, decoder_input_ids, "decoder", hidden) * config.logit_scale
    return linear(last, tensors, "lm_head")
