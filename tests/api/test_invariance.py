"""A sentence's ids and scores do not depend on batch, threads or instruction set: to the bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyengine import Translator, _core, _ragged
from pyengine.options import to_core

from .conftest import SENTENCES

SEARCHES: tuple[dict[str, Any], ...] = (
    {"num_beams": 1},
    {"num_beams": 4, "num_return_sequences": 4, "length_penalty": 0.6},
    {"num_beams": 5, "num_return_sequences": 2, "early_stopping": True, "min_new_tokens": 3},
)
COMPUTE_TYPES = ("float32", "bfloat16", "int8")
SETTINGS = [(1, 2), (2, 1), (7, 1), (7, 2), (32, 1), (32, 2)]
"""Batch size and threads; one sentence on one thread is what they are compared with."""


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


@pytest.mark.parametrize("compute_type", COMPUTE_TYPES)
@pytest.mark.parametrize("model_name", ["ids_model", "text_model"])
def test_every_instruction_set_of_this_cpu(
    model_name: str, compute_type: str, request: pytest.FixtureRequest
) -> None:
    model: Path = request.getfixturevalue(model_name)
    outcomes = {}
    for isa in _core.available_isas():
        with Translator(model, compute_type, threads=2, isa=isa) as translator:
            assert translator.isa == isa
            is_text = model_name == "text_model"
            sources = text_sources(translator)[:3] if is_text else id_sources()[:20]
            found = [translator.generate(sources, **search) for search in SEARCHES]
            scores = translator.score(sources, [source[::-1] for source in sources])
            outcomes[isa] = found, [row.tobytes() for row in scores]
    assert "scalar" in outcomes
    for isa, outcome in outcomes.items():
        assert outcome == outcomes["scalar"], isa


def test_neighbours_do_not_matter(text_translator: Translator) -> None:
    (alone,) = text_translator.generate([text_translator.encode(SENTENCES[0])])
    for neighbours in (SENTENCES[1:3], SENTENCES[2:], SENTENCES * 3):
        batch = text_translator.encode_batch([*neighbours, SENTENCES[0]])
        assert text_translator.generate(batch)[-1] == alone


@pytest.mark.parametrize("num_beams", [1, 3])
def test_ids_do_not_depend_on_whether_scores_are_returned(
    ids_translator: Translator, num_beams: int
) -> None:
    options = ids_translator.generation_options(num_beams=num_beams)
    packed = _ragged.pack(id_sources(), ids_translator.config.vocab_size)
    (ids, ends, scores), (same_ids, same_ends, others) = (
        ids_translator.engine.generate(*packed, to_core(options, return_scores=wanted), 8)
        for wanted in (True, False)
    )
    assert ids.tolist() == same_ids.tolist()
    assert ends.tolist() == same_ends.tolist()
    assert np.isfinite(scores).all()
    assert np.isnan(others).all() if num_beams == 1 else (others == scores).all()
