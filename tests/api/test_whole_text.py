"""Texts of any length: sentences are translated as alone, the rest stays, in every call."""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tokenizers

import pyengine
from pyengine import OptionError, Translator
from pyengine.errors import InputError, InputTypeError
from pyengine.layout import SentenceSplitter
from pyengine.text.sentences import LONGEST

from .conftest import FIXTURES, SENTENCES, Cli

FIRST, SECOND = "A man is riding a bicycle.", "Two dogs run."
TEXT = f"  {FIRST}  {SECOND}\n\n\t- {SECOND}\r\n"


@pytest.fixture(scope="module")
def expected(text_translator: Translator) -> str:
    """The translation of TEXT, beams 2."""
    first, second, dashed = text_translator.translate(
        [FIRST, SECOND, f"- {SECOND}"], num_beams=2, split=False
    )
    return f"  {first}  {second}\n\n\t{dashed}\r\n"


def test_sentences_are_translated_as_alone(text_translator: Translator, expected: str) -> None:
    texts = [TEXT, "", " \n", FIRST]
    found = text_translator.translate(texts, num_beams=2)
    first = text_translator.translate(FIRST, num_beams=2, split=False)
    assert found == [expected, "", " \n", first]
    assert text_translator.translate(TEXT, num_beams=2) == expected
    assert text_translator.translate_text(TEXT, num_beams=2) == expected
    assert list(text_translator.translate_iter(texts, num_beams=2)) == found


def test_every_call_splits_by_the_same_rule(
    text_translator: Translator, text_model: Path, expected: str
) -> None:
    assert pyengine.translate(TEXT, model=text_model, num_beams=2) == expected
    greedy = text_translator.translate(TEXT, num_beams=1)
    pieces = list(text_translator.translate_stream(TEXT))
    assert "".join(pieces) == greedy
    assert len(pieces) >= 3 and all(pieces)


def test_nothing_is_lost(text_translator: Translator) -> None:
    draw = random.Random(1)
    alone = dict(
        zip(SENTENCES, text_translator.translate(list(SENTENCES), split=False), strict=True)
    )
    for _ in range(20):
        chosen = draw.choices(SENTENCES, k=draw.randint(1, 6))
        gaps = draw.choices([" ", "  ", "\n", "\r\n\t", "\n\n"], k=len(chosen))
        text = "".join(sum(zip(chosen, gaps, strict=True), ()))
        joined = "".join(sum(zip([alone[x] for x in chosen], gaps, strict=True), ()))
        assert text_translator.translate(text) == joined


def test_a_text_as_it_is(text_translator: Translator) -> None:
    ((best,),) = text_translator.generate([text_translator.encode(TEXT)])
    whole = text_translator.decode(best.ids)
    assert text_translator.translate(TEXT, split=False) == whole
    assert list(text_translator.translate_iter([TEXT], split=False)) == [whole]
    assert whole != text_translator.translate(TEXT)


def test_a_sentence_over_the_limit_is_cut_at_a_clause(text_translator: Translator) -> None:
    clause = "two dogs run in the snow and " * 9 + "a man is riding a bicycle;"
    assert 64 < len(text_translator.encode(clause)) <= 128
    parts = text_translator.translate([clause, clause], split=False)
    assert text_translator.translate(f"{clause} {clause}") == " ".join(parts)
    long = clause * 20  # without spaces after the marks, and above the model's 512 positions
    assert text_translator.translate(long).count(" ") > 100


def test_each_sentence_is_tokenised_once(
    text_translator: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = text_translator._get_tokenizer()
    encoded: list[str] = []
    encode_batch = tokenizer.encode_batch

    def counted(texts: Any, *languages: Any) -> Any:
        encoded.extend(texts)
        return encode_batch(texts, *languages)

    monkeypatch.setattr(tokenizer, "encode_batch", counted)
    text_translator.translate([FIRST, TEXT])
    assert encoded == [FIRST, FIRST, SECOND, f"- {SECOND}"]


def test_several_results_join_those_of_each_sentence(text_translator: Translator) -> None:
    options = {"num_beams": 4, "num_return_sequences": 3}
    first, second = text_translator.translate([FIRST, SECOND], **options)
    joined = [f"{a} {b}" for a, b in zip(first, second, strict=True)]
    assert text_translator.translate(f"{FIRST} {SECOND}", **options) == joined
    assert text_translator.translate([" ", FIRST], **options) == [[" "] * 3, first]


def test_options_and_types(text_translator: Translator) -> None:
    for call in (
        text_translator.translate,
        text_translator.translate_text,
        text_translator.translate_stream,
        lambda text, **manner: text_translator.translate_iter([text], **manner),
    ):
        with pytest.raises(OptionError, match="truncate: found True, expected False unless split"):
            call(FIRST, truncate=True)
        for name in ("split", "truncate"):
            with pytest.raises(OptionError, match=f"{name}: found 'no', expected True or False"):
                call(FIRST, **{name: "no"})
    with pytest.raises(InputTypeError, match="item 1"):
        text_translator.translate([FIRST, 3])  # type: ignore[list-item]
    with pytest.raises(InputTypeError, match="language: expected the code of a language, found b"):
        text_translator.translate(FIRST, language=b"en")
    with pytest.raises(OptionError, match="language: found '\\\\ud800', expected the code"):
        text_translator.translate(FIRST, language="\ud800")


def test_a_prefix_leaves_room_for_a_sentence(text_translator: Translator) -> None:
    prefix = "a man and " * 40
    assert 100 < len(text_translator.encode(prefix)) < 128
    alone = text_translator.translate([FIRST, SECOND], prefix=prefix, split=False)
    assert text_translator.translate(f"{FIRST} {SECOND}", prefix=prefix) == " ".join(alone)
    with pytest.raises(InputError, match=r"prefix: found \d+ tokens, the model has 512 positions"):
        text_translator.translate(FIRST, prefix=prefix * 5)


@pytest.fixture(scope="module")
def t5(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Translator]:
    """A model that may summarise as well, with a tokenizer of words."""
    folder = tmp_path_factory.mktemp("whole") / "t5"
    shutil.copytree(FIXTURES / "t5", folder)
    words = sorted(set(re.findall(r"\w+|[^\w\s]", " ".join(SENTENCES))))
    vocabulary = {word: i for i, word in enumerate(["<pad>", "</s>", "<unk>", *words])}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    with Translator(folder, cache_dir=False, threads=1) as translator:
        yield translator


def test_a_model_that_reads_whole_texts(t5: Translator) -> None:
    options = {"max_new_tokens": 8}
    text = f"{FIRST}\n{SECOND}"
    assert t5.translate(text, **options) == t5.translate(text, split=False, **options)
    told = {"prefix": "translate English to German: ", **options}
    lines = t5.translate([FIRST, SECOND], split=False, **told)
    assert t5.translate(text, **told) == "\n".join(lines)
    with pytest.warns(pyengine.TruncationWarning):
        t5.translate(f"{FIRST} " * 4000, truncate=True, **options)


def test_split_on_the_command_line(
    cli: Cli, text_model: Path, text_translator: Translator, tmp_path: Path
) -> None:
    first, second = text_translator.translate([FIRST, SECOND])
    path = tmp_path / "in.txt"
    out = tmp_path / "out.txt"
    path.write_text(f"\ufeff{FIRST}   {SECOND}\r\n\n {SECOND}\n", newline="")
    done = cli("translate", "-m", text_model, "-i", path, "-o", out)
    assert done.returncode == 0
    assert out.read_bytes().decode() == f"{first}   {second}\r\n\n {second}\n"
    done = cli("translate", "-m", text_model, "--split", f"{FIRST}\n{SECOND}")
    assert (done.returncode, done.stdout) == (0, f"{first}\n{second}\n")
    whole = text_translator.translate(f"{FIRST} {SECOND}", split=False)
    done = cli("translate", "-m", text_model, "--no-split", f"{FIRST} {SECOND}")
    assert (done.returncode, done.stdout) == (0, f"{whole}\n")
    done = cli("translate", "-m", text_model, "--truncate", FIRST)
    assert done.returncode == 2 and "--truncate: expected with --no-split" in done.stderr


@pytest.mark.parametrize("around", [" ", "\t \n"])
def test_a_long_white_space_around_a_sentence(around: str) -> None:
    """By a pattern that went back over it 4,000 spaces took a minute, ten times as many a day."""
    text = around * 40_000 + "A dog @ home" + around * 40_000
    layout = SentenceSplitter(lambda: "en", 100, True).split(text, len)
    assert layout.sentences == ["A dog @ home"]
    assert layout.join(["X"]) == text.replace("A dog @ home", "X")


def test_no_more_than_a_piece_of_a_long_line_is_encoded_at_once() -> None:
    def count_tokens(sentence: str) -> int:
        assert len(sentence) <= LONGEST
        return len(sentence)

    text = "abc " * LONGEST
    layout = SentenceSplitter(lambda: "en", 100, True).split(text, count_tokens)
    assert layout.join(layout.sentences) == text
