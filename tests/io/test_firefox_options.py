"""The decoding options in the config*.yml of Firefox folders."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from tiny_marian import write_folder

from pyengine import ModelFormatError, Translator, UnsupportedModelError
from pyengine.convert.firefox import convert
from pyengine.models.firefox_options import MAX_LENGTH_FACTOR, read_decoding_options

CONFIG = """relative-paths: true
models:
  - model.xxyy.intgemm.alphas.bin
vocabs:
  - vocab.xxyy.spm
  - vocab.xxyy.spm
shortlist:
    - lex.50.50.xxyy.s2t.bin
    - false
beam-size: 1
normalize: 1.0
word-penalty: 0
mini-batch: 64
maxi-batch: 1000
maxi-batch-sort: src
workspace: 2000
max-length-factor: 2.5
gemm-precision: int8shiftAlphaAll
"""
"""As the folders of the extra `demo` have it."""
BROWSER = """max-length-break: 128
mini-batch-words: 1024
skip-cost: true
cpu-threads: 0
quiet: true
quiet-translation: true
alignment: soft
max-length-factor: 2.0
"""
"""What Firefox adds, and its own factor."""
SOURCES = [[5, 0], [7, 9, 4, 6, 0], [*range(2, 24), 0]]


def with_config(folder: Path, text: str, name: str = "config.yml") -> Path:
    write_folder(folder, seed=1, vocab_size=90)
    (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, {}),
        ("beam-size: 1", {"num_beams": 1}),
        (CONFIG, {"num_beams": 1, "length_penalty": 1.0, "max_length_factor": 2.5}),
        (BROWSER, {"max_length_factor": 2.0}),
        ("beam-size: 4\nnormalize: 0.6", {"num_beams": 4, "length_penalty": 0.6}),
        (
            "\ufeff---\n# of ours\nbeam-size: 4  # was '1'\n\"normalize\" : '0.6' # x\n...\n",
            {"num_beams": 4, "length_penalty": 0.6},
        ),
        ("models: [a#1.bin]\nmax-length-factor: 2 \n", {"max_length_factor": 2.0}),
        ("max-length: 1000", {}),
        ("max-length: 60", {"max_sentence_tokens": 60}),
        ("max-length-break: 200", {"max_sentence_tokens": 200}),
        ("max-length: 150\nmax-length-break: 200", {"max_sentence_tokens": 150}),
    ],
)
def test_options_of_a_folder(text: str | None, expected: dict[str, Any], tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "config.intgemm8bitalpha.yml").write_text(text)
    expected = {"max_length_factor": MAX_LENGTH_FACTOR} | expected
    assert read_decoding_options(tmp_path) == expected


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("max-length-factor: 0", ModelFormatError, "max-length-factor is '0', expected a number"),
        ("max-length-factor: nan", ModelFormatError, "expected a number from 1e-06 to 1e6"),
        ("max-length-factor:\n  - 2", ModelFormatError, r"is \['2'\], expected a number"),
        ("beam-size: 1.5", ModelFormatError, "beam-size is '1.5', expected an integer from 1"),
        ("max-length: 0", ModelFormatError, "max-length is '0', expected an integer from 1"),
        ("max-length-break: x", ModelFormatError, "max-length-break is 'x', expected an integer"),
        ("normalize: yes", ModelFormatError, "normalize is 'yes', expected a number from 0"),
        ("word-penalty: 0.5", UnsupportedModelError, "word-penalty is '0.5', supported is 0"),
        ("allow-unk: true", UnsupportedModelError, "allow-unk is 'true', supported is false"),
        ("output-sampling:\n  - topk", UnsupportedModelError, "output-sampling is"),
        ("{beam-size: 4}", ModelFormatError, "line 1: found '{beam-size: 4}', expected 'key: "),
        ("quiet: true\n  beam-size: 4", ModelFormatError, "line 2: found '  beam-size: 4'"),
        ("- beam-size", ModelFormatError, "line 1: found '- beam-size', expected 'key: value'"),
        ("rerank: true", UnsupportedModelError, "rerank is no option that pyengine knows"),
    ],
)
def test_options_that_are_refused(text: str, kind: type, words: str, tmp_path: Path) -> None:
    (tmp_path / "config.yml").write_text(text)
    with pytest.raises(kind, match=rf"^config\.yml: .*{words}"):
        read_decoding_options(tmp_path)


def test_a_sentence_is_as_long_as_the_folder_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = with_config(tmp_path / "xxyy", "max-length: 7")
    lengths: list[int] = []

    def fitted(sources: list[list[int]], *_: Any) -> list[list[int]]:
        lengths.extend(map(len, sources))
        return sources

    with Translator(folder, cache_dir=False) as translator:
        monkeypatch.setattr(translator, "_fitted", fitted)
        translator.translate("a b c d e f g h i j k l m n", max_new_tokens=1)
    assert len(lengths) > 1 and max(lengths) <= 7


def test_two_files_that_differ(tmp_path: Path) -> None:
    (tmp_path / "config.yml").write_text(CONFIG)
    (tmp_path / "config.intgemm8bit.yml").write_text(CONFIG.replace("workspace: 2000", ""))
    assert read_decoding_options(tmp_path)["max_length_factor"] == 2.5
    (tmp_path / "config.intgemm8bit.yml").write_text(CONFIG.replace("2.5", "2"))
    with pytest.raises(ModelFormatError, match=r"config\.intgemm8bit\.yml and config\.yml differ"):
        read_decoding_options(tmp_path)


@pytest.mark.parametrize("beams", [1, 3])
def test_a_translation_without_end_is_as_long_as_the_factor_allows(
    beams: int, tmp_path: Path
) -> None:
    """Suppressing the end token makes every one run to its limit; a batch changes none."""
    folder = with_config(tmp_path / "xxyy", CONFIG)
    options: dict[str, Any] = {"suppress_tokens": [0, 1], "num_beams": beams}
    with Translator(folder, cache_dir=False) as translator:
        found = translator.generate(SOURCES, **options)
        lengths = [len(best[0].ids) for best in found]
        assert lengths == [math.ceil(2.5 * len(source)) for source in SOURCES]
        alone = [translator.generate([source], **options)[0] for source in SOURCES]
        assert [[h.ids for h in best] for best in found] == [[h.ids for h in x] for x in alone]
        longer = translator.generate(SOURCES, max_new_tokens=70, **options)
        assert [len(best[0].ids) for best in longer] == [70] * 3
        own = translator.generate(SOURCES, max_length_factor=1, **options)
        assert [len(best[0].ids) for best in own] == [len(source) for source in SOURCES]
        off = translator.generate(SOURCES[:1], max_length_factor=0, **options)
        assert len(off[0][0].ids) == translator.config.max_positions - 1


def test_a_converted_folder_keeps_the_options(tmp_path: Path) -> None:
    folder = with_config(tmp_path / "xxyy", CONFIG)
    convert(folder, tmp_path / "onnx")
    with Translator(tmp_path / "onnx", cache_dir=False) as translator:
        assert translator.generation_options().max_length_factor == 2.5
