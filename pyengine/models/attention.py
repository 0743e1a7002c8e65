"""An attention in a graph: two products of varying tensors and a Softmax between, or Attention."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

from pyengine.models.dataflow import (
    MOVES,
    Value,
    behind,
    constants,
    factor,
    input_of,
    number_of,
    varying,
)
from pyengine.models.graph import Node
from pyengine.models.patterns import Part, Unrecognised, linear, product, rows_of_table

_MASKS = MOVES | {"Add", "Sub", "Mul", "Div", "Where", "Max", "Clip"}
"""Operators between the product of queries and keys and the one with the values."""
_TURNS = MOVES | {"Add", "Sub", "Mul", "Div", "Neg", "RotaryEmbedding"}
"""Operators between a projection and those products: heads, scales, caches, rotary positions."""
_ANGLES = MOVES | {"Mul", "MatMul", "Einsum"}
"""Operators between the inverse frequencies of rotary positions and their cosine."""


@dataclass(frozen=True)
class Attention:
    """The parts of one attention.

    Attributes:
        q: the projection of the queries; of all three if `fused`.
        k, v: those of keys and values; None where both come from the cache alone.
        fused: one product gives queries, keys and values side by side, in this order.
        scores: what holds a table of relative positions, if there is one: the Softmax's input, or
            the mask of an Attention; None without a mask.
        product: the node whose first inputs are queries and keys.
    """

    q: Part
    k: Part | None
    v: Part | None
    fused: bool
    scores: Value | None
    product: Node

    @property
    def parts(self) -> list[Part]:
        """The projections that there are."""
        return [part for part in (self.q, self.k, self.v) if part is not None]

    def scale(self, head_dim: int) -> float | None:
        """The factor on the products of queries and keys; None if the graph computes it."""
        queries, keys = input_of(self.product, 0), input_of(self.product, 1)
        factors = [factor(x, lambda v: linear(v) is not None, _TURNS) for x in (queries, keys)]
        if self.product.op_type == "Attention":
            factors.append(self.product.attribute("scale", 0.0) or head_dim**-0.5)
        elif self.scores is not None:
            factors.append(factor(self.scores, lambda v: v.producer is self.product, _MASKS))
        known = [number for number in factors if number is not None]
        return math.prod(known) if len(known) == len(factors) else None

    def relative_tables(self) -> list[Node]:
        """The nodes that read a table whose rows are added to the scores."""
        if self.scores is None:
            return []
        found = behind(self.scores, lambda v: rows_of_table(v) is not None, _MASKS)
        return [node for value in found if (node := value.producer)]

    def rotary_angles(self, pairs: int) -> list[Node]:
        """The nodes that read the inverse frequencies, `pairs` numbers, for queries and keys."""
        nodes: list[Node] = []
        for turned in (input_of(self.product, 0), input_of(self.product, 1)):
            for cosine in behind(turned, lambda v: _is(v, "Cos"), _TURNS):
                found = behind(cosine, lambda v: _reads_vector(v, pairs), _ANGLES | {"Cos"})
                nodes += [node for value in found if (node := value.producer)]
        return nodes


def read_attention(module: str, mixed: Value) -> Attention:
    """The attention that gives `mixed`, what enters its output projection.

    Raises:
        Unrecognised: it is none.
    """
    whole = next(behind(mixed, lambda v: _attention(v) is not None, MOVES), None)
    if whole is not None and (node := _attention(whole)):
        mask = input_of(node, 3) if len(node.inputs) > 3 and node.inputs[3] else None
        return _read(module, node, input_of(node, 2), mask)
    context = _nearest(module, "a product of two varying tensors", mixed, MOVES)
    probabilities = [_softmax(input_of(context, i)) for i in range(2)]
    softmax = probabilities[0] or probabilities[1]
    if softmax is None:
        raise Unrecognised(module, "a Softmax", input_of(context, 0), input_of(context, 1))
    values = input_of(context, 1 if probabilities[0] else 0)
    scores = input_of(softmax, 0)
    inner = _nearest(module, "a product of queries and keys", scores, _MASKS)
    return _read(module, inner, values, scores)


def _read(module: str, inner: Node, values: Value, scores: Value | None) -> Attention:
    """The projections behind queries and keys, the first inputs of `inner`, and values."""
    heads = (input_of(inner, 0), input_of(inner, 1), values)
    q, k, v = (
        _projection(f"{module}.{name}_proj", x) for name, x in zip("qkv", heads, strict=True)
    )
    if q is None:
        raise Unrecognised(module, "a projection of the queries", heads[0])
    fused = k is not None and v is not None and q.nodes == k.nodes == v.nodes
    if fused:
        _check_order(module, heads)
    return Attention(q, k, v, fused, scores, inner)


def _attention(value: Value) -> Node | None:
    """The node, if it is ONNX's own Attention, which has queries, keys and values as inputs."""
    node = value.producer
    is_one = node is not None and node.op_type == "Attention" and not node.domain
    return node if is_one else None


def read_recurrence(branch: Value) -> tuple[Part, Part] | None:
    """The gate and the input projection of the recurrent unit that gives `branch`."""
    relu = branch.plain.producer
    if relu is None or relu.op_type != "Relu":
        return None
    scan = input_of(relu, 0).plain.producer
    if scan is None or scan.op_type != "Scan":
        return None
    inputs = [input_of(scan, i).plain for i in range(len(scan.inputs))]
    gates = [value for value in inputs if _is(value, "Sigmoid")]
    news = [value for value in inputs if _is(value, "Mul")]
    if len(gates) != 1 or len(news) != 1:
        return None
    gate, new = (value.producer for value in (gates[0], news[0]))
    gate_part = linear(input_of(gate, 0)) if gate is not None else None
    factors = varying(new) if new is not None else []
    parts = [part for term in factors if (part := linear(term))]
    if gate_part is None or len(factors) != 2 or len(parts) != 1:
        return None
    rest = factors[0] if linear(factors[0]) is None else factors[1]
    return (gate_part, parts[0]) if _is_complement(rest, gates[0]) else None


def _is_complement(value: Value, gate: Value) -> bool:
    """Whether `value` is 1 - `gate`."""
    node = value.plain.producer
    if node is None or node.op_type != "Sub":
        return False
    return number_of(input_of(node, 0)) == 1 and input_of(node, 1).plain == gate


def _nearest(module: str, expected: str, value: Value, through: Collection[str]) -> Node:
    """The one product of two varying tensors behind a value."""
    found = [product(v) for v in behind(value, lambda v: product(v) is not None, through)]
    if len(found) != 1 or found[0] is None:
        raise Unrecognised(module, expected, value.plain)
    return found[0]


def _softmax(value: Value) -> Node | None:
    found = next(behind(value, lambda v: _is(v, "Softmax"), MOVES | {"Where"}), None)
    return found.producer if found is not None else None


def _projection(name: str, value: Value) -> Part | None:
    """The projection behind queries, keys or values; None if these come from the cache alone."""
    for turned in behind(value, lambda v: _is(v, "RotaryEmbedding"), _TURNS):
        if (node := turned.producer) and node.attribute("interleaved", 0):
            raise Unrecognised(name, "rotary positions of halves, not interleaved", turned)
    found = [linear(v) for v in behind(value, lambda v: linear(v) is not None, _TURNS)]
    if len(found) > 1:
        raise Unrecognised(name, "one product with a stored weight", value.plain)
    return found[0] if found else None


def _check_order(module: str, values: tuple[Value, ...]) -> None:
    """Queries, keys and values are the first, second and third part of one product."""
    for i, value in enumerate(values):
        cut = next(behind(value, lambda v: _is(v, "Split"), _TURNS - {"Split"}), None)
        node = cut.producer if cut is not None else None
        if cut is None or node is None or node.outputs.index(cut.name) != i:
            raise Unrecognised(f"{module}.qkv_proj", f"part {i + 1} of a Split", cut or value)


def _is(value: Value, op_type: str) -> bool:
    node = value.producer
    return node is not None and node.op_type == op_type


def _reads_vector(value: Value, size: int) -> bool:
    """Whether the value is computed with so many stored numbers."""
    node = value.producer
    operands = constants(node) if node is not None else []
    return any(o.constant.size == size and o.constant.may_be_weight for o in operands)
