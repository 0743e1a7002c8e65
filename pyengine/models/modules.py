"""Where a graph has the modules of a family's table: by node paths, or else by data flow."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pyengine.errors import ModelFormatError, UnsupportedModelError
from pyengine.models.config import ModelConfig
from pyengine.models.dataflow import Value
from pyengine.models.graph import Graph, Node
from pyengine.models.patterns import Unrecognised, linear
from pyengine.models.tensors import Kind, Row, modules_of
from pyengine.models.topology import label_modules

_LAYER = re.compile(r"(?:^|/)(?:layers?|block|h)\.(\d{1,5})(?:/|$)")


@dataclass(frozen=True)
class Module:
    """A module of the model in a graph.

    Attributes:
        row: its row in the table.
        nodes: those that hold its tensors.
        where: what errors call the place.
    """

    row: Row
    nodes: list[Node]
    where: str


@dataclass(frozen=True)
class Modules:
    """The modules of one stack.

    Attributes:
        by_name: canonical name -> module, in the order of the table.
        by_data_flow: the paths of the nodes do not name them.
    """

    by_name: dict[str, Module]
    by_data_flow: bool

    def nodes(self, name: str) -> list[Node]:
        """The nodes of a module; none if the model has no such module."""
        module = self.by_name.get(name)
        return module.nodes if module else []


def find_modules(graph: Graph, table: tuple[Row, ...], stack: str, config: ModelConfig) -> Modules:
    """The modules of a stack.

    Args:
        graph: the file of that stack.
        table: the family's rows, of both stacks.
        stack: "encoder" or "decoder".
        config: the architecture.

    Raises:
        ModelFormatError: the paths name another number of layers than the configuration.
        UnsupportedModelError: a part was not recognised.
    """
    _check_layers(graph, stack, config)
    named: dict[str, Module] = {}
    missing: dict[str, str] = {}
    for row, name, paths in modules_of(table, stack, config):
        is_logits = row.kind is Kind.LOGITS
        where = "output logits" if is_logits else f"module {' or '.join(paths)}"
        nodes = _logits(graph) if is_logits else _at(graph, paths)
        named[name] = Module(row, nodes, where)
        if not nodes:
            missing[name] = where
    if not missing:
        return Modules(named, by_data_flow=False)
    try:
        labels = label_modules(graph, stack, named, config)
    except Unrecognised as error:
        name, where = next(iter(missing.items()))
        named_some = any(
            module.nodes for module in named.values() if module.row.kind is not Kind.LOGITS
        )
        by_path = f"{name} not found: the graph has no {where}, and " if named_some else ""
        raise UnsupportedModelError(f"{graph.path.name}: {by_path}{error}") from None
    found = {
        name: Module(module.row, labels[name], f"what the data flow shows as {name}")
        for name, module in named.items()
    }
    return Modules(found, by_data_flow=True)


def _check_layers(graph: Graph, stack: str, config: ModelConfig) -> None:
    """The number of layers that node paths name, if they name any; in any case fewer than nodes."""
    layers = {int(match[1]) for node in graph.nodes if (match := _LAYER.search(node.path))}
    expected = getattr(config, f"{stack}_layers")
    if layers and max(layers) + 1 != expected:
        raise ModelFormatError(
            f"{graph.path.name}: {stack}_layers: found {max(layers) + 1}, "
            f"expected {expected} by config.json"
        )
    if expected > len(graph.nodes):
        raise ModelFormatError(
            f"{graph.path.name}: {stack}_layers: found {len(graph.nodes)} nodes in all, "
            f"expected {expected} layers by config.json"
        )


def _at(graph: Graph, paths: list[str]) -> list[Node]:
    return next((nodes for path in paths if (nodes := graph.at(path))), [])


def _logits(graph: Graph) -> list[Node]:
    """The product that computes the output `logits`, and the Add of its bias."""
    results = [Value(node.scope, node.outputs[0]) for node in graph.output_nodes("logits")]
    parts = [part for result in results if (part := linear(result))]
    return [node for part in parts for node in part.nodes]
