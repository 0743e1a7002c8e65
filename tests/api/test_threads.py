"""Many Python threads on one Translator: right answers, whatever meets in the scheduler."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from pyengine import ClosedError, Translator

from .conftest import SENTENCES
from .test_invariance import id_sources

SEARCHES: tuple[dict[str, Any], ...] = (
    {"num_beams": 1},
    {"num_beams": 4, "num_return_sequences": 2},
    {"num_beams": 2, "max_new_tokens": 5},
    {"num_beams": 5, "length_penalty": 0.0},
)


def test_eight_threads_with_different_searches(ids_translator: Translator) -> None:
    sources = id_sources()
    expected = [ids_translator.generate(sources, **search) for search in SEARCHES]
    scores = [row.tobytes() for row in ids_translator.score(sources, sources)]

    def work(number: int) -> bool:
        rows = slice(number % 5, None, 1 + number % 3)
        search = number % len(SEARCHES)
        found = ids_translator.generate(sources[rows], **SEARCHES[search])
        given = [row.tobytes() for row in ids_translator.score(sources[rows], sources[rows])]
        return found == expected[search][rows] and given == scores[rows]

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(200)))


def test_text_from_many_threads(text_model: Path) -> None:
    with Translator(text_model, threads=2) as translator:  # the tokenizer loads in the race too
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(translator.translate, SENTENCES * 6))
        assert found == translator.translate(list(SENTENCES)) * 6


def test_two_engines_at_once(ids_model: Path, ids_translator: Translator) -> None:
    sources = id_sources()
    expected = ids_translator.generate(sources)
    with Translator(ids_model, threads=2) as one, Translator(ids_model, threads=3) as other:
        with ThreadPoolExecutor(4) as pool:
            found = pool.map(lambda number: (one, other)[number % 2].generate(sources), range(40))
            assert all(result == expected for result in found)


def test_more_threads_than_cores(ids_model: Path, ids_translator: Translator) -> None:
    sources = id_sources()
    with Translator(ids_model, threads=16) as translator:
        for search in SEARCHES:
            expected = ids_translator.generate(sources, **search)
            assert translator.generate(sources, **search) == expected


def test_closing_while_others_work(ids_model: Path) -> None:
    translator = Translator(ids_model, threads=2)
    sources = id_sources()
    expected = translator.generate(sources)
    outcomes: list[object] = []

    def work() -> None:
        try:
            while True:
                outcomes.append(translator.generate(sources) == expected)
        except ClosedError:
            outcomes.append("closed")

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    while len(outcomes) < 8:
        threading.Event().wait(0.01)
    translator.close()
    for worker in workers:
        worker.join()
    assert outcomes.count("closed") == 4
    assert False not in outcomes
