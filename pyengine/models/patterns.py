"""The parts of a Transformer in a graph, by their operators: products with a weight, and norms."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from pyengine.models.dataflow import Value, constants, input_of, number_of, varying
from pyengine.models.graph import Node

_LARGE = 64000.0  # bounds are float16's largest number, 65504, or that less 1000
_NORMS = {"layer_norm": "LayerNormalization", "rms_norm": "RMSNormalization"}


class Unrecognised(Exception):
    """A part of the graph is not what the configuration says.

    Args:
        part: its canonical name.
        expected: in words.
        found: the values found there.
    """

    def __init__(self, part: str, expected: str, *found: Value) -> None:
        shown = ", ".join(map(str, found)) or "none"
        super().__init__(
            f"{part} not recognised by the data flow: expected {expected}, found {shown}"
        )


@dataclass(frozen=True)
class Part:
    """A module of the model in the graph.

    Attributes:
        nodes: those that hold its tensors and numbers.
        input: what it computes from.
    """

    nodes: tuple[Node, ...]
    input: Value


def linear(value: Value) -> Part | None:
    """The product with a weight, and perhaps the bias after it, that gives `value`."""
    node = value.plain.producer
    bias: tuple[Node, ...] = ()
    if node is not None and node.op_type == "Add" and len(varying(node)) == 1:
        bias = (node,)
        node = varying(node)[0].plain.producer
    if node is None or node.op_type not in ("MatMul", "Gemm") or len(node.inputs) < 2:
        return None
    weight = input_of(node, 1).constant
    if weight is None or len(weight.shape) != 2 or input_of(node, 0).constant is not None:
        return None
    return Part((node, *bias), input_of(node, 0))


def product(value: Value) -> Node | None:
    """The product of two varying tensors that gives `value`."""
    node = value.producer
    if node is None or node.op_type != "MatMul" or len(varying(node)) != 2:
        return None
    return node


def rows_of_table(value: Value, operators: Collection[str] = ("Gather",)) -> Node | None:
    """The node that gives `value` if it reads rows of a stored matrix."""
    node = value.producer
    if node is None or node.op_type not in operators:
        return None
    table = input_of(node, 0).constant
    is_matrix = table is not None and len(table.shape) == 2 and table.constant.may_be_weight
    return node if is_matrix else None


def scaled(value: Value) -> Value:
    """What a factor was applied to, or `value` itself."""
    node = value.plain.producer
    if node is None or node.op_type not in ("Mul", "Div") or len(varying(node)) != 1:
        return value
    if any(operand.constant.size != 1 for operand in constants(node)):
        return value
    return varying(node)[0]


def unclamped(value: Value) -> Value:
    """What was kept within float16's range, as exports in float16 do, or `value` itself."""
    for _ in range(2):  # a lower and an upper bound
        node = value.plain.producer
        if node is None or node.op_type not in ("Clip", "Min", "Max"):
            break
        bounds = [input_of(node, i) for i in range(1, len(node.inputs))]
        if not all(_is_large(bound) for bound in bounds):
            break
        value = input_of(node, 0)
    return value


def _is_large(bound: Value) -> bool:
    """Whether a bound is near the end of float16's range, or one of two such by what overflows."""
    node = bound.plain.producer
    if node is not None and node.op_type == "Neg":
        bound = input_of(node, 0)
        node = bound.plain.producer
    if node is not None and node.op_type == "Where":
        return all(_is_large_number(input_of(node, i)) for i in (1, 2))
    return _is_large_number(bound)


def _is_large_number(value: Value) -> bool:
    number = number_of(value.plain)
    return number is not None and abs(number) >= _LARGE


def norm(value: Value, kind: str) -> Part | None:
    """The norm that gives `value`, in one operator or in its parts.

    Args:
        value: its output.
        kind: "layer_norm" or "rms_norm".
    """
    node = value.plain.producer
    if node is not None and node.op_type == _NORMS[kind]:
        return Part((node,), input_of(node, 0))
    nodes: list[Node] = []
    if node is not None and node.op_type == "Add" and len(varying(node)) == 1:
        nodes.append(node)
        node = varying(node)[0].plain.producer
    if node is None or node.op_type != "Mul" or len(varying(node)) != 1:
        return None
    found = _normalized(varying(node)[0], kind)
    return found and Part((node, *nodes, *found.nodes), found.input)


def _normalized(value: Value, kind: str) -> Part | None:
    """Division by the standard deviation, or by the root of the mean square."""
    node = value.plain.producer
    if node is None or node.op_type not in ("Div", "Mul") or len(node.inputs) != 2:
        return None
    for i in (0,) if node.op_type == "Div" else (0, 1):
        divided, root = input_of(node, i), input_of(node, 1 - i)
        variance = _under_root(root if node.op_type == "Div" else _inverse_of(root))
        centred = _centred(divided)
        if variance is None or not _same(_squared(variance.input), divided):
            continue
        if (kind == "layer_norm") != (centred is not None):
            return None
        return Part(variance.nodes, divided if centred is None else centred)
    return None


def _inverse_of(value: Value) -> Value | None:
    node = value.plain.producer
    if node is not None and node.op_type == "Reciprocal":
        return input_of(node, 0)
    if node is not None and node.op_type == "Div" and number_of(input_of(node, 0)) == 1:
        return input_of(node, 1)
    return None


def _under_root(value: Value | None) -> Part | None:
    """The Add of the epsilon under a root, and what its mean is taken of."""
    root = value.plain.producer if value is not None else None
    if root is None or root.op_type != "Sqrt":
        return None
    add = input_of(root, 0).plain.producer
    if add is None or add.op_type != "Add" or len(varying(add)) != 1:
        return None
    mean = _mean_of(varying(add)[0])
    return None if mean is None else Part((add,), mean)


def _mean_of(value: Value) -> Value | None:
    node = value.plain.producer
    return input_of(node, 0) if node is not None and node.op_type == "ReduceMean" else None


def _squared(value: Value) -> Value | None:
    """What is multiplied with itself."""
    node = value.plain.producer
    if node is not None and node.op_type == "Pow" and number_of(input_of(node, 1)) == 2:
        return input_of(node, 0)
    if node is not None and node.op_type == "Mul" and _same(input_of(node, 0), input_of(node, 1)):
        return input_of(node, 0)
    return None


def _centred(value: Value) -> Value | None:
    """What the mean was taken off from."""
    node = value.plain.producer
    if node is None or node.op_type != "Sub":
        return None
    whole, mean = input_of(node, 0), _mean_of(input_of(node, 1))
    return whole if mean is not None and mean.plain == whole.plain else None


def _same(a: Value | None, b: Value | None) -> bool:
    """Whether two values are one, or twice the same without its mean."""
    if a is None or b is None:
        return False
    if a.plain == b.plain:
        return True
    whole_a, whole_b = _centred(a), _centred(b)
    return whole_a is not None and whole_b is not None and whole_a.plain == whole_b.plain
