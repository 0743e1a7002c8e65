"""The same weights, written as different exporters write them, are read alike."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import tiny_onnx
from onnx import helper, numpy_helper

from pyengine.errors import ModelFormatError
from pyengine.models import read_model


def assert_same_tensors(folder: Path, plain: Path) -> None:
    found, expected = read_model(folder).tensors, read_model(plain).tensors
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert np.array_equal(found[name], tensor), name


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    return tiny_onnx.write(tmp_path / "plain")


def replace(model: onnx.ModelProto, old: onnx.NodeProto, *new: onnx.NodeProto) -> None:
    nodes = list(model.graph.node)
    at = nodes.index(old)
    del model.graph.node[:]
    model.graph.node.extend([*nodes[:at], *new, *nodes[at + 1 :]])


def test_values_match_the_initializers(plain: Path) -> None:
    tensors = read_model(plain).tensors
    decoder = tiny_onnx.decoder()
    product = tiny_onnx.node(decoder, "layers.0/fc1/MatMul").input[1]
    stored = numpy_helper.to_array(tiny_onnx.initializer(decoder, product))
    assert np.array_equal(tensors["decoder.layers.0.fc1.weight"], stored)
    assert tensors["lm_head.bias"].shape == (tiny_onnx.VOCAB,)


def quantize(encoder: onnx.ModelProto, axis: int | None, *more: str) -> np.ndarray:
    """fc1's weight as int8 ones behind a DequantizeLinear; its scales, one or one an `axis`."""
    product = tiny_onnx.node(encoder, "fc1/MatMul")
    weight = tiny_onnx.initializer(encoder, product.input[1])
    shape = numpy_helper.to_array(weight).shape
    weight.CopyFrom(numpy_helper.from_array(np.ones(shape, np.int8), weight.name))
    scale = np.float32(0.5) if axis is None else np.arange(1, shape[axis] + 1, dtype=np.float32)
    encoder.graph.initializer.append(numpy_helper.from_array(np.asarray(scale), "fc1_scale"))
    inputs = [weight.name, "fc1_scale", *more]
    attributes = {} if axis is None else {"axis": axis}
    node = helper.make_node(
        "DequantizeLinear", inputs, ["wide"], "/layers.0/fc1/DequantizeLinear", **attributes
    )
    replace(encoder, product, node, product)
    next(n for n in encoder.graph.node if n.name == product.name).input[1] = "wide"
    return scale


@pytest.mark.parametrize("axis", [None, 1, -1])
def test_int8_weights(tmp_path: Path, axis: int | None) -> None:
    encoder = tiny_onnx.encoder()
    scale = quantize(encoder, axis)
    tensors = read_model(tiny_onnx.write(tmp_path, encoder)).tensors
    name = "encoder.layers.0.fc1.weight"
    assert tensors[name].dtype == np.int8 and (tensors[name] == 1).all()
    found = tensors[f"{name}_scale"]
    assert found.shape == (tiny_onnx.FFN,) and np.array_equal(found, np.full_like(found, scale))


@pytest.mark.parametrize("transposed", ["before", "after"])
def test_int8_weights_that_are_transposed(tmp_path: Path, transposed: str) -> None:
    """Square, so that the shapes do not tell the axes; the scale is of each output."""
    encoder = tiny_onnx.encoder()
    product = tiny_onnx.node(encoder, "self_attn/q_proj/MatMul")
    weight = tiny_onnx.initializer(encoder, product.input[1])
    values = np.arange(tiny_onnx.HIDDEN**2).reshape(tiny_onnx.HIDDEN, -1).astype(np.int8)
    weight.CopyFrom(numpy_helper.from_array(values.T, weight.name))
    scale = np.arange(1, tiny_onnx.HIDDEN + 1, dtype=np.float32)
    encoder.graph.initializer.append(numpy_helper.from_array(scale, "q_scale"))
    path = product.name.rpartition("/")[0]
    names = [weight.name, "middle", "wide"]
    operators = ["Transpose", "DequantizeLinear"]
    for i, operator in enumerate(operators if transposed == "before" else operators[::-1]):
        is_scaled = operator == "DequantizeLinear"
        inputs = [names[i], "q_scale"] if is_scaled else [names[i]]
        attributes = {"axis": 1 if transposed == "before" else 0} if is_scaled else {}
        new = helper.make_node(operator, inputs, [names[i + 1]], f"{path}/{operator}", **attributes)
        encoder.graph.node.insert(list(encoder.graph.node).index(product), new)
    product.input[1] = "wide"
    tensors = read_model(tiny_onnx.write(tmp_path, encoder)).tensors
    name = "encoder.layers.0.self_attn.q_proj.weight"
    assert np.array_equal(tensors[name], values)
    assert np.array_equal(tensors[f"{name}_scale"], scale)


def test_int8_weights_with_other_scales(tmp_path: Path) -> None:
    """One for each input: no product of integers has them, so they are what they stand for."""
    encoder = tiny_onnx.encoder()
    scale = quantize(encoder, axis=0)
    tensors = read_model(tiny_onnx.write(tmp_path / "axis", encoder)).tensors
    name = "encoder.layers.0.fc1.weight"
    assert tensors[name].dtype == np.float32 and (tensors[name] == scale[:, None]).all()
    assert f"{name}_scale" not in tensors


@pytest.mark.parametrize("transposed", [0, 1])
def test_gemm(plain: Path, tmp_path: Path, transposed: int) -> None:
    encoder = tiny_onnx.encoder()
    product = tiny_onnx.node(encoder, "fc1/MatMul")
    add = tiny_onnx.node(encoder, "fc1/Add")
    weight = tiny_onnx.initializer(encoder, product.input[1])
    if transposed:
        turned = numpy_helper.to_array(weight).T.copy()
        weight.CopyFrom(numpy_helper.from_array(turned, weight.name))
    inputs = [product.input[0], weight.name, add.input[0]]
    gemm = helper.make_node(
        "Gemm", inputs, list(add.output), "/layers.0/fc1/Gemm", transB=transposed
    )
    replace(encoder, product)
    replace(encoder, add, gemm)
    assert_same_tensors(tiny_onnx.write(tmp_path / "gemm", encoder), plain)


def test_decomposed_layer_norm(plain: Path, tmp_path: Path) -> None:
    encoder = tiny_onnx.encoder()
    norm = tiny_onnx.node(encoder, "final_layer_norm/LayerNormalization")
    x, scale, bias = norm.input
    eps = numpy_helper.from_array(np.array(1e-5, np.float32), "eps")
    last = numpy_helper.from_array(np.array([-1], np.int64), "last")
    encoder.graph.initializer.extend([eps, last])
    path = "/layers.0/final_layer_norm"
    replace(
        encoder,
        norm,
        helper.make_node("ReduceMean", [x, "last"], ["mean"], f"{path}/ReduceMean"),
        helper.make_node("Sub", [x, "mean"], ["centred"], f"{path}/Sub"),
        helper.make_node("Mul", ["centred", "centred"], ["square"], f"{path}/Mul_2"),
        helper.make_node("ReduceMean", ["square", "last"], ["variance"], f"{path}/ReduceMean_1"),
        helper.make_node("Add", ["variance", "eps"], ["safe"], f"{path}/Add"),
        helper.make_node("Sqrt", ["safe"], ["deviation"], f"{path}/Sqrt"),
        helper.make_node("Div", ["centred", "deviation"], ["normal"], f"{path}/Div"),
        helper.make_node("Mul", ["normal", scale], ["scaled"], f"{path}/Mul"),
        helper.make_node("Add", ["scaled", bias], list(norm.output), f"{path}/Add_1"),
    )
    assert_same_tensors(tiny_onnx.write(tmp_path / "decomposed", encoder), plain)


def test_identity_transpose_and_constant_node(plain: Path, tmp_path: Path) -> None:
    encoder = tiny_onnx.encoder()
    product = tiny_onnx.node(encoder, "fc2/MatMul")
    weight = tiny_onnx.initializer(encoder, product.input[1])
    turned = numpy_helper.from_array(numpy_helper.to_array(weight).T.copy(), "value")
    encoder.graph.initializer.remove(weight)
    constant = helper.make_node("Constant", [], ["turned"], "Constant_7", value=turned)
    transpose = helper.make_node("Transpose", ["turned"], ["back"], "/Transpose", perm=[1, 0])
    identity = helper.make_node("Identity", ["back"], [product.input[1]], "/Identity")
    nodes = [constant, transpose, identity, *encoder.graph.node]
    del encoder.graph.node[:]
    encoder.graph.node.extend(nodes)
    assert_same_tensors(tiny_onnx.write(tmp_path / "folded", encoder), plain)


def test_float_data_instead_of_raw_data(plain: Path, tmp_path: Path) -> None:
    encoder = tiny_onnx.encoder()
    for tensor in encoder.graph.initializer:
        values = numpy_helper.to_array(tensor).ravel().tolist()
        tensor.ClearField("raw_data")
        tensor.float_data.extend(values)
    assert_same_tensors(tiny_onnx.write(tmp_path / "float_data", encoder), plain)


def merged(then_model: onnx.ModelProto, else_model: onnx.ModelProto) -> onnx.ModelProto:
    """One `If` whose branches hold the nodes; the initializers stay inside the branches."""
    choice = helper.make_tensor_value_info("use_cache_branch", onnx.TensorProto.BOOL, [1])
    inputs = [*else_model.graph.input, choice]
    branches = {"then_branch": then_model.graph, "else_branch": else_model.graph}
    for branch in branches.values():
        del branch.input[:]
    node = helper.make_node("If", ["use_cache_branch"], ["logits"], "optimum::if", **branches)
    graph = helper.make_graph([node], "merged", inputs, list(else_model.graph.output))
    return helper.make_model(graph)


def test_merged_decoder_with_copies_in_both_branches(plain: Path, tmp_path: Path) -> None:
    model = merged(tiny_onnx.decoder(), tiny_onnx.decoder())
    assert_same_tensors(tiny_onnx.write(tmp_path / "merged", decoder_model=model), plain)


def test_merged_decoder_with_different_branches_is_refused(tmp_path: Path) -> None:
    changed = tiny_onnx.decoder()
    name = tiny_onnx.node(changed, "fc1/MatMul").input[1]
    tensor = tiny_onnx.initializer(changed, name)
    tensor.raw_data = bytes([tensor.raw_data[0] ^ 1]) + tensor.raw_data[1:]
    folder = tiny_onnx.write(tmp_path, decoder_model=merged(changed, tiny_onnx.decoder()))
    with pytest.raises(ModelFormatError, match=r"decoder\.layers\.0\.fc1\.weight has different"):
        read_model(folder)


def test_transposed_copy_of_the_embedding_becomes_a_view(tmp_path: Path) -> None:
    decoder = tiny_onnx.decoder()
    table = numpy_helper.to_array(
        tiny_onnx.initializer(decoder, tiny_onnx.node(decoder, "shared/Gather").input[0])
    )
    head = tiny_onnx.initializer(decoder, list(decoder.graph.node)[-3].input[1])
    head.CopyFrom(numpy_helper.from_array(table.T.copy(), head.name))
    tensors = read_model(tiny_onnx.write(tmp_path, decoder_model=decoder)).tensors
    assert np.shares_memory(tensors["lm_head.weight"], tensors["decoder.embed_tokens.weight"])


@pytest.mark.parametrize("place", ["first", "last"])
def test_a_nearly_equal_table_is_no_copy(tmp_path: Path, place: str) -> None:
    decoder = tiny_onnx.decoder()
    table = numpy_helper.to_array(
        tiny_onnx.initializer(decoder, tiny_onnx.node(decoder, "shared/Gather").input[0])
    ).copy()
    head = tiny_onnx.initializer(decoder, list(decoder.graph.node)[-3].input[1])
    copy = table.T.copy()
    copy.flat[0 if place == "first" else -1] *= np.float32(1 + 1e-6)
    head.CopyFrom(numpy_helper.from_array(copy, head.name))
    tensors = read_model(tiny_onnx.write(tmp_path, decoder_model=decoder)).tensors
    assert np.array_equal(tensors["lm_head.weight"], copy)
