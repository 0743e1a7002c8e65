"""Texts of a multilingual model: its language tokens, prefixes, and languages that it lacks."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import pyengine
from pyengine import Translator
from pyengine.errors import InputTypeError, OptionError
from pyengine.layout import SentenceSplitter
from pyengine.text import load_tokenizer
from pyengine.text_pipeline import TextPipeline
from pyengine.wording import Wording

from .conftest import FIXTURES, Cli

TEXTS = ["the dog runs", "A green house.", "Two children read a book, and the cat sleeps."]
FRENCH, GERMAN = 308, 300
"""Ids of M2M-100's tokens __fr__ and __de__ in this vocabulary."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small M2M-100 with its tokenizer."""
    folder = tmp_path_factory.mktemp("m2m")
    for path in (FIXTURES / "tokenizers" / "m2m").iterdir():
        shutil.copy(path, folder)
    shutil.copytree(FIXTURES / "m2m", folder, dirs_exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def translator(folder: Path) -> Iterator[Translator]:
    with Translator(folder, threads=2, cache_dir=False) as translator:
        yield translator


def test_languages(translator: Translator) -> None:
    assert len(translator.languages) == 100
    assert translator.encode("the dog", source="fr") == [FRENCH, *translator.encode("the dog")[1:]]


def test_translate_is_generate_between_language_tokens(translator: Translator) -> None:
    found = translator.translate(TEXTS, source="fr", target="de", num_beams=3)
    sources = [translator.encode(text, source="fr") for text in TEXTS]
    assert all(source[0] == FRENCH and source[-1] == 2 for source in sources)
    rows = translator.generate(sources, forced_bos_token_id=GERMAN, num_beams=3)
    assert all(row[0].ids[0] == GERMAN for row in rows)
    assert found == [translator.decode(row[0].ids) for row in rows]
    assert not any("__de__" in text for text in found)
    assert list(translator.translate_iter(TEXTS, source="fr", target="de", num_beams=3)) == found


def test_an_option_of_the_call_wins_over_the_language(translator: Translator) -> None:
    options = {"target": "de", "forced_bos_token_id": FRENCH}
    assert translator.translate(TEXTS, **options) == translator.translate(TEXTS, target="fr")


def test_whole_texts_and_the_one_shot_call(translator: Translator, folder: Path) -> None:
    text = "\n".join(TEXTS[:2])
    expected = "\n".join(translator.translate(TEXTS[:2], source="fr", target="de"))
    assert translator.translate_text(text, source="fr", target="de") == expected
    one_shot = pyengine.translate(TEXTS[:2], model=folder, source="fr", target="de")
    assert one_shot == expected.split("\n")


def test_prefix(translator: Translator) -> None:
    prefixed = translator.translate(TEXTS, prefix="they say: ", split=False)
    assert prefixed == translator.translate([f"they say: {text}" for text in TEXTS], split=False)
    assert translator.translate(["", " "], prefix="they say: ") == ["", " "]
    with pytest.raises(InputTypeError, match="prefix: expected a string, found int"):
        translator.translate("x", prefix=3)


def test_truncation_keeps_what_tells_the_language(translator: Translator) -> None:
    text = "the dog " * 60
    with pytest.warns(pyengine.TruncationWarning):
        ids = translator.encode_batch([text], truncate=True)[0]
    assert len(ids) == translator.max_source_length
    assert ids[-1] == 2


@pytest.mark.parametrize(
    ("languages", "message"),
    [
        ({"source": "french"}, "source: found 'french', expected one of the model's 100 languages"),
        ({"target": "deu"}, "target: found 'deu', .* such as de"),
    ],
)
def test_a_language_that_the_model_lacks(
    translator: Translator, languages: dict[str, str], message: str
) -> None:
    with pytest.raises(OptionError, match=message):
        translator.translate("the dog", **languages)
    with pytest.raises(OptionError, match=message):
        translator.translate_iter(["the dog"], **languages)
    with pytest.raises(InputTypeError, match="source: expected the code of a language, found int"):
        translator.translate("the dog", source=3)


def test_a_model_of_two_languages_takes_its_own(text_translator: Translator, cli: Cli) -> None:
    text = "A dog runs. Two women talk."
    assert text_translator.languages == ()
    expected = text_translator.translate(text)
    assert text_translator.encode(text, source="en") == text_translator.encode(text)
    for languages in (
        {"source": "en", "target": "de"},
        {"source": "eng_Latn"},
        {"target": "de-AT"},
        {"source": "en_GB", "target": "deu"},
    ):
        assert text_translator.translate(text, **languages) == expected
        assert list(text_translator.translate_iter([text], **languages)) == [expected]
        assert pyengine.translate(text, model=text_translator.path, **languages) == expected
    own = ("--from", "en", "--to", "de")
    done = cli("translate", "--model", text_translator.path, *own, text)
    assert (done.returncode, done.stdout) == (0, f"{expected}\n")


@pytest.mark.parametrize(
    ("languages", "message"),
    [
        ({"source": "fr"}, "source: found 'fr', expected 'en': the model translates en to de"),
        ({"target": "fr_FR"}, "target: found 'fr_FR', expected 'de': the model translates en to"),
        ({"source": "de", "target": "en"}, "source: found 'de', expected 'en'"),
        ({"source": "klingon"}, "source: found 'klingon', expected the code of a language"),
    ],
)
def test_a_model_of_two_languages_refuses_others(
    text_translator: Translator, languages: dict[str, str], message: str
) -> None:
    with pytest.raises(OptionError, match=message):
        text_translator.translate("A dog runs.", **languages)
    with pytest.raises(OptionError, match=message):
        text_translator.encode("A dog runs.", **languages)


def test_a_model_that_is_told_its_target_alone(tmp_path: Path) -> None:
    folder = tmp_path / "opus-mt-en-roa"
    shutil.copytree(FIXTURES / "tokenizers" / "marian-multi", folder)
    tokenizer = load_tokenizer(folder, {})
    assert tokenizer.languages is not None
    code = tokenizer.languages.codes[0]
    assert tokenizer.pair is not None
    source = tokenizer.pair[0]
    assert tokenizer.encode_batch(["a"], source, code) == tokenizer.encode_batch(["a"], None, code)
    with pytest.raises(OptionError, match=f"source: found 'ja', expected '{source}'"):
        tokenizer.check_languages("ja", code)
    with pytest.raises(OptionError, match="target: found 'zz', expected one of the model's"):
        tokenizer.check_languages(None, "zz")


def test_a_target_that_the_text_names_is_that_of_all_its_sentences() -> None:
    tokenizer = load_tokenizer(FIXTURES / "tokenizers" / "marian-multi", {})
    splitter = SentenceSplitter(lambda: "en", 128)
    pipeline = TextPipeline(
        splitter, True, lambda: tokenizer, Wording(), lambda ids, _: ids, lambda *_: [], 1
    )
    found = pipeline.encode(">>fra<< the dog runs. A man reads.\n>>deu<< they see.", 0)
    assert [sentence.ids for sentence in found.sentences] == tokenizer.encode_batch(
        [">>fra<< the dog runs.", ">>fra<< A man reads.", ">>deu<< they see."]
    )
    assert found.layout.join(["a", "b", "c"]) == "a b\nc"
    unknown = pipeline.encode(">>xyz<< the dog runs.", 0)
    assert [sentence.ids for sentence in unknown.sentences] == [
        tokenizer.encode(">>xyz<< the dog runs.")
    ]


def test_a_model_whose_folder_names_no_languages(text_model: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").symlink_to(text_model)
    with (
        Translator(tmp_path / "mine", threads=1) as translator,
        pytest.raises(OptionError, match="not told languages, and its folder names none"),
    ):
        translator.translate("A dog runs.", source="en")


def test_command_line(translator: Translator, folder: Path, cli: Cli) -> None:
    expected = translator.translate(TEXTS[0], source="fr", target="de", prefix="so ")
    words = ("--from", "fr", "--to", "de", "--prefix", "so ")
    done = cli("translate", "--model", folder, *words, TEXTS[0])
    assert (done.returncode, done.stdout) == (0, expected + "\n")
    done = cli("translate", "--model", folder, "--to", "xx", TEXTS[0])
    assert done.returncode == 2
    assert "target: found 'xx', expected one of the model's 100 languages" in done.stderr
