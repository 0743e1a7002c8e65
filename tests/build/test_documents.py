"""What the documents name is there: files that they link to, and what holds a claim."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "csrc/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
HOLDERS = re.compile(r"([\w/-]*\b(?:test_\w+\.py|[\w-]+\.sh))(?:::(\w+))?")


@pytest.mark.parametrize(
    "document", DOCUMENTS, ids=[p.relative_to(ROOT).as_posix() for p in DOCUMENTS]
)
def test_links_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", document.read_text(encoding="utf-8"))
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_the_core_s_files_are_called_so() -> None:
    text = (ROOT / "csrc/README.md").read_text(encoding="utf-8")
    names = re.findall(r"(?<![\w/.*-])[\w/]+\.(?:h|cc)\b", text)
    assert names
    assert [name for name in names if not (ROOT / "csrc" / name).exists()] == []


@pytest.mark.parametrize(
    ("recipe", "example"),
    [
        ("An instruction set", "avxvnni"),
        ("An option", "min_p"),
        ("A field of the configuration", "norm_eps"),
    ],
)
def test_recipes_name_every_place(recipe: str, example: str) -> None:
    """Where an example of what they tell to add stands; of a configuration's field, what reads it
    is not counted.
    """
    text = (ROOT / "csrc/README.md").read_text(encoding="utf-8")
    (steps,) = re.findall(rf"^- \*\*{recipe}\*\*: (.*?)(?=^- |^$)", text, re.M | re.S)
    named = set(re.findall(r"[\w.]+\.(?:h|cc|py|md)\b", steps)) | {"operators.cc"}
    files = [ROOT / "setup.py", ROOT / "README.md", *(ROOT / "pyengine").glob("*.py")]
    files += [ROOT / "pyengine/models/config.py", *(ROOT / "csrc").rglob("*.[hc]*")]
    files = [file for file in files if file.name not in named and "isa_" not in file.name]
    word = re.compile(rf"\b{example}\b")
    assert [file for file in files if word.search(file.read_text(encoding="utf-8"))] == []


def test_every_surprise_has_a_test_or_a_finding() -> None:
    text = (ROOT / "docs/compatibility.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if re.match(r"\| (?!seen|---)", line)]
    assert rows
    for row in rows:
        held = HOLDERS.findall(row.rstrip(" |").rpartition(" | ")[2])
        assert held, row
        folder = ROOT
        for name, function in held:  # a name alone is in the folder of the one before
            path = ROOT / name if "/" in name else folder / name
            assert path.is_file(), row
            assert f"def {function}" in path.read_text(encoding="utf-8") or not function, row
            folder = path.parent
