"""Whatever is wrong with a model folder, the error says what, where, and what was expected."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_onnx
from onnx import helper, numpy_helper
from tiny_onnx import refuse

from pyengine.errors import ModelFormatError, ModelNotFoundError, UnsupportedModelError
from pyengine.models import read_model, storage


def test_the_tiny_folder_is_sound(tmp_path: Path) -> None:
    assert len(read_model(tiny_onnx.write(tmp_path)).tensors) > 40


# Files


def test_no_such_folder(tmp_path: Path) -> None:
    refuse(tmp_path / "none", ModelNotFoundError, "none", "does not exist")
    with pytest.raises(FileNotFoundError):
        read_model(tmp_path / "none")


def test_a_file_instead_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    refuse(tmp_path / "file", ModelNotFoundError, "not a folder")


def test_an_empty_folder(tmp_path: Path) -> None:
    refuse(tmp_path, ModelNotFoundError, "encoder_model.onnx", "decoder_model_merged.onnx", "onnx")


@pytest.mark.parametrize("name", ["config.json", "encoder_model.onnx", "decoder_model.onnx"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    (tiny_onnx.write(tmp_path) / name).unlink()
    refuse(tmp_path, ModelNotFoundError, name)


@pytest.mark.parametrize("size", [0, 1, 100, 0.5, 0.99])
@pytest.mark.parametrize("name", ["encoder_model.onnx", "decoder_model.onnx"])
def test_truncated(tmp_path: Path, name: str, size: float) -> None:
    path = tiny_onnx.write(tmp_path) / name
    data = path.read_bytes()
    path.write_bytes(data[: int(size if size >= 1 else size * len(data))])
    refuse(tmp_path, ModelFormatError, name)


@pytest.mark.parametrize(
    "data", [b"", b"\xff" * 100, b"<!DOCTYPE html>", b"version https://git-lfs"]
)
def test_garbage(tmp_path: Path, data: bytes) -> None:
    (tiny_onnx.write(tmp_path) / "encoder_model.onnx").write_bytes(data)
    refuse(tmp_path, ModelFormatError, "encoder_model.onnx", "not an ONNX file")


# config.json


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["config.json", "not JSON"]),
        ("{", ["config.json", "not JSON"]),
        ("[" * 100_000, ["config.json", "not JSON"]),
        ("\xff\xfe", ["config.json", "not JSON"]),
        ("[1, 2]", ["config.json", "list", "object"]),
        ('"marian"', ["config.json", "str", "object"]),
    ],
)
def test_config_is_no_object(tmp_path: Path, text: str, words: list[str]) -> None:
    (tiny_onnx.write(tmp_path) / "config.json").write_bytes(text.encode("latin-1"))
    refuse(tmp_path, ModelFormatError, *words)


def test_generation_config_is_no_object(tmp_path: Path) -> None:
    (tiny_onnx.write(tmp_path) / "generation_config.json").write_text("3")
    refuse(tmp_path, ModelFormatError, "generation_config.json", "int", "object")


@pytest.mark.parametrize("model_type", [None, "t6", 7, ["marian"], {"a": 1}])
def test_unknown_model_type_lists_the_known(tmp_path: Path, model_type: Any) -> None:
    folder = tiny_onnx.write(tmp_path, model_type=model_type)
    refuse(folder, UnsupportedModelError, repr(model_type), "marian", "transformer")


@pytest.mark.parametrize(
    "name",
    [
        "d_model",
        "vocab_size",
        "max_position_embeddings",
        "encoder_layers",
        "decoder_attention_heads",
        "decoder_ffn_dim",
    ],
)
def test_config_field_missing_or_wrong(tmp_path: Path, name: str) -> None:
    refuse(tiny_onnx.write(tmp_path, **{name: None}), ModelFormatError, repr(name), "missing")
    for value in ("4", 4.0, True, 0, -3, [4], 10**12, float("nan")):
        folder = tiny_onnx.write(tmp_path, **{name: value})
        refuse(folder, ModelFormatError, name, repr(value), "expected an integer")


def test_config_flag_of_the_wrong_type(tmp_path: Path) -> None:
    folder = tiny_onnx.write(tmp_path, scale_embedding=1)
    refuse(folder, ModelFormatError, "scale_embedding is 1", "true or false")


@pytest.mark.parametrize("name", ["quick_gelu", "tanh"])
def test_unsupported_activation(tmp_path: Path, name: str) -> None:
    folder = tiny_onnx.write(tmp_path, activation_function=name)
    refuse(folder, UnsupportedModelError, "activation_function", name, "relu, silu, swish, gelu")


def test_heads_that_do_not_divide(tmp_path: Path) -> None:
    folder = tiny_onnx.write(tmp_path, decoder_attention_heads=3)
    refuse(folder, ModelFormatError, "decoder_attention_heads is 3", "hidden size 4")


# The configuration against the graph


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"encoder_layers": 2}, ["encoder_model.onnx", "encoder_layers", "found 1, expected 2"]),
        ({"decoder_layers": 3}, ["decoder_model.onnx", "decoder_layers", "found 1, expected 3"]),
        ({"scale_embedding": False}, ["factor on the embeddings", "2.0", "1.0"]),
        ({"activation_function": "gelu"}, ["activation_function", "found relu, expected gelu"]),
        (
            {"vocab_size": 11},
            ["encoder_model.onnx", "encoder.embed_tokens.weight", "[9, 4]", "[11, 4]"],
        ),
        (
            {"decoder_ffn_dim": 5},
            ["decoder_model.onnx", "decoder.layers.0.fc1.weight", "[4, 6]", "[4, 5]"],
        ),
        ({"max_position_embeddings": 7}, ["encoder.embed_positions.weight", "[8, 4]", "[7, 4]"]),
        ({"d_model": 16}, ["width of the encoder's attention heads", "found 2, expected 8"]),
    ],
)
def test_config_contradicts_graph(tmp_path: Path, fields: dict[str, Any], words: list[str]) -> None:
    refuse(tiny_onnx.write(tmp_path, **fields), ModelFormatError, *words)


def copy_fixture(tmp_path: Path, name: str, **changes: Any) -> Path:
    """A copy of a fixture with other fields in config.json; None leaves one out."""
    folder = tmp_path / "copy"
    shutil.copytree(Path(__file__).parents[1] / "fixtures" / name, folder)
    config = json.loads((folder / "config.json").read_text()) | changes
    config = {field: value for field, value in config.items() if value is not None}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_defaults_of_the_reference_model_are_the_papers(tmp_path: Path) -> None:
    absent = dict.fromkeys(("scale_embedding", "activation_function", "layer_norm_eps"))
    read_model(copy_fixture(tmp_path, "transformer-prenorm", **absent))


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("layer_norm_eps", 1e-6, ["epsilon", "1e-06"]),
        ("layer_norm_eps", 0, ["layer_norm_eps is 0", "positive"]),
        ("layer_norm_eps", "1e-5", ["layer_norm_eps is '1e-5'", "positive"]),
        ("normalize_before", False, ["has no place"]),
        ("activation_function", "silu", ["found relu, expected silu"]),
    ],
)
def test_reference_config_contradicts_graph(
    tmp_path: Path, field: str, value: Any, words: list[str]
) -> None:
    folder = copy_fixture(tmp_path, "transformer-prenorm", **{field: value})
    kind = UnsupportedModelError if words == ["has no place"] else ModelFormatError
    refuse(folder, kind, *words)


@pytest.mark.parametrize("stack", ["encoder", "decoder"])
@pytest.mark.parametrize(
    ("name", "heads", "words"),
    [
        ("marian-split", 2, "found 8, expected 16"),
        ("marian-merged", 4, "found 24, expected 12"),
        ("transformer-prenorm", 4, "found 8, expected 6"),
    ],
)
def test_heads_contradict(tmp_path: Path, name: str, stack: str, heads: int, words: str) -> None:
    folder = copy_fixture(tmp_path, name, **{f"{stack}_attention_heads": heads})
    refuse(folder, ModelFormatError, f"width of the {stack}'s attention heads", words)


def test_embeddings_that_the_graph_does_not_scale(tmp_path: Path) -> None:
    encoder = tiny_onnx.encoder()
    scaled = tiny_onnx.node(encoder, "/Mul")
    for node in encoder.graph.node:
        for i, name in enumerate(node.input):
            node.input[i] = scaled.input[0] if name == scaled.output[0] else name
    encoder.graph.node.remove(scaled)
    folder = tiny_onnx.write(tmp_path, encoder)
    refuse(folder, ModelFormatError, "factor on the embeddings", "found 1.0, expected 2.0")


def test_gemm_that_scales(tmp_path: Path) -> None:
    encoder = tiny_onnx.encoder()
    product = tiny_onnx.node(encoder, "fc1/MatMul")
    product.op_type = "Gemm"
    product.attribute.append(helper.make_attribute("alpha", 0.5))
    refuse(tiny_onnx.write(tmp_path, encoder), UnsupportedModelError, "Gemm", "layers.0/fc1")


def test_layer_norm_epsilon_contradicts(tmp_path: Path) -> None:
    encoder = tiny_onnx.encoder()
    norm = tiny_onnx.node(encoder, "final_layer_norm/LayerNormalization")
    norm.attribute[0].f = 1e-6
    refuse(tiny_onnx.write(tmp_path, encoder), ModelFormatError, "epsilon", "1e-05")


# The graph


def test_another_architecture(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("Conv", ["image", "kernel"], ["features"], "/conv1/Conv")],
        "classifier",
        [helper.make_tensor_value_info("image", 1, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("features", 1, [1, 4, 6, 6])],
        [numpy_helper.from_array(np.zeros((4, 3, 3, 3), np.float32), "kernel")],
    )
    folder = tiny_onnx.write(tmp_path, helper.make_model(graph))
    refuse(folder, UnsupportedModelError, "encoder_model.onnx", "last_hidden_state", "features")


@pytest.mark.parametrize("name", ["fc1", "self_attn/q_proj", "encoder_attn_layer_norm"])
def test_a_module_is_missing(tmp_path: Path, name: str) -> None:
    decoder = tiny_onnx.decoder()
    for node in decoder.graph.node:
        node.name = node.name.replace(f"layers.0/{name}/", "layers.0/other/")
        if node.op_type == "Softmax":  # so that the data flow does not show it either
            node.op_type = "Elu"
    folder = tiny_onnx.write(tmp_path, decoder_model=decoder)
    canonical = f"decoder.layers.0.{name.replace('/', '.')}"
    refuse(folder, UnsupportedModelError, "decoder_model.onnx", canonical, f"layers.0/{name}")


def test_a_missing_bias(tmp_path: Path) -> None:
    encoder = tiny_onnx.encoder()
    add = tiny_onnx.node(encoder, "fc2/Add")
    product = add.input[1]
    bias = tiny_onnx.initializer(encoder, add.input[0])
    encoder.graph.initializer.remove(bias)
    for node in encoder.graph.node:
        for i, name in enumerate(node.input):
            node.input[i] = product if name == add.output[0] else name
    encoder.graph.node.remove(add)
    folder = tiny_onnx.write(tmp_path, encoder)
    refuse(folder, UnsupportedModelError, "encoder.layers.0.fc2.bias", "MatMul", "Add")


def test_a_quantised_product(tmp_path: Path) -> None:
    encoder = tiny_onnx.encoder()
    tiny_onnx.node(encoder, "fc1/MatMul").op_type = "MatMulInteger"
    folder = tiny_onnx.write(tmp_path, encoder)
    refuse(folder, UnsupportedModelError, "fc1/MatMul", "DynamicQuantizeLinear before it")


def test_no_logits(tmp_path: Path) -> None:
    folder = tiny_onnx.write(tmp_path, decoder_model=tiny_onnx.encoder())
    refuse(folder, UnsupportedModelError, "decoder_model.onnx")


@pytest.mark.parametrize("dtype", [np.complex64, np.int16, np.int8])
def test_wrong_dtype(tmp_path: Path, dtype: type) -> None:
    encoder = tiny_onnx.encoder()
    name = tiny_onnx.node(encoder, "fc1/MatMul").input[1]
    tensor = tiny_onnx.initializer(encoder, name)
    tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(dtype), name))
    words = [name, "encoder_model.onnx", "supported are float32, uint8, int8, int32"]
    if dtype is np.int8:
        words = [name, "has no DequantizeLinear"]
    refuse(tiny_onnx.write(tmp_path, encoder), UnsupportedModelError, *words)


@pytest.mark.parametrize("shape", [(3, 3), (2, 3, 4), (5,)])
@pytest.mark.parametrize("is_read", [False, True])
def test_an_extra_weight(tmp_path: Path, shape: tuple[int, ...], is_read: bool) -> None:
    encoder = tiny_onnx.encoder()
    extra = numpy_helper.from_array(np.ones(shape, np.float32), "adapter.weight")
    encoder.graph.initializer.append(extra)
    if is_read:
        node = helper.make_node("Mul", ["last_hidden_state", "adapter.weight"], ["y"], "/adapter/M")
        encoder.graph.node.append(node)
    folder = tiny_onnx.write(tmp_path, encoder)
    refuse(folder, UnsupportedModelError, "adapter.weight", str(list(shape)), "encoder_model.onnx")


def test_an_extra_weight_in_a_constant_node(tmp_path: Path) -> None:
    encoder = tiny_onnx.encoder()
    value = numpy_helper.from_array(np.ones((3, 3), np.float32), "value")
    encoder.graph.node.append(helper.make_node("Constant", [], ["prompt"], "Constant", value=value))
    refuse(tiny_onnx.write(tmp_path, encoder), UnsupportedModelError, "prompt", "[3, 3]")


def test_two_values_for_one_row(tmp_path: Path) -> None:
    encoder = tiny_onnx.encoder()
    first = tiny_onnx.node(encoder, "fc1/MatMul")
    encoder.graph.initializer.append(numpy_helper.from_array(np.ones((4, 6), np.float32), "second"))
    node = helper.make_node("MatMul", [first.input[0], "second"], ["y"], "/layers.0/fc1/MatMul_1")
    encoder.graph.node.append(node)
    encoder.graph.node.append(helper.make_node("Relu", ["y"], ["z"], "/Relu"))
    folder = tiny_onnx.write(tmp_path, encoder)
    refuse(folder, ModelFormatError, "encoder.layers.0.fc1.weight", "different", "'second'")


@pytest.mark.parametrize(
    "dims", [[2**31, 2**31], [2**62, 4], [-4, -6], [0, 6], [4, 7], [24], [2**63 - 1] * 8]
)
def test_absurd_dims(tmp_path: Path, dims: list[int]) -> None:
    encoder = tiny_onnx.encoder()
    name = tiny_onnx.node(encoder, "fc1/MatMul").input[1]
    del tiny_onnx.initializer(encoder, name).dims[:]
    tiny_onnx.initializer(encoder, name).dims.extend(dims)
    folder = tiny_onnx.write(tmp_path, encoder)
    refuse(folder, ModelFormatError, "encoder.layers.0.fc1.weight", name)


def test_absurdly_many_dims(tmp_path: Path) -> None:
    encoder = tiny_onnx.encoder()
    tiny_onnx.initializer(encoder, "scale").dims.extend([2**62] * 20_000)
    refuse(tiny_onnx.write(tmp_path, encoder), ModelFormatError, "'scale'", "20000 dimensions")


@pytest.mark.parametrize(
    "name", ["/a" * 300_000, "/layers." + "9" * 5000 + "/fc1/MatMul", "/layers.99999/fc1/MatMul"]
)
def test_absurd_node_names(tmp_path: Path, name: str) -> None:
    encoder = tiny_onnx.encoder()
    encoder.graph.node.append(helper.make_node("Identity", ["x"], ["y"], name))
    folder = tiny_onnx.write(tmp_path, encoder)
    if "99999/" in name and len(name) < 100:
        refuse(folder, ModelFormatError, "encoder_layers", "found 100000, expected 1")
    else:
        read_model(folder)


def test_nodes_that_all_read_each_other(tmp_path: Path) -> None:
    encoder = tiny_onnx.encoder()
    x = tiny_onnx.node(encoder, "fc1/Add").output[0]
    for i in range(300):
        encoder.graph.node.append(helper.make_node("Add", [x, x], [x], f"/Add_{i}"))
    tiny_onnx.node(encoder, "Relu").op_type = "Softplus"
    words = ["activation_function", "none known after layers.0/fc1", "expected relu"]
    refuse(tiny_onnx.write(tmp_path, encoder), ModelFormatError, *words)


def test_absurd_dims_of_a_scalar(tmp_path: Path) -> None:
    encoder = tiny_onnx.encoder()
    tiny_onnx.initializer(encoder, "scale").dims.extend([-1, -1])
    refuse(tiny_onnx.write(tmp_path, encoder), ModelFormatError, "'scale'", "[-1, -1]")


@pytest.mark.parametrize("place", ["/layers.0/fc1/MatMul", "onnx::MatMul_13", "last_hidden_state"])
def test_a_name_that_is_not_utf8(tmp_path: Path, place: str) -> None:
    path = tiny_onnx.write(tmp_path) / "encoder_model.onnx"
    name = place.encode()
    path.write_bytes(path.read_bytes().replace(name, b"\xff" + name[1:]))
    refuse(tmp_path, ModelFormatError, "encoder_model.onnx", "UTF-8")


@pytest.mark.parametrize("small", [0, 1024])
@pytest.mark.parametrize("size", [0, 4, 92, 100])
def test_data_of_the_wrong_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, small: int
) -> None:
    monkeypatch.setattr(storage, "_SMALL", small)
    encoder = tiny_onnx.encoder()
    name = tiny_onnx.node(encoder, "fc1/MatMul").input[1]
    tiny_onnx.initializer(encoder, name).raw_data = b"\0" * size
    folder = tiny_onnx.write(tmp_path, encoder)
    refuse(folder, ModelFormatError, name, f"holds {size} bytes", "expected 96")


def test_data_that_overruns_its_tensor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "_SMALL", 0)
    encoder = tiny_onnx.encoder()
    name = tiny_onnx.node(encoder, "fc1/MatMul").input[1]
    tensor = tiny_onnx.initializer(encoder, name)
    path = tiny_onnx.write(tmp_path) / "encoder_model.onnx"
    data = path.read_bytes()
    field = b"\x4a\x60" + tensor.raw_data  # tag of raw_data, 96
    assert data.count(field) == 1
    path.write_bytes(data.replace(field, b"\x4a\x64" + tensor.raw_data))
    refuse(tmp_path, ModelFormatError, "encoder_model.onnx", "truncated")


def test_data_given_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "_SMALL", 90)
    encoder = tiny_onnx.encoder()
    name = tiny_onnx.node(encoder, "fc1/MatMul").input[1]
    folder = tiny_onnx.write(tmp_path)
    tensor = tiny_onnx.initializer(encoder, name).SerializeToString()
    longer = tensor + b"\x4a\x02\x00\x00"  # once more raw_data, of two bytes
    graph = encoder.graph.SerializeToString()
    changed = graph.replace(
        bytes([0x2A, len(tensor)]) + tensor, bytes([0x2A, len(longer)]) + longer
    )
    model = bytes([0x3A]) + storage._varint(len(changed)) + changed
    (folder / "encoder_model.onnx").write_bytes(model)
    refuse(folder, ModelFormatError, name, "twice")


def test_a_cycle_of_identities(tmp_path: Path) -> None:
    encoder = tiny_onnx.encoder()
    product = tiny_onnx.node(encoder, "fc1/MatMul")
    product.input[1] = "a"
    encoder.graph.node.append(helper.make_node("Identity", ["a"], ["b"], "/i1"))
    encoder.graph.node.append(helper.make_node("Identity", ["b"], ["a"], "/i2"))
    folder = tiny_onnx.write(tmp_path, encoder)
    refuse(folder, UnsupportedModelError, "encoder.layers.0.fc1.weight")


def test_an_initializer_twice(tmp_path: Path) -> None:
    encoder = tiny_onnx.encoder()
    encoder.graph.initializer.append(encoder.graph.initializer[0])
    refuse(tiny_onnx.write(tmp_path, encoder), ModelFormatError, "defined twice")


def test_model_files_may_be_links(tmp_path: Path) -> None:
    """The cache of the Hugging Face hub keeps every file as a link to a blob elsewhere."""
    blobs, folder = tiny_onnx.write(tmp_path / "blobs"), tmp_path / "snapshot"
    folder.mkdir()
    for path in blobs.iterdir():
        (folder / path.name).symlink_to(path)
    read_model(folder)
