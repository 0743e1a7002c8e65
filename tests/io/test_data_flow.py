"""Graphs whose names say nothing are read like those whose nodes name their modules."""

import contextlib
import json
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from pyengine.errors import Error, ModelFormatError, UnsupportedModelError
from pyengine.models import read_model

FIXTURES = Path(__file__).parents[1] / "fixtures"
FOLDERS = sorted(path.parent.name for path in FIXTURES.glob("*/config.json"))


DYNAMO = sorted(name for name in FOLDERS if name.endswith("-dynamo") and name != "marian-dynamo")


class Renamer:
    """Gives every node, value and stored tensor of a model a random name, one for each old one."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._random = random.Random(0)
        graph = model.graph
        kept = [value.name for value in (*graph.input, *graph.output)]
        self._names = {name: name for name in ["", *kept]}
        self._graph(graph)

    def _graph(self, graph: onnx.GraphProto) -> None:
        for value in (*graph.initializer, *graph.input, *graph.output, *graph.value_info):
            value.name = self._new(value.name)
        for node in graph.node:
            node.name = f"n{self._random.getrandbits(64):x}"
            node.ClearField("metadata_props")
            for names in (node.input, node.output):
                names[:] = [self._new(name) for name in names]
            for attribute in node.attribute:
                if attribute.HasField("g"):
                    self._graph(attribute.g)

    def _new(self, name: str) -> str:
        return self._names.setdefault(name, f"v{self._random.getrandbits(64):x}")


def renamed(folder: Path, place: Path) -> Path:
    """A copy of a model folder whose graphs have random names."""
    shutil.copytree(folder, place)
    for path in place.rglob("*.onnx"):
        model = onnx.load(path, load_external_data=False)
        Renamer(model)
        onnx.save(model, path)
    return place


@pytest.mark.parametrize("name", FOLDERS)
def test_renamed_graphs_give_the_same_tensors(tmp_path: Path, name: str) -> None:
    found = read_model(renamed(FIXTURES / name, tmp_path / name)).tensors
    expected = read_model(FIXTURES / name).tensors
    assert found.keys() == expected.keys()
    for key, tensor in expected.items():
        assert found[key].dtype == tensor.dtype and np.array_equal(found[key], tensor), key


@pytest.mark.parametrize("name", DYNAMO)
def test_the_dynamo_exporters_graphs_give_the_same_tensors(name: str) -> None:
    found = read_model(FIXTURES / name).tensors
    expected = read_model(FIXTURES / name.removesuffix("-dynamo")).tensors
    assert found.keys() == expected.keys()
    for key, tensor in expected.items():
        assert np.array_equal(found[key], tensor), key


def changed(name: str, file: str, tmp_path: Path) -> tuple[Path, onnx.ModelProto]:
    """A renamed copy of a fixture, and the graph in it that a test is to change."""
    folder = renamed(FIXTURES / name, tmp_path / name)
    return folder, onnx.load(folder / file)


def bypass(graph: onnx.GraphProto, node: onnx.NodeProto, index: int = 0) -> None:
    """Take the node out: whatever read one of its outputs reads its input `index`."""
    for reader in graph.node:
        names = [node.input[index] if name in node.output else name for name in reader.input]
        reader.input[:] = names
    graph.node.remove(node)


def nodes_of(graph: onnx.GraphProto, *op_types: str) -> list[onnx.NodeProto]:
    return [node for node in graph.node if node.op_type in op_types]


def varies(graph: onnx.GraphProto, name: str) -> bool:
    return name not in {tensor.name for tensor in graph.initializer}


# The decoder of transformer-ssru holds LayerNormalization 6, Softmax 2, Relu 4 (two of them in the
# recurrent units), Sigmoid 2 and Scan 2.
@pytest.mark.parametrize(
    ("op_type", "index"),
    [
        *(("LayerNormalization", i) for i in range(6)),
        *(("Softmax", i) for i in range(2)),
        *(("Relu", i) for i in range(4)),
        *(("Sigmoid", i) for i in range(2)),
        *(("Scan", i) for i in range(2)),
    ],
)
def test_a_missing_operator_is_an_error(tmp_path: Path, op_type: str, index: int) -> None:
    folder, model = changed("transformer-ssru", "decoder_model.onnx", tmp_path)
    node = nodes_of(model.graph, op_type)[index]
    bypass(model.graph, node)
    onnx.save(model, folder / "decoder_model.onnx")
    with pytest.raises(Error, match=r"decoder_model\.onnx: .*(decoder\.|activation_function)"):
        read_model(folder)


@pytest.mark.parametrize("term", [0, 1])
def test_a_missing_residual_connection_is_an_error(tmp_path: Path, term: int) -> None:
    """Post-norm, so that only residual sums enter the norms."""
    original = onnx.load(FIXTURES / "transformer-ssru" / "decoder_model.onnx")
    for i in range(len(nodes_of(original.graph, "LayerNormalization"))):
        folder, model = changed("transformer-ssru", "decoder_model.onnx", tmp_path / str(i))
        entered = nodes_of(model.graph, "LayerNormalization")[i].input[0]
        bypass(model.graph, next(n for n in model.graph.node if entered in n.output), term)
        onnx.save(model, folder / "decoder_model.onnx")
        with pytest.raises(UnsupportedModelError, match=r"decoder_model\.onnx: .*a residual sum"):
            read_model(folder)


def test_swapped_weights_are_read_as_the_graph_computes_them(tmp_path: Path) -> None:
    folder, model = changed("transformer-ssru", "decoder_model.onnx", tmp_path)
    products = [n for n in nodes_of(model.graph, "MatMul") if not varies(model.graph, n.input[1])]
    expected = read_model(folder).tensors
    q, k = (f"decoder.layers.0.encoder_attn.{letter}_proj.weight" for letter in "qk")
    nodes = {}
    for node in products:
        tensor = next(t for t in model.graph.initializer if t.name == node.input[1])
        for name in (q, k):
            if np.array_equal(numpy_helper.to_array(tensor), expected[name]):
                nodes[name] = node
    nodes[q].input[1], nodes[k].input[1] = nodes[k].input[1], nodes[q].input[1]
    onnx.save(model, folder / "decoder_model.onnx")
    found = read_model(folder).tensors
    assert np.array_equal(found[q], expected[k]) and np.array_equal(found[k], expected[q])


def test_swapped_weights_of_other_shapes_are_an_error(tmp_path: Path) -> None:
    folder, model = changed("transformer-ssru", "encoder_model.onnx", tmp_path)
    products = [n for n in nodes_of(model.graph, "MatMul") if not varies(model.graph, n.input[1])]
    first, second = products[4], products[5]  # fc1 and fc2 of layer 0
    first.input[1], second.input[1] = second.input[1], first.input[1]
    onnx.save(model, folder / "encoder_model.onnx")
    with pytest.raises(ModelFormatError, match=r"encoder\.layers\.0\.fc1\.weight .* expected"):
        read_model(folder)


def test_keys_of_another_value_are_an_error(tmp_path: Path) -> None:
    folder, model = changed("transformer-ssru", "decoder_model.onnx", tmp_path)
    graph = model.graph
    node = next(n for n in nodes_of(graph, "MatMul") if n.input[0] == "encoder_hidden_states")
    node.input[0] = nodes_of(graph, "LayerNormalization")[0].output[0]
    onnx.save(model, folder / "decoder_model.onnx")
    with pytest.raises(UnsupportedModelError, match=r"encoder_attn .*of encoder_hidden_states"):
        read_model(folder)


def test_queries_of_another_value_are_an_error(tmp_path: Path) -> None:
    folder, model = changed("transformer-prenorm", "encoder_model.onnx", tmp_path)
    products = [n for n in nodes_of(model.graph, "MatMul") if not varies(model.graph, n.input[1])]
    products[1].input[0] = nodes_of(model.graph, "Gather")[0].output[0]
    onnx.save(model, folder / "encoder_model.onnx")
    with pytest.raises(UnsupportedModelError, match=r"self_attn .*one input of all its products"):
        read_model(folder)


@pytest.mark.parametrize(
    ("name", "fields", "words"),
    [
        (
            "marian-odd",
            {"encoder_layers": 2},
            r"encoder\.layers\.0\.final_layer_norm not .*a layer_norm",
        ),
        ("marian-split", {"encoder_layers": 1}, r"encoder embeddings \(before 1 layer\)"),
        ("marian-odd", {"scale_embedding": False}, "the factor on the embeddings"),
        ("marian-odd", {"activation_function": "relu"}, "relu after it, not gelu"),
        ("marian-odd", {"encoder_attention_heads": 6}, "scores times 0.288"),
        (
            "transformer-prenorm",
            {"normalize_before": False},
            r"encoder\.layers\.1 not .*from the residual",
        ),
        ("transformer-prenorm", {"layer_norm_eps": 1e-6}, "epsilon"),
        ("transformer-ssru", {"decoder_kind": "self_attention"}, r"decoder\.layers\.1\.self_attn"),
        ("mt5", {"is_gated_act": False}, r"encoder\.layers\.\d\.fc1"),
        ("t5", {"is_gated_act": True}, r"encoder\.layers\.\d\.gate"),
        ("mt5", {"tie_word_embeddings": True}, "factor on the last hidden states"),
        ("gpt2", {"model_type": "llama"}, "config.json"),
    ],
)
def test_config_contradicts_the_data_flow(
    tmp_path: Path, name: str, fields: dict[str, Any], words: str
) -> None:
    folder = renamed(FIXTURES / name, tmp_path / name)
    config = json.loads((folder / "config.json").read_text()) | fields
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(Error, match=words):
        read_model(folder)


def test_scores_that_are_scaled_otherwise(tmp_path: Path) -> None:
    folder, model = changed("transformer-ssru", "decoder_model.onnx", tmp_path)
    softmax = nodes_of(model.graph, "Softmax")[1]
    add = next(node for node in model.graph.node if softmax.input[0] in node.output)
    scale = next(node for node in model.graph.node if add.input[0] in node.output)
    bypass(model.graph, scale)
    onnx.save(model, folder / "decoder_model.onnx")
    with pytest.raises(UnsupportedModelError, match=r"1\.encoder_attn .*0\.353553, not 1, found"):
        read_model(folder)


def clamp(graph: onnx.GraphProto, name: str, bound: float) -> None:
    """Keep a value within +-bound in whatever reads it, as T5 does in float16."""
    limit = numpy_helper.from_array(np.array(bound, np.float32), f"{name}_limit")
    lower, upper, kept = (f"{name}_{word}" for word in ("lower", "upper", "kept"))
    for node in graph.node:
        node.input[:] = [kept if read == name else read for read in node.input]
    graph.initializer.append(limit)
    inputs = [("Neg", [limit.name], lower), ("Max", [name, lower], upper)]
    for op_type, read, written in (*inputs, ("Min", [upper, limit.name], kept)):
        graph.node.append(helper.make_node(op_type, read, [written]))


@pytest.mark.parametrize("bound", [64504.0, 10.0])
def test_clamps_to_the_range_of_float16(tmp_path: Path, bound: float) -> None:
    folder, model = changed("transformer-prenorm", "encoder_model.onnx", tmp_path)
    norms = nodes_of(model.graph, "LayerNormalization")
    for name in {norm.input[0] for norm in norms[1:]}:  # residual sums
        clamp(model.graph, name, bound)
    onnx.save(model, folder / "encoder_model.onnx")
    if bound < 64000:
        with pytest.raises(UnsupportedModelError, match=r"a residual sum, found Min"):
            read_model(folder)
    else:
        expected = read_model(FIXTURES / "transformer-prenorm").tensors
        assert read_model(folder).tensors.keys() == expected.keys()


def test_one_branch_of_a_merged_decoder_differs(tmp_path: Path) -> None:
    folder, model = changed("marian-merged", "onnx/decoder_model_merged.onnx", tmp_path)
    choice = next(node for node in model.graph.node if node.op_type == "If")
    graph = choice.attribute[0].g
    bypass(graph, nodes_of(graph, "LayerNormalization")[1])
    onnx.save(model, folder / "onnx/decoder_model_merged.onnx")
    with pytest.raises(UnsupportedModelError, match=r"decoder\.layers\.0\.encoder_attn_layer_norm"):
        read_model(folder)


def mangle(graph: onnx.GraphProto, rng: random.Random) -> None:
    """A few random changes of nodes: other inputs, other operators, none, or a cycle."""
    values = [name for node in graph.node for name in (*node.input, *node.output)]
    for _ in range(rng.randint(1, 3)):
        node = rng.choice(graph.node)
        kind = rng.randrange(5)
        if kind == 0 and node.input:
            node.input[rng.randrange(len(node.input))] = rng.choice(values)
        elif kind == 1:
            node.op_type = rng.choice(graph.node).op_type
        elif kind == 2 and node.input:
            del node.input[rng.randrange(len(node.input)) :]
        elif kind == 3 and node.input:
            node.input[0] = rng.choice(node.output)
        else:
            graph.node.remove(node)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("transformer-ssru", "decoder_model.onnx"),
        ("t5", "decoder_model.onnx"),
        ("llama-tied-dynamo", "model.onnx"),
        ("xlm-roberta-cls-dynamo", "model.onnx"),
    ],
)
def test_a_mangled_graph_is_read_or_refused(tmp_path: Path, name: str, file: str) -> None:
    folder, model = changed(name, file, tmp_path)
    data, rng = model.SerializeToString(), random.Random(1)
    for _ in range(60):
        mangled = onnx.ModelProto.FromString(data)
        mangle(mangled.graph, rng)
        onnx.save(mangled, folder / file)
        with contextlib.suppress(Error):
            read_model(folder)
