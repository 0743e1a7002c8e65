"""Changed graphs are refused, or compute what onnxruntime computes of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from pyengine.errors import UnsupportedModelError
from pyengine.models import read_model

from .graph_differential import DIFFERENT, FIXTURES, REFUSED, try_mutation
from .graph_mutations import graphs_of

Change = Callable[[onnx.NodeProto], None]


def _bypass(node: onnx.NodeProto) -> None:
    node.op_type = "Identity"
    del node.input[1:], node.attribute[:]


def _axis(node: onnx.NodeProto) -> None:
    next(a for a in node.attribute if a.name == "axis").i = 2


def _perm(node: onnx.NodeProto) -> None:
    next(a for a in node.attribute if a.name == "perm").ints[:] = [0, 1, 2, 3]


def _operator(op_type: str) -> Change:
    def change(node: onnx.NodeProto) -> None:
        node.op_type = op_type

    return change


NODES = [
    # fixture, file, end of the node's name, what is done to it
    ("bart", "encoder_model", "layers.0/self_attn/Softmax", _bypass),
    ("bart", "encoder_model", "layers.0/self_attn/Softmax", _axis),
    ("marian-split", "decoder_model", "layers.1/encoder_attn/Softmax", _axis),
    ("marian-split", "encoder_model", "layers.0/Add", _bypass),
    ("marian-split", "encoder_model", "layers.0/Add_1", _bypass),
    ("marian-split", "encoder_model", "layers.0/self_attn/Transpose", _perm),
    ("mbart", "decoder_model_merged", "layers.1/self_attn/Softmax", _operator("Sigmoid")),
    ("gpt2", "model", "h.0/attn/Add", _bypass),
    ("llama", "model", "layers.1/self_attn/Mul", _bypass),
    ("llama", "model", "layers.0/self_attn/Neg", _operator("Abs")),
    ("bert-cls", "model", "layer.0/attention/self/Add", _bypass),
    ("transformer-ssru", "decoder_model", "layers.0/encoder_attn/Softmax", _axis),
]

CONSTANTS = [
    # fixture, file, the operator and the end of the name of the node that reads it, its new value
    ("llama", "model", "Pow", "layers.0/input_layernorm/Pow", 3.0),
    ("t5", "encoder_model", "Pow", "block.0/layer.0/layer_norm/Pow", 1.0),
    ("marian-split", "decoder_model", "Mul", "layers.0/self_attn/Mul", 1.0),
    ("m2m", "decoder_model", "Add", "embed_positions/Add", 3),
    ("mt5", "encoder_model", "Div", "SelfAttention/Div_1", 2.0),
]


def _written(
    name: str, file: str, tmp_path: Path, change: Callable[[onnx.ModelProto], None]
) -> Path:
    folder = tmp_path / name
    shutil.copytree(FIXTURES / name, folder)
    path = folder / f"{file}.onnx"
    model = onnx.load(path)
    change(model)
    onnx.save(model, path)
    return folder


def _nodes(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    return [node for graph in graphs_of(model.graph) for node in graph.node]


@pytest.mark.parametrize(("name", "file", "end", "change"), NODES)
def test_a_changed_node_is_refused(
    name: str, file: str, end: str, change: Change, tmp_path: Path
) -> None:
    def apply(model: onnx.ModelProto) -> None:
        found = [node for node in _nodes(model) if node.name.endswith(end)]
        assert found
        for node in found:
            change(node)

    folder = _written(name, file, tmp_path, apply)
    layer = end.split("/")[0]
    with pytest.raises(UnsupportedModelError, match=rf"{file}\.onnx: .*{layer}"):
        read_model(folder)


@pytest.mark.parametrize(("name", "file", "op_type", "end", "value"), CONSTANTS)
def test_a_changed_constant_is_refused(
    name: str, file: str, op_type: str, end: str, value: float, tmp_path: Path
) -> None:
    def apply(model: onnx.ModelProto) -> None:
        stored = {t.name: t for graph in graphs_of(model.graph) for t in graph.initializer}
        for node in _nodes(model):
            if node.op_type == "Constant":
                stored[node.output[0]] = node.attribute[0].t
        found = [n for n in _nodes(model) if n.op_type == op_type and n.name.endswith(end)]
        assert found
        for node in found:
            tensor = next(stored[source] for source in node.input if source in stored)
            numbers = np.full_like(numpy_helper.to_array(tensor), value)
            tensor.CopyFrom(numpy_helper.from_array(numbers, tensor.name))

    with pytest.raises(UnsupportedModelError, match=rf"{file}\.onnx: "):
        read_model(_written(name, file, tmp_path, apply))


def test_random_changes() -> None:
    outcomes = [try_mutation(seed) for seed in range(100)]
    assert [outcome for outcome in outcomes if outcome.kind == DIFFERENT] == []
    assert sum(outcome.kind == REFUSED for outcome in outcomes) > 15
