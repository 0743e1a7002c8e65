#!/usr/bin/env bash
# onnxsim 0.8.1
#
# Expected: simplifying a graph leaves it with fewer nodes, or as it is.
# Seen: a product with a bias, MatMul and Add on an input of three dimensions, becomes six nodes: the shape is taken
# apart and put together again around a Gemm, which takes two dimensions only. Batch and length are left open here, as
# in every export of a translation model.
# Why it matters: each linear layer of a Transformer is such a pair. The "simple" file has three times as many nodes, and
# fusions and quantisers that look for MatMul and Add no longer find any.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check onnxsim==0.8.1 onnx==1.23.2 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import numpy as np
import onnx
import onnxsim
from onnx import TensorProto, helper, numpy_helper

graph = helper.make_graph(
    [helper.make_node("MatMul", ["x", "weight"], ["product"]), helper.make_node("Add", ["product", "bias"], ["y"])],
    "linear",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", "length", 8])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", "length", 4])],
    [
        numpy_helper.from_array(np.ones((8, 4), np.float32), "weight"),
        numpy_helper.from_array(np.ones(4, np.float32), "bias"),
    ],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
onnx.checker.check_model(model)
simple, same = onnxsim.simplify(model)
before, after = ([node.op_type for node in m.graph.node] for m in (model, simple))
print("before:", before)
print("after: ", after)
assert same
assert before == ["MatMul", "Add"]
assert "Gemm" in after and after.count("Reshape") == 2 and len(after) > len(before), "the behaviour has changed"
PYTHON
