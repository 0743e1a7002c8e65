"""A few inputs of every area, those that once went wrong, and the fuzzers' own parts."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import pytest

from pyengine.models import read_model

from .areas import AREAS, area_called, input_of
from .mutations import changed_bytes, changed_json
from .onnx_graphs import FORMS, place

CORPUS = Path(__file__).parent / "corpus"
CASES = sorted(path for path in CORPUS.glob("*/*") if path.is_dir())
COUNTS = {"shortlists": 300, "calls": 200, "packed": 200, "tokenizers": 100}
COUNT = 60  # of the slower areas


@pytest.fixture(scope="module", params=AREAS)
def area(request: pytest.FixtureRequest):
    return request.param, area_called(request.param)


@pytest.mark.filterwarnings("ignore")
def test_random_inputs(area) -> None:
    name, fuzzed = area
    outcomes = Counter(
        fuzzed.accepts(input_of(fuzzed, seed)) for seed in range(COUNTS.get(name, COUNT))
    )
    assert outcomes[True] > 0, "every input is refused"
    assert outcomes[False] > 0, "no input is refused"


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}-{case.name}")
@pytest.mark.filterwarnings("ignore")
def test_what_once_went_wrong(case: Path) -> None:
    paths = [path for path in case.rglob("*") if path.is_file()]
    files = {path.relative_to(case).as_posix(): path.read_bytes() for path in paths}
    area_called(case.parent.name).accepts(files)


def test_a_seed_stands_for_one_input(area) -> None:
    _, fuzzed = area
    assert input_of(fuzzed, 5) == input_of(fuzzed, 5) != input_of(fuzzed, 6)


@pytest.mark.parametrize("form", FORMS)
def test_the_undamaged_form_is_read(form: str) -> None:
    assert read_model(place(form).path).tensors


def test_every_case_is_of_an_area() -> None:
    assert {case.parent.name for case in CASES} <= set(AREAS)


def test_json_that_is_changed_stays_a_text_or_becomes_none() -> None:
    rng, kinds = random.Random(0), Counter()
    text = b'{"a": [1, 2.5, {"b": "c"}], "d": null, "e": true}'
    for _ in range(300):
        try:
            kinds[type(json.loads(changed_json(rng, text))).__name__] += 1
        except (ValueError, RecursionError):
            kinds["none"] += 1
    assert kinds["dict"] > 200
    assert kinds["none"] > 0


def test_bytes_are_changed() -> None:
    rng, data = random.Random(0), bytes(range(256))
    assert sum(changed_bytes(rng, data) != data for _ in range(100)) > 80
