"""Changed graphs are refused, or compute what onnxruntime computes of them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from export_forms import converted
from grouped_attention import with_grouped_attention
from onnx import numpy_helper

from pyengine.errors import UnsupportedModelError
from pyengine.models import read_model
from pyengine.models.rope import rotary_frequencies

from .graph_differential import DIFFERENT, FIXTURES, REFUSED, try_mutation
from .graph_mutations import graphs_of, swap_names

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
    name: str,
    file: str,
    tmp_path: Path,
    change: Callable[[onnx.ModelProto], None],
    fixtures: Path = FIXTURES,
) -> Path:
    folder = tmp_path / name
    shutil.copytree(fixtures / name, folder)
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


def test_a_mask_that_is_left_out_is_refused(tmp_path: Path) -> None:
    """Also of a first layer whose inputs no norm makes small."""

    def apply(model: onnx.ModelProto) -> None:
        _bypass(next(node for node in model.graph.node if node.name == "node_Add_97"))

    with pytest.raises(UnsupportedModelError, match="Softmax 'node_Softmax_98'"):
        read_model(_written("marian-dynamo", "encoder_model", tmp_path, apply))


def test_token_types_that_are_not_read_are_refused(tmp_path: Path) -> None:
    def apply(model: onnx.ModelProto) -> None:
        none = onnx.helper.make_node("Sub", ["token_type_ids", "token_type_ids"], ["none"])
        for node in model.graph.node:
            if "token_type_embeddings" in node.name:
                node.input[1] = "none"
        model.graph.node.insert(0, none)

    with pytest.raises(UnsupportedModelError, match="/embeddings/Add"):
        read_model(_written("bert-cls", "model", tmp_path, apply))


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


def _swap(node: onnx.NodeProto, names: Sequence[str], i: int, j: int) -> None:
    swapped = [*names]
    swapped[i], swapped[j] = swapped[j], swapped[i]
    (node.input if names is node.input else node.output)[:] = swapped


CACHES: dict[str, Change] = {
    "past": lambda node: _swap(node, node.input, 3, 4),
    "present": lambda node: _swap(node, node.output, 1, 2),
    "lengths": lambda node: _swap(node, node.input, 5, 6),
}


@pytest.fixture(scope="module")
def grouped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("grouped") / "llama-tied"
    config = json.loads((FIXTURES / "llama-tied" / "config.json").read_text())
    frequencies = rotary_frequencies(config, config["head_dim"])

    def convert(path: Path, out: Path) -> None:
        with_grouped_attention(path, out, config, frequencies, False)

    return converted("llama-tied", folder, convert)


@pytest.mark.parametrize("change", CACHES)
def test_a_changed_cache_of_a_fused_attention_is_refused(
    change: str, grouped: Path, tmp_path: Path
) -> None:
    read_model(grouped)

    def apply(model: onnx.ModelProto) -> None:
        CACHES[change](next(node for node in model.graph.node if node.name == "grouped_0"))

    folder = _written(grouped.name, "model", tmp_path, apply, grouped.parent)
    with pytest.raises(UnsupportedModelError, match=r"model\.onnx: .*"):
        read_model(folder)


OUTPUTS = [
    ("gpt2", "model", "present.0.key", "present.0.value"),
    ("llama", "model", "present.0.key", "present.1.key"),
    ("bart", "decoder_model", "present.0.encoder.key", "present.0.encoder.value"),
    ("mbart", "decoder_model_merged", "present.0.decoder.value", "present.1.decoder.value"),
]


@pytest.mark.parametrize(("name", "file", "first", "second"), OUTPUTS)
def test_keys_and_values_given_back_under_other_names_are_refused(
    name: str, file: str, first: str, second: str, tmp_path: Path
) -> None:
    def apply(model: onnx.ModelProto) -> None:
        swap_names(model.graph, first, second)

    with pytest.raises(UnsupportedModelError, match=rf"{file}\.onnx: .*'{first}'"):
        read_model(_written(name, file, tmp_path, apply))


def test_random_changes() -> None:
    outcomes = [try_mutation(seed) for seed in range(100)]
    assert [outcome for outcome in outcomes if outcome.kind == DIFFERENT] == []
    assert sum(outcome.kind == REFUSED for outcome in outcomes) > 15
