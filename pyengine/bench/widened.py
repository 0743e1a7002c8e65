"""ONNX files that compute in 16 bits, computed in float32: the exact values of their weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from pyengine.models.storage import read_graph

if TYPE_CHECKING:
    import onnx

_FLOAT, _NARROW = 1, (10, 16)  # of TensorProto.DataType: float32; float16 and bfloat16


@contextmanager
def widened(path: Path) -> Iterator[Path]:
    """The file itself, or a temporary one with float32 in place of float16 and bfloat16.

    Raises:
        ModelFormatError: the file is truncated, or no ONNX file.
    """
    graph, _ = read_graph(path)
    if not any(_is_narrow(part) for part in _graphs(graph)):
        yield path
        return
    import onnx

    model = onnx.load(path)
    for part in _graphs(model.graph):
        _widen(part)
    with saved(model, path.name) as place:
        yield place


@contextmanager
def saved(model: onnx.ModelProto, name: str) -> Iterator[Path]:
    """A temporary file of a model, of any size: its tensors lie in another file beside it."""
    import onnx

    with TemporaryDirectory() as folder:
        place = Path(folder, name)
        onnx.save(model, place, save_as_external_data=True, location=f"{name}_data")
        yield place


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """A graph and those inside its nodes."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _graphs(attribute.g)


def _is_narrow(graph: onnx.GraphProto) -> bool:
    return any(tensor.data_type in _NARROW for tensor in _tensors(graph))


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """The stored tensors of a graph, those of Constant and ConstantOfShape included."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t


def _widen(graph: onnx.GraphProto) -> None:
    """Make everything 16 bits wide float32, in place."""
    from onnx import numpy_helper

    for tensor in _tensors(graph):
        if tensor.data_type in _NARROW:
            values = numpy_helper.to_array(tensor).astype("float32")
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    for value in (*graph.input, *graph.output, *graph.value_info):
        if value.type.tensor_type.elem_type in _NARROW:
            value.type.tensor_type.elem_type = _FLOAT
    for node in graph.node:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i in _NARROW:
                attribute.i = _FLOAT
