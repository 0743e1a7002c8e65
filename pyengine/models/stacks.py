"""The graphs and the tensors of a folder, which a load from a packed file does not read."""

from collections.abc import Iterator

from pyengine import exits
from pyengine.models.checks import check_graph, check_rotary
from pyengine.models.evaluation import check_computation
from pyengine.models.families import FAMILIES
from pyengine.models.forms import read_plain
from pyengine.models.graph import Graph
from pyengine.models.modules import Modules, find_modules
from pyengine.models.reader import ModelFolder
from pyengine.models.resolve import resolve_tensors
from pyengine.models.stored import ArrayTensors, StoredSteps, StoredTensor, StoredTensors


def read_tensors(model: ModelFolder) -> StoredTensors | ArrayTensors:
    """The tensors of a folder; raises what `read_model` does."""
    if model.firefox is not None:
        with exits.guarded_imports:
            from pyengine.models.firefox import read_firefox  # which other folders do not need

        return ArrayTensors(read_firefox(model.firefox).tensors, {model.firefox.model})
    tensors: dict[str, StoredTensor | StoredSteps] = {}
    for _ in read_stacks(model, tensors):
        pass
    return StoredTensors(tensors)


def read_stacks(
    model: ModelFolder, tensors: dict[str, StoredTensor | StoredSteps]
) -> Iterator[tuple[Graph, Modules]]:
    """The graph of each stack of an ONNX folder, once its tensors have been added to `tensors`."""
    table = FAMILIES[model.model_type].table
    for stack, path in model.graph_paths.items():
        graph = read_plain(path)
        modules = find_modules(graph, table, stack, model.config)
        check_graph(graph, stack, modules, model.config)
        operands = resolve_tensors(graph, modules, model.config, tensors)
        if model.config.position_kind == "rotary":
            check_rotary(graph, tensors["decoder.rotary.weight"], model.raw_config)
        check_computation(graph, stack, modules, model.config, operands)
        yield graph, modules
