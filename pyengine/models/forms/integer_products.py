"""onnxruntime's dynamic quantisation: products of integers with weights as stored.

`quantize_dynamic` writes DynamicQuantizeLinear, MatMulInteger, Cast and Mul; onnxruntime's
optimiser joins these to MatMulIntegerToFloat or DynamicQuantizeMatMul. A token table is gathered as
integers, whose rows a DequantizeLinear scales. Here each becomes the plain operator with a
DequantizeLinear of its weight. The activations' own quantisation goes: the engine quantises each
row by itself.
"""

from __future__ import annotations

from pyengine.models.forms.masks import add_lengths
from pyengine.models.forms.rewriting import ONNXRUNTIME, Expansion, Rewriting, optional
from pyengine.models.graph import Node

_MOVES = ("Identity", "Reshape", "Transpose", "Unsqueeze", "Squeeze", "Slice")
"""What may stand between a table of integers and its DequantizeLinear."""


def _dequantized(rewriting: Rewriting, node: Node, weight: str, scale: str, zero: str) -> str:
    """The weight of a product [in, out], with a scale for each column or for all."""
    inputs = [weight, scale, zero] if zero else [weight, scale]
    return rewriting.add(node, "DequantizeLinear", inputs, f"{node.outputs[0]}/weight", "", axis=1)


def _source(rewriting: Rewriting, node: Node, quantized: str) -> str:
    """What the integers `quantized` were made from."""
    producer = node.scope.producer(quantized)
    if producer is None or producer.op_type != "DynamicQuantizeLinear":
        found = producer.op_type if producer else f"{quantized!r}"
        raise rewriting.refuse(node, "a DynamicQuantizeLinear before it", found)
    return rewriting.input(producer, 0)


def _integer_product(rewriting: Rewriting, node: Node) -> None:
    """MatMulInteger(x, w, zero of x, zero of w), Cast, Mul by the product of both scales."""
    x = _source(rewriting, node, rewriting.input(node, 0))
    cast = _only_reader(rewriting, node, "Cast", node)
    product = _only_reader(rewriting, node, "Mul", cast)
    factors = next((name for name in product.inputs if name != cast.outputs[0]), "")
    scales = node.scope.producer(factors)
    if scales is None or scales.op_type != "Mul":
        raise rewriting.refuse(node, "a product of its two scales", f"{factors!r}")
    rewriting.remove(node, cast, product, scales)
    weight = rewriting.input(node, 1)
    if node.scope.constant(weight) is None:  # of two activations
        inputs = [x, _source(rewriting, node, weight)]
    else:
        scale = [name for name in scales.inputs if node.scope.constant(name)]
        if len(scale) != 1:
            found = f"{len(scale)} constants in {scales.name!r}"
            raise rewriting.refuse(node, "one stored scale", found)
        inputs = [x, _dequantized(rewriting, node, weight, scale[0], optional(node, 3))]
    rewriting.add(node, "MatMul", inputs, product.outputs[0])


def _only_reader(rewriting: Rewriting, node: Node, op_type: str, before: Node) -> Node:
    readers = rewriting.graph.consumers(before)
    if len(readers) != 1 or readers[0].op_type != op_type:
        found = ", ".join(reader.op_type for reader in readers) or "nothing"
        raise rewriting.refuse(node, f"one {op_type} that reads {before.outputs[0]!r}", found)
    return readers[0]


def _dynamic_product(rewriting: Rewriting, node: Node) -> None:
    """DynamicQuantizeMatMul(x, w, scale, zero, bias)."""
    scale = rewriting.input(node, 2)
    inputs = (rewriting.input(node, 0), rewriting.input(node, 1), scale, optional(node, 3))
    _with_bias(rewriting, node, *inputs, optional(node, 4))


def _scaled_product(rewriting: Rewriting, node: Node) -> None:
    """MatMulIntegerToFloat(x, w, scale of x, scale of w, zero of x, zero of w, bias)."""
    x = _source(rewriting, node, rewriting.input(node, 0))
    scale = rewriting.input(node, 3)
    inputs = (x, rewriting.input(node, 1), scale, optional(node, 5))
    _with_bias(rewriting, node, *inputs, optional(node, 6))


def _attention(rewriting: Rewriting, node: Node) -> None:
    """QAttention(x, weight, bias, scale of x, of weight, mask, zero of x, of weight, past)."""
    rewriting.remove(node)
    scale, zero = rewriting.input(node, 4), optional(node, 7)
    weight = _dequantized(rewriting, node, rewriting.input(node, 1), scale, zero)
    x = _source(rewriting, node, rewriting.input(node, 0))
    inputs = [x, weight, *(optional(node, i) for i in (2, 5, 8))]
    attributes = {**node.attributes, "domain": ONNXRUNTIME}
    rewriting.add(node, "Attention", inputs, node.outputs[0], **attributes)


def _embeddings(rewriting: Rewriting, node: Node) -> None:
    """QEmbedLayerNormalization(two ids, five tensors, mask, their scales, their zero points)."""
    rewriting.remove(node)
    tensors = []
    for i in range(2, 7):
        inputs = [rewriting.input(node, j) for j in (i, i + 6, i + 11)] if optional(node, i) else []
        output = f"{node.outputs[0]}/tensor_{i}"
        tensors += [rewriting.add(node, "DequantizeLinear", inputs, output, "") if inputs else ""]
    inputs = [rewriting.input(node, 0), optional(node, 1), *tensors]
    rewriting.add(node, "EmbedLayerNormalization", inputs, node.outputs[0], **node.attributes)
    add_lengths(rewriting, node, optional(node, 7))


def _with_bias(
    rewriting: Rewriting, node: Node, x: str, weight: str, scale: str, zero: str, bias: str
) -> None:
    rewriting.remove(node)
    inputs = [x, _dequantized(rewriting, node, weight, scale, zero)]
    output = node.outputs[0]
    if not bias:
        rewriting.add(node, "MatMul", inputs, output)
        return
    product = rewriting.add(node, "MatMul", inputs, f"{output}/product")
    rewriting.add(node, "Add", [product, bias], output)


def _gathered_table(rewriting: Rewriting, node: Node) -> None:
    """Gather or Slice of integers, then DequantizeLinear of these rows, with one scale."""
    if not node.inputs or node.scope.constant(node.inputs[0]) is None:
        return
    last, readers = node, rewriting.graph.consumers(node)
    while len(readers) == 1 and readers[0].op_type in _MOVES:
        last, readers = readers[0], rewriting.graph.consumers(readers[0])
    scalings = {reader.inputs[1:] for reader in readers}  # optimisers write one for each reader
    if len(scalings) != 1 or any(reader.op_type != "DequantizeLinear" for reader in readers):
        return
    scaling = readers[0]
    scale = node.scope.constant(rewriting.input(scaling, 1))
    if scale is None or scale.constant.size != 1:
        raise rewriting.refuse(scaling, "one stored scale for a table", f"{scaling.inputs[1]!r}")
    rewriting.remove(node, *readers)
    inputs = [node.inputs[0], *scaling.inputs[1:]]
    rows = rewriting.add(node, "DequantizeLinear", inputs, f"{node.outputs[0]}/weight", "")
    others = [rows, *node.inputs[1:]]
    rewriting.add(node, node.op_type, others, node.outputs[0], **node.attributes)
    for reader in readers:
        rewriting.rename(node.scope, reader.outputs[0], last.outputs[0])


def _drop(rewriting: Rewriting, node: Node) -> None:
    rewriting.remove(node)


EXPANSIONS: dict[str, Expansion] = {
    "MatMulInteger": _integer_product,
    "MatMulIntegerToFloat": _scaled_product,
    "DynamicQuantizeMatMul": _dynamic_product,
    "QAttention": _attention,
    "QEmbedLayerNormalization": _embeddings,
    "Gather": _gathered_table,
    "Slice": _gathered_table,
    "DynamicQuantizeLinear": _drop,
}
