"""What the families compute, in NumPy on stand-ins for their weights: a batch at once, no cache.

Written from the papers and transformers' code as csrc/model is; tests/model_twin.py is the same one
sentence at a time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pyengine.models.config import ModelConfig
from pyengine.models.evaluation import elementwise
from pyengine.models.evaluation.attention_operators import MASKED, attend, causal, turned
from pyengine.models.evaluation.relative import relative_buckets
from pyengine.models.evaluation.surrogates import Tensors

Array = np.ndarray
_ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "relu": lambda x: np.maximum(x, 0),
    "silu": lambda x: x * elementwise.sigmoid(x),
    "gelu": elementwise.gelu,
    "gelu_tanh": elementwise.gelu_tanh,
    "tanh": np.tanh,
}


@dataclass(frozen=True)
class Memory:
    """What the decoder sees of the encoder.

    Attributes:
        hidden_states: [batch, keys, hidden].
        mask: [batch, keys], 1 for tokens and 0 for padding.
    """

    hidden_states: Array
    mask: Array


@dataclass
class Definition:
    """One stack of a model.

    Args:
        config: the architecture.
        stack: "encoder" or "decoder".
        tensors: by canonical name.

    Attributes:
        steps: what was computed on the way, in order.
        keys_values: by the name of each attention, [batch, heads, rows, width] each.
    """

    config: ModelConfig
    stack: str
    tensors: Tensors
    steps: list[Array] = field(default_factory=list)
    keys_values: dict[str, tuple[Array, Array]] = field(default_factory=dict)
    _entering: dict[str, Array] = field(default_factory=dict)

    def output(
        self,
        ids: Array,
        token_types: Array,
        positions: Array,
        mask: Array,
        memory: Memory | None = None,
    ) -> Array:
        """Last hidden states [batch, rows, hidden], or [batch, classes].

        Of a decoder, what enters the output projection, which is as wide as the vocabulary.

        Args:
            ids: [batch, rows].
            token_types: of each, of an encoder that knows some.
            positions: of each, from 0.
            mask: 1 for tokens and 0 for padding.
            memory: of a decoder with an encoder.
        """
        config, stack = self.config, self.stack
        x = self._embed(ids, token_types, positions)
        x = self._layers(x, positions, mask, memory, getattr(config, f"{stack}_layers"))
        if config.normalize_before:
            x = self._norm(f"{stack}.layer_norm", x)
        if stack == "decoder":
            return self._step(x * np.float32(config.logit_scale))
        if not config.classifies:
            return x
        inner = self._linear("encoder.classifier.dense", x[:, 0])
        inner = self._activated(inner, config.classifier_activation)
        return self._linear("encoder.classifier.out_proj", inner)

    def entering(
        self,
        name: str,
        ids: Array,
        token_types: Array,
        positions: Array,
        mask: Array,
        memory: Memory | None,
    ) -> Array:
        """What the product `name` of the first layer is taken of; the rest as of :meth:`output`."""
        self._layers(self._embed(ids, token_types, positions), positions, mask, memory, 1)
        return self._entering[name]

    def _layers(
        self, x: Array, positions: Array, mask: Array, memory: Memory | None, count: int
    ) -> Array:
        added = np.where(mask[:, None, None] == 1, np.float32(0), MASKED)
        if self.stack == "decoder":
            added = np.maximum(added + causal(x.shape[1], x.shape[1]), MASKED)
        if self.config.position_kind == "relative":
            added = added + self._relative_bias(x.shape[1])
        for i in range(count):
            x = self._layer(f"{self.stack}.layers.{i}", x, positions, added, memory)
        return x

    def _step(self, x: Array) -> Array:
        self.steps.append(x)
        return x

    def _linear(self, name: str, x: Array) -> Array:
        self._entering[name] = self._step(x)
        product = self._step(x @ self.tensors[f"{name}.weight"])
        bias = self.tensors.get(f"{name}.bias")
        return product if bias is None else self._step(product + bias)

    def _norm(self, name: str, x: Array) -> Array:
        weight, epsilon = self.tensors[f"{name}.weight"], self.config.norm_eps
        if self.config.norm_kind == "rms_norm":
            return self._step(elementwise.rms_norm(x, weight, epsilon))
        bias = self.tensors.get(f"{name}.bias")
        return self._step(elementwise.layer_norm(x, weight, bias, epsilon))

    def _activated(self, x: Array, activation: str) -> Array:
        return self._step(_ACTIVATIONS[activation](x))

    def _embed(self, ids: Array, token_types: Array, positions: Array) -> Array:
        config, name = self.config, f"{self.stack}.embed"
        x = self._step(self.tensors[f"{name}_tokens.weight"][ids])
        x = self._step(x * np.float32(config.embed_scale))
        if config.position_kind == "table":
            rows = positions + config.position_offset
            if self.stack == "encoder" and config.position_padding_id >= 0:
                counted = ids != config.position_padding_id
                rows = np.where(counted, counted.cumsum(1), 0) + config.position_offset - 1
            x = x + self._step(self.tensors[f"{name}_positions.weight"][rows])
        if self.stack == "encoder" and config.token_types:
            x = x + self.tensors[f"{name}_types.weight"][token_types]
        x = self._step(x)
        return (
            self._norm(f"{self.stack}.layernorm_embedding", x) if config.normalize_embeddings else x
        )

    def _layer(
        self, name: str, x: Array, positions: Array, added: Array, memory: Memory | None
    ) -> Array:
        recurs = self.stack == "decoder" and self.config.decoder_recurs
        if recurs:
            x = self._block(f"{name}.ssru", x, lambda y: self._recur(f"{name}.ssru", y))
        else:
            own = f"{name}.self_attn"
            x = self._block(own, x, lambda y: self._self_attention(own, y, positions, added))
        if memory is not None:
            cross = f"{name}.encoder_attn"
            x = self._block(cross, x, lambda y: self._cross_attention(cross, y, memory))
        return self._block(f"{name}.final", x, lambda y: self._feed_forward(name, y))

    def _block(self, name: str, x: Array, inner: Any) -> Array:
        norm = f"{name}_layer_norm"
        if self.config.normalize_before:
            return self._step(x + inner(self._norm(norm, x)))
        return self._norm(norm, self._step(x + inner(x)))

    def _feed_forward(self, name: str, x: Array) -> Array:
        y, activation = self._linear(f"{name}.fc1", x), self.config.activation
        if self.config.gated_ffn:
            gate = self._linear(f"{name}.gate", x)
            y = self._activated(gate, activation) * y
        else:
            y = self._activated(y, activation)
        return self._linear(f"{name}.fc2", y)

    def _recur(self, name: str, x: Array) -> Array:
        """relu of s(t) = g(t) s(t - 1) + (1 - g(t)) W x(t)."""
        gates = elementwise.sigmoid(self._linear(f"{name}.gate", x))
        new = (1 - gates) * self._linear(f"{name}.in_proj", x)
        state = np.zeros_like(new[:, 0])
        states = []
        for t in range(x.shape[1]):
            state = gates[:, t] * state + new[:, t]
            states.append(state)
        return self._step(np.maximum(np.stack(states, 1), 0))

    def _self_attention(self, name: str, x: Array, positions: Array, added: Array) -> Array:
        q, k, v = self._projections(name, x)
        if self.config.position_kind == "rotary":
            angles = positions[..., None] * self.tensors["decoder.rotary.weight"]
            angles = angles.astype(np.float32)[:, None]
            q, k = (turned(part, np.cos(angles), np.sin(angles)) for part in (q, k))
        return self._mixed(name, q, k, v, added)

    def _projections(self, name: str, x: Array) -> list[Array]:
        config = self.config
        heads = getattr(config, f"{self.stack}_num_heads")
        key_heads = heads
        if self.stack == "decoder":
            key_heads = config.decoder_num_key_value_heads or heads
        if f"{name}.qkv_proj.weight" in self.tensors:
            whole = self._linear(f"{name}.qkv_proj", x)
            cut = [config.decoder_attention_size]
            cut.append(cut[0] + config.decoder_key_value_size)
            parts = np.split(whole, cut, axis=-1)
        else:
            parts = [self._linear(f"{name}.{letter}_proj", x) for letter in "qkv"]
        counts = heads, key_heads, key_heads
        return [self._heads(part, count) for part, count in zip(parts, counts, strict=True)]

    def _heads(self, x: Any, count: int) -> Any:
        return x.reshape(*x.shape[:2], count, -1).transpose(0, 2, 1, 3)

    def _cross_attention(self, name: str, x: Array, memory: Memory) -> Array:
        heads, states = self.config.decoder_num_heads, memory.hidden_states
        q = self._heads(self._linear(f"{name}.q_proj", x), heads)
        k, v = (self._heads(self._linear(f"{name}.{s}_proj", states), heads) for s in "kv")
        added = np.where(memory.mask[:, None, None] == 1, np.float32(0), MASKED)
        return self._mixed(name, q, k, v, added)

    def _mixed(self, name: str, q: Array, k: Array, v: Array, added: Array) -> Array:
        self.keys_values[name] = k, v
        scale = 1 / math.sqrt(q.shape[-1]) if self.config.scale_attention else 1.0
        for part in (q, k):  # which exporters often scale, each by the root
            self._step(part * np.float32(math.sqrt(scale)))
        mixed = attend(q, k, v, scale, added, self._step)
        merged = mixed.transpose(0, 2, 1, 3).reshape(len(q), q.shape[2], -1)
        return self._linear(f"{name}.out_proj", merged)

    def _relative_bias(self, length: int) -> Any:
        """[1, heads, queries, keys]: a number of the table for each distance, by T5's buckets."""
        sizes = self.config.relative_buckets, self.config.relative_max_distance
        distances = np.arange(length)[None] - np.arange(length)[:, None]
        rows = relative_buckets(distances, *sizes, both_ways=self.stack == "encoder")
        table = self.tensors[f"{self.stack}.relative_attention_bias.weight"]
        return table[rows].transpose(2, 0, 1)[None]
