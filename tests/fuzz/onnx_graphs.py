"""ONNX files of all families and forms: bytes, protobuf fields, nodes and tensors.

Whether a changed graph that is accepted computes the same as onnxruntime is asked by
graph_differential.py.
"""

from __future__ import annotations

import functools
import random
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import onnx
import tiny_onnx
from export_forms import (
    Convert,
    blocks,
    converted,
    dynamic,
    qdq,
    session_optimised,
    transformers_optimised,
)
from onnxruntime.quantization import QuantType

from pyengine.models import read_model, storage

from .area import Area, Files, Workplace, files_of, smallest_model
from .mutations import TEXTS, changed_bytes, odd_integer

FORMS: dict[str, tuple[str, Convert]] = {
    "dynamic": ("bert-cls", dynamic(QuantType.QUInt8, True)),
    "qdq": ("bert-cls", qdq(QuantType.QUInt8, QuantType.QUInt8, False)),
    "blocks": ("gpt2", blocks(4, False)),
    "session": ("llama", session_optimised("EXTENDED")),
    "attention": ("bert-cls", transformers_optimised("bert-cls", 0)),
    "rotary": ("llama-tied", transformers_optimised("llama-tied", 0)),
}
"""Forms of export: the fixture and what makes the form of it."""

_PLAIN = ("llama", "t5", "marian", "gpt2", "roberta", "qwen2", "mbart", "distilbert")
_FOLDERS = (*["tiny"] * 6, *_PLAIN, *FORMS)
_SMALL = 1 << 12
"""Bytes of a tensor's data that are changed with the graph; those of larger ones stay."""

_SMALL_DATA = (0, 1024, 1 << 30)
"""Bytes up to which data is parsed with the graph: none, as it is, all."""

Mutation = Callable[[random.Random, onnx.GraphProto], None]


class OnnxGraphs(Area):
    """Each input is one ONNX file of a folder, which its first name tells."""

    def make(self, rng: random.Random) -> Files:
        folder = rng.choice(_FOLDERS)
        sound = place(folder).files
        name = rng.choice([name for name in sound if name.endswith(".onnx")])
        if rng.random() < 0.4:
            return {f"{folder}/{name}": _changed_file(rng, sound[name])}
        model = onnx.ModelProto.FromString(sound[name])
        for _ in range(rng.choice((1, 1, 2, 4))):
            rng.choice(_MUTATIONS)(rng, model.graph)
        return {f"{folder}/{name}": model.SerializeToString()}

    def run(self, files: Files) -> bool:
        [(name, content)] = files.items()
        folder, file = name.split("/")
        small = _SMALL_DATA[zlib.crc32(content) % len(_SMALL_DATA)]
        with (
            place(folder).holding({file: content}) as path,
            mock.patch.object(storage, "_SMALL", small),
        ):
            model = read_model(path)
            for tensor in model.tensors:
                model.tensors[tensor]
        return True


@functools.cache
def place(name: str) -> Workplace:
    """The files of a fixture, of a form or of the tiny folder."""
    if name in _PLAIN:
        return Workplace(smallest_model(name))
    with tempfile.TemporaryDirectory() as made:
        if name == "tiny":
            tiny_onnx.write(Path(made))
        else:
            converted(FORMS[name][0], Path(made), FORMS[name][1])
        return Workplace(files_of(Path(made)))


def _changed_file(rng: random.Random, content: bytes) -> bytes:
    """Bytes of the graph's own, not of large data, are others."""
    places = [place for place in _ends(content) if place[1] - place[0] > 8]
    start, end = rng.choice(places) if places and rng.random() < 0.9 else (0, len(content))
    end = min(end, start + rng.choice((64, 4096)))
    return content[:start] + changed_bytes(rng, content[start:end]) + content[end:]


@functools.lru_cache(maxsize=64)
def _ends(content: bytes) -> list[tuple[int, int]]:
    """Where each node and the head of each tensor lies."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        size = len(content)
        fields = list(storage._fields(file, 0, size))  # type: ignore[arg-type]
        graphs = [field for field in fields if field.number == storage._MODEL_GRAPH]
        return [
            (field.head, min(field.end, field.head + 200))
            for graph in graphs
            for field in storage._fields(file, graph.start, graph.end)  # type: ignore[arg-type]
        ]


def _node(rng: random.Random, graph: onnx.GraphProto) -> onnx.NodeProto:
    return rng.choice(graph.node) if graph.node else graph.node.add()


def _tensor(rng: random.Random, graph: onnx.GraphProto) -> onnx.TensorProto:
    return rng.choice(graph.initializer) if graph.initializer else graph.initializer.add()


def _text(rng: random.Random) -> str:
    return rng.choice(TEXTS).encode("utf-8", "replace").decode()


def _other_input(rng: random.Random, graph: onnx.GraphProto) -> None:
    node, other = _node(rng, graph), _node(rng, graph)
    names = ["", "nothing", *node.output, *other.output, _tensor(rng, graph).name]
    if node.input:
        node.input[rng.randrange(len(node.input))] = rng.choice(names)


def _fewer_inputs(rng: random.Random, graph: onnx.GraphProto) -> None:
    node = _node(rng, graph)
    values = node.input if rng.random() < 0.8 else node.output
    del values[rng.randrange(len(values) + 1) :]


def _other_operator(rng: random.Random, graph: onnx.GraphProto) -> None:
    _node(rng, graph).op_type = rng.choice((_node(rng, graph).op_type, _text(rng)))


def _other_name(rng: random.Random, graph: onnx.GraphProto) -> None:
    named = rng.choice((_node(rng, graph), _tensor(rng, graph)))
    other = rng.choice((_node(rng, graph), _tensor(rng, graph)))
    named.name = rng.choice((other.name, _text(rng)))


def _other_attribute(rng: random.Random, graph: onnx.GraphProto) -> None:
    node = _node(rng, graph)
    if not node.attribute:
        return
    attribute = rng.choice(node.attribute)
    kind = rng.randrange(6)
    if kind == 0:
        attribute.i = max(-(2**63), min(odd_integer(rng), 2**63 - 1))
    elif kind == 1:
        attribute.f = rng.choice((0.0, -1.0, float("nan"), float("inf"), 1e38))
    elif kind == 2:
        attribute.ints[:] = [rng.choice((-1, 0, 1, 7, 2**62)) for _ in range(rng.randrange(5))]
    elif kind == 3:
        attribute.type = rng.randrange(15)  # type: ignore[assignment]
    elif kind == 4:
        node.attribute.remove(attribute)
    elif attribute.HasField("t"):
        _change(rng, attribute.t)


def _other_tensor(rng: random.Random, graph: onnx.GraphProto) -> None:
    _change(rng, _tensor(rng, graph))


def _change(rng: random.Random, tensor: onnx.TensorProto) -> None:
    kind = rng.randrange(5)
    if kind == 0:
        tensor.data_type = rng.choice((*range(25), -1, 2**31 - 1))
    elif kind == 1:
        sizes = (-1, 0, 1, 2, 64, 2**31, 2**62, *tensor.dims)
        tensor.dims[:] = [rng.choice(sizes) for _ in range(rng.randrange(5))]
    elif kind == 2:
        if len(tensor.raw_data) <= _SMALL:
            tensor.raw_data = changed_bytes(rng, tensor.raw_data)
    elif kind == 3:
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key in ("location", "offset", "length"):
            values = ("encoder_model.onnx", "model.onnx", str(odd_integer(rng)), "..", _text(rng))
            tensor.external_data.add(key=key, value=rng.choice(values))
    else:
        tensor.int64_data[:] = [rng.choice((-1, 0, 1, 2**62)) for _ in range(rng.randrange(4))]


def _removed(rng: random.Random, graph: onnx.GraphProto) -> None:
    values = rng.choice((graph.node, graph.node, graph.initializer, graph.input, graph.output))
    if values:
        del values[rng.randrange(len(values))]


def _doubled(rng: random.Random, graph: onnx.GraphProto) -> None:
    values = rng.choice((graph.node, graph.initializer, graph.output))
    if values:
        values.add().CopyFrom(rng.choice(values))


_MUTATIONS: tuple[Mutation, ...] = (
    *(_other_input, _fewer_inputs, _other_operator, _other_name, _other_attribute),
    *(_other_tensor, _other_tensor, _removed, _doubled),
)
