"""Ids and scores equal to those in golden files: by transformers' ``generate``, and by
tools/reference/search.py for the model that transformers does not know.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import Any

import pytest

from pyengine import Translator
from pyengine.generation_options import OPTION_NAMES

from .conftest import FIXTURES, TEXT_MODEL

GOLDEN = FIXTURES / "golden"
MODELS = {
    "marian_split": FIXTURES / "marian-split",
    "marian_merged": FIXTURES / "marian-merged",
    "marian_external": FIXTURES / "marian-external",
    "marian_odd": FIXTURES / "marian-odd",
    "marian_dynamo": FIXTURES / "marian-dynamo",
    "bart": FIXTURES / "bart",
    "mbart": FIXTURES / "mbart",
    "pegasus": FIXTURES / "pegasus",
    "m2m": FIXTURES / "m2m",
    "t5": FIXTURES / "t5",
    "mt5": FIXTURES / "mt5",
    "transformer_ssru": FIXTURES / "transformer-ssru",
    "multi30k_search": TEXT_MODEL,
    "multi30k_processors": TEXT_MODEL,
}


@dataclass(frozen=True)
class Case:
    """One option set and what transformers found with it."""

    file: str
    name: str
    options: dict[str, Any]
    sources: list[list[int]]
    ids: list[list[list[int]]]
    scores: list[list[float] | None]

    @property
    def is_contradictory(self) -> bool:
        """A first token both forced and suppressed: transformers then picks id 0 among equals."""
        forced = self.options.get("forced_bos_token_id")
        return forced is not None and forced in (self.options.get("suppress_tokens") or ())

    @property
    def is_supported(self) -> bool:
        return set(self.options) <= set(OPTION_NAMES)


def read_cases(file: str) -> list[Case]:
    path = GOLDEN / f"{file}.json"
    if not path.is_file() or not MODELS[file].is_dir():
        return []
    content = json.loads(path.read_text(encoding="utf-8"))
    sources = [s["ids"] if isinstance(s, dict) else s for s in content["sources"]]
    return [
        Case(
            file,
            case["name"],
            case["options"],
            [sources[result["source"]] for result in case["results"]],
            *zip(*(outcome(result) for result in case["results"]), strict=True),
        )
        for case in content["cases"]
        if case["results"]
    ]


def outcome(result: dict[str, Any]) -> tuple[list[list[int]], list[float] | None]:
    if "hypotheses" in result:
        hypotheses = result["hypotheses"]
        return [h["ids"] for h in hypotheses], [h["score"] for h in hypotheses]
    return result["ids"], result["scores"]


CASES = [
    pytest.param(case, id=f"{case.file}-{case.name}")
    for file in MODELS
    for case in read_cases(file)
    if case.is_supported and not case.is_contradictory
]


@functools.cache
def translator_of(file: str) -> Translator:
    return Translator(MODELS[file], threads=2)


@pytest.mark.parametrize("case", CASES)
def test_generate_equals_the_golden_search(case: Case) -> None:
    found = translator_of(case.file).generate(case.sources, **case.options)
    for row, ids, scores in zip(found, case.ids, case.scores, strict=True):
        assert [hypothesis.ids for hypothesis in row] == ids
        if scores is not None:
            assert [h.score for h in row] == pytest.approx(scores, rel=1e-5, abs=2e-6)


def test_the_golden_files_hold_what_they_promise() -> None:
    names = {case.name for case in read_cases("marian_split")}
    assert {"defaults", "beams-1", "beams-2", "beams-4", "beams-5"} <= names
    assert {f"length-penalty-{p}-early-never" for p in ("0.0", "0.6", "1.0", "2.0")} <= names
    assert len(CASES) > 80
