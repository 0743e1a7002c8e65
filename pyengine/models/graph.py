"""A read-only view of one ONNX file: nodes by module path, and constants as NumPy arrays.

Only data is read; nothing is executed. Memory is bounded by the size of the files.
"""

from __future__ import annotations

import math
import weakref
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pyengine.errors import ModelFormatError, UnsupportedModelError
from pyengine.models.number_types import NUMBER_TYPES, NumberType
from pyengine.models.storage import Span, external_span, read_graph

if TYPE_CHECKING:
    import onnx

INT64 = 7  # of TensorProto.DataType
EXTERNAL = 1  # TensorProto.DataLocation.EXTERNAL
# No real model comes near these; they bound the work that a hostile file can cause.
MAX_RANK = 16
MAX_MODULE_DEPTH = 16
_BLOCK = 1 << 20  # stored numbers converted at once


class Constant:
    """A tensor stored in the file: an initializer, or the value of a Constant node.

    Args:
        name: as the graph calls it.
        proto: its shape and type, and its data unless `span` or an external file holds that.
        model_path: the ONNX file.
        is_initializer: it is not the value of a Constant node.
        span: where the data lies in the ONNX file.

    Attributes:
        name, is_initializer: as above.
        dims: the shape.
    """

    def __init__(
        self,
        name: str,
        proto: onnx.TensorProto,
        model_path: Path,
        is_initializer: bool,
        span: Span | None = None,
    ) -> None:
        self.name = name
        self.is_initializer = is_initializer
        self.dims = tuple(proto.dims)
        if len(self.dims) > MAX_RANK:
            raise ModelFormatError(
                f"{model_path.name}: {name!r} has {len(self.dims)} dimensions, "
                f"expected at most {MAX_RANK}"
            )
        self._proto = proto
        self._model_path = model_path
        self._span = span
        self._values: weakref.ref[np.ndarray] | None = None

    @property
    def may_be_weight(self) -> bool:
        """Of int8 or a floating-point type, whatever its width."""
        return self._proto.data_type in NUMBER_TYPES

    @property
    def size(self) -> int:
        """Number of elements, by the shape."""
        return math.prod(self.dims)

    def array(self) -> np.ndarray:
        """The values, float32 or int8 of shape `dims`, read-only.

        Read from the file, unless an array of an earlier call is still in use: then the same
        memory.

        Raises:
            UnsupportedModelError: of another type.
            ModelFormatError: the stored data does not fit the shape, or cannot be reached.
        """
        values = self._values() if self._values else None
        if values is None:
            values = self._read(self.check())
            values.flags.writeable = False
            self._values = weakref.ref(values)
        return values.reshape(self.dims)

    def blocks(self, size: int) -> Iterator[tuple[int, np.ndarray]]:
        """The values a part after the other: (index in the first dimension, rows from there on).

        Args:
            size: numbers of a part at most, unless one row has more.
        """
        span = self.check()
        row_size = self.size // self.dims[0]
        rows = max(1, size // row_size)
        for start in range(0, self.dims[0], rows):
            count = min(rows, self.dims[0] - start)
            if span is None:
                yield start, self.array()[start : start + count]
            else:
                width = self.number_type.stored.itemsize * row_size
                part = self._read_span(span.part(start * width, count * width))
                yield start, part.reshape(count, *self.dims[1:])

    def check(self) -> Span | None:
        """Where the values lie, None if in the graph; raises what :meth:`array` does."""
        proto, width = self._proto, self.number_type.stored.itemsize
        num_bytes = width * self.size
        if any(dim < 1 for dim in self.dims):
            raise ModelFormatError(
                f"{self._where} has shape {list(self.dims)}, expected positive sizes"
            )
        span = self._span
        is_raw = proto.HasField("raw_data")
        if proto.data_location == EXTERNAL:
            span = external_span(proto, self._model_path, num_bytes)
        elif span and is_raw:
            raise ModelFormatError(f"{self._where} has its data twice")
        if span:
            found_bytes = span.length
        else:
            found_bytes = len(proto.raw_data) if is_raw else width * len(self._listed)
        if found_bytes != num_bytes:
            raise ModelFormatError(
                f"{self._where} holds {found_bytes} bytes, expected {num_bytes} "
                f"for shape {list(self.dims)}"
            )
        if span:
            span.check(self._where)
        return span

    def integer(self) -> int | None:
        """The last number of a small int64 tensor, such as a shape; None for any other tensor."""
        if self._proto.data_type != INT64:
            return None
        data = self._proto.raw_data
        values = np.frombuffer(data[-8:], "<i8") if len(data) >= 8 else self._proto.int64_data
        return int(values[-1]) if len(values) else None

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the values, float32 or int8; raises UnsupportedModelError for another."""
        return self.number_type.dtype

    @property
    def number_type(self) -> NumberType:
        """Of the stored numbers; raises UnsupportedModelError for a type that is not read."""
        kind = self._proto.data_type
        if kind not in NUMBER_TYPES:
            supported = ", ".join(number_type.name for number_type in NUMBER_TYPES.values())
            raise UnsupportedModelError(
                f"{self._where} is of type {kind}, supported are {supported}"
            )
        return NUMBER_TYPES[kind]

    def _read(self, span: Span | None) -> np.ndarray:
        """[size], in memory of its own."""
        if span:
            return self._read_span(span)
        number_type, proto = self.number_type, self._proto
        if proto.HasField("raw_data"):
            stored = np.frombuffer(proto.raw_data, number_type.stored)
        else:
            try:
                stored = number_type.from_list(self._listed)
            except OverflowError as error:
                raise ModelFormatError(
                    f"{self._where} is no {number_type.name}: {error}"
                ) from error
        values = np.empty(self.size, number_type.dtype)
        number_type.convert(stored, values)
        return values

    def _read_span(self, span: Span) -> np.ndarray:
        """The values of all or a part of the file's bytes; converted in blocks, not copied."""
        number_type = self.number_type
        if number_type.is_plain:
            return span.read(self._where, number_type.stored.str)
        width = number_type.stored.itemsize
        values = np.empty(span.length // width, number_type.dtype)
        for start in range(0, values.size, _BLOCK):
            block = values[start : start + _BLOCK]
            part = span.part(start * width, block.size * width)
            number_type.convert(part.read(self._where, number_type.stored.str), block)
        return values

    @property
    def _listed(self) -> Any:
        """The numbers that stand in the graph one by one."""
        return getattr(self._proto, self.number_type.listed)

    @property
    def _where(self) -> str:
        return f"{self._model_path.name}: {self.name!r}"


@dataclass(eq=False)
class Node:
    """One operator of the graph.

    Attributes:
        op_type: such as "MatMul".
        path: the module it came from, such as "model/decoder/layers.0/fc1"; "" without one.
        inputs, outputs: names of the values it reads and writes.
        scope: the (sub)graph it stands in.
    """

    op_type: str
    path: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    scope: Scope = field(repr=False)
    _proto: onnx.NodeProto = field(repr=False)

    @property
    def domain(self) -> str:
        """Whose operator it is; "" for ONNX itself."""
        return self._proto.domain

    def attribute(self, name: str, default: Any) -> Any:
        """The attribute `name`: an int, a float, a text or a list of ints, as `default` is."""
        for attribute in self._proto.attribute:
            if attribute.name == name:
                if isinstance(default, str):
                    return attribute.s.decode("utf-8", "replace")
                if isinstance(default, float):
                    return attribute.f
                return attribute.i if isinstance(default, int) else list(attribute.ints)
        return default


@dataclass(frozen=True)
class Operand:
    """A constant as an operator sees it.

    Attributes:
        constant: where the values come from.
        axes: permutation of its axes; () for none.
        scale: what a DequantizeLinear multiplies int8 values with: one number, or one for each
            entry of the constant's axis `scale_axis`; None without one.
    """

    constant: Constant
    axes: tuple[int, ...] = ()
    scale: Constant | None = None
    scale_axis: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """After the permutation."""
        dims = self.constant.dims
        return tuple(dims[axis] for axis in self.axes) if self.axes else dims

    def array(self) -> np.ndarray:
        """float32 or int8 of `shape`, without the scale; raises what Constant.array does."""
        array = self.constant.array()
        return array.transpose(self.axes) if self.axes else array

    def scales(self, axis: int) -> np.ndarray:
        """The scale of each entry of `axis` of an int8 weight, float32.

        Raises:
            UnsupportedModelError: none, or one for each entry of another axis.
        """
        where = f"the int8 weight {self.constant.name!r}"
        if self.scale is None:
            raise UnsupportedModelError(f"{where} has no DequantizeLinear")
        values = self.scale.array().ravel()
        stored_axis = self.axes[axis] if self.axes else axis
        if values.size not in (1, self.shape[axis]) or (
            values.size > 1 and self.scale_axis % len(self.shape) != stored_axis
        ):
            raise UnsupportedModelError(f"{where} has no scale for each output channel")
        return np.full(self.shape[axis], values, np.float32)


@dataclass(eq=False)
class Scope:
    """One graph: the outer one, or a branch of an `If`.

    Attributes:
        parent: the graph around it, whose names it sees.
        constants: by name.
        producers: the node that writes a name.
        outputs: names, in order.
        branches: of each `If` node, by the node's first output.
    """

    parent: Scope | None
    constants: dict[str, Constant] = field(default_factory=dict)
    producers: dict[str, Node] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    branches: dict[str, list[Scope]] = field(default_factory=dict)

    def constant(self, name: str) -> Operand | None:
        """The constant `name`, None if it varies.

        It is seen through Identity, Cast, Transpose and DequantizeLinear without zero point.
        """
        axes: tuple[int, ...] = ()
        scale, scale_axis = None, 0
        scope: Scope | None = self
        for _ in range(32):  # longer chains do not occur, and a damaged file may hold a cycle
            while scope and name not in scope.constants and name not in scope.producers:
                scope = scope.parent
            if scope is None:
                return None
            if name in scope.constants:
                constant = scope.constants[name]
                if len(axes) not in (0, len(constant.dims)):
                    return None
                return Operand(constant, axes, scale, scale_axis)
            node = scope.producers[name]
            if node.op_type == "DequantizeLinear" and len(node.inputs) == 2 and scale is None:
                found = scope.constant(node.inputs[1])
                if found is None:
                    return None
                scale, scale_axis = found.constant, node.attribute("axis", 1)
            elif node.op_type not in ("Identity", "Cast", "Transpose") or not node.inputs:
                return None
            if node.op_type == "Transpose":
                axes = _compose(node, axes)
                if not axes:
                    return None
                if scale is not None:  # whose axis is that of the Transpose's output
                    scale_axis = _permutation(node)[scale_axis % len(axes)]
            name = node.inputs[0]
        return None


def _permutation(node: Node) -> tuple[int, ...]:
    return tuple(node.attribute("perm", [])) or (1, 0)


def _compose(node: Node, outer: tuple[int, ...]) -> tuple[int, ...]:
    """The permutation of a Transpose node followed by `outer`; () if it is none."""
    inner = _permutation(node)
    if sorted(inner) != list(range(len(inner))) or len(outer) not in (0, len(inner)):
        return ()
    return tuple(inner[axis] for axis in outer) if outer else inner


class Graph:
    """The nodes and constants of one ONNX file, those in the branches of `If` nodes included.

    Args:
        path: the file.

    Raises:
        ModelFormatError: the file is truncated, or not ONNX.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.nodes: list[Node] = []
        self._by_path: dict[str, list[Node]] = defaultdict(list)
        self._consumers: dict[tuple[Scope, str], list[Node]] = defaultdict(list)
        graph, self._spans = read_graph(path)
        try:
            self.root = self._scope(graph, None)
        except UnicodeError as error:
            raise ModelFormatError(f"{path.name}: damaged ONNX file: {error}") from error

    def at(self, module: str) -> list[Node]:
        """Nodes whose module path is `module` or ends with it, such as "layers.0/fc1"."""
        return self._by_path.get(module, [])

    def consumers(self, node: Node) -> list[Node]:
        """Nodes of the same scope that read the first output of `node`."""
        return self._consumers.get((node.scope, node.outputs[0]), [])

    def constants(self) -> Iterator[Constant]:
        """Every stored tensor, in file order."""
        pending = [self.root]
        while pending:
            scope = pending.pop()
            yield from scope.constants.values()
            for branches in scope.branches.values():
                pending.extend(branches)

    def output_nodes(self, name: str) -> list[Node]:
        """The nodes that compute graph output `name`: one, or one for each branch of an `If`."""
        return list(_computing(self.root, name))

    def _scope(self, proto: onnx.GraphProto, parent: Scope | None) -> Scope:
        scope = Scope(parent, outputs=tuple(_text(v.name) for v in proto.output))
        if proto.sparse_initializer:
            raise UnsupportedModelError(f"{self.path.name}: sparse initializers are not supported")
        for i, tensor in enumerate(proto.initializer):
            span = self._spans[i] if parent is None else None
            self._add_constant(scope, Constant(_text(tensor.name), tensor, self.path, True, span))
        for node in proto.node:
            self._add_node(scope, node)
        return scope

    def _add_constant(self, scope: Scope, constant: Constant) -> None:
        if constant.name in scope.constants:
            raise ModelFormatError(f"{self.path.name}: {constant.name!r} is defined twice")
        scope.constants[constant.name] = constant

    def _add_node(self, scope: Scope, proto: onnx.NodeProto) -> None:
        path = _text(proto.name).strip("/").rpartition("/")[0]
        inputs, outputs = tuple(map(_text, proto.input)), tuple(map(_text, proto.output))
        node = Node(_text(proto.op_type), path, inputs, outputs, scope, proto)
        if not node.outputs:
            return
        if node.op_type == "Constant":
            for attribute in proto.attribute:
                if attribute.name == "value":
                    constant = Constant(node.outputs[0], attribute.t, self.path, False)
                    self._add_constant(scope, constant)
            return
        self.nodes.append(node)
        for output in node.outputs:
            scope.producers[output] = node
        for name in node.inputs:
            self._consumers[scope, name].append(node)
        for suffix in _suffixes(path):
            self._by_path[suffix].append(node)
        if node.op_type == "If":
            scope.branches[node.outputs[0]] = [
                self._scope(attribute.g, scope)
                for attribute in proto.attribute
                if attribute.HasField("g")
            ]


def _text(value: str) -> str:
    """A string of the file; UnicodeError for the bytes that protobuf gives if it is not UTF-8."""
    if not isinstance(value, str):
        raise UnicodeError(f"the name {value!r:.60} is not UTF-8")
    return value


def _suffixes(path: str) -> Iterator[str]:
    """ "a/b/c" gives "a/b/c", "b/c" and "c"; "" gives nothing."""
    parts = path.split("/")[-MAX_MODULE_DEPTH:] if path else []
    for i in range(len(parts)):
        yield "/".join(parts[i:])


def _computing(scope: Scope, name: str) -> Iterator[Node]:
    for _ in range(32):
        node = scope.producers.get(name)
        if node is None:
            return
        if node.op_type == "If":
            index = node.outputs.index(name)
            for branch in scope.branches[node.outputs[0]]:
                if index < len(branch.outputs):
                    yield from _computing(branch, branch.outputs[index])
            return
        if node.op_type not in ("Identity", "Cast"):
            yield node
            return
        name = node.inputs[0] if node.inputs else ""
