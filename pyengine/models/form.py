"""In what form a folder holds its model: who wrote the files, their number types, what is fused."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from pyengine.models.constants import Constant
from pyengine.models.reader import ModelFolder
from pyengine.models.stacks import read_stacks
from pyengine.models.storage import producer
from pyengine.models.stored import StoredSteps, StoredTensor


@dataclass(frozen=True)
class FileForm:
    """One file of a model.

    Attributes:
        path: the file.
        producer: the program that wrote it, and its version; "" if the file does not say.
        modules_by: what tells the modules, "node names" or "data flow".
        numbers: how many numbers of the weights are stored in each type, the most first. What two
            files share counts in the first.
        quantised: the ways in which its products are quantised, see `forms.FORMS`.
        fused: how many nodes are operators beyond ONNX's own, by operator.
    """

    path: Path
    producer: str
    modules_by: str
    numbers: dict[str, int]
    quantised: list[str]
    fused: dict[str, int]


def file_forms(model: ModelFolder) -> list[FileForm]:
    """The form of each ONNX file of a model, none of a Firefox model; reads the graphs.

    Raises:
        ModelFormatError, UnsupportedModelError: see ``read_model``.
    """
    if model.firefox is not None:
        return []
    tensors: dict[str, StoredTensor | StoredSteps] = {}
    counted: set[Constant] = set()
    forms = []
    for graph, modules in read_stacks(model, tensors):
        numbers: Counter[str] = Counter()
        for tensor in tensors.values():
            if isinstance(tensor, StoredTensor) and tensor.constant not in counted:
                counted.add(tensor.constant)
                numbers[tensor.constant.stored_as] += tensor.constant.size
        modules_by = "data flow" if modules.by_data_flow else "node names"
        shares = dict(numbers.most_common())
        fused = dict(graph.fused.most_common())
        forms.append(
            FileForm(graph.path, producer(graph.path), modules_by, shares, list(graph.forms), fused)
        )
    return forms
