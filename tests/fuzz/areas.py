"""The areas by name; each is imported when it is asked for, since some need onnxruntime."""

from __future__ import annotations

import functools
import importlib
import random

from .area import Area, Files

AREAS = {
    "packed": ("packed_files", "PackedFiles"),
    "marian": ("marian_files", "MarianFiles"),
    "shortlists": ("shortlists", "Shortlists"),
    "configurations": ("configurations", "Configurations"),
    "tokenizers": ("tokenizer_files", "TokenizerFiles"),
    "calls": ("calls", "Calls"),
    "threads": ("threads", "Threads"),
    "vocabularies": ("vocabularies", "Vocabularies"),
    "onnx": ("onnx_graphs", "OnnxGraphs"),
}
"""Area -> the module and the class in it."""


@functools.cache
def area_called(name: str) -> Area:
    """The area, its sound files made."""
    module, kind = {**AREAS, "faults": ("faults", "Faults")}[name]
    area: Area = getattr(importlib.import_module(f".{module}", __package__), kind)()
    return area


def input_of(area: Area, seed: int) -> Files:
    """The input that a seed stands for, in every process the same."""
    return area.make(random.Random(seed))
