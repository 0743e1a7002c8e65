"""The README's Python example runs as it stands."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_the_python_example(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    example = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert example
    monkeypatch.chdir(ROOT)  # its paths are those of a clone
    names: dict[str, object] = {}
    exec(example[1], names)
    assert names["best"].score >= names["second"].score  # type: ignore[attr-defined]
