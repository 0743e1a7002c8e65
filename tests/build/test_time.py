"""No test depends on how fast the machine is, which others may use at the same time."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import settings

FILES = sorted(Path(__file__).resolve().parents[1].rglob("test_*.py"))


def test_no_test_measures_time_or_sleeps() -> None:
    timers = re.compile(r"\btime\.(?:monotonic|perf_counter|process_time|sleep)\b|\bimport sleep\b")
    texts = {path.name: path.read_text(encoding="utf-8") for path in FILES}
    assert [name for name, text in texts.items() if timers.search(text)] == []


def test_an_example_may_take_any_time() -> None:
    assert settings().deadline is None
