"""Attentions that onnxruntime's optimiser fused, or that exporters write for it.

What comes in their place computes the same, also after keys and values of earlier tokens.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pyengine.models.constants import FLOAT, Computed, Constant
from pyengine.models.forms.masks import add_mask, add_positions
from pyengine.models.forms.rewriting import (
    ONNXRUNTIME,
    Expansion,
    Rewriting,
    add_bias,
    optional,
    slice_of,
)
from pyengine.models.graph import Node, Scope

_MOST_HEADS = 1 << 16


def _of_onnxruntime(expand: Expansion) -> Expansion:
    """The same for operators of onnxruntime only."""

    def expand_own(rewriting: Rewriting, node: Node) -> None:
        if node.domain == ONNXRUNTIME:
            expand(rewriting, node)

    return expand_own


def _attention(rewriting: Rewriting, node: Node) -> None:
    """Attention(x, weight [in, 3 out], bias, mask, past, added to the scores)."""
    weight = node.scope.constant(rewriting.input(node, 1))
    if weight is None or len(weight.shape) != 2 or node.attribute("do_rotary", 0):
        raise rewriting.refuse(node, "a stored weight and no rotary positions", "others")
    sizes = node.attribute("qkv_hidden_sizes", [0])
    if sizes == [0]:
        sizes = [weight.shape[1] // 3] * 3
    if len(sizes) != 3 or sum(sizes) != weight.shape[1]:
        raise rewriting.refuse(node, f"sizes that add up to {weight.shape[1]}", f"{sizes}")
    rewriting.remove(node)
    x, bias = rewriting.input(node, 0), optional(node, 2)
    projections = _projections(rewriting, node, x, rewriting.input(node, 1), bias, sizes)
    cache = _packed_cache(rewriting, node)
    _mix(rewriting, node, projections, sizes[0], optional(node, 3), optional(node, 5), cache)
    if all(cache.present):
        _pack(rewriting, node, cache.present)


def _multi_head_attention(rewriting: Rewriting, node: Node) -> None:
    """MultiHeadAttention(queries, keys, values, bias [3 out], mask, added to the scores)."""
    projections = [rewriting.input(node, i) for i in range(3)]
    width = _width(rewriting, node)
    rewriting.remove(node)
    if optional(node, 3):
        bias = node.scope.constant(node.inputs[3])
        if bias is None or len(bias.shape) != 1 or bias.shape[0] % 3:
            raise rewriting.refuse(node, "a stored bias of 3 equal parts", f"{node.inputs[3]!r}")
        size = bias.shape[0] // 3
        for i, name in enumerate("qkv"):
            if _is_by_heads(node, projections[i]):
                continue
            part = slice_of(rewriting, node, node.inputs[3], f"bias_{name}", 0, i * size, size)
            projections[i] = add_bias(rewriting, node, projections[i], part)
    cache = _Cache.of(node, 6)
    _mix(rewriting, node, projections, width, optional(node, 4), optional(node, 5), cache)


def _group_query_attention(rewriting: Rewriting, node: Node) -> None:
    """GroupQueryAttention(queries, keys, values, two pasts, two lengths, cosines, sines)."""
    if node.attribute("softcap", 0.0) or optional(node, 11):
        raise rewriting.refuse(node, "neither softcap nor head_sink", "one of them")
    rewriting.remove(node)
    heads = _num_heads(rewriting, node)
    groups = _num_heads(rewriting, node, "kv_num_heads")
    projections = [rewriting.input(node, 0), optional(node, 1), optional(node, 2)]
    width = _width(rewriting, node)
    if not projections[1]:
        width = width * heads // (heads + 2 * groups)
        projections = _unpacked(rewriting, node, width, width * groups // heads)
    if node.attribute("do_rotary", 0):
        if node.attribute("rotary_interleaved", 0):
            raise rewriting.refuse(node, "halves that turn against each other", "interleaved")
        caches = [rewriting.input(node, i) for i in (7, 8)]
        for i, name in enumerate("qk"):
            output = f"{node.outputs[0]}/turned_{name}"
            places = [optional(node, 9)] if optional(node, 9) else list(node.inputs[5:7])
            _turn(rewriting, node, projections[i], places, caches, output)
            projections[i] = output
    cache = _Cache.of(node, 3)
    _mix(rewriting, node, projections, width, optional(node, 5), optional(node, 10), cache)


def _unpacked(rewriting: Rewriting, node: Node, width: int, key_width: int) -> list[str]:
    """Queries, keys and values of one product [in, width + 2 key_width]."""
    product = _product(rewriting, node)
    last = node.scope.producer(node.inputs[0]) or product
    biases = [name for name in last.inputs if last is not product and last.scope.constant(name)]
    rewriting.remove(product, last)
    sizes = [width, key_width, key_width]
    bias = biases[0] if biases else ""
    return _projections(rewriting, node, product.inputs[0], product.inputs[1], bias, sizes)


def _width(rewriting: Rewriting, node: Node) -> int:
    """Of the product that gives the queries."""
    product = _product(rewriting, node)
    weight = product.scope.constant(product.inputs[1])
    return weight.shape[-1] if weight is not None else 0


def _product(rewriting: Rewriting, node: Node) -> Node:
    """The product with a stored weight that gives the queries, perhaps with a bias after it."""
    product = node.scope.producer(rewriting.input(node, 0))
    if product is not None and product.op_type == "Add":
        terms = (product.scope.producer(name) for name in product.inputs)
        product = next((term for term in terms if term is not None), None)
    if product is None or product.op_type != "MatMul" or len(product.inputs) != 2:
        raise rewriting.refuse(node, "a product with a stored weight", f"{node.inputs[0]!r}")
    return product


def _projections(
    rewriting: Rewriting, node: Node, x: str, weight: str, bias: str, sizes: list[int]
) -> list[str]:
    """Queries, keys and values, each by its part of the weight and of the bias."""
    found = []
    first = 0
    for name, size in zip("qkv", sizes, strict=True):
        part = slice_of(rewriting, node, weight, f"weight_{name}", 1, first, size)
        value = rewriting.add(node, "MatMul", [x, part], f"{node.outputs[0]}/{name}", "")
        if bias:
            part = slice_of(rewriting, node, bias, f"bias_{name}", 0, first, size)
            value = rewriting.add(node, "Add", [value, part], f"{node.outputs[0]}/{name}/sum", "")
        found.append(value)
        first += size
    return found


@dataclass(frozen=True)
class _Cache:
    """Keys and values that an attention is given of earlier tokens, and those that it gives back.

    Attributes:
        past, present: what the two are called, by heads; "" where there are none.
    """

    past: tuple[str, str]
    present: tuple[str, str]

    @staticmethod
    def of(node: Node, first: int) -> _Cache:
        """Those at inputs `first` and `first` + 1, and at outputs 1 and 2."""
        given = *node.outputs, "", ""
        return _Cache((optional(node, first), optional(node, first + 1)), (given[1], given[2]))


def _packed_cache(rewriting: Rewriting, node: Node) -> _Cache:
    """The two parts of Attention's past, and names for those of its present."""
    past = ["", ""]
    for i in range(2) if optional(node, 4) else ():
        name = f"{node.outputs[0]}/past_{i}"
        index = rewriting.add_constant(node, f"{name}/index", np.array(i, np.int64))
        past[i] = rewriting.add(node, "Gather", [node.inputs[4], index], name, "")
    if len(node.outputs) < 2 or not node.outputs[1]:
        return _Cache((past[0], past[1]), ("", ""))
    key, value = (f"{node.outputs[1]}/{kind}" for kind in ("key", "value"))
    return _Cache((past[0], past[1]), (key, value))


def _pack(rewriting: Rewriting, node: Node, present: tuple[str, str]) -> None:
    """The second output of Attention, keys before values."""
    parts = [
        rewriting.add(node, "Unsqueeze", [name], f"{name}/part", "", axes=[0]) for name in present
    ]
    rewriting.add(node, "Concat", parts, node.outputs[1], "", axis=0)


def _mix(
    rewriting: Rewriting,
    node: Node,
    projections: list[str],
    width: int,
    mask: str,
    added: str,
    cache: _Cache,
) -> None:
    """softmax(scale * q k + mask + added) v by heads, with queries of `width` numbers."""
    output, heads = node.outputs[0], _num_heads(rewriting, node)
    if width < heads or any(not name for name in projections):
        found = f"{width} numbers for {heads} heads"
        raise rewriting.refuse(node, "queries, keys and values by heads", found)
    scale = node.attribute("scale", 0.0) or 1 / math.sqrt(width / heads)
    queries, own_keys, own_values = (
        _heads(rewriting, node, name, value) for name, value in zip("qkv", projections, strict=True)
    )
    keys = _all_keys(rewriting, node, own_keys, cache.past[0], cache.present[0], width // heads)
    values = _all_keys(rewriting, node, own_values, cache.past[1], cache.present[1], width // heads)
    keys = rewriting.add(node, "Transpose", [keys], f"{output}/columns", "", perm=[0, 1, 3, 2])
    scores = rewriting.add(node, "MatMul", [queries, keys], f"{output}/scores", "")
    factor = rewriting.add_constant(node, f"{output}/scale", np.array(scale, np.float32))
    scores = rewriting.add(node, "Mul", [scores, factor], f"{output}/scaled", "")
    hidden = add_mask(rewriting, node, mask, queries, keys, **_sight(node))
    for i, term in enumerate(filter(None, [hidden, added])):
        scores = rewriting.add(node, "Add", [scores, term], f"{output}/biased_{i}", "")
    shares = rewriting.add(node, "Softmax", [scores], f"{output}/shares", "")
    mixed = rewriting.add(node, "MatMul", [shares, values], f"{output}/mixed", "")
    turned = rewriting.add(node, "Transpose", [mixed], f"{output}/turned", "", perm=[0, 2, 1, 3])
    shape = rewriting.add_constant(node, f"{output}/shape", np.array([0, 0, -1], np.int64))
    rewriting.add(node, "Reshape", [turned, shape], output, "")


def _sight(node: Node) -> dict[str, int]:
    """What a GroupQueryAttention lets a query see, in attributes of `add_mask`; {} of others."""
    if node.op_type != "GroupQueryAttention":
        return {}
    window = node.attribute("local_window_size", -1)
    return {"unidirectional": 1, "are_last_positions": 1, "window": window}


def _num_heads(rewriting: Rewriting, node: Node, name: str = "num_heads") -> int:
    heads: int = node.attribute(name, 0)
    if not 0 < heads <= _MOST_HEADS:
        raise rewriting.refuse(node, f"{name} from 1 to {_MOST_HEADS}", f"{heads}")
    return heads


def _heads(rewriting: Rewriting, node: Node, name: str, value: str) -> str:
    """Queries, keys or values by heads, [batch, heads, rows, width]."""
    if _is_by_heads(node, value):
        return value
    output = f"{node.outputs[0]}/heads_{name}"
    heads = _num_heads(rewriting, node) if name == "q" else _num_groups(rewriting, node)
    sizes = np.array([0, 0, heads, -1], np.int64)
    shape = rewriting.add_constant(node, f"{output}/shape", sizes)
    split = rewriting.add(node, "Reshape", [value, shape], f"{output}/split", "")
    return rewriting.add(node, "Transpose", [split], output, "", perm=[0, 2, 1, 3])


def _is_by_heads(node: Node, value: str) -> bool:
    """Whether keys or values come from the cache alone, as those of an encoder may."""
    scope: Scope | None = node.scope
    while scope is not None and value not in scope.inputs:
        scope = scope.parent
    return scope is not None and len(scope.inputs[value].sizes) == 4


def _num_groups(rewriting: Rewriting, node: Node) -> int:
    """Heads of keys and values."""
    is_grouped = node.op_type == "GroupQueryAttention"
    return _num_heads(rewriting, node, "kv_num_heads" if is_grouped else "num_heads")


def _all_keys(
    rewriting: Rewriting, node: Node, own: str, past: str, present: str, head_dim: int
) -> str:
    """Keys or values after those of earlier tokens, as many as there are heads of queries."""
    if past:
        own = rewriting.add(node, "Concat", [past, own], present or f"{own}/all", "", axis=2)
    elif present:
        own = rewriting.add(node, "Identity", [own], present, "")
    heads, groups = _num_heads(rewriting, node), _num_groups(rewriting, node)
    if groups == heads:
        return own

    def add(op_type: str, x: str, sizes: list[int], part: str) -> str:
        shape = rewriting.add_constant(node, f"{own}/{part}/shape", np.array(sizes, np.int64))
        return rewriting.add(node, op_type, [x, shape], f"{own}/{part}", "")

    one = rewriting.add(node, "Unsqueeze", [own], f"{own}/one", "", axes=[2])
    each = add("Expand", one, [1, 1, heads // groups, 1, 1], "each")
    return add("Reshape", each, [0, heads, -1, head_dim], "repeated")


def _rotary(rewriting: Rewriting, node: Node) -> None:
    """RotaryEmbedding(x, position ids, cosines, sines)."""
    if node.attribute("interleaved", 0):
        raise rewriting.refuse(node, "halves that turn against each other", "interleaved")
    rewriting.remove(node)
    caches = [rewriting.input(node, i) for i in (2, 3)]
    x, places = rewriting.input(node, 0), [rewriting.input(node, 1)]
    _turn(rewriting, node, x, places, caches, node.outputs[0])


def _turn(
    rewriting: Rewriting, node: Node, x: str, places: list[str], caches: list[str], output: str
) -> None:
    """Turns by the angles of which `caches` hold the cosines and sines.

    Args:
        places: what tells the positions, see `add_positions`.
    """
    cosines, sines = (node.scope.constant(name) for name in caches)
    if cosines is None or sines is None or cosines.shape != sines.shape:
        raise rewriting.refuse(node, "stored cosines and sines", ", ".join(map(repr, caches)))
    if len(cosines.shape) != 2 or cosines.shape[0] < 2:
        raise rewriting.refuse(node, "cosines of several positions", f"{list(cosines.shape)}")
    name = f"{output}/frequencies"
    node.scope.constants[name] = frequencies(name, cosines.constant, sines.constant)
    positions = add_positions(rewriting, node, x, places, f"positions/{output}")
    numbers = rewriting.add(node, "Cast", [positions], f"{output}/numbers", "", to=FLOAT)
    column = rewriting.add(node, "Unsqueeze", [numbers], f"{output}/column", "", axes=[-1])
    angles = rewriting.add(node, "Mul", [column, name], f"{output}/angles", "")
    cosine = rewriting.add(node, "Cos", [angles], f"{output}/cosine", "")
    sine = rewriting.add(node, "Sin", [angles], f"{output}/sine", "")
    rewriting.add(node, "RotaryEmbedding", [x, cosine, sine], output, "")


_FARTHEST = 1 << 12
"""Positions that the frequencies are read from; farther angles are no more exact."""


def frequencies(name: str, cosines: Constant, sines: Constant) -> Constant:
    """The inverse frequencies [pairs] of rotary positions by tables [positions, pairs].

    The angle at position 1 gives each to about seven digits; those at 2, 4, 8, ..., whose whole
    turns are then known, correct the last of them.
    """

    def compute() -> np.ndarray:
        rows = [array.array().astype(np.float64) for array in (sines, cosines)]
        angles = np.arctan2(rows[0], rows[1])
        found: np.ndarray = angles[1]
        position = 2
        while position < min(len(angles), _FARTHEST):
            turns = np.rint((found * position - angles[position]) / (2 * np.pi))
            found = (angles[position] + 2 * np.pi * turns) / position
            position *= 2
        return found

    return Computed(name, (cosines.dims[1],), [cosines, sines], compute)


EXPANSIONS: dict[str, Expansion] = {
    "Attention": _of_onnxruntime(_attention),
    "MultiHeadAttention": _of_onnxruntime(_multi_head_attention),
    "GroupQueryAttention": _of_onnxruntime(_group_query_attention),
    "RotaryEmbedding": _of_onnxruntime(_rotary),
}
