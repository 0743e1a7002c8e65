"""Translation quality of the committed model on real sentences, pinned."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from pyengine import Translator

DATA = Path(__file__).parents[3] / "shared" / "data" / "multi30k"
SENTENCES = 100

BLEU = 36.78
"""sacrebleu's default BLEU of the first 100 sentences of test_2016_flickr, beam 5 as in the folder.

To be set anew when the committed model changes.
"""


def read(language: str) -> list[str]:
    path = DATA / f"test_2016_flickr.{language}.gz"
    if not path.is_file():
        pytest.skip("the data of Multi30k are not at hand")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return file.read().splitlines()[:SENTENCES]


def test_bleu_is_what_it_was(text_translator: Translator) -> None:
    sacrebleu = pytest.importorskip("sacrebleu")
    translations = text_translator.translate(read("en"))
    bleu = sacrebleu.corpus_bleu(translations, [read("de")])
    assert bleu.score == pytest.approx(BLEU, abs=0.1)
