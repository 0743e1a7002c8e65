"""Graphs whose names say nothing are read like those whose nodes name their modules."""

import random
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest

from pyengine.models import read_model

FIXTURES = Path(__file__).parents[1] / "fixtures"
FOLDERS = sorted(path.parent.name for path in FIXTURES.glob("*/config.json"))


class Renamer:
    """Gives every node, value and stored tensor of a model a random name, one for each old one."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._random = random.Random(0)
        graph = model.graph
        kept = [value.name for value in (*graph.input, *graph.output)]
        self._names = {name: name for name in ["", *kept]}
        self._graph(graph)

    def _graph(self, graph: onnx.GraphProto) -> None:
        for value in (*graph.initializer, *graph.input, *graph.output, *graph.value_info):
            value.name = self._new(value.name)
        for node in graph.node:
            node.name = f"n{self._random.getrandbits(64):x}"
            node.ClearField("metadata_props")
            for names in (node.input, node.output):
                names[:] = [self._new(name) for name in names]
            for attribute in node.attribute:
                if attribute.HasField("g"):
                    self._graph(attribute.g)

    def _new(self, name: str) -> str:
        return self._names.setdefault(name, f"v{self._random.getrandbits(64):x}")


def renamed(folder: Path, place: Path) -> Path:
    """A copy of a model folder whose graphs have random names."""
    shutil.copytree(folder, place)
    for path in place.rglob("*.onnx"):
        model = onnx.load(path, load_external_data=False)
        Renamer(model)
        onnx.save(model, path)
    return place


@pytest.mark.parametrize("name", FOLDERS)
def test_renamed_graphs_give_the_same_tensors(tmp_path: Path, name: str) -> None:
    found = read_model(renamed(FIXTURES / name, tmp_path / name)).tensors
    expected = read_model(FIXTURES / name).tensors
    assert found.keys() == expected.keys()
    for key, tensor in expected.items():
        assert found[key].dtype == tensor.dtype and np.array_equal(found[key], tensor), key
