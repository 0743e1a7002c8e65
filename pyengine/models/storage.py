"""The bytes of an ONNX file: its graph without the large tensors, and where those lie.

protobuf's parser would hold a whole file in memory, twice while it parses. Here the file is walked
field by field, the data of large initializers is skipped, and only the rest (a few hundred
kilobytes of nodes) is parsed. A tensor is then read straight into its array, like external data.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import numpy as np

from pyengine import exits
from pyengine.errors import ModelFormatError
from pyengine.memory import reserve
from pyengine.models.source_file import open_source, state_of

if TYPE_CHECKING:
    import onnx

# Field numbers of onnx.proto and wire types of protobuf.
_MODEL_PRODUCER, _MODEL_PRODUCER_VERSION = 2, 3
_MODEL_GRAPH, _GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_OUTPUT = 7, 1, 5, 12
_NODE_OP_TYPE, _NODE_ATTRIBUTE, _ATTRIBUTE_GRAPH = 4, 5, 6
_TENSOR_RAW_DATA, _VALUE_NAME = 9, 1
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_MAX_VARINT = 10  # bytes of a number
_SMALL = 1024  # bytes; data up to this size is parsed with the rest
_MAX_DEPTH = 4  # graphs inside graphs
_SMALL_NODE = 1 << 16  # bytes; larger ones hold graphs, perhaps with weights


@dataclass(frozen=True)
class Span:
    """`length` bytes from `offset` of the file `path`."""

    path: Path
    offset: int
    length: int

    def part(self, start: int, length: int) -> Span:
        """`length` of its bytes from `start` on."""
        return Span(self.path, self.offset + start, length)

    def check(self, owner: str) -> None:
        """Raise what :meth:`read` would, but for an error while opening or reading."""
        self._check_size(owner, state_of(self.path).size)

    def read(self, owner: str, dtype: str) -> np.ndarray:
        """All of it as a vector.

        Args:
            owner: whose data it is, for errors.
            dtype: of the numbers, such as "<f4".

        Raises:
            ModelFormatError: the file ends before, or cannot be read.
        """
        with open_source(self.path) as file:
            self._check_size(owner, os.fstat(file.fileno()).st_size)
            count = self.length // np.dtype(dtype).itemsize
            return np.fromfile(file, dtype, count, offset=self.offset)

    def _check_size(self, owner: str, size: int) -> None:
        if self.offset + self.length > size:
            raise ModelFormatError(
                f"{owner}: {self.path.name} has {size} bytes, expected "
                f"{self.offset + self.length} or more"
            )


_ROOM_PER_BYTE = 16
"""Of a graph, while it is parsed: protobuf takes 4 to 5 times its size, in blocks that double, and
calls a file damaged when there is no room.
"""


def read_graph(path: Path) -> tuple[onnx.GraphProto, list[Span | None]]:
    """The graph in an ONNX file without the data of large initializers.

    Returns:
        the graph; for each of its initializers where its data lies, None if in the graph itself.

    Raises:
        ModelFormatError: the file is truncated, or no ONNX file.
        MemoryError: there is no room for it.
    """
    with exits.guarded_imports:
        import onnx  # ~100 ms, paid only when a model is read

    try:
        with open_source(path) as file:
            parts, spans = _walk_model(file, path)
        content = b"".join(parts)
        reserve(_ROOM_PER_BYTE * len(content) + 1).close()
        graph = onnx.GraphProto.FromString(content)
    except (ModelFormatError, MemoryError):
        raise
    except Exception as error:  # protobuf's DecodeError has no fixed place over its versions
        raise ModelFormatError(f"{path.name}: not an ONNX file, or truncated ({error})") from error
    if not graph.node or len(graph.initializer) != len(spans):
        raise ModelFormatError(f"{path.name}: not an ONNX file: it holds no nodes")
    return graph, spans


def output_names(path: Path) -> list[str]:
    """The names of the outputs of an ONNX file's graph, read without the onnx package.

    Raises:
        ModelFormatError: the file is truncated, or no ONNX file.
    """
    return _texts(path, _MODEL_GRAPH, _GRAPH_OUTPUT, _VALUE_NAME)


def producer(path: Path) -> str:
    """Name and version of the program that wrote an ONNX file, such as "pytorch 2.13.0".

    Raises:
        ModelFormatError: the file is truncated, or no ONNX file.
    """
    return " ".join(_texts(path, _MODEL_PRODUCER) + _texts(path, _MODEL_PRODUCER_VERSION))


def _texts(path: Path, *numbers: int) -> list[str]:
    """The texts that a way of field numbers leads to from the whole file."""
    with open_source(path) as file:
        ends = [(0, os.fstat(file.fileno()).st_size)]
        for number in numbers:
            ends = [
                (field.start, field.end)
                for start, end in ends
                for field in _fields(file, start, end)
                if field.number == number
            ]
        return [_bytes(file, *found).decode(errors="replace") for found in ends]


def find_operators(path: Path, names: Iterable[str]) -> set[str]:
    """Which of these operators a graph or a graph inside it holds, read without the onnx package.

    Takes a few milliseconds: the nodes are searched for the bytes of an operator's name.

    Raises:
        ModelFormatError: the file is truncated, or no ONNX file.
    """
    tag = bytes([_NODE_OP_TYPE << 3 | _LENGTH])
    named = {tag + _varint(len(name)) + name.encode(): name for name in names}
    pattern = re.compile(b"|".join(map(re.escape, named)))
    found: set[bytes] = set()
    with open_source(path) as file:
        size = os.fstat(file.fileno()).st_size
        for graph in _fields(file, 0, size):
            if graph.number == _MODEL_GRAPH:
                for nodes in _node_bytes(file, graph):
                    found.update(pattern.findall(nodes))
    return {named[match] for match in found}


def _node_bytes(file: BinaryIO, graph: _Field, depth: int = 0) -> Iterator[bytes]:
    """The nodes of a graph, many at once; of one that holds large graphs only what is no node of
    these."""
    first = end = graph.start  # of nodes in a row that were not read yet
    for field in _fields(file, graph.start, graph.end):
        is_small = field.number == _GRAPH_NODE and field.end - field.start <= _SMALL_NODE
        if is_small and field.end - first <= _SMALL_NODE and field.head == end:
            end = field.end
            continue
        yield _bytes(file, first, end)
        first, end = (field.head if is_small else field.end), field.end
        if field.number == _GRAPH_NODE and not is_small:
            yield from _large_node_bytes(file, field, depth)
    yield _bytes(file, first, end)


def _large_node_bytes(file: BinaryIO, node: _Field, depth: int) -> Iterator[bytes]:
    for field in _fields(file, node.start, node.end):
        if field.number == _NODE_OP_TYPE:
            yield _bytes(file, field.head, field.end)
        if field.number != _NODE_ATTRIBUTE or depth == _MAX_DEPTH:
            continue
        for inner in _fields(file, field.start, field.end):
            if inner.number == _ATTRIBUTE_GRAPH:
                yield from _node_bytes(file, inner, depth + 1)


class _Field(NamedTuple):
    """One field of a protobuf message: its tag at `head`, its content from `start` to `end`.

    `number` is 0 unless the content is of the length-delimited kind: bytes, text or a message.
    """

    number: int
    head: int
    start: int
    end: int


def _walk_model(file: BinaryIO, path: Path) -> tuple[list[bytes], list[Span | None]]:
    """The fields of the graph as bytes to be joined, and the data left out of its initializers."""
    parts: list[bytes] = []
    spans: list[Span | None] = []
    size = os.fstat(file.fileno()).st_size
    graphs = [field for field in _fields(file, 0, size) if field.number == _MODEL_GRAPH]
    for graph in graphs:
        for field in _fields(file, graph.start, graph.end):
            if field.number != _GRAPH_INITIALIZER:
                parts.append(_bytes(file, field.head, field.end))
                continue
            data = _large_data(file, field)
            spans.append(Span(path, data.start, data.end - data.start) if data else None)
            hole = data or _Field(0, field.end, field.end, field.end)
            rest = _bytes(file, field.start, hole.head) + _bytes(file, hole.end, field.end)
            parts.append(bytes([_GRAPH_INITIALIZER << 3 | _LENGTH]) + _varint(len(rest)) + rest)
    return parts, spans


def _large_data(file: BinaryIO, tensor: _Field) -> _Field | None:
    """The raw_data field of a TensorProto if it is large."""
    for field in _fields(file, tensor.start, tensor.end):
        if field.number == _TENSOR_RAW_DATA and field.end - field.start > _SMALL:
            return field
    return None


def _fields(file: BinaryIO, start: int, end: int) -> Iterator[_Field]:
    """The fields of the message that lies from `start` to `end`."""
    position = start
    while position < end:
        file.seek(position)
        head = file.read(2 * _MAX_VARINT)  # the tag, and a length or a number
        tag, size = _read_varint(file, head, 0)
        wire_type = tag & 7
        if wire_type == _LENGTH:
            length, size = _read_varint(file, head, size)
            field_end = position + size + length
        elif wire_type == _VARINT:
            field_end = position + _read_varint(file, head, size)[1]
        elif wire_type in (_FIXED32, _FIXED64):
            field_end = position + size + (4 if wire_type == _FIXED32 else 8)
        else:
            raise ModelFormatError(
                f"{Path(file.name).name}: not an ONNX file (wire type {wire_type})"
            )
        if field_end > end:
            raise ModelFormatError(
                f"{Path(file.name).name}: not an ONNX file, or truncated: "
                f"a field ends at byte {field_end} of {end}"
            )
        number = tag >> 3 if wire_type == _LENGTH else 0
        yield _Field(number, position, position + size, field_end)
        position = field_end


def _read_varint(file: BinaryIO, head: bytes, index: int) -> tuple[int, int]:
    """The number at `index` of some bytes of the file, and the index after it."""
    value = 0
    for i, byte in enumerate(head[index : index + _MAX_VARINT]):
        value |= (byte & 127) << 7 * i
        if byte < 128:
            return value, index + i + 1
    raise ModelFormatError(f"{Path(file.name).name}: not an ONNX file, or truncated")


def _varint(value: int) -> bytes:
    """protobuf's encoding of a size."""
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _bytes(file: BinaryIO, start: int, end: int) -> bytes:
    file.seek(start)
    return file.read(end - start)
