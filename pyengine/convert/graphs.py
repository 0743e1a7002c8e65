"""The ONNX graphs of an encoder and of a decoder with simple recurrent units (SSRU)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper

from pyengine.convert.builder import GraphBuilder, Shape
from pyengine.models.config import ModelConfig

Tensors = Mapping[str, np.ndarray]
_IDS: tuple[int, Shape] = (TensorProto.INT64, ["batch_size", "sequence_length"])
_MASK: tuple[int, Shape] = (TensorProto.INT64, ["batch_size", "encoder_sequence_length"])


def write_encoder(config: ModelConfig, tensors: Tensors, path: Path) -> None:
    """encoder_model.onnx: input_ids, attention_mask -> last_hidden_state."""
    graph = GraphBuilder(tensors)
    mask = _additive_mask(graph, "attention_mask")
    with graph.module("encoder"):
        x = _embed(graph, config)
        for i in range(config.encoder_layers):
            with graph.module(f"layers.{i}"):
                x = _attention_block(graph, "self_attn", x, (x, mask), config)
                x = _feed_forward_block(graph, x, config)
    inputs = {"input_ids": _IDS, "attention_mask": (TensorProto.INT64, _IDS[1])}
    graph.save(path, inputs, ("last_hidden_state", x))


def write_decoder(config: ModelConfig, tensors: Tensors, path: Path) -> None:
    """decoder_model.onnx: encoder_attention_mask, input_ids, encoder_hidden_states -> logits.

    Without a cache: the positions are given all at once.
    """
    graph = GraphBuilder(tensors)
    mask = _additive_mask(graph, "encoder_attention_mask")
    with graph.module("decoder"):
        x = _embed(graph, config)
        for i in range(config.decoder_layers):
            with graph.module(f"layers.{i}"):
                x = _ssru_block(graph, x, config)
                source = "encoder_hidden_states", mask
                x = _attention_block(graph, "encoder_attn", x, source, config)
                x = _feed_forward_block(graph, x, config)
    logits = _project(graph, x)
    hidden: Shape = ["batch_size", "encoder_sequence_length", config.hidden_size]
    inputs = {
        "encoder_attention_mask": _MASK,
        "input_ids": _IDS,
        "encoder_hidden_states": (TensorProto.FLOAT, hidden),
    }
    graph.save(path, inputs, ("logits", logits))


def _embed(graph: GraphBuilder, config: ModelConfig) -> str:
    """embed_scale E[input_ids] + positions, [batch, length, hidden_size]."""
    with graph.module("embed_tokens"):
        tokens = graph.node("Gather", graph.own_weight(), "input_ids")
    scaled = graph.node("Mul", tokens, graph.constant(config.embed_scale))
    length = graph.node("Shape", "input_ids", start=1, end=2)
    with graph.module("embed_positions"):
        bounds = graph.constant([0], np.int64), length, graph.constant([0], np.int64)
        positions = graph.node("Slice", graph.own_weight(), *bounds)
    return graph.node("Add", scaled, positions)


def _additive_mask(graph: GraphBuilder, name: str) -> str:
    """0 at a token and the lowest number at padding, [batch, 1, 1, length]."""
    kept = graph.node("Cast", name, to=TensorProto.FLOAT)
    dropped = graph.node("Sub", graph.constant(1), kept)
    lowest = graph.constant(np.finfo(np.float32).min)
    axes = graph.constant([1, 2], np.int64)
    return graph.node("Unsqueeze", graph.node("Mul", dropped, lowest), axes)


def _attention_block(
    graph: GraphBuilder, module: str, x: str, source: tuple[str, str], config: ModelConfig
) -> str:
    """LayerNorm(x + attention over source), whose mask is the second of ``source``."""
    memory, mask = source
    num_heads = config.encoder_num_heads if module == "self_attn" else config.decoder_num_heads
    heads = num_heads, config.hidden_size // num_heads
    with graph.module(module):
        query = _heads(graph, graph.linear("q_proj", x), heads, [0, 2, 1, 3])
        key = _heads(graph, graph.linear("k_proj", memory), heads, [0, 2, 3, 1])
        value = _heads(graph, graph.linear("v_proj", memory), heads, [0, 2, 1, 3])
        scores = graph.node("MatMul", query, key)
        scores = graph.node("Mul", scores, graph.constant(1 / math.sqrt(heads[1])))
        shares = graph.node("Softmax", graph.node("Add", scores, mask), axis=-1)
        context = graph.node("Transpose", graph.node("MatMul", shares, value), perm=[0, 2, 1, 3])
        joined = graph.node("Reshape", context, graph.constant([0, 0, -1], np.int64))
        output = graph.linear("out_proj", joined)
    return _leave(graph, f"{module}_layer_norm", x, output, config)


def _heads(graph: GraphBuilder, x: str, heads: tuple[int, int], order: list[int]) -> str:
    """[batch, length, hidden_size] -> [batch, length, *heads], its axes in ``order``."""
    split = graph.node("Reshape", x, graph.constant([0, 0, *heads], np.int64))
    return graph.node("Transpose", split, perm=order)


def _ssru_block(graph: GraphBuilder, x: str, config: ModelConfig) -> str:
    """LayerNorm(x + relu(c)) with c_t = g_t c_(t-1) + (1 - g_t) W x_t, g = sigmoid(W_f x + b_f).

    Kim et al. (2019), "From Research to Production and Back: Ludicrously Fast Neural Machine
    Translation", section 2.2.
    """
    with graph.module("ssru"):
        gate = graph.node("Sigmoid", graph.linear("gate", x))
        new = graph.node("Sub", graph.constant(1), gate)
        new = graph.node("Mul", new, graph.linear("in_proj", x))
        first = graph.node("Gather", new, graph.constant(0, np.int64), axis=1)
        start = graph.node("Sub", first, first)  # zeros [batch, hidden_size]
        states = _scan(graph, start, gate, new)
        output = graph.node("Relu", states)
    return _leave(graph, "ssru_layer_norm", x, output, config)


def _scan(graph: GraphBuilder, start: str, gate: str, new: str) -> str:
    """state_t = gate_t state_(t-1) + new_t along axis 1: [batch, length, hidden_size]."""
    row: Shape = [None, None]
    values = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, row)
        for name in ("past", "gate", "new", "present", "state")
    }
    body = helper.make_graph(
        [
            helper.make_node("Mul", ["gate", "past"], ["kept"]),
            helper.make_node("Add", ["kept", "new"], ["present"]),
            helper.make_node("Identity", ["present"], ["state"]),
        ],
        "step",
        [values["past"], values["gate"], values["new"]],
        [values["present"], values["state"]],
    )
    return graph.node(
        "Scan",
        *(start, gate, new),
        outputs=2,
        body=body,
        num_scan_inputs=2,
        scan_input_axes=[1, 1],
        scan_output_axes=[1],
    )


def _feed_forward_block(graph: GraphBuilder, x: str, config: ModelConfig) -> str:
    """LayerNorm(x + relu(x W_1 + b_1) W_2 + b_2)."""
    inner = graph.node("Relu", graph.linear("fc1", x))
    return _leave(graph, "final_layer_norm", x, graph.linear("fc2", inner), config)


def _leave(graph: GraphBuilder, norm: str, x: str, output: str, config: ModelConfig) -> str:
    return graph.layer_norm(norm, graph.node("Add", x, output), config.norm_eps)


def _project(graph: GraphBuilder, x: str) -> str:
    """The logits: x E^T, plus a bias if there is one, with the decoder's own token table."""
    table = graph.weight("decoder.embed_tokens.weight")
    with graph.module("lm_head"):
        transposed = graph.node("Transpose", table, perm=[1, 0])
        return graph.own_bias(graph.node("MatMul", x, transposed))
