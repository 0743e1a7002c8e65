"""Where sentences begin: hard cases in twelve languages, and lines of any length."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import sentencex

from pyengine.text import boundaries
from pyengine.text.boundaries import WINDOW, split_sentences, without_quotes

FOLDER = Path(__file__).parents[1] / "fixtures" / "sentences"


@dataclass(frozen=True)
class Case:
    """A text of a language, its sentences, and whether they are found."""

    language: str
    text: str
    sentences: list[str]
    right: bool


def read_cases(name: str) -> Iterator[Case]:
    """Those of a file, whose form is said in cases.txt."""
    language = ""
    for line in (FOLDER / name).read_text(encoding="utf-8").splitlines():
        if heading := re.fullmatch(r"\[(\w+)\]", line):
            language = heading[1]
        elif line and not line.startswith("#"):
            marked = line.removeprefix("! ")
            sentences = [part.strip() for part in marked.split("\u2016")]
            yield Case(language, marked.replace("\u2016", ""), sentences, marked == line)


def split(text: str, language: str = "en") -> list[str]:
    parts = list(split_sentences(text, language))
    assert "".join(parts) == text
    return [part.strip() for part in parts]


@pytest.mark.parametrize(("name", "count"), [("cases.txt", 216), ("unseen_cases.txt", 61)])
def test_hard_cases(name: str, count: int) -> None:
    cases = list(read_cases(name))
    assert len(cases) == count and len({case.language for case in cases}) == 12
    for case in cases:
        assert (split(case.text, case.language) == case.sentences) == case.right, case.text


def test_what_the_rules_say_and_do_not_say() -> None:
    for case in read_cases("rules.txt"):
        assert split(case.text, case.language) == case.sentences


def test_a_language_written_in_another_way_gets_the_rules_it_is_like() -> None:
    assert split("Den 3. maj kom hr. Holm.", "nb") == ["Den 3. maj kom hr. Holm."]
    assert split("Rain. Sun.", "no such language") == ["Rain.", "Sun."]


def long_line(language: str, length: int) -> str:
    """The cases of a language, one after the other, over and over."""
    texts = [case.text for case in read_cases("cases.txt") if case.language == language]
    space = "" if language in ("ja", "zh") else " "
    rng = random.Random(length)
    return space.join(rng.choices(texts, k=length // 10))[:length]


@pytest.mark.parametrize("language", ["en", "de", "ja", "zh", "ko"])
def test_a_long_line_is_split_as_if_it_were_seen_whole(
    language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = long_line(language, 6 * WINDOW)
    found = split(line, language)
    monkeypatch.setattr(boundaries, "WINDOW", len(line))
    assert found == split(line, language)


@pytest.mark.parametrize(
    ("language", "line"),
    [
        ("zh", "今天天气很好\uff0c我们去公园散步。" * 5_000),
        ("ja", "「" + "今日は寒い。" * 10_000),
        ("ja", "今日は寒い" * 10_000),
        ("en", '"' + "It rains. " * 5_000),
        ("en", "x" * 50_000),
        ("en", "word " * 10_000),
        ("en", "(a " * 20_000),
        ("en", "'" * 50_000),
        ("th", "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35 " * 10_000),
        ("en", "A. " * 20_000),
    ],
)
def test_what_the_library_sees_of_a_long_line_is_bounded(
    language: str, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its time grows with the square of what it sees, and it keeps other threads from running."""
    seen = []
    segment = sentencex.segment

    def recorded(language: str, text: str) -> list[str]:
        seen.append(len(text))
        sentences: list[str] = segment(language, text)
        return sentences

    monkeypatch.setattr(sentencex, "segment", recorded)
    split(line, language)
    assert max(seen) <= WINDOW
    assert sum(seen) <= 5 * len(line)


def test_marks_without_quotes() -> None:
    text = 'He said: "Stop. (Now.) Go."'
    assert split(text) == [text]
    assert split(without_quotes(text)) == ["He said:  Stop.", "Now.", "Go."]
