"""What users may watch: progress bars and the logger."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

import pyengine
from pyengine import Encoder, OptionError, Translator

from .conftest import FIXTURES, SENTENCES, run_python


def test_progress_of_translations(
    text_translator: Translator, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = [*SENTENCES, f"{SENTENCES[0]} {SENTENCES[1]}"]
    expected = text_translator.translate(texts)
    assert capsys.readouterr().err == ""
    assert text_translator.translate(texts, progress=True) == expected
    assert "10/10" in capsys.readouterr().err
    assert text_translator.translate_text(texts[0], progress=True) == expected[0]
    assert "1/1" in capsys.readouterr().err
    best = {"num_beams": 2, "num_return_sequences": 2}
    assert text_translator.translate(texts, progress=True, **best) == text_translator.translate(
        texts, **best
    )
    with pytest.raises(OptionError, match="progress: found 1, expected True or False"):
        text_translator.translate(texts, progress=1)


def test_progress_of_the_one_shot_call(
    text_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pyengine.translate(list(SENTENCES[:2]), model=text_model, threads=1, progress=True)
    assert "2/2" in capsys.readouterr().err


def test_progress_of_vectors(capsys: pytest.CaptureFixture[str]) -> None:
    with Encoder(FIXTURES / "roberta", threads=1, cache_dir=False) as encoder:
        tokens = [[5, 6, 7], [8, 9]]
        encoder._typed_ids = lambda *_: [_typed(ids) for ids in tokens]  # type: ignore[method-assign]
        plain = encoder.encode(["a", "b"])
        assert capsys.readouterr().err == ""
        assert (encoder.encode(["a", "b"], progress=True) == plain).all()
        assert "2/2" in capsys.readouterr().err


def _typed(ids: list[int]) -> object:
    from pyengine.text.tokenizer import TypedIds

    return TypedIds(ids, [0] * len(ids))


def test_loading_is_logged(ids_model: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="pyengine"):
        Translator(ids_model, threads=1, cache_dir=False).close()
    (record,) = caplog.records
    assert record.getMessage() == f"loaded {ids_model} (marian, float32) from its files"


def test_logging_is_not_imported_and_nothing_is_printed(ids_model: Path) -> None:
    script = (
        "import sys, pyengine; pyengine.Translator(sys.argv[1]); print('logging' in sys.modules)"
    )
    done = run_python(["-c", script, str(ids_model)])
    assert (done.stdout, done.stderr) == ("False\n", "")
