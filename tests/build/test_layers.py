"""The shape of pyengine: folders import downward only, no modules each other, files stay short."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in (ROOT / "pyengine").rglob("*.py")
}
BELOW_MODELS = {"errors", "exits", "forks", "memory", "option_names", "pooling"}
BELOW_TEXT = {"_core", "_ragged", "errors", "exits", "forks", "models"}


def imported(module: str) -> Iterator[str]:
    """The modules of pyengine that one imports when it runs, also within functions."""
    pending: list[ast.AST] = [ast.parse(FILES[module].read_text(encoding="utf-8"))]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        pending += ast.iter_child_nodes(node)
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "pyengine":
            for name in node.names:
                whole = f"{node.module}.{name.name}"
                is_module = whole in FILES or node.module == "pyengine"
                yield whole if is_module else str(node.module)


def outside(folder: str) -> set[str]:
    """What a folder imports of the rest of pyengine."""
    inside = [module for module in FILES if f"{module}.".startswith(f"pyengine.{folder}.")]
    assert inside
    found = {name.split(".")[1] for module in inside for name in imported(module)}
    return found - {folder}


def test_models_know_nothing_of_text_and_translators() -> None:
    assert outside("models") <= BELOW_MODELS


def test_text_knows_nothing_of_translators() -> None:
    assert outside("text") <= BELOW_TEXT


def test_no_modules_import_each_other() -> None:
    graph = {module: {x for x in imported(module) if x != module} for module in FILES}
    TopologicalSorter(graph).prepare()  # raises CycleError


def test_files_are_short() -> None:
    lengths = {module: len(path.read_text("utf-8").splitlines()) for module, path in FILES.items()}
    assert {module: length for module, length in lengths.items() if length > 500} == {}


LOADED_WITH_THEIR_PACKAGE = {
    "onnx",
    "tokenizers",
    "tokenizers.normalizers",
    "tokenizers.pre_tokenizers",
}
"""What is imported by name within functions, and is there since the package was imported."""
IN_THE_MAIN_THREAD = ("pyengine.bench", "pyengine.cli", "pyengine.convert", "pyengine.interpreters")


def test_imports_within_functions_are_guarded() -> None:
    """A module that a thread imports at a fork would stay locked in the child, and one of Rust that
    a daemon imports at the end of the process ends it by a signal.
    """

    def outside_the_lock(node: ast.AST, in_function: bool = False) -> Iterator[str]:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            return
        if isinstance(node, ast.With) and ast.unparse(node.items[0]) == "exits.guarded_imports":
            return
        if in_function and isinstance(node, (ast.Import, ast.ImportFrom)):
            yield ast.unparse(node)
        for child in ast.iter_child_nodes(node):
            yield from outside_the_lock(child, in_function or isinstance(node, ast.FunctionDef))

    found = {
        f"{module}: {line}"
        for module, path in FILES.items()
        if not module.startswith(IN_THE_MAIN_THREAD)
        for line in outside_the_lock(ast.parse(path.read_text(encoding="utf-8")))
        if line.split()[1] not in LOADED_WITH_THEIR_PACKAGE
    }
    assert found == set()
