"""The runner tells every bad end of an input from the good ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from . import runner
from .areas import area_called, input_of
from .faults import KINDS
from .runner import Run

EXPECTED = {
    "exception": "KeyError at ",
    "death": "ends the process (SIGSEGV)",
    "endless": "takes too much processor time",
    "memory": "takes more than ",
}


def seeds_of(kind: str) -> list[int]:
    area = area_called("faults")
    return [seed for seed in range(500) if kind in input_of(area, seed)]


@pytest.mark.parametrize("kind", KINDS)
def test_how_an_input_ends(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "KEPT", tmp_path)
    seed = seeds_of(kind)[0]
    limits = {"processor_seconds": 0.5, "memory": 30_000_000}
    report = Run("faults", seed, seed + 1, float("inf"), **limits).report()
    assert report.inputs == 1
    assert report.accepted == (kind in ("used", "memory"))
    found = [(finding.seed, finding.what) for finding in report.findings]
    if kind not in EXPECTED:
        assert found == []
        return
    assert found[0][0] == seed
    assert found[0][1].startswith(EXPECTED[kind])
    assert (tmp_path / "faults" / str(seed) / kind).is_file()


def test_a_run_goes_on_after_a_death(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "KEPT", tmp_path)
    used = set(seeds_of("used"))
    first = next(seed for seed in seeds_of("death") if {seed + 1, seed - 1} <= used) - 1
    report = Run("faults", first, first + 3, float("inf")).report()
    assert (report.inputs, report.accepted) == (3, 2)
    assert [finding.seed for finding in report.findings] == [first + 1]
