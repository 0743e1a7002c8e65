#!/usr/bin/env bash
# openvino 2026.4.1
#
# Expected: an If whose branches give tensors of four dimensions gives a tensor of four dimensions, also where one branch
# gives an empty one.
# Seen: a branch whose constant has a dimension of 0 leaves the number of dimensions unknown, and the CPU plugin then
# refuses the whole model ("If operation with dynamic rank") when it is compiled, whichever branch would run. With 1 in
# place of the 0 it compiles, and both branches give the right shapes. onnxruntime runs both models.
# Why it matters: decoder_model_merged.onnx of optimum-onnx holds just that: the branch with a past gives the keys and
# values of the encoder as constants of no elements. So the standard file of a translation model does not load; the pair
# decoder_model.onnx and decoder_with_past_model.onnx has no If.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  openvino==2026.4.1 onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import numpy as np
import onnx
import onnxruntime
import openvino
from onnx import TensorProto, helper, numpy_helper

SHAPE = ["batch", 2, "length", 4]


def merged_decoder(shape_without_past):
    """The keys of the encoder as a merged decoder gives them: computed at first, then a constant."""
    keys = helper.make_tensor_value_info("keys", TensorProto.FLOAT, SHAPE)
    constant = numpy_helper.from_array(np.zeros(shape_without_past, np.float32))
    with_past = helper.make_graph([helper.make_node("Constant", [], ["keys"], value=constant)], "with_past", [], [keys])
    without = helper.make_graph([helper.make_node("Neg", ["hidden"], ["keys"])], "without_past", [], [keys])
    graph = helper.make_graph(
        [helper.make_node("If", ["use_cache"], ["keys"], then_branch=with_past, else_branch=without)],
        "decoder",
        [
            helper.make_tensor_value_info("hidden", TensorProto.FLOAT, SHAPE),
            helper.make_tensor_value_info("use_cache", TensorProto.BOOL, [1]),
        ],
        [keys],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


def shape_from_openvino(model, inputs):
    core = openvino.Core()
    try:
        return core.compile_model(core.read_model(model), "CPU")(inputs)[0].shape
    except RuntimeError as error:
        assert "dynamic rank" in str(error), error
        return "refused: dynamic rank"


hidden = np.ones((3, 2, 5, 4), np.float32)
for first in (1, 0):
    for use_cache in (False, True):
        model = merged_decoder((first, 2, 1, 4))
        inputs = {"hidden": hidden, "use_cache": np.array([use_cache])}
        expected = onnxruntime.InferenceSession(model).run(None, inputs)[0].shape
        found = shape_from_openvino(model, inputs)
        print(f"constant of {first} x 2 x 1 x 4, use_cache {use_cache!s:5}: onnxruntime {expected}, openvino {found}")
        assert (found == expected) == (first == 1), "the behaviour has changed"
PYTHON
