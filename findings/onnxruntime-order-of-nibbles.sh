#!/usr/bin/env bash
# onnxruntime 1.32.0
#
# Expected: the operators of one library for products with 4-bit weights pack two weights into a byte in one way.
# Seen: MatMulNBits has the first of the two in the lower four bits, MatMulBnb4 in the higher four.
# Why it matters: a tool that converts, prunes or checks quantised translation models and has one unpacking for both swaps
# every weight with its neighbour. Shapes and ranges still fit, so that nothing complains.
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

WIDTH, ROWS, BLOCK = 16, 4, 16


def first_two_weights(operator: str, packed: np.ndarray, **attributes: int) -> list[float]:
    graph = helper.make_graph(
        [
            helper.make_node(
                operator, ["x", "packed", "scales"], ["y"], domain="com.microsoft", K=WIDTH, N=ROWS, **attributes
            )
        ],
        "product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, WIDTH])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, ROWS])],
        [numpy_helper.from_array(packed, "packed"), numpy_helper.from_array(np.ones(ROWS, np.float32), "scales")],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    [y] = session.run(None, {"x": np.eye(2, WIDTH, dtype=np.float32)})
    return y[:, 0].tolist()


# In every row the first byte holds the codes 15 (high) and 9 (low). As integers with zero point 8 these are 7 and 1; as
# NF4 (quant_type 1) code 15 is 1 and code 9 about 0.16.
packed = np.full((ROWS, 1, WIDTH // 2), 0xF9, np.uint8)
integers = first_two_weights("MatMulNBits", packed, bits=4, block_size=BLOCK)
floats = first_two_weights("MatMulBnb4", packed.reshape(-1), block_size=BLOCK, quant_type=1)
print("first two weights, codes 15 (high) and 9 (low)")
print("MatMulNBits:", integers)
print("MatMulBnb4: ", floats)
assert integers == [1, 7], "the behaviour has changed"
assert floats[0] == 1 and 0 < floats[1] < 0.5, "the behaviour has changed"
PYTHON
