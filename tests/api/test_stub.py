"""``_core.pyi`` names what the built extension has, no more and no less."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest

import pyengine
from pyengine import _core

STUB = ast.parse((Path(pyengine.__file__).parent / "_core.pyi").read_text())
CLASSES = {node.name: node for node in STUB.body if isinstance(node, ast.ClassDef)}
OF_FIELDS = {"ModelConfig", "GenerationOptions"}
"""Their fields are those of records in Python; see the tests of these."""


def named(body: list[ast.stmt]) -> set[str]:
    names: set[str] = set()
    for node in body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            names.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return names


def public(thing: object) -> set[str]:
    return {name for name in vars(thing) if not name.startswith("_")}


def functions() -> list[Any]:
    """Each function and method of the stub, and what the extension has in its place."""
    owners = [(_core, STUB.body), *((getattr(_core, name), x.body) for name, x in CLASSES.items())]
    return [
        pytest.param(node, getattr(owner, node.name), id=f"{owner.__name__}.{node.name}")
        for owner, body in owners
        for node in body
        if isinstance(node, ast.FunctionDef) and node.name != "__getattr__"
        if "property" not in map(ast.unparse, node.decorator_list)
    ]


def stub_arguments(node: ast.FunctionDef) -> list[tuple[str, bool]]:
    """Names, and whether each has a default."""
    names = [argument.arg for argument in node.args.args]
    first_default = len(names) - len(node.args.defaults)
    arguments = [(name, index >= first_default) for index, name in enumerate(names)]
    return [*arguments, *((f"*{x.arg}", False) for x in (node.args.vararg,) if x)]


def built_arguments(function: object) -> list[tuple[str, bool]]:
    """The same from the first line of what pybind11 documents: name(a: type, b: type = 1) -> x."""
    signature = str(function.__doc__).splitlines()[0]
    while "[" in signature:
        signature = re.sub(r"\[[^\[\]]*\]", "", signature)
    listed = re.findall(r"\w+\((.*)\) -> ", signature)[0]
    listed = re.sub(r"\([^()]*\)", "", listed)  # of a default
    arguments = listed.split(", ") if listed else []
    return [(argument.split(":")[0], " = " in argument) for argument in arguments]


def test_module() -> None:
    assert named(STUB.body) == public(_core)


@pytest.mark.parametrize("name", sorted(CLASSES.keys() - OF_FIELDS))
def test_classes(name: str) -> None:
    found = {x for x in named(CLASSES[name].body) if not x.startswith("_")}
    assert found == public(getattr(_core, name))


@pytest.mark.parametrize(("node", "built"), functions())
def test_arguments(node: ast.FunctionDef, built: object) -> None:
    assert stub_arguments(node) == built_arguments(built)
