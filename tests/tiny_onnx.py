"""A tiny Marian folder written with onnx.helper, in parts that tests replace one at a time.

The graphs compute what Marian computes, of whole texts: they take no mask of padding.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from pyengine.errors import Error
from pyengine.models import read_model

HIDDEN, HEADS, FFN, VOCAB, POSITIONS = 4, 2, 6, 9, 8
CONFIG: dict[str, Any] = {
    "model_type": "marian",
    "d_model": HIDDEN,
    "vocab_size": VOCAB,
    "max_position_embeddings": POSITIONS,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": HEADS,
    "decoder_attention_heads": HEADS,
    "encoder_ffn_dim": FFN,
    "decoder_ffn_dim": FFN,
    "activation_function": "relu",
    "scale_embedding": True,
    "pad_token_id": 8,
    "eos_token_id": 0,
    "decoder_start_token_id": 8,
}


class GraphBuilder:
    """Collects nodes and initializers; values are random but fixed by the order of the calls."""

    def __init__(self, prefix: str, seed: int) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: dict[str, np.ndarray] = {}
        self._prefix = prefix
        self._rng = np.random.default_rng(seed)

    def weight(self, *shape: int) -> str:
        """A new initializer under a name that says nothing, as exporters give them."""
        name = f"onnx::MatMul_{len(self.initializers)}"
        self.initializers[name] = self._rng.standard_normal(shape).astype(np.float32)
        return name

    def node(self, op_type: str, module: str, *inputs: str, **attributes: Any) -> str:
        """A node in `module`; returns its output's name."""
        name = f"{self._prefix}/{module}/{op_type}" if module else f"/{op_type}"
        output = f"{name}_output_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op_type, inputs, [output], name, **attributes))
        return output

    def constant(self, value: Any) -> str:
        """The value of a Constant node: a shape, an index or a number."""
        array = np.array(value, np.float32 if isinstance(value, float) else np.int64)
        return self.node("Constant", "", value=numpy_helper.from_array(array))

    def linear(self, x: str, module: str, rows: int, columns: int) -> str:
        """MatMul and Add."""
        product = self.node("MatMul", module, x, self.weight(rows, columns))
        return self.node("Add", module, self.weight(columns), product)

    def norm(self, x: str, module: str) -> str:
        """LayerNormalization."""
        scale, bias = self.weight(HIDDEN), self.weight(HIDDEN)
        return self.node("LayerNormalization", module, x, scale, bias, epsilon=1e-5)

    def attention(self, x: str, module: str) -> str:
        """The four projections, two heads between them, and the residual sum and its norm."""
        memory = "encoder_hidden_states" if module.endswith("encoder_attn") else x
        q, k, v = (
            self.heads(self.linear(source, f"{module}/{name}", HIDDEN, HIDDEN), module, order)
            for name, source, order in (
                ("q_proj", x, [0, 2, 1, 3]),
                ("k_proj", memory, [0, 2, 3, 1]),
                ("v_proj", memory, [0, 2, 1, 3]),
            )
        )
        products = self.node("MatMul", module, q, k)
        scores = self.node("Mul", module, products, self.constant((HIDDEN // HEADS) ** -0.5))
        if self._prefix and memory == x:
            scores = self.node("Add", module, scores, self.causal_mask())
        shares = self.node("Softmax", module, scores, axis=-1)
        mixed = self.node("MatMul", module, shares, v)
        turned = self.node("Transpose", module, mixed, perm=[0, 2, 1, 3])
        merged = self.node("Reshape", module, turned, self.constant([0, 0, HIDDEN]))
        inner = self.linear(merged, f"{module}/out_proj", HIDDEN, HIDDEN)
        return self.norm(self.node("Add", "layers.0", x, inner), f"{module}_layer_norm")

    def heads(self, x: str, module: str, order: list[int]) -> str:
        """[batch, rows, HIDDEN] by heads, its axes in an order."""
        split = self.node("Reshape", module, x, self.constant([0, 0, HEADS, HIDDEN // HEADS]))
        return self.node("Transpose", module, split, perm=order)

    def length(self) -> str:
        """The number of tokens."""
        shape = self.node("Shape", "", "input_ids")
        return self.node("Gather", "", shape, self.constant(1))

    def causal_mask(self) -> str:
        """[rows, rows]: a large negative number for keys that come later."""
        size = self.node("Reshape", "", self.length(), self.constant([1]))
        square = self.node("Concat", "", size, size, axis=0)
        far = numpy_helper.from_array(np.array([-1e9], np.float32))
        full = self.node("ConstantOfShape", "", square, value=far)
        return self.node("Trilu", "", full, self.constant(1))

    def stack(self, tokens: str, attentions: tuple[str, ...]) -> str:
        """Embeddings and one layer."""
        self.initializers["scale"] = np.array(2.0, np.float32)  # sqrt(HIDDEN)
        embedded = self.node("Gather", tokens, self.weight(VOCAB, HIDDEN), "input_ids")
        scaled = self.node("Mul", "", embedded, "scale")
        bounds = self.constant(0), self.length(), self.constant(1)
        rows = self.node("Range", "embed_positions", *bounds)
        table = self.weight(POSITIONS, HIDDEN)
        positions = self.node("Gather", "embed_positions", table, rows)
        x = self.node("Add", "", scaled, positions)
        for name in attentions:
            x = self.attention(x, f"layers.0/{name}")
        inner = self.node("Relu", "layers.0/activation_fn", self.linear(x, "layers.0/fc1", 4, FFN))
        outer = self.linear(inner, "layers.0/fc2", FFN, 4)
        return self.norm(self.node("Add", "layers.0", x, outer), "layers.0/final_layer_norm")

    def model(self, result: str, name: str) -> onnx.ModelProto:
        """The graph with `result` as its one output, called `name`."""
        self.nodes.append(helper.make_node("Identity", [result], [name], f"/{name}"))
        tensors = [numpy_helper.from_array(value, key) for key, value in self.initializers.items()]
        inputs = [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["b", "s"])]
        if self._prefix:
            shape = ["b", "k", HIDDEN]
            hidden = "encoder_hidden_states"
            inputs.append(helper.make_tensor_value_info(hidden, TensorProto.FLOAT, shape))
        graph = helper.make_graph(
            self.nodes,
            "graph",
            inputs,
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["b", "s", "d"])],
            tensors,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])


def encoder() -> onnx.ModelProto:
    """encoder_model.onnx."""
    builder = GraphBuilder("", 0)
    return builder.model(builder.stack("embed_tokens", ("self_attn",)), "last_hidden_state")


def decoder() -> onnx.ModelProto:
    """decoder_model.onnx, with an output projection of its own and a final bias of [1, VOCAB]."""
    builder = GraphBuilder("/model/decoder", 1)
    x = builder.stack("shared", ("self_attn", "encoder_attn"))
    product = builder.node("MatMul", "", x, builder.weight(HIDDEN, VOCAB))
    return builder.model(builder.node("Add", "", product, builder.weight(1, VOCAB)), "logits")


def write(
    folder: Path,
    encoder_model: onnx.ModelProto | None = None,
    decoder_model: onnx.ModelProto | None = None,
    **config: Any,
) -> Path:
    """A folder of these models; `config` replaces fields, None leaves one out."""
    folder.mkdir(parents=True, exist_ok=True)
    fields = {name: value for name, value in (CONFIG | config).items() if value is not None}
    (folder / "config.json").write_text(json.dumps(fields))
    onnx.save(encoder_model or encoder(), folder / "encoder_model.onnx")
    onnx.save(decoder_model or decoder(), folder / "decoder_model.onnx")
    return folder


def initializer(model: onnx.ModelProto, name: str) -> onnx.TensorProto:
    """The initializer `name` of `model`, to be changed in place."""
    return next(tensor for tensor in model.graph.initializer if tensor.name == name)


def node(model: onnx.ModelProto, name: str) -> onnx.NodeProto:
    """The node whose name ends with `name`, to be changed in place."""
    return next(node for node in model.graph.node if node.name.endswith(name))


def refuse(folder: Path, kind: type[Error], *words: str) -> None:
    """read_model raises exactly `kind`, with all `words` in the message."""
    with pytest.raises(Error) as raised:
        read_model(folder)
    assert type(raised.value) is kind, raised.value
    for word in words:
        assert word in str(raised.value)
