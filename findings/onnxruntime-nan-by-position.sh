#!/usr/bin/env bash
# onnxruntime 1.32.0
#
# Expected: ArgMax and ReduceMax treat a NaN alike wherever it stands: they report it, as NumPy, the evaluator of the onnx
# package and onnxruntime's own TopK do, or pass over it.
# Seen: they report it where it is the first number of the row and pass over it anywhere else.
# Why it matters: logits turn into NaN where weights overflow in half precision or a row of attention is masked whole. A
# greedy search by ArgMax then goes on with a believable token, unless the NaN happens to be at id 0, while beam search
# by TopK on the same logits goes wrong at once.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

graph = helper.make_graph(
    [
        helper.make_node("ArgMax", ["x"], ["index"], axis=-1, keepdims=0),
        helper.make_node("ReduceMax", ["x"], ["largest"], axes=[-1], keepdims=0),
        helper.make_node("TopK", ["x", "one"], ["values", "places"]),
    ],
    "largest",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 17])],
    [
        helper.make_tensor_value_info("index", TensorProto.INT64, [1]),
        helper.make_tensor_value_info("largest", TensorProto.FLOAT, [1]),
        helper.make_tensor_value_info("places", TensorProto.INT64, [1, 1]),
    ],
    [numpy_helper.from_array(np.array([1]), "one")],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
evaluator = ReferenceEvaluator(model)
for place in (0, 1, 8, 16):
    x = np.arange(17, dtype=np.float32)[None]
    x[0, place] = np.nan
    index, largest, places = (value.item() for value in session.run(None, {"x": x}))
    reference = [value.item() for value in evaluator.run(None, {"x": x})]
    print(f"NaN at {place:2}: ArgMax {index:2}  ReduceMax {largest:4}  TopK {places:2}  onnx.reference {reference}")
    assert np.argmax(x) == places == reference[0] == place
    assert np.isnan(largest) == (place == 0), "the behaviour has changed"
    assert (index == place) == (place == 0), "the behaviour has changed"
PYTHON
