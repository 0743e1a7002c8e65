"""Translations of a stream: in order, in bounded memory, with nothing left behind."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pyengine import (
    ClosedError,
    InputError,
    InputTypeError,
    OptionError,
    TokenizerMissingError,
    Translator,
    TruncationWarning,
    UnknownOptionError,
    stream,
)

from .conftest import SENTENCES, run_python

TEXTS = [SENTENCES[i % len(SENTENCES)][: 20 + i].strip() for i in range(60)] + ["", "", "A dog."]
TOO_LONG = "dog " * 2000


@pytest.fixture
def translator(text_model: Path) -> Iterator[Translator]:
    """Chunks of 8 texts."""
    with Translator(text_model, threads=2, batch_size=2) as translator:
        yield translator
    assert at_work() == []


def at_work() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "pyengine-stream"]


def collected(translations: Iterator[Any], error: type[Exception]) -> tuple[list[Any], str]:
    """What comes before an error, and its message."""
    found = []
    with pytest.raises(error) as caught:
        for translation in translations:
            found.append(translation)
    return found, str(caught.value)


@pytest.mark.parametrize("count", [0, 1, 8, 9, 63])
@pytest.mark.parametrize("options", [{}, {"num_beams": 4, "num_return_sequences": 2}])
def test_translations_are_those_of_a_list(
    translator: Translator, count: int, options: dict[str, Any]
) -> None:
    texts = TEXTS[-count:] if count else []
    found = list(translator.translate_iter(iter(texts), **options))
    assert found == translator.translate(texts, **options)


def test_an_endless_input_is_read_ahead_by_a_bounded_number(translator: Translator) -> None:
    read = itertools.count()
    position = 0

    def texts() -> Iterator[str]:
        nonlocal position
        for position in read:
            yield TEXTS[position % len(TEXTS)]

    translations = translator.translate_iter(texts())
    assert position == 0
    for number in range(200):
        next(translations)
        assert position - number < (stream.AHEAD + 1) * stream.CHUNK_BATCHES * 2
    assert len(at_work()) <= stream.AHEAD + 1
    translations.close()


@pytest.mark.parametrize("count", [0, 5, 8, 30])
def test_an_error_of_the_input_comes_after_the_translations(
    translator: Translator, count: int
) -> None:
    def texts() -> Iterator[str]:
        yield from TEXTS[:count]
        raise OSError("the disk is gone")

    translations = translator.translate_iter(texts())
    expected = translator.translate(TEXTS[:count])
    assert collected(translations, OSError) == (expected, "the disk is gone")
    assert list(translations) == []


@pytest.mark.parametrize("count", [0, 5, 30])
def test_a_text_too_long_is_named_after_the_translations_before(
    translator: Translator, count: int
) -> None:
    texts = [*TEXTS[:count], TOO_LONG, "A dog."]
    found, message = collected(translator.translate_iter(texts, split=False), InputError)
    assert found == translator.translate(TEXTS[:count])
    assert message.startswith(f"item {count}: ")
    with pytest.warns(TruncationWarning, match=f"item {count}: "):
        cut = list(translator.translate_iter(texts, split=False, truncate=True, max_new_tokens=5))
    assert len(cut) == count + 2


def test_an_item_that_is_no_text(translator: Translator) -> None:
    found, message = collected(translator.translate_iter([*TEXTS[:11], None]), InputTypeError)  # type: ignore[list-item]
    assert found == translator.translate(TEXTS[:11])
    assert message == "item 11: expected a string, found NoneType"


def test_what_is_wrong_shows_at_the_call(translator: Translator, ids_model: Path) -> None:
    with pytest.raises(UnknownOptionError, match="did you mean num_beams"):
        translator.translate_iter(TEXTS, num_baems=2)
    with pytest.raises(OptionError, match="num_beams: found 0"):
        translator.translate_iter(TEXTS, num_beams=0)
    for wrong in ("A dog.", b"A dog.", 5, None):
        with pytest.raises(InputTypeError, match="texts: expected an iterable of texts, found"):
            translator.translate_iter(wrong)  # type: ignore[arg-type]
    with Translator(ids_model) as other, pytest.raises(TokenizerMissingError):
        other.translate_iter(TEXTS)
    with pytest.raises(ClosedError):
        other.translate_iter(TEXTS)


def test_closing_the_translator_ends_the_stream(text_model: Path) -> None:
    translator = Translator(text_model, threads=2, batch_size=2)
    expected = translator.translate(TEXTS)
    translations = translator.translate_iter(itertools.cycle(TEXTS))
    first = next(translations)
    translator.close()
    found, message = collected(translations, ClosedError)
    assert [first, *found] == expected[: len(found) + 1]  # what was read before
    assert "closed" in message
    assert at_work() == []


@pytest.mark.parametrize("closes", [True, False])
def test_a_stream_that_is_left_ends_its_work(text_model: Path, closes: bool) -> None:
    with Translator(text_model, threads=1, batch_size=256) as translator:
        # The chunk behind the first takes many minutes, which no test waits for.
        long = " ".join(["A man is riding a bicycle in front of a house."] * 4)
        texts = itertools.chain([""] * 256 * stream.CHUNK_BATCHES, itertools.repeat(long))
        translations = translator.translate_iter(texts, num_beams=100)
        next(translations)
        assert at_work()
        if closes:
            translations.close()
            assert list(translations) == []
        del translations
        assert at_work() == []


def test_streams_and_calls_share_a_translator(translator: Translator) -> None:
    expected = translator.translate(TEXTS, num_beams=2)
    streams = [translator.translate_iter(TEXTS, num_beams=2) for _ in range(3)]
    for number, row in enumerate(zip(*streams, strict=True)):
        assert set(row) == {expected[number]}
        assert translator.translate(TEXTS[number], num_beams=2) == expected[number]


SCRIPT = """
import itertools, os, signal, sys, threading
from pyengine import ForkedError, Translator
translator = Translator(sys.argv[1], threads=2, batch_size=8)
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job inherits "ignore"
text = "A man is riding a bicycle in front of a house."
translations = translator.translate_iter(itertools.repeat(text), num_beams=8)
"""


def test_ctrl_c_ends_the_stream(text_model: Path) -> None:
    script = """
next(translations)
try:
    threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    for _ in translations: pass
except KeyboardInterrupt:
    names = [thread.name for thread in threading.enumerate()]
    print(names, len(list(translations)))
"""
    done = run_python(["-c", SCRIPT + script, str(text_model)])
    assert (done.stdout, done.stderr) == ("['MainThread'] 0\n", "")


def test_a_process_ends_with_a_stream_at_work(text_model: Path) -> None:
    done = run_python(["-c", SCRIPT + "next(translations)", str(text_model)])
    assert (done.returncode, done.stderr) == (0, "")


def test_a_forked_child_gets_an_error(text_model: Path) -> None:
    script = """
next(translations)
child = os.fork()
if child == 0:
    try:
        for _ in translations: pass
    except ForkedError: os._exit(0)
    os._exit(1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), len(next(translations)) > 0)
"""
    done = run_python(["-W", "ignore", "-c", SCRIPT + script, str(text_model)])
    assert (done.stdout, done.stderr) == ("0 True\n", "")
