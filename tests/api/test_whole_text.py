"""translate_text and --split: sentences are translated as alone, the rest stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyengine import OptionError, Translator, UnknownOptionError
from pyengine.errors import InputTypeError

from .conftest import Cli

FIRST, SECOND = "A man is riding a bicycle.", "Two dogs run."


def test_sentences_are_translated_as_alone(text_translator: Translator) -> None:
    first, second = text_translator.translate([FIRST, SECOND], num_beams=2)
    text = f"  {FIRST}  {SECOND}\n\n\t- {SECOND}\r\n"
    dashed = text_translator.translate(f"- {SECOND}", num_beams=2)
    expected = f"  {first}  {second}\n\n\t{dashed}\r\n"
    assert text_translator.translate_text(text, num_beams=2) == expected
    assert text_translator.translate_text([text, "", " \n", FIRST], num_beams=2) == [
        expected,
        "",
        " \n",
        first,
    ]


def test_a_sentence_over_the_limit_is_cut_at_a_clause(text_translator: Translator) -> None:
    clause = "two dogs run in the snow and " * 9 + "a man is riding a bicycle;"
    assert 64 < len(text_translator.encode(clause)) <= 128
    parts = text_translator.translate([clause, clause])
    assert text_translator.translate_text(f"{clause} {clause}") == " ".join(parts)
    long = clause * 20  # without spaces after the marks, and above the model's 512 positions
    assert text_translator.translate_text(long).count(" ") > 100


def test_options_and_types(text_translator: Translator) -> None:
    with pytest.raises(OptionError, match="num_return_sequences: found 2, expected 1"):
        text_translator.translate_text(FIRST, num_beams=2, num_return_sequences=2)
    with pytest.raises(UnknownOptionError, match="truncate"):
        text_translator.translate_text(FIRST, truncate=True)
    with pytest.raises(InputTypeError, match="item 1"):
        text_translator.translate_text([FIRST, 3])  # type: ignore[list-item]
    with pytest.raises(InputTypeError, match="language: expected the code of a language, found b"):
        text_translator.translate_text(FIRST, language=b"en")  # type: ignore[call-overload]
    with pytest.raises(OptionError, match="language: found '\\\\ud800', expected the code"):
        text_translator.translate_text(FIRST, language="\ud800")


def test_split_on_the_command_line(
    cli: Cli, text_model: Path, text_translator: Translator, tmp_path: Path
) -> None:
    first, second = text_translator.translate([FIRST, SECOND])
    path = tmp_path / "in.txt"
    out = tmp_path / "out.txt"
    path.write_text(f"\ufeff{FIRST}   {SECOND}\r\n\n {SECOND}\n", newline="")
    done = cli("translate", "-m", text_model, "--split", "-i", path, "-o", out)
    assert done.returncode == 0
    assert out.read_bytes().decode() == f"{first}   {second}\r\n\n {second}\n"
    done = cli("translate", "-m", text_model, "--split", f"{FIRST}\n{SECOND}")
    assert (done.returncode, done.stdout) == (0, f"{first}\n{second}\n")
    done = cli("translate", "-m", text_model, "--split", "--truncate", FIRST)
    assert done.returncode == 2 and "--truncate: found with --split" in done.stderr
