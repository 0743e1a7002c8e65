"""Which nodes of a graph are which module, by data flow alone.

The names of nodes and stored tensors play no part; those of the graph's inputs and outputs do. From
the output back, every layer must be what the configuration says, or the error tells which part is
not. So adding a family needs nothing here as long as its table uses the canonical names.
"""

from __future__ import annotations

import math
from collections.abc import Collection

from pyengine.models.activation import activation_between
from pyengine.models.attention import Attention, read_attention, read_recurrence
from pyengine.models.config import ModelConfig
from pyengine.models.dataflow import Value, behind, input_of, varying
from pyengine.models.graph import Graph, Node
from pyengine.models.patterns import (
    Part,
    Unrecognised,
    linear,
    norm,
    rows_of_table,
    scaled,
    unclamped,
)

ACTIVATIONS = frozenset(
    {"Add", "Sub", "Mul", "Div", "Neg", "Pow", "Relu", "Sigmoid", "Erf", "Tanh", "Gelu", "Clip"}
    | {"Identity", "Cast", "Reshape"}
)
"""Operators between the products of a feed-forward network."""
_SCALE_TOLERANCE = 1e-2  # float16 holds a root to 1e-3
_MOST_TABLES = 8  # whose rows are added up in the embeddings


def label_modules(
    graph: Graph, stack: str, names: Collection[str], config: ModelConfig
) -> dict[str, list[Node]]:
    """The nodes that hold the tensors of each module.

    Args:
        graph: the file of that stack.
        stack: "encoder" or "decoder".
        names: the canonical names of the modules that the stack has.
        config: the architecture.

    Raises:
        Unrecognised: says which part is not there, what was found and what was expected.
    """
    output = "logits" if stack == "decoder" or config.classifies else "last_hidden_state"
    results = graph.output_nodes(output)
    if not results:
        raise Unrecognised(
            "the graph's output",
            repr(output),
            *(Value(graph.root, name) for name in graph.root.outputs),
        )
    labels: dict[str, list[Node]] = {}
    for result in results:  # one, or one for each branch of a merged decoder
        reading = _Reading(stack, names, config)
        reading.read(Value(result.scope, result.outputs[0]))
        for name, nodes in reading.labels.items():
            labels[name] = list(dict.fromkeys([*labels.get(name, []), *nodes]))
    for name in names:
        if name not in labels:
            raise Unrecognised(name, "it between the output and the embeddings")
    return labels


class _Reading:
    """One way back from an output to the embeddings.

    Args:
        stack, names, config: as of label_modules.

    Attributes:
        labels: the nodes of every module found so far.
    """

    def __init__(self, stack: str, names: Collection[str], config: ModelConfig) -> None:
        self.labels: dict[str, list[Node]] = {}
        self._stack = stack
        self._names = names
        self._config = config

    def read(self, output: Value) -> None:
        """Label the modules; raises Unrecognised."""
        config, stack = self._config, self._stack
        x = self._head(output)
        if f"{stack}.layer_norm" in self._names:
            x = self._norm(f"{stack}.layer_norm", scaled(x))
        for i in reversed(range(getattr(config, f"{stack}_layers"))):
            layer = f"{stack}.layers.{i}"
            x = self._block(x, f"{layer}.final_layer_norm", layer)
            if f"{layer}.encoder_attn.q_proj" in self._names:
                x = self._block(x, f"{layer}.encoder_attn_layer_norm", f"{layer}.encoder_attn")
            kind = "ssru" if f"{layer}.ssru.gate" in self._names else "self_attn"
            x = self._block(x, f"{layer}.{kind}_layer_norm", f"{layer}.{kind}")
        if f"{stack}.layernorm_embedding" in self._names:
            x = self._norm(f"{stack}.layernorm_embedding", x)
        self._embeddings(x)

    def _head(self, output: Value) -> Value:
        """The last hidden states under the output."""
        if self._stack == "decoder":
            return self._linear("lm_head", output)
        if not self._config.classifies:
            return output
        inner = self._linear("encoder.classifier.out_proj", output).plain
        activation = inner.producer
        expected = self._config.classifier_activation
        if activation is None or activation.op_type.lower() != expected:
            raise Unrecognised("encoder.classifier", expected, inner)
        pooled = self._linear("encoder.classifier.dense", input_of(activation, 0)).plain
        first = pooled.producer
        if first is None or first.op_type not in ("Gather", "Slice"):
            raise Unrecognised("encoder.classifier", "the first token by Gather or Slice", pooled)
        return input_of(first, 0)

    def _block(self, x: Value, norm_name: str, module: str) -> Value:
        """What enters a block with its residual connection and its norm."""
        before, x = self._config.normalize_before, unclamped(x)
        whole = x if before else self._norm(norm_name, x)
        branch, residual = self._residual(whole, module)
        entered = self._inner(module, branch)
        start = self._norm(norm_name, entered) if before else entered
        if start.plain != residual.plain:
            raise Unrecognised(module, f"to compute from the residual {residual}", start)
        return residual

    def _residual(self, whole: Value, module: str) -> tuple[Value, Value]:
        """The two terms of a residual sum: the block's output and what went around it."""
        node = whole.plain.producer
        terms = varying(node) if node is not None and node.op_type == "Add" else []
        if len(terms) != 2:
            raise Unrecognised(module, "a residual sum", whole.plain)
        recurs = module.endswith(".ssru")
        inner = [bool(read_recurrence(term) if recurs else linear(term)) for term in terms]
        if inner[0] == inner[1]:
            expected = "a residual sum of which one term is a " + (
                "recurrent unit" if recurs else "product with a weight"
            )
            raise Unrecognised(module, expected, *terms)
        return (terms[0], terms[1]) if inner[0] else (terms[1], terms[0])

    def _inner(self, module: str, branch: Value) -> Value:
        """Label what is inside a block; what enters it."""
        if module.endswith(".ssru"):
            return self._recurrence(module, branch)
        if module.endswith("_attn"):
            return self._attention(module, branch)
        return self._feed_forward(module, branch)

    def _recurrence(self, module: str, branch: Value) -> Value:
        unit = read_recurrence(branch)
        if unit is None:
            raise Unrecognised(module, "a recurrent unit", branch)
        self._label(f"{module}.gate", unit[0])
        self._label(f"{module}.in_proj", unit[1])
        return self._one_input(module, *unit)

    def _attention(self, module: str, branch: Value) -> Value:
        mixed = self._linear(f"{module}.out_proj", branch)
        attention = read_attention(module, mixed)
        self._check_scale(module, attention)
        is_cross = module.endswith("encoder_attn")
        if attention.fused:
            self._label(f"{module}.qkv_proj", attention.q)
            return attention.q.input
        self._label(f"{module}.q_proj", attention.q)
        for letter, part in (("k", attention.k), ("v", attention.v)):
            if part is not None:
                self._label(f"{module}.{letter}_proj", part)
            elif not is_cross:
                raise Unrecognised(module, f"{letter}_proj", _value(attention.product))
        if not is_cross:
            self._positions(module, attention)
            return self._one_input(module, *attention.parts)
        for part in attention.parts[1:]:
            if part.input.plain.name != "encoder_hidden_states":
                raise Unrecognised(module, "keys and values of encoder_hidden_states", part.input)
        return attention.q.input

    def _check_scale(self, module: str, attention: Attention) -> None:
        head_dim = getattr(self._config, f"{self._stack}_head_dim")
        expected = head_dim**-0.5 if self._config.scale_attention else 1.0
        found = attention.scale(head_dim)
        if found is not None and not math.isclose(found, expected, rel_tol=_SCALE_TOLERANCE):
            scores = _value(attention.product)
            raise Unrecognised(module, f"scores times {expected:.6g}, not {found:.6g}", scores)

    def _positions(self, module: str, attention: Attention) -> None:
        """Relative and rotary positions, which stand inside the self-attention of each layer."""
        relative = f"{self._stack}.relative_attention_bias"
        if relative in self._names:
            self._add(relative, *attention.relative_tables())
        rotary = f"{self._stack}.rotary"
        if rotary in self._names:
            self._add(rotary, *attention.rotary_angles(self._config.decoder_rotary_size))
        for name in (relative, rotary):
            if name in self._names and name not in self.labels:
                raise Unrecognised(module, f"{name} in the scores", _value(attention.product))

    def _feed_forward(self, layer: str, branch: Value) -> Value:
        inner = self._linear(f"{layer}.fc2", branch)
        if not self._config.gated_ffn:
            fc1 = self._activated(f"{layer}.fc1", inner)
            self._label(f"{layer}.fc1", fc1)
            return fc1.input
        node = inner.plain.producer
        factors = varying(node) if node is not None and node.op_type == "Mul" else []
        activated = [factor for factor in factors if linear(factor) is None]
        direct = [part for factor in factors if (part := linear(factor))]
        if len(activated) != 1 or len(direct) != 1:
            raise Unrecognised(f"{layer}.gate", "a product of fc1 and an activated gate", inner)
        gate, fc1 = self._activated(f"{layer}.gate", activated[0]), direct[0]
        self._label(f"{layer}.gate", gate)
        self._label(f"{layer}.fc1", fc1)
        return self._one_input(layer, gate, fc1)

    def _embeddings(self, x: Value) -> None:
        """The tables whose rows are added up: of tokens, positions and token types."""
        num_layers = getattr(self._config, f"{self._stack}_layers")
        plural = "" if num_layers == 1 else "s"
        where = f"{self._stack} embeddings (before {num_layers} layer{plural})"
        tokens: list[Node] = []
        others: list[Node] = []
        pending = [x]
        while pending and len(tokens + others) < _MOST_TABLES:
            term = pending.pop()
            table, scaled_table = _table(term), _table(scaled(term))
            add = term.plain.producer
            if scaled_table is not None and _reads(scaled_table, "input_ids"):
                tokens.append(scaled_table)
            elif table is not None:
                others.append(table)
            elif add is not None and add.op_type == "Add":
                pending += [input_of(add, i) for i in range(2)]
            else:
                raise Unrecognised(where, "sums of rows of tables", term.plain)
        if len(tokens) != 1:
            raise Unrecognised(where, "one table read by input_ids", *map(_value, tokens + others))
        self._add(f"{self._stack}.embed_tokens", *tokens)
        self._other_tables(where, others)

    def _other_tables(self, where: str, tables: list[Node]) -> None:
        """Those of positions and of token types, told apart by their rows."""
        rows = {"embed_positions": self._config.position_rows}
        rows["embed_types"] = self._config.token_types
        names = [name for name in rows if f"{self._stack}.{name}" in self._names]
        if len(tables) != len(names):
            found = [input_of(node, 0) for node in tables]
            raise Unrecognised(where, f"{len(names)} tables beside that of tokens", *found)
        for node in tables:
            weight = input_of(node, 0).constant
            fits = [name for name in names if weight and weight.shape[0] == rows[name]] or names
            self._add(f"{self._stack}.{fits[0]}", node)
            names.remove(fits[0])

    def _linear(self, name: str, value: Value) -> Value:
        """Label the product that gives `value`; what enters it."""
        part = linear(value)
        if part is None:
            raise Unrecognised(name, "a product with a stored weight", value.plain)
        self._label(name, part)
        return part.input

    def _activated(self, name: str, value: Value) -> Part:
        """The product under the activation that gives `value`."""
        found = list(behind(value, lambda v: linear(v) is not None, ACTIVATIONS))
        part = linear(found[0]) if len(found) == 1 else None
        if part is None:
            raise Unrecognised(name, "one product with a stored weight under an activation", value)
        activation = activation_between(found[0], value)
        if activation != self._config.activation:
            expected = f"{self._config.activation} after it, not {activation or 'another function'}"
            raise Unrecognised(name, expected, value.plain)
        return part

    def _norm(self, name: str, value: Value) -> Value:
        """Label the norm that gives `value`; what enters it."""
        part = norm(value, self._config.norm_kind)
        if part is None:
            raise Unrecognised(name, f"a {self._config.norm_kind}", value.plain)
        self._label(name, part)
        return part.input

    def _one_input(self, module: str, *parts: Part) -> Value:
        """The one value that all these products read."""
        values = {part.input.plain: part.input for part in parts}
        if len(values) != 1:
            raise Unrecognised(module, "one input of all its products", *values)
        return parts[0].input

    def _label(self, name: str, part: Part) -> None:
        self._add(name, *part.nodes)

    def _add(self, name: str, *nodes: Node) -> None:
        if name not in self._names:
            raise Unrecognised(name, "no such module in this architecture", *map(_value, nodes))
        self.labels[name] = list(dict.fromkeys([*self.labels.get(name, []), *nodes]))


def _value(node: Node) -> Value:
    return Value(node.scope, node.outputs[0])


def _table(term: Value) -> Node | None:
    """The node that reads the rows of a stored table."""
    moves = ("Identity", "Cast", "Reshape", "Unsqueeze", "Expand")
    found = behind(term, lambda v: rows_of_table(v, ("Gather", "Slice")) is not None, moves)
    value = next(found, None)
    return value.producer if value is not None else None


def _reads(node: Node, name: str) -> bool:
    """Whether the rows are chosen by a graph input as it is."""
    return node.op_type == "Gather" and input_of(node, 1).plain.name == name
