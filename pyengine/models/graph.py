"""A read-only view of one ONNX file: nodes by module path, and constants as NumPy arrays.

Only data is read; nothing is executed. Memory is bounded by the size of the files.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyengine.errors import ModelFormatError, UnsupportedModelError
from pyengine.models.constants import Constant, Operand, Quantization
from pyengine.models.protos import Input, input_of_graph, tensor_of, text_of
from pyengine.models.storage import read_graph

if TYPE_CHECKING:
    import onnx

_FUSION = re.compile(r"/\w{1,40}Fusion/?$")  # what onnxruntime's optimiser adds to a name
MAX_MODULE_DEPTH = 16  # no real model comes near; it bounds what a hostile file can cause


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

    def to_proto(self) -> onnx.NodeProto:
        """The node as ONNX writes it, with the inputs that it has now."""
        proto = type(self._proto)()
        proto.CopyFrom(self._proto)
        proto.input[:] = self.inputs
        return proto

    @property
    def domain(self) -> str:
        """Whose operator it is; "" for ONNX itself."""
        return str(self._proto.domain)

    @property
    def attributes(self) -> dict[str, Any]:
        """All of its attributes by name."""
        from onnx import helper

        return {a.name: helper.get_attribute_value(a) for a in self._proto.attribute}

    @property
    def name(self) -> str:
        """What errors call it: its name in the file, or that of its first output."""
        return self._proto.name or self.outputs[0]

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


@dataclass(eq=False)
class Scope:
    """One graph: the outer one, a branch of an `If`, or the body of a `Scan`.

    Attributes:
        parent: the graph around it, whose names it sees.
        attribute: of the node around it, such as "then_branch"; "" of the outer graph.
        inputs: by name.
        constants: by name.
        producers: the node that writes a name.
        outputs: names, in order.
        branches: those of each node, by its first output.
    """

    parent: Scope | None
    attribute: str = ""
    inputs: dict[str, Input] = field(default_factory=dict)
    constants: dict[str, Constant] = field(default_factory=dict)
    producers: dict[str, Node] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    branches: dict[str, list[Scope]] = field(default_factory=dict)

    def constant(self, name: str) -> Operand | None:
        """The constant `name`, None if it varies.

        It is seen through Identity, Cast, Transpose, DequantizeLinear, and a Slice of one axis
        whose bounds are attributes.
        """
        axes: tuple[int, ...] = ()
        quantization: Quantization | None = None
        part: tuple[int, int, int] | None = None
        scope: Scope | None = self
        for _ in range(32):  # longer chains do not occur, and a damaged file may hold a cycle
            while scope and name not in scope.constants and name not in scope.producers:
                scope = scope.parent
            if scope is None:
                return None
            if name in scope.constants:
                constant = scope.constants[name]
                if len(axes) not in (0, len(constant.dims)) or not _fits(constant, part):
                    return None
                return Operand(constant, axes, quantization, part)
            node = scope.producers[name]
            if node.op_type == "DequantizeLinear" and quantization is None:
                quantization = _quantization(node)
                if quantization is None:
                    return None
            elif node.op_type == "Slice" and part is None and quantization is None:
                part = _part(node)
                if part is None:
                    return None
            elif node.op_type not in ("Identity", "Cast", "Transpose") or not node.inputs:
                return None
            if node.op_type == "Transpose":
                axes = _compose(node, axes)
                if not axes:
                    return None
                inner = _permutation(node)  # what was seen before counts the axes of its output
                if quantization is not None:
                    axis = inner[quantization.axis % len(inner)]
                    quantization = dataclasses.replace(quantization, axis=axis)
                if part is not None:
                    part = (inner[part[0] % len(inner)], *part[1:])
            name = node.inputs[0]
        return None

    def stored(self, name: str) -> Constant | None:
        """The stored tensor `name`, seen through Identity alone; None for anything else."""
        scope: Scope | None = self
        for _ in range(32):
            while scope and name not in scope.constants and name not in scope.producers:
                scope = scope.parent
            if scope is None or name in scope.constants:
                return scope.constants[name] if scope else None
            node = scope.producers[name]
            if node.op_type != "Identity" or not node.inputs:
                return None
            name = node.inputs[0]
        return None

    def producer(self, name: str) -> Node | None:
        """The node that writes `name`, here or in a graph around; None of a stored tensor."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.producers or name in scope.constants:
                return scope.producers.get(name)
            scope = scope.parent
        return None


def _quantization(node: Node) -> Quantization | None:
    """Scale and zero point of a DequantizeLinear, if they are constant and not of blocks."""
    if len(node.inputs) not in (2, 3) or node.attribute("block_size", 0):
        return None
    scale = node.scope.stored(node.inputs[1])
    zero_name = node.inputs[2] if len(node.inputs) == 3 else ""
    zero_point = node.scope.stored(zero_name) if zero_name else None
    if scale is None or (zero_name and zero_point is None):
        return None
    return Quantization(scale, zero_point, node.attribute("axis", 1))


def _part(node: Node) -> tuple[int, int, int] | None:
    """Axis, first and end of a Slice whose bounds are attributes; None for any other."""
    bounds = [node.attribute(name, [0]) for name in ("axes", "starts", "ends")]
    if len(node.inputs) != 1 or any(len(numbers) != 1 for numbers in bounds):
        return None
    return bounds[0][0], bounds[1][0], bounds[2][0]


def _fits(constant: Constant, part: tuple[int, int, int] | None) -> bool:
    if part is None:
        return True
    axis, first, end = part
    return 0 <= axis < len(constant.dims) and 0 <= first < end <= constant.dims[axis]


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

    Attributes:
        path: the file.
        nodes: in no order that matters.
        forms: the ways in which it is quantised, see `forms.read_plain`.
        fused: how many operators the file has beyond ONNX's own, by operator.

    Args:
        path: the file.

    Raises:
        ModelFormatError: the file is truncated, or not ONNX.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.nodes: list[Node] = []
        self.forms: tuple[str, ...] = ()
        self.fused: Counter[str] = Counter()
        self._by_path: dict[str, list[Node]] = {}
        self._consumers: dict[tuple[Scope, str], list[Node]] = {}
        graph, self._spans = read_graph(path)
        try:
            self.root = self._scope(graph, None)
        except UnicodeError as error:
            raise ModelFormatError(f"{path.name}: damaged ONNX file: {error}") from error
        self._index()

    def at(self, module: str) -> list[Node]:
        """Nodes whose module path is `module` or ends with it, such as "layers.0/fc1"."""
        return self._by_path.get(module, [])

    def consumers(self, node: Node, output: int = 0) -> list[Node]:
        """Nodes of the same scope that read that output of `node`."""
        return self._consumers.get((node.scope, node.outputs[output]), [])

    def replace(
        self,
        removed: Collection[Node],
        added: Collection[Node],
        renamed: Mapping[tuple[Scope, str], str],
    ) -> None:
        """Put other nodes in place of some.

        Args:
            removed: nodes that go.
            added: nodes that come, see `make_node`.
            renamed: values that nobody computes any more -> those read in their place.
        """
        self.nodes = [node for node in self.nodes if node not in removed]
        self.nodes += added
        for node in self.nodes if renamed else ():
            node.inputs = tuple(_renamed(node.scope, name, renamed) for name in node.inputs)
        for node in removed:
            for output in node.outputs:
                if node.scope.producers.get(output) is node:
                    del node.scope.producers[output]
        for node in added:
            node.scope.producers.update(dict.fromkeys(node.outputs, node))
        self._index()

    def constants(self) -> Iterator[Constant]:
        """Every stored tensor, in file order."""
        for scope in self._scopes():
            yield from scope.constants.values()

    def reached(self) -> set[Constant]:
        """The stored tensors whose values, not only their shapes, reach an output."""
        pending = [(scope, name) for scope in self._scopes() for name in scope.outputs]
        seen, found = set(pending), set[Constant]()
        while pending:
            scope, name = pending.pop()
            while scope.parent and name not in scope.constants and name not in scope.producers:
                scope = scope.parent
            if name in scope.constants:
                found.update(scope.constants[name].sources)
                continue
            node = scope.producers.get(name)
            if node is None or node.op_type == "Shape":
                continue
            sources = {(scope, source) for source in node.inputs} - seen
            seen |= sources
            pending += sources
        return found

    def output_nodes(self, name: str) -> list[Node]:
        """The nodes that compute graph output `name`: one, or one for each branch of an `If`."""
        return list(_computing(self.root, name))

    def _scopes(self) -> Iterator[Scope]:
        """The outer graph and those in the branches of `If` nodes."""
        pending = [self.root]
        while pending:
            scope = pending.pop()
            yield scope
            for branches in scope.branches.values():
                pending.extend(branches)

    def _scope(self, proto: onnx.GraphProto, parent: Scope | None, attribute: str = "") -> Scope:
        inputs = {text_of(value.name): input_of_graph(value) for value in proto.input}
        outputs = tuple(text_of(value.name) for value in proto.output)
        scope = Scope(parent, attribute, inputs, outputs=outputs)
        if proto.sparse_initializer:
            raise UnsupportedModelError(f"{self.path.name}: sparse initializers are not supported")
        for i, tensor in enumerate(proto.initializer):
            span = self._spans[i] if parent is None else None
            self._add_constant(scope, Constant(text_of(tensor.name), tensor, self.path, True, span))
        for node in proto.node:
            self._add_node(scope, node)
        return scope

    def _add_constant(self, scope: Scope, constant: Constant) -> None:
        if constant.name in scope.constants:
            raise ModelFormatError(f"{self.path.name}: {constant.name!r} is defined twice")
        scope.constants[constant.name] = constant

    def _add_node(self, scope: Scope, proto: onnx.NodeProto) -> None:
        inputs, outputs = tuple(map(text_of, proto.input)), tuple(map(text_of, proto.output))
        # Optimisers rename nodes, but not what they compute.
        path = _path(text_of(proto.name)) or _path(outputs[0] if outputs else "")
        node = Node(text_of(proto.op_type), path, inputs, outputs, scope, proto)
        if not node.outputs:
            return
        if node.op_type == "Constant":
            for tensor in filter(None, map(tensor_of, proto.attribute)):
                self._add_constant(scope, Constant(node.outputs[0], tensor, self.path, False))
            return
        self.nodes.append(node)
        for output in node.outputs:
            scope.producers[output] = node
        if node.op_type in ("If", "Scan"):
            scope.branches[node.outputs[0]] = [
                self._scope(attribute.g, scope, text_of(attribute.name))
                for attribute in proto.attribute
                if attribute.HasField("g")
            ]

    def _index(self) -> None:
        self._by_path, self._consumers = defaultdict(list), defaultdict(list)
        for node in self.nodes:
            for name in node.inputs:
                self._consumers[node.scope, name].append(node)
            for suffix in _suffixes(node.path):
                self._by_path[suffix].append(node)


def make_node(
    scope: Scope, op_type: str, path: str, inputs: Sequence[str], output: str, **attributes: Any
) -> Node:
    """A node that no file holds, for Graph.replace."""
    from onnx import helper

    proto = helper.make_node(op_type, inputs, [output], **attributes)
    return Node(op_type, path, tuple(inputs), (output,), scope, proto)


def _renamed(scope: Scope | None, name: str, renamed: Mapping[tuple[Scope, str], str]) -> str:
    """What `name`, as a node of `scope` reads it, has become."""
    while scope is not None:
        if (scope, name) in renamed:
            return renamed[scope, name]
        scope = scope.parent
    return name


def _path(name: str) -> str:
    """The module in a name such as "/model/decoder/layers.0/fc1/MatMul", also of a fused node."""
    return _FUSION.sub("", name).strip("/").rpartition("/")[0]


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
