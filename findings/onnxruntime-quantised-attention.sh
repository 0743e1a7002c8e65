#!/usr/bin/env bash
# onnxruntime 1.32.0
#
# Expected: quantize_dynamic rounds the weights of the products and leaves ONNX's own operator Attention, which has none.
# Seen: it takes Attention of opset 23 for the operator of the same name in com.microsoft, whose second input is a weight,
# and writes a QAttention with queries and keys in the places of hidden states and weights. No session can be made of the
# file. With op_types_to_quantize=["MatMul"] the file runs.
# Why it matters: exporters write this operator for opset 23 and above, so that the usual one-line way to int8 gives models
# that do not load.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
cd "$folder"
venv/bin/python - 2>log <<'PYTHON' || { cat log; exit 1; }
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import quantize_dynamic

WIDTH = 16
random = np.random.default_rng(0)
weights = {f"W{name}": random.normal(0, WIDTH**-0.5, (WIDTH, WIDTH)).astype(np.float32) for name in "qkv"}
products = [helper.make_node("MatMul", ["hidden", f"W{name}"], [name]) for name in "qkv"]
attention = helper.make_node("Attention", ["q", "k", "v"], ["attended"], q_num_heads=2, kv_num_heads=2)
graph = helper.make_graph(
    [*products, attention],
    "encoder",
    [helper.make_tensor_value_info("hidden", TensorProto.FLOAT, ["batch", "length", WIDTH])],
    [helper.make_tensor_value_info("attended", TensorProto.FLOAT, ["batch", "length", WIDTH])],
    [numpy_helper.from_array(values, name) for name, values in weights.items()],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=11)
onnx.checker.check_model(model, full_check=True)
onnx.save(model, "float.onnx")
hidden = random.standard_normal((1, 3, WIDTH)).astype(np.float32)


def run(path):
    try:
        return onnxruntime.InferenceSession(path).run(None, {"hidden": hidden})[0]
    except Exception as error:
        return type(error).__name__


expected = run("float.onnx")
quantize_dynamic("float.onnx", "all.onnx")
quantize_dynamic("float.onnx", "products.onnx", op_types_to_quantize=["MatMul"])
written = [node for node in onnx.load("all.onnx").graph.node if "Attention" in node.op_type]
found, products_alone = run("all.onnx"), run("products.onnx")
difference = float(np.abs(products_alone - expected).max())
print("written:", [(node.domain, node.op_type, list(node.input)[:3]) for node in written])
print(f"session: {found}; of the products alone: largest difference {difference:.3f} from float")
assert [node.op_type for node in written] == ["QAttention"], "the behaviour has changed"
assert isinstance(found, str) and found == "InvalidGraph", "the behaviour has changed"
assert difference < 0.05
PYTHON
