"""The few tokens on which a graph is evaluated."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pyengine.models.config import ModelConfig
from pyengine.models.evaluation.definition import Memory
from pyengine.models.evaluation.elementwise import TYPES
from pyengine.models.graph import Graph
from pyengine.models.protos import Input

_SOURCE_LENGTH, _PADDING = 5, 2
_CACHED = r"\.(\d{1,5})\.(?:(decoder|encoder|self|cross)\.)?(key|value)$"
_PAST, _PRESENT = re.compile("past_key_values" + _CACHED), re.compile("present" + _CACHED)
KeysValues = Mapping[str, tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Probe:
    """Inputs of one stack.

    Attributes:
        ids, token_types, positions, mask: [batch, rows]; a mask has 0 for padding.
        memory: of a decoder with an encoder.
    """

    ids: np.ndarray
    token_types: np.ndarray
    positions: np.ndarray
    mask: np.ndarray
    memory: Memory | None

    @property
    def given(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, Memory | None]:
        """The arguments of Definition.output."""
        return self.ids, self.token_types, self.positions, self.mask, self.memory

    def inputs(
        self, graph: Graph, config: ModelConfig, past: KeysValues | None = None
    ) -> dict[str, np.ndarray]:
        """What the graph is given; names that say nothing are left out.

        Args:
            past: keys and values of the same ids; given these, the graph sees the last ids alone.
        """
        given = {}
        for name, declared in graph.root.inputs.items():
            value = self._input(name, declared, config, past)
            if value is not None:
                given[name] = value.astype(TYPES.get(declared.data_type, value.dtype))
        return given

    def _input(
        self, name: str, declared: Input, config: ModelConfig, past: KeysValues | None
    ) -> np.ndarray | None:
        rows = slice(None) if past is None else slice(-1, None)
        if name.startswith("past"):
            return self._past(name, declared, config, past)
        if name == "use_cache_branch":
            return np.array([past is not None])
        if name == "encoder_hidden_states" and self.memory:
            return self.memory.hidden_states
        if name == "encoder_attention_mask" and self.memory:
            return self.memory.mask
        if "position" in name:
            is_vector = len(declared.sizes) == 1
            positions = self.positions[:1] if declared.sizes[:1] == (1,) else self.positions
            return positions[0, rows] if is_vector else positions[:, rows]
        if name == "token_type_ids":
            return self.token_types[:, rows]
        if "mask" in name:
            return self.mask
        return self.ids[:, rows] if name.endswith("ids") else None

    def _past(
        self, name: str, declared: Input, config: ModelConfig, past: KeysValues | None
    ) -> np.ndarray | None:
        groups = config.decoder_num_key_value_heads or config.decoder_num_heads
        shape = len(self.ids), declared.sizes[1] or groups, 0, config.decoder_head_dim
        if len(declared.sizes) == 5:  # keys and values in one
            return np.zeros((2, shape[0], groups, *shape[2:]), np.float32)
        if len(declared.sizes) != 4:
            return None
        empty = np.zeros(shape, np.float32)
        value = None if past is None else cached(name, past)
        if value is None:
            return empty
        return value if is_of_encoder(name) else value[:, :, :-1]


def cached(name: str, keys_values: KeysValues) -> np.ndarray | None:
    """The keys or values that an input `past...` or output `present...` is called by, if any."""
    found = _PAST.match(name) or _PRESENT.match(name)
    if found is None:
        return None
    attention = "encoder_attn" if is_of_encoder(name) else "self_attn"
    parts = keys_values.get(f"decoder.layers.{found[1]}.{attention}")
    return None if parts is None else parts[0 if found[3] == "key" else 1]


def is_of_encoder(name: str) -> bool:
    """Whether such keys or values are those of the encoder's hidden states."""
    return ".encoder." in name or ".cross." in name


def has_known_past(graph: Graph) -> bool:
    """Whether the graph takes keys and values of earlier tokens, under names that tell which."""
    names = [name for name in graph.root.inputs if name.startswith("past")]
    return bool(names) and all(map(_PAST.match, names))


def make_probe(graph: Graph, stack: str, config: ModelConfig, num_texts: int, length: int) -> Probe:
    """A probe in the sizes that the graph allows; all texts but the first are padded."""
    declared = graph.root.inputs
    rng = np.random.default_rng(1)
    batch, rows = _sizes(declared, "input_ids", num_texts, min(length, config.max_positions))
    vocab_size = config.vocab_size if stack == "decoder" else config.source_vocab_size
    ids = rng.integers(0, vocab_size, (batch, rows))
    if config.position_padding_id >= 0:
        ids[ids == config.position_padding_id] = 0 if config.position_padding_id else 1
        if stack == "encoder":  # also inside a text it has no position
            ids[0, rows // 2] = config.position_padding_id
    token_types = np.zeros_like(ids)
    if "token_type_ids" in declared:
        token_types = rng.integers(0, max(config.token_types, 1), ids.shape)
    mask = np.ones((batch, rows), np.int64)
    if any("mask" in name and "encoder" not in name for name in declared):
        at_left = "position_ids" in declared and stack == "decoder" and not graph.fused
        _pad(mask, at_left)
        ids[mask == 0] = max(config.position_padding_id, 0)
    positions = np.maximum(mask.cumsum(1) - 1, 0) if stack == "decoder" else np.arange(rows)
    memory = None
    if "encoder_hidden_states" in declared:
        keys = _sizes(declared, "encoder_hidden_states", batch, _SOURCE_LENGTH)[1]
        states = rng.standard_normal((batch, keys, config.hidden_size), np.float32)
        memory = Memory(states, np.ones((batch, keys), np.int64))
        if "encoder_attention_mask" in declared:
            _pad(memory.mask, False)
    return Probe(ids, token_types, np.broadcast_to(positions, ids.shape), mask, memory)


def _sizes(declared: Mapping[str, Input], name: str, batch: int, length: int) -> list[Any]:
    """The first two sizes of an input: those it is declared with, or these."""
    sizes = declared[name].sizes if name in declared else ()
    given = zip((*sizes, None, None), (batch, length), strict=False)
    return [size or default for size, default in given]


def _pad(mask: np.ndarray, at_left: bool) -> None:
    """Ever less padding in all texts but the first, as far as that leaves tokens."""
    for row, size in zip(mask[1:], range(min(_PADDING, mask.shape[1] - 1), 0, -1), strict=False):
        row[slice(0, size) if at_left else slice(-size, None)] = 0
