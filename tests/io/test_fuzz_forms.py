"""Damaged quantised and fused files: whatever the damage, a model or a pyengine.Error."""

import functools
import tempfile
from pathlib import Path
from unittest import mock

import onnx
import pytest
from export_forms import (
    Convert,
    blocks,
    converted,
    dynamic,
    qdq,
    session_optimised,
    transformers_optimised,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from onnxruntime.quantization import QuantType

from pyengine.errors import Error
from pyengine.models import read_model, storage

FORMS: dict[str, tuple[str, Convert]] = {
    "dynamic": ("bert-cls", dynamic(QuantType.QUInt8, True)),
    "qdq": ("bert-cls", qdq(QuantType.QUInt8, QuantType.QUInt8, False)),
    "blocks": ("gpt2", blocks(4, False)),
    "session": ("llama", session_optimised("EXTENDED")),
    "attention": ("bert-cls", transformers_optimised("bert-cls", 0)),
    "rotary": ("llama-tied", transformers_optimised("llama-tied", 0)),
}


@functools.cache
def original(form: str) -> dict[str, bytes]:
    name, convert = FORMS[form]
    with tempfile.TemporaryDirectory() as folder:
        converted(name, Path(folder), convert)
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def read_damaged(form: str, data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, content in original(form).items():
            Path(folder, name).write_bytes(data if name == "model.onnx" else content)
        try:
            model = read_model(folder)
            for tensor in model.tensors:
                model.tensors[tensor]
        except Error as error:
            assert str(error)


@pytest.mark.parametrize("form", FORMS)
def test_the_undamaged_file_is_read(form: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, content in original(form).items():
            Path(folder, name).write_bytes(content)
        assert read_model(folder).tensors


@settings(max_examples=150)
@given(
    form=st.sampled_from(list(FORMS)),
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1),
)
def test_flipped_bytes(form: str, flips: list[tuple[float, int]]) -> None:
    data = bytearray(original(form)["model.onnx"])
    for place, value in flips:
        data[int(place * len(data))] = value
    with mock.patch.object(storage, "_SMALL", 1 << 30):  # most bytes are then those of the graph
        read_damaged(form, bytes(data))


@settings(max_examples=300)
@given(form=st.sampled_from(list(FORMS)), data=st.data())
def test_damaged_nodes(form: str, data: st.DataObject) -> None:
    """Inputs, attributes, types and shapes of the parts that a form rewrites."""
    model = onnx.load_from_string(original(form)["model.onnx"])
    graph = model.graph
    plain = {"Constant", "Reshape", "Unsqueeze", "Shape", "Concat", "Cast"}
    nodes = [node for node in graph.node if node.op_type not in plain]
    for _ in range(data.draw(st.integers(1, 3))):
        node = nodes[data.draw(st.integers(0, len(nodes) - 1))]
        kind = data.draw(st.sampled_from(["input", "swap", "attribute", "operator", "tensor"]))
        if kind == "input" and node.input:
            node.input[data.draw(st.integers(0, len(node.input) - 1))] = data.draw(
                st.sampled_from(["", "nothing", node.output[0], graph.initializer[0].name])
            )
        elif kind == "swap" and node.input:
            del node.input[data.draw(st.integers(0, len(node.input) - 1)) :]
        elif kind == "attribute" and node.attribute:
            index = data.draw(st.integers(0, len(node.attribute) - 1))
            node.attribute[index].i = data.draw(st.sampled_from([-(2**60), -1, 0, 1, 7, 2**60]))
        elif kind == "operator":
            node.op_type = nodes[data.draw(st.integers(0, len(nodes) - 1))].op_type
        elif kind == "tensor":
            tensor = graph.initializer[data.draw(st.integers(0, len(graph.initializer) - 1))]
            if data.draw(st.booleans()):
                tensor.data_type = data.draw(st.sampled_from([1, 2, 3, 6, 7, 10, 16, 21, 22]))
            else:
                tensor.dims[:] = data.draw(st.lists(st.sampled_from([0, 1, 2, 64]), max_size=3))
    read_damaged(form, model.SerializeToString())
