"""A sentence's ids and scores do not depend on batch, threads or instruction set: to the bit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pyengine import Translator, _core

from .conftest import SENTENCES, run_python

SEARCHES: tuple[dict[str, Any], ...] = (
    {"num_beams": 1},
    {"num_beams": 4, "num_return_sequences": 4, "length_penalty": 0.6},
    {"num_beams": 5, "num_return_sequences": 2, "early_stopping": True, "min_new_tokens": 3},
)
COMPUTE_TYPES = ("float32", "bfloat16", "int8")
SETTINGS = [(batch, threads) for batch in (1, 2, 7, 32) for threads in (1, 2)]


def id_sources(vocab_size: int = 210) -> list[list[int]]:
    """Forty sources of 1 to 40 ids, no two alike, lengths mixed."""
    sources = []
    for i in range(40):
        length = 1 + (i * 17) % 40
        sources.append([(i * 31 + j * j * 7 + 3) % vocab_size for j in range(length - 1)] + [0])
    return sources


def text_sources(translator: Translator) -> list[list[int]]:
    return translator.encode_batch(SENTENCES)


@pytest.mark.parametrize("compute_type", COMPUTE_TYPES)
@pytest.mark.parametrize("search", SEARCHES, ids=("greedy", "beam4", "beam5"))
def test_batches_and_threads_on_random_weights(
    ids_model: Path, search: dict[str, Any], compute_type: str
) -> None:
    check_invariance(ids_model, compute_type, id_sources(), search)


@pytest.mark.parametrize("compute_type", COMPUTE_TYPES)
@pytest.mark.parametrize("search", SEARCHES, ids=("greedy", "beam4", "beam5"))
def test_batches_and_threads_on_real_weights(
    text_model: Path, search: dict[str, Any], compute_type: str
) -> None:
    with Translator(text_model, threads=1) as translator:
        sources = text_sources(translator) * 4
    check_invariance(text_model, compute_type, sources, search)


def check_invariance(
    model: Path, compute_type: str, sources: list[list[int]], search: dict[str, Any]
) -> None:
    with Translator(model, compute_type, threads=1, batch_size=1) as translator:
        alone = [translator.generate([source], **search)[0] for source in sources]
        backwards = translator.generate(sources[::-1], **search)[::-1]
    assert any(len(row[0].ids) > 2 for row in alone)
    assert backwards == alone
    for batch_size, threads in SETTINGS:
        with Translator(model, compute_type, threads, batch_size) as translator:
            assert translator.generate(sources, **search) == alone, (batch_size, threads)


SCRIPT = """
import json, sys
from pyengine import Translator
job = json.load(sys.stdin)
with Translator(job["model"], job["compute_type"], job["threads"]) as t:
    rows = [t.generate(job["sources"], **search) for search in job["searches"]]
    scores = [row.tobytes().hex() for row in t.score(job["sources"], job["targets"])]
    print(json.dumps({"isa": t.isa, "scores": scores, "rows": [
        [[(h.ids, h.score.hex()) for h in best] for best in row] for row in rows]}))
"""


@pytest.mark.parametrize("compute_type", COMPUTE_TYPES)
@pytest.mark.parametrize("model_name", ["ids_model", "text_model"])
def test_every_instruction_set_of_this_cpu(
    model_name: str, compute_type: str, request: pytest.FixtureRequest
) -> None:
    model: Path = request.getfixturevalue(model_name)
    with Translator(model) as translator:
        is_text = model_name == "text_model"
        sources = text_sources(translator)[:5] if is_text else id_sources()[:20]
    job = json.dumps(
        {
            "model": str(model),
            "compute_type": compute_type,
            "threads": 2,
            "sources": sources,
            "targets": [source[::-1] for source in sources],
            "searches": SEARCHES,
        }
    )
    outcomes = {}
    for isa in _core.available_isas():
        done = run_python(["-c", SCRIPT], job, PYENGINE_ISA=isa)
        assert done.returncode == 0, done.stderr
        outcomes[isa] = json.loads(done.stdout)
        assert outcomes[isa].pop("isa") == isa
    assert "scalar" in outcomes
    for isa, outcome in outcomes.items():
        assert outcome == outcomes["scalar"], isa


def test_neighbours_do_not_matter(text_translator: Translator) -> None:
    (alone,) = text_translator.generate([text_translator.encode(SENTENCES[0])])
    for neighbours in (SENTENCES[1:3], SENTENCES[2:], SENTENCES * 3):
        batch = text_translator.encode_batch([*neighbours, SENTENCES[0]])
        assert text_translator.generate(batch)[-1] == alone
