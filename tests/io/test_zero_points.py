"""A model whose int8 weights have zero points, as uint8 files hold them: the same to the bit on
every instruction set, from the cache, and with a shortlist."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from export_forms import converted, dynamic
from onnxruntime.quantization import QuantType
from tiny_marian import shortlist

from pyengine import Translator
from pyengine._core import available_isas

VOCAB = 211
SOURCES = [[5, 9, 33, 0], [7, 0], [*range(20, 40), 0]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("quantised")
    return converted("marian-split", out, dynamic(QuantType.QUInt8, False))


def logits(translator: Translator) -> np.ndarray:
    source, target = np.arange(4, 16, dtype=np.int32), np.arange(30, 47, dtype=np.int32)
    found: np.ndarray = translator.engine.logits(source, target)
    return found


def test_every_isa_gives_the_same_bits(folder: Path) -> None:
    expected = logits(Translator(folder, isa="scalar", cache_dir=False))
    for isa in available_isas():
        found = logits(Translator(folder, isa=isa, cache_dir=False, threads=2))
        np.testing.assert_array_equal(found, expected)


def test_the_cache_holds_the_zero_points(folder: Path, tmp_path: Path) -> None:
    expected = logits(Translator(folder, cache_dir=tmp_path))
    cached = Translator(folder, cache_dir=tmp_path)
    assert cached.from_cache and cached.compute_type == "int8"
    np.testing.assert_array_equal(logits(cached), expected)


@pytest.mark.parametrize("num_beams", [1, 4])
def test_a_shortlist_of_all_ids_changes_nothing(folder: Path, num_beams: int) -> None:
    """Its columns are gathered by other kernels, and the embeddings read from its table."""
    path = folder / "lex.bin"
    path.write_bytes(shortlist(VOCAB, [[0]] * VOCAB))
    options = {"num_beams": num_beams, "max_length": 12}
    try:
        with Translator(folder, cache_dir=False, shortlist=False) as translator:
            expected = translator.generate(SOURCES, **options)
        with Translator(folder, cache_dir=False, shortlist=True) as translator:
            assert translator.generate(SOURCES, **options) == expected
    finally:
        path.unlink()
