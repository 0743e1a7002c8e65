"""Whole texts: nothing is lost between the sentences, and what is too long is cut well."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyengine.text import sentences as sentences_module
from pyengine.text.boundaries import WINDOW, split_sentences
from pyengine.text.clauses import split_clauses
from pyengine.text.sentences import SplitText, split_text
from pyengine.text.surrogates import replace_lone_surrogates

texts = st.lists(
    st.sampled_from(
        [
            *'aB.!?,;: \t\n\r"()[]\u300d\u300f\u00bb\u201c\u20197',
            *"。\uff01\uff0c、\u00a0\u3000\u2028\u2014",
            "Mr. ",
            "M. ",
            "etc. ",
            "\r\n",
            "e\u0301",
        ]
    )
    | st.characters(codec=None, exclude_categories=[]),
    max_size=60,
).map("".join)
LONG_LINE = (
    "Mr. Smith left. ",
    "It rains! ",
    "Is it (a. b. c) so? ",
    "Yes.  ",
)
LANGUAGES = st.sampled_from(["en", "pt", "zh", "hi", "ja", "ko", "de", "", "no such language"])


def split(text: str, limit: int = 1000, language: str = "en") -> SplitText:
    return split_text(text, language, lambda sentence: len(sentence) <= limit)


@given(text=texts, limit=st.integers(1, 70), language=LANGUAGES)
def test_gaps_and_sentences_are_the_text(text: str, limit: int, language: str) -> None:
    parts = split(text, limit, language)
    assert len(parts.gaps) == len(parts.sentences) + 1
    both = [part for pair in zip(parts.gaps, [*parts.sentences, ""], strict=True) for part in pair]
    assert "".join(both) == replace_lone_surrogates(text)
    assert all(gap.strip() == "" for gap in parts.gaps)
    for sentence in parts.sentences:
        assert sentence == sentence.strip() != ""
        assert len(sentence.splitlines()) == 1


def test_sentences_lines_and_paragraphs() -> None:
    parts = split("  Mr. Smith left.  It rains!\n\n- one\r\n\tTwo. Three\n")
    assert parts.sentences == ["Mr. Smith left.", "It rains!", "- one", "Two.", "Three"]
    assert parts.gaps == ["  ", "  ", "\n\n", "\r\n\t", " ", "\n"]
    assert parts.join(list("ABCDE")) == "  A  B\n\nC\r\n\tD E\n"


def test_joining_copies_no_sentences_that_it_does_not_place() -> None:
    class Unsliced(list[str]):
        def __getitem__(self, index: object) -> str:
            assert isinstance(index, int)
            return super().__getitem__(index)

    parts = split("雨です。</b>雪です。<i>風です。")
    placed = parts.join(list("ABC"))
    parts.sentences = Unsliced(parts.sentences)
    assert parts.join(list("ABC")) == placed


def test_a_long_line_is_split_as_a_short_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentences_module, "LONGEST", 4 * WINDOW)
    sentences = random.Random(0).choices(LONG_LINE, k=1000)
    assert split("".join(sentences)).sentences == [sentence.strip() for sentence in sentences]


def test_a_long_line_is_not_looked_at_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def noting(line: str, language: str) -> Iterator[str]:
        seen.append(len(line))
        return split_sentences(line, language)

    monkeypatch.setattr(sentences_module, "split_sentences", noting)
    for line in ("It rains. " * 50_000, "x" * 300_000):
        assert "".join(sentences_module._sentences(line, "en")) == line
    assert max(seen) <= sentences_module.LONGEST


def test_columns_stay_apart() -> None:
    parts = split("\tName:\tJohn. Or Jack\t\t30\t\nx")
    assert parts.sentences == ["Name:", "John.", "Or Jack", "30", "x"]
    assert parts.join(list("ABCDE")) == "\tA\tB C\t\tD\t\nE"


def test_white_space_of_several_bytes_before_a_full_stop() -> None:
    assert split("J\u00a0. Smith\u3000. Yes.").gaps[0] == ""


def test_a_translation_never_adds_a_line() -> None:
    assert split("One. Two.").join(["a\nb", "c\u2028d"]) == "a b c d"


def test_a_space_between_sentences_that_touched() -> None:
    parts = split("你好。世界\uff01", language="zh")
    assert parts.sentences == ["你好。", "世界\uff01"]
    assert parts.join(["Hello.", "World!"]) == "Hello. World!"
    assert parts.join(["今日は。", "世界\uff01"]) == "今日は。世界\uff01"
    assert parts.join(["", "World!"]) == "World!"
    assert (
        parts.join(["안녕하세요.", "세계\uff01"]) == "안녕하세요. 세계\uff01"
    )  # Hangul is as wide
    assert parts.join(["네\uff01", "좋아요."]) == "네\uff01좋아요."  # after a mark of Chinese
    assert parts.join(["Hello \U0001f600", "World!"]) == "Hello \U0001f600 World!"
    assert parts.join(["สวัสดี", "โลก"]) == "สวัสดี โลก"


def test_a_quotation_that_is_too_long_is_split_at_its_sentences() -> None:
    parts = split(
        'He said: "I came, I saw. I won (at last.) The end, my friend." Then he left.', 30
    )
    assert parts.sentences == [
        'He said: "I came, I saw.', "I won (at last.)", 'The end, my friend."', "Then he left.",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("sentence", "limit", "parts"),
    [
        ("short", 5, ["short"]),
        ("one, two; three, four", 12, ["one, two; ", "three, four"]),  # the clause, not the comma
        ("costs 1,000 or at 12:30 then", 14, ["costs 1,000 or ", "at 12:30 then"]),
        ("eins zwei drei vier", 10, ["eins zwei ", "drei vier"]),
        ("一二三\uff0c四五六七", 5, ["一二三\uff0c", "四五六七"]),
        ("abcdefgh", 2, ["ab", "cd", "ef", "gh"]),
        ("a; bcdefghijklmnop", 9, ["a; bcdefg", "hijklmnop"]),  # not at the edge
    ],
)
def test_where_a_long_sentence_is_cut(sentence: str, limit: int, parts: list[str]) -> None:
    found = split_clauses(sentence, lambda part: len(part.strip()) <= limit)
    assert found == parts


def test_a_very_long_text_without_any_mark() -> None:
    parts = split_clauses("x" * 100_000, lambda part: len(part) <= 100)
    assert len(parts) == 1024 and max(map(len, parts)) <= 100


def test_nothing_fits() -> None:
    assert split_clauses("ab; c", lambda part: False) == list("ab; c")
