"""A Llama export with com.microsoft's GroupQueryAttention, as model builders for onnxruntime write
it: queries, keys and values by three products or by one, rotary positions inside the operator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper


def with_grouped_attention(
    path: Path, out: Path, config: dict[str, Any], frequencies: np.ndarray, packed: bool
) -> None:
    """The plain export `path` with its attentions replaced.

    Args:
        config: its config.json.
        frequencies: the inverse frequencies of its rotary positions.
        packed: one product for queries, keys and values.
    """
    model = onnx.load(path)
    graph = model.graph
    stored = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    heads, groups = config["num_attention_heads"], config["num_key_value_heads"]
    _rename(
        graph, {value.name: f"old.{value.name}" for value in graph.output if value.name != "logits"}
    )
    angles = np.arange(config["max_position_embeddings"])[:, None] * frequencies
    added = {"cosines": np.cos(angles), "sines": np.sin(angles)}
    nodes = _lengths(graph)
    for layer in range(config["num_hidden_layers"]):
        products = [_node(graph, layer, name, "MatMul") for name in "qkv"]
        sums = [_node(graph, layer, name, "Add") for name in "qkv"]
        inputs = [node.output[0] for node in sums]
        if packed:
            weight, bias, product = (f"{name}.{layer}" for name in ("weight", "bias", "product"))
            added[weight] = np.concatenate([stored[node.input[1]] for node in products], 1)
            biases = [next(name for name in node.input if name in stored) for node in sums]
            added[bias] = np.concatenate([stored[name] for name in biases])
            inputs = [f"sum.{layer}", "", ""]
            nodes.append(helper.make_node("MatMul", [products[0].input[0], weight], [product]))
            nodes.append(helper.make_node("Add", [product, bias], inputs[:1]))
        past = [f"past_key_values.{layer}.{kind}" for kind in ("key", "value")]
        nodes.append(
            helper.make_node(
                "GroupQueryAttention",
                [*inputs, *past, "last_positions", "total_length", "cosines", "sines"],
                [f"mixed.{layer}", f"present.{layer}.key", f"present.{layer}.value"],
                f"grouped_{layer}",
                domain="com.microsoft",
                num_heads=heads,
                kv_num_heads=groups,
                do_rotary=1,
            )
        )
        _node(graph, layer, "o", "MatMul").input[0] = f"mixed.{layer}"
    graph.node.extend(nodes)
    for name, values in added.items():
        graph.initializer.append(numpy_helper.from_array(values.astype(np.float32), name))
    _prune(graph)
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    onnx.save(model, out)


def _node(graph: onnx.GraphProto, layer: int, name: str, op_type: str) -> onnx.NodeProto:
    end = f"layers.{layer}/self_attn/{name}_proj/{op_type}"
    return next(node for node in graph.node if node.name.endswith(end))


def _lengths(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The last position of each text, and the length with the past, both int32."""
    for name, value in (("one", np.array(1)), ("axis", np.array([1]))):
        graph.initializer.append(numpy_helper.from_array(value.astype(np.int64), name))
    return [
        helper.make_node("ReduceSum", ["attention_mask", "axis"], ["lengths"], keepdims=0),
        helper.make_node("Sub", ["lengths", "one"], ["last_positions_64"]),
        helper.make_node("Cast", ["last_positions_64"], ["last_positions"], to=6),
        helper.make_node("Shape", ["attention_mask"], ["mask_shape"]),
        helper.make_node("Gather", ["mask_shape", "one"], ["total_length_64"]),
        helper.make_node("Cast", ["total_length_64"], ["total_length"], to=6),
    ]


def _rename(graph: onnx.GraphProto, names: dict[str, str]) -> None:
    """Other names of values, but not of the graph's outputs."""
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]


def _prune(graph: onnx.GraphProto) -> None:
    """Only the nodes that an output needs, each after those that it reads; and their tensors."""
    producers = {output: node for node in graph.node for output in node.output}
    ordered: list[onnx.NodeProto] = []
    entered: set[str] = set()

    def visit(name: str) -> None:
        node = producers.get(name)
        if node is None or node.output[0] in entered:
            return
        entered.add(node.output[0])
        for source in node.input:
            visit(source)
        ordered.append(node)

    for value in graph.output:
        visit(value.name)
    kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in ordered]
    read = {name for node in kept for name in node.input}
    tensors = [t for t in graph.initializer if t.name in read]
    copies = [onnx.TensorProto.FromString(t.SerializeToString()) for t in tensors]
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(kept)
    graph.initializer.extend(copies)
