"""Activations are told by what they compute, in whatever operators an exporter writes them."""

import math
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from pyengine.models.activation import activation_between
from pyengine.models.dataflow import Value
from pyengine.models.graph import Graph

Step = tuple[str, ...]  # operator and inputs: "x", a number, or the index of a step before

GELU: tuple[Step, ...] = (
    ("Div", "x", str(math.sqrt(2))),
    ("Erf", "0"),
    ("Add", "1", "1.0"),
    ("Mul", "x", "2"),
    ("Mul", "3", "0.5"),
)
GELU_TANH: tuple[Step, ...] = (
    ("Pow", "x", "3.0"),
    ("Mul", "0", "0.044715"),
    ("Add", "x", "1"),
    ("Mul", "2", str(math.sqrt(2 / math.pi))),
    ("Tanh", "3"),
    ("Add", "4", "1.0"),
    ("Mul", "x", "0.5"),
    ("Mul", "6", "5"),
)
FORMS: dict[str, tuple[str | None, tuple[Step, ...]]] = {
    "relu": ("relu", (("Relu", "x"),)),
    "silu": ("silu", (("Sigmoid", "x"), ("Mul", "x", "0"))),
    "gelu with erf": ("gelu", GELU),
    "gelu with tanh": ("gelu_tanh", GELU_TANH),
    "the operator Gelu": ("gelu", (("Gelu", "x"),)),
    "behind moves": ("relu", (("Cast", "x"), ("Relu", "0"), ("Identity", "1"))),
    "a sigmoid alone": (None, (("Sigmoid", "x"),)),
    "quick gelu": (None, (("Mul", "x", "1.702"), ("Sigmoid", "0"), ("Mul", "x", "1"))),
    "half of gelu": (None, GELU[:-1]),
    "nothing": (None, (("Identity", "x"),)),
    "an unknown operator": (None, (("Softmax", "x"),)),
}


def activation_of(folder: Path, steps: tuple[Step, ...], dtype: type) -> str | None:
    """What activation_between says of a graph of these steps, its constants in `dtype`."""
    nodes, tensors = [], {}
    for i, (op_type, *inputs) in enumerate(steps):
        names = []
        for text in inputs:
            if "." in text:
                tensors[f"c{text}"] = np.array(float(text), dtype)
            names.append(f"c{text}" if "." in text else text if text == "x" else f"y{text}")
        attributes = {"to": TensorProto.FLOAT} if op_type == "Cast" else {}
        nodes.append(helper.make_node(op_type, names, [f"y{i}"], **attributes))
    stored = [numpy_helper.from_array(value, name) for name, value in tensors.items()]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])
    path = folder / "activation.onnx"
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", [x], [], stored)), path)
    scope = Graph(path).root
    return activation_between(Value(scope, "x"), Value(scope, f"y{len(steps) - 1}"))


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("form", FORMS)
def test_the_form_of_an_activation(tmp_path: Path, form: str, dtype: type) -> None:
    expected, steps = FORMS[form]
    assert activation_of(tmp_path, steps, dtype) == expected


def test_a_form_that_is_too_long(tmp_path: Path) -> None:
    steps: list[Step] = [("Relu", "x"), *(("Relu", str(i)) for i in range(40))]
    assert activation_of(tmp_path, tuple(steps), np.float32) is None
