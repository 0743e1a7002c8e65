"""What a release holds, and what a contributor's set-up installs and leaves alone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from setuptools.command.egg_info import FileList

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project() -> dict[str, Any]:
    tomllib = pytest.importorskip("tomllib")  # of Python 3.11
    content: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return content["project"]


def test_a_source_distribution_can_be_tested(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    files = FileList()
    for line in Path("MANIFEST.in").read_text(encoding="utf-8").splitlines():
        files.process_template_line(line)
    for name in (
        *("tests/conftest.py", "tests/fixtures/marian-split/config.json", "tools/cpp_tests.py"),
        *("tests/cpp/main.cc", "csrc/engine.cc", "docs/compatibility.md", "licenses/pybind11.txt"),
        *(".ci/run", *(str(path) for path in Path("findings").iterdir())),  # tests look into them
    ):
        assert name in files.files


def test_a_wheel_holds_the_licences_of_what_is_compiled_in(project: dict[str, Any]) -> None:
    paths = [path for pattern in project["license-files"] for path in ROOT.glob(pattern)]
    texts = {path.name: path.read_text(encoding="utf-8") for path in paths}
    assert "Apache License" in texts["LICENSE"]
    assert "Wenzel Jakob" in texts["pybind11.txt"]


def test_the_classifiers_say_where_it_runs(project: dict[str, Any]) -> None:
    assert {
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: Implementation :: CPython",
        f"Programming Language :: Python :: {project['requires-python'].lstrip('>=')}",
    } <= set(project["classifiers"])


def test_the_extra_dev_installs_what_contributing_names(project: dict[str, Any]) -> None:
    installed = {re.split("[<>=]", line)[0] for line in project["optional-dependencies"]["dev"]}
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    tools = {"ruff", "mypy", "clang-format", "pre-commit"}
    assert all(f"`{tool}" in text for tool in tools)
    assert tools <= installed


def test_ci_removes_nothing_but_its_own_folder() -> None:
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    assert re.findall(r"\brm\s+(?:-\S+\s+)*(.*)", script) == ["build/ci"]
