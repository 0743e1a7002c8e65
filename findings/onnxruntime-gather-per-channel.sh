#!/usr/bin/env bash
# onnxruntime 1.32.0
#
# Expected: quantize_dynamic with per_channel=True and weight_type=QInt8 gives every row or column of a table a scale, and
# stores a table that input embeddings and output projection share once.
# Seen: the table that Gather reads becomes uint8 with ONE scale, in spite of both settings, and the same numbers are
# stored a second time, as int8 with a scale per column, for the product. Rows whose numbers are small beside the largest
# of the table all become zero.
# Why it matters: rows of embeddings differ much in size, and those of rare words are often small. Such words are lost on
# the input side without a message, and the largest table of a translation model takes twice the room it needs.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import logging

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

logging.disable(logging.WARNING)
ROWS, WIDTH, SMALL = 64, 16, 8
table = np.random.default_rng(0).normal(size=(ROWS, WIDTH)).astype(np.float32)
table[:SMALL] *= 1e-3  # small, but as varied as the others

graph = helper.make_graph(
    [
        helper.make_node("Gather", ["table", "ids"], ["embedded"]),
        helper.make_node("MatMul", ["embedded", "projection"], ["logits"]),
    ],
    "tied",
    [helper.make_tensor_value_info("ids", TensorProto.INT64, ["n"])],
    [
        helper.make_tensor_value_info("embedded", TensorProto.FLOAT, ["n", WIDTH]),
        helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", ROWS]),
    ],
    [
        numpy_helper.from_array(table, "table"),
        numpy_helper.from_array(np.ascontiguousarray(table.T), "projection"),
    ],
)
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), "model.onnx")
quantize_dynamic("model.onnx", "int8.onnx", per_channel=True, weight_type=QuantType.QInt8)

found = {i.name: i for i in onnx.load("int8.onnx").graph.initializer}
for name, tensor in found.items():
    print(f"{name:24} {TensorProto.DataType.Name(tensor.data_type):6} {list(tensor.dims)}")
session = onnxruntime.InferenceSession("int8.onnx", providers=["CPUExecutionProvider"])
embedded = session.run(["embedded"], {"ids": np.arange(ROWS)})[0]
print("largest number of the small rows, before and after:", abs(table[:SMALL]).max(), abs(embedded[:SMALL]).max())

assert found["projection_quantized"].data_type == TensorProto.INT8
assert list(found["projection_scale"].dims) == [ROWS]
assert found["table_quantized"].data_type == TensorProto.UINT8, "the behaviour has changed"
assert list(found["table_scale"].dims) == [], "the behaviour has changed"
assert not embedded[:SMALL].any(), "the behaviour has changed"
PYTHON
