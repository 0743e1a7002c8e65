"""The forms in which exports come: each is rewritten into the operators of a plain export.

A form is a file here with a table from its operators to what is done with their nodes.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pyengine.models.forms import (
    activation_pairs,
    activations,
    attentions,
    blocks,
    embeddings,
    integer_products,
    norms,
    products,
    scaled_integers,
    simplified,
)
from pyengine.models.forms.rewriting import Expansion, rewrite
from pyengine.models.graph import Graph
from pyengine.models.storage import find_operators


@dataclass(frozen=True)
class Form:
    """A way to write a model.

    Attributes:
        name: for users.
        operators: those that tell it, of its own.
        expansions: what is done with a node, by its operator.
        is_int8: its products are of integers, so that it is computed in int8 by default.
        is_quantised: its weights are integers.
    """

    name: str
    operators: frozenset[str]
    expansions: dict[str, Expansion]
    is_int8: bool = False
    is_quantised: bool = True


_FUSED = {
    **attentions.EXPANSIONS,
    **norms.EXPANSIONS,
    **activations.EXPANSIONS,
    **products.EXPANSIONS,
    **embeddings.EXPANSIONS,
}

FORMS = (
    Form(
        "blocks of few bits",
        frozenset({"MatMulNBits", "MatMulBnb4", "GatherBlockQuantized"}),
        blocks.EXPANSIONS,
    ),
    Form(
        "dynamic quantisation",
        frozenset({"MatMulInteger", "MatMulIntegerToFloat", "DynamicQuantizeMatMul", "QAttention"}),
        integer_products.EXPANSIONS,
        is_int8=True,
    ),
    Form("QDQ", frozenset({"QuantizeLinear"}), activation_pairs.EXPANSIONS, is_int8=True),
    Form("scaled integers", frozenset(), scaled_integers.EXPANSIONS),
    Form("fused operators", frozenset(_FUSED), _FUSED, is_quantised=False),
    Form("simplified products", frozenset(), simplified.EXPANSIONS, is_quantised=False),
)
"""In the order in which they are rewritten."""


def find_forms(paths: Iterable[Path]) -> tuple[Form, ...]:
    """The forms of ONNX files, told by their operators without reading the graphs.

    Raises:
        ModelFormatError: a file is truncated, or not ONNX.
    """
    names = frozenset[str]().union(*(form.operators for form in FORMS))
    found = frozenset[str]().union(*(find_operators(path, names) for path in set(paths)))
    return tuple(
        dataclasses.replace(form, operators=form.operators & found)
        for form in FORMS
        if form.operators & found
    )


def read_plain(path: Path) -> Graph:
    """The graph in an ONNX file, whatever its form, in the operators of a plain export.

    Raises:
        ModelFormatError: the file is truncated, or not ONNX.
        UnsupportedModelError: operators of a form do not stand as its tools write them.
    """
    graph = Graph(path)
    operators = {node.op_type for node in graph.nodes}
    graph.forms = tuple(
        form.name for form in FORMS if form.is_quantised and form.operators & operators
    )
    graph.fused = Counter(
        node.op_type for node in graph.nodes if node.domain or node.op_type in _FUSED
    )
    for form in FORMS:
        rewrite(graph, form.expansions)
    return graph
