"""``_core.pyi`` names what the built extension has, no more and no less."""

from __future__ import annotations

import ast
import dataclasses
from pathlib import Path

import pytest

import pyengine
from pyengine import _core
from pyengine.models import ModelConfig

STUB = ast.parse((Path(pyengine.__file__).parent / "_core.pyi").read_text())


def named(body: list[ast.stmt]) -> set[str]:
    names: set[str] = set()
    for node in body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            names.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names


def public(thing: object) -> set[str]:
    return {name for name in vars(thing) if not name.startswith("_")}


def test_module() -> None:
    assert named(STUB.body) == public(_core)


@pytest.mark.parametrize(
    "name", ["ModelConfig", "GenerationOptions", "Weights", "CancelToken", "TokenQueue", "Engine"]
)
def test_classes(name: str) -> None:
    (stub,) = (node for node in STUB.body if isinstance(node, ast.ClassDef) and node.name == name)
    assert named(stub.body) - {"__init__"} == public(getattr(_core, name))


def test_enumeration() -> None:
    (stub,) = (
        node
        for node in STUB.body
        if isinstance(node, ast.ClassDef) and node.name == "EarlyStopping"
    )
    assert named(stub.body) == set(_core.EarlyStopping.__members__)


def test_arguments_of_the_engine() -> None:
    (stub,) = (
        node for node in STUB.body if isinstance(node, ast.ClassDef) and node.name == "Engine"
    )
    for node in stub.body:
        if isinstance(node, ast.FunctionDef) and not node.decorator_list:
            signature = getattr(_core.Engine, node.name).__doc__.splitlines()[0]
            for argument in node.args.args[1:]:
                assert f"{argument.arg}: " in signature, (node.name, argument.arg)


def test_configuration_has_the_fields_of_the_python_record() -> None:
    fields = {field.name for field in dataclasses.fields(ModelConfig)}
    assert fields == public(_core.ModelConfig)
