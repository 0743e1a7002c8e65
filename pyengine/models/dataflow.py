"""Where a value of a graph comes from: its producer, and what stands behind it."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from pyengine.models.constants import Operand
from pyengine.models.graph import Node, Scope

# Operators that hand on their first input, perhaps in another shape or number type.
_RESHAPES = frozenset({"Identity", "Cast", "Reshape", "Squeeze", "Unsqueeze", "Flatten"})
MOVES = _RESHAPES | {"Transpose", "Expand", "Slice", "Split", "Concat"}
"""Operators that hand on their input or a part of it, perhaps in another order."""
_INDEXED = frozenset({"Reshape", "Squeeze", "Unsqueeze", "Expand", "Slice", "Split", "Pow"})
"""Operators whose inputs after the first are shapes, indices or exponents."""

_FARTHEST = 64  # nodes between the parts of a layer; real ones have fewer than 20


@dataclass(frozen=True)
class Value:
    """A value of the graph, by the (sub)graph that defines it and its name there."""

    scope: Scope
    name: str

    @property
    def producer(self) -> Node | None:
        """The node that computes it; None of an input and of a stored tensor."""
        return self.scope.producers.get(self.name) if self.name else None

    @property
    def constant(self) -> Operand | None:
        """The stored tensor that it is, None if it varies."""
        return self.scope.constant(self.name) if self.name else None

    @property
    def plain(self) -> Value:
        """The value whose shape or number type this one has changed; itself if none."""
        value = self
        for _ in range(_FARTHEST):
            node = value.producer
            if node is None or node.op_type not in _RESHAPES or not node.inputs:
                return value
            value = input_of(node, 0)
        return value

    def __str__(self) -> str:
        node = self.producer
        return f"{self.name!r}" if node is None else f"{node.op_type} ({self.name!r})"


def input_of(node: Node, index: int) -> Value:
    """The value that a node reads there, which may belong to a graph around its own.

    An input that a node leaves out is a value without a name, which nothing computes.
    """
    name = node.inputs[index] if index < len(node.inputs) else ""
    scope = node.scope
    while name not in scope.constants and name not in scope.producers and scope.parent:
        scope = scope.parent
    return Value(scope, name)


def varying(node: Node) -> list[Value]:
    """The inputs of a node that are no stored tensors."""
    values = [input_of(node, i) for i, name in enumerate(node.inputs) if name]
    return [value for value in values if value.constant is None]


def constants(node: Node) -> list[Operand]:
    """The inputs of a node that are stored tensors."""
    operands = (input_of(node, i).constant for i, name in enumerate(node.inputs) if name)
    return [operand for operand in operands if operand is not None]


def behind(
    value: Value, wanted: Callable[[Value], bool], through: Collection[str]
) -> Iterator[Value]:
    """The nearest values for which `wanted` holds, on every way back from `value`.

    Args:
        value: is looked at first.
        wanted: what is sought; nothing behind such a value is looked at.
        through: the operators that the way may lead through.
    """
    pending, seen = [value], {value}
    while pending:
        found = pending.pop(0)
        if wanted(found):
            yield found
            continue
        node = found.producer
        if node is None or node.op_type not in through:
            continue
        for source in sources(node):
            if source not in seen:
                seen.add(source)
                pending.append(source)


def factor(value: Value, wanted: Callable[[Value], bool], through: Collection[str]) -> float | None:
    """What the nearest wanted value behind `value` is multiplied with on the way.

    Returns:
        The product of stored numbers; None if there is no such way, or the graph computes one of
        the factors.
    """
    pending, seen = [(value, 1.0)], {value}
    while pending:
        found, scale = pending.pop(0)
        if wanted(found):
            return None if math.isnan(scale) else scale
        node = found.producer
        if node is None or node.op_type not in through:
            continue
        if node.op_type in ("Mul", "Div"):
            scale *= _number(node)
        for source in sources(node):
            if source not in seen:
                seen.add(source)
                pending.append((source, scale))
    return None


def _number(node: Node) -> float:
    """The stored number that a node multiplies with or divides by; NaN if it has none."""
    numbers = [number_of(input_of(node, i)) for i in range(len(node.inputs))]
    known = [number for number in numbers if number is not None]
    if len(known) != 1 or (node.op_type == "Div" and numbers[0] is not None):
        return math.nan
    if node.op_type == "Mul":
        return known[0]
    return 1 / known[0] if known[0] else math.nan


def number_of(value: Value) -> float | None:
    """The one number of a stored tensor; None of any other value."""
    operand = value.constant
    if operand is None or operand.constant.size != 1:
        return None
    if operand.constant.may_be_weight:
        return float(operand.values().flat[0])
    return operand.constant.integer()


def sources(node: Node) -> list[Value]:
    """The values that a node computes with, without shapes, indices and conditions."""
    if node.op_type in _INDEXED:
        return [input_of(node, 0)]
    first = 1 if node.op_type == "Where" else 0
    return [input_of(node, i) for i, name in enumerate(node.inputs) if name and i >= first]
