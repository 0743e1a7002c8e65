#!/usr/bin/env bash
# onnx 1.23.2 (onnx.reference), compared with onnxruntime 1.32.0
#
# Expected: the evaluator that comes with the standard is the one to check others against: LogSoftmax of 0 and -20 is 0
# and -20.
# Seen: it takes the logarithm of a finished Softmax, which has become zero: in half precision -20 is already minus
# infinity, in single precision -120 is.
# Why it matters: an export that ends in LogSoftmax is checked with this evaluator, and most of a vocabulary lies that low.
# The check blames the engine that is right, and a search over these scores can never take a rare word.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import numpy as np
import onnxruntime
from onnx import helper
from onnx.reference import ReferenceEvaluator

for kind, low in ((np.float16, -20), (np.float32, -120)):
    number = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
    graph = helper.make_graph(
        [helper.make_node("LogSoftmax", ["x"], ["y"], axis=-1)],
        "scores",
        [helper.make_tensor_value_info("x", number, [1, 2])],
        [helper.make_tensor_value_info("y", number, [1, 2])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    x = np.array([[0, low]], kind)
    with np.errstate(divide="ignore"):
        [reference] = ReferenceEvaluator(model).run(None, {"x": x})
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    [right] = session.run(None, {"x": x})
    print(f"{kind.__name__} {x.tolist()}: onnx.reference {reference.tolist()}, onnxruntime {right.tolist()}")
    assert right.tolist() == [[0, low]]
    assert reference.tolist() == [[0, -np.inf]], "the behaviour has changed"
PYTHON
