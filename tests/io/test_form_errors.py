"""Quantised files that contradict themselves: the error names the node or the tensor, what was
found and what was expected."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from export_forms import Convert, blocks, converted, dynamic, transformers_optimised
from onnx import numpy_helper
from onnxruntime.quantization import QuantType
from tiny_onnx import initializer, refuse

from pyengine.errors import Error, ModelFormatError, UnsupportedModelError

QUERY = "layer.0/attention/self/query/MatMul"


def damaged(out: Path, convert: Convert, damage: Callable[[onnx.ModelProto], None]) -> Path:
    """bert-cls converted and damaged."""
    folder = converted("bert-cls", out, convert)
    model = onnx.load(folder / "model.onnx")
    damage(model)
    onnx.save(model, folder / "model.onnx")
    return folder


def named(model: onnx.ModelProto, part: str, op_type: str) -> onnx.NodeProto:
    return next(n for n in model.graph.node if part in n.name and n.op_type == op_type)


def set_tensor(model: onnx.ModelProto, name: str, values: np.ndarray) -> None:
    initializer(model, name).CopyFrom(numpy_helper.from_array(values, name))


def scale_of(model: onnx.ModelProto) -> str:
    """The name of the scale of the first query's weight."""
    weight = named(model, QUERY, "MatMulInteger").input[1]
    return weight.replace("_quantized", "_scale")


def wrong_number_of_scales(model: onnx.ModelProto) -> None:
    set_tensor(model, scale_of(model), np.ones(7, np.float32))


def wrong_type_of_scale(model: onnx.ModelProto) -> None:
    set_tensor(model, scale_of(model), np.ones(64, np.int8))


def wrong_type_of_zero_point(model: onnx.ModelProto) -> None:
    set_tensor(model, named(model, QUERY, "MatMulInteger").input[3], np.zeros(64, np.int8))


def wrong_number_of_zero_points(model: onnx.ModelProto) -> None:
    set_tensor(model, named(model, QUERY, "MatMulInteger").input[3], np.zeros(3, np.uint8))


def no_cast(model: onnx.ModelProto) -> None:
    named(model, QUERY, "Cast").op_type = "Identity"


def no_scales(model: onnx.ModelProto) -> None:
    cast = named(model, QUERY, "Cast")
    product = next(n for n in model.graph.node if cast.output[0] in n.input)
    product.input[1 - list(product.input).index(cast.output[0])] = "input_ids"


def not_quantised_activations(model: onnx.ModelProto) -> None:
    named(model, QUERY, "MatMulInteger").input[0] = "input_ids"


@pytest.mark.parametrize(
    ("damage", "kind", "words"),
    [
        (wrong_number_of_scales, ModelFormatError, ["has 7 numbers, expected 1 or 64"]),
        (wrong_type_of_scale, ModelFormatError, ["is int8, expected float32"]),
        (wrong_type_of_zero_point, ModelFormatError, ["is int8, expected uint8"]),
        (wrong_number_of_zero_points, ModelFormatError, ["has 3 numbers, expected 64"]),
        (no_cast, UnsupportedModelError, [QUERY, "expected one Cast", "found Identity"]),
        (no_scales, UnsupportedModelError, [QUERY, "a product of its two scales", "input_ids"]),
        (not_quantised_activations, UnsupportedModelError, [QUERY, "DynamicQuantizeLinear"]),
    ],
)
def test_dynamic_quantisation(
    damage: Callable[[onnx.ModelProto], None], kind: type[Error], words: list[str], tmp_path: Path
) -> None:
    folder = damaged(tmp_path, dynamic(QuantType.QUInt8, True), damage)
    refuse(folder, kind, "model.onnx", *words)


def wrong_number_of_block_scales(model: onnx.ModelProto) -> None:
    set_tensor(model, named(model, QUERY, "MatMulNBits").input[2], np.ones(9, np.float32))


def wrong_bits(model: onnx.ModelProto) -> None:
    attributes = named(model, QUERY, "MatMulNBits").attribute
    next(a for a in attributes if a.name == "bits").i = 3


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (wrong_number_of_block_scales, ["expected 256 numbers of float32", "(9,)"]),
        (wrong_bits, ["expected bits 2, 4 or 8", "found bits 3"]),
    ],
)
def test_blocks(
    damage: Callable[[onnx.ModelProto], None], words: list[str], tmp_path: Path
) -> None:
    folder = damaged(tmp_path, blocks(4, False), damage)
    refuse(folder, UnsupportedModelError, "MatMulNBits", QUERY, *words)


def test_attention(tmp_path: Path) -> None:
    def no_heads(model: onnx.ModelProto) -> None:
        attention = next(n for n in model.graph.node if n.op_type == "Attention")
        next(a for a in attention.attribute if a.name == "num_heads").i = 0

    folder = damaged(tmp_path, transformers_optimised("bert-cls", 0), no_heads)
    refuse(folder, UnsupportedModelError, "Attention_0", "num_heads from 1", "found 0")
