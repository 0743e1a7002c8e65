"""What counts as a span that stays as it is."""

from __future__ import annotations

import pytest
from span_examples import OPENERS, SPANS

from pyengine.kept_spans import AsItIs, Attempt, Masked, ProtectedSentence
from pyengine.text.plain import PlainReading, plain_form
from pyengine.text.sentences import split_text
from pyengine.text.spans import blocks, find_spans, may_hold_spans


def spans_of(text: str, unknown: str = "") -> list[str]:
    return [text[span.start : span.end] for span in find_spans(text, frozenset(unknown))]


@pytest.mark.parametrize("span", SPANS)
def test_a_span_is_found_whole(span: str) -> None:
    for text in (span, f"The {span} is here.", f"Take ({span}), please: {span}!"):
        assert may_hold_spans(text)
        assert spans_of(text) == [span] * text.count(span)


@pytest.mark.parametrize(
    "text",
    [
        "I paid $5 for 100% of 3 < 4 and 7 > 2, R&D; 50% off.",
        "At 10:30, see the note: it is 1,000.50 (a/b) and/or c.",
        "1.000.000.000 people, 12.05.2020, 1/2/2020, 5 km/h [MUSIC] [the dog] (a)",
        "He said: 'no'. A 5% rise - in Mr. Smith's view... \"Yes\"?",
    ],
)
def test_ordinary_text_has_none(text: str) -> None:
    assert spans_of(text) == []


def test_the_text_of_a_link_is_translated() -> None:
    text = "See [the docs](https://a.org/b_c) and ![a dog](dog.png)."
    assert spans_of(text) == ["[", "](https://a.org/b_c)", "![", "](dog.png)"]
    assert protected(text).attempts()[-1].texts == ["See", "the docs", "and", "a dog"]


def test_neighbours_are_one_span() -> None:
    assert spans_of("Hi {a} {b}, <b>{c}</b>!") == ["{a} {b}", "<b>{c}</b>"]


def test_characters_that_a_vocabulary_lacks() -> None:
    assert spans_of("Zoë is in 東京.", "ë東京") == [
        "Zoë",
        "東京",
    ]
    assert spans_of("東京で", "京") == ["京"]
    assert spans_of("a → b→c", "→") == ["→", "→"]


def protected(text: str, unknown: str = "") -> ProtectedSentence:
    return ProtectedSentence(text, frozenset(unknown))


def kinds(attempts: list[Attempt]) -> list[str]:
    return [type(attempt).__name__ for attempt in attempts]


def test_attempts() -> None:
    assert kinds(protected("Hi {a}.").attempts()) == ["AsItIs", "Masked", "Apart"]
    assert kinds(protected("Hi {a}.", "{").attempts()) == ["Masked", "Apart"]
    assert kinds(protected("<b>Hi</b>").attempts()) == ["AsItIs"]
    assert kinds(protected("{a} 5, {b}.").attempts()) == ["Apart"]


def test_marks_at_the_ends_stand_beside_the_sentence() -> None:
    sentence = protected("<i> Hi {a}! </i>\U0001f600")
    assert (sentence.before, sentence.after) == ("<i> ", " </i>\U0001f600")
    as_it_is = sentence.attempts()[0]
    assert as_it_is.texts == ["Hi {a}!"]
    assert as_it_is.restore(["{a} ho!"]) == "<i> {a} ho! </i>\U0001f600"
    for wrong in ("ho!", "{a} {a}", "{A}", "{a} and {b}"):
        assert as_it_is.restore([wrong]) is None


def test_masks() -> None:
    masked = Masked(protected("The <b>big</b> dog, {a}."))
    assert masked.texts == ["The XYZ1 big XYZ2 dog, XYZ3."]
    assert masked.restore(["XYZ3: der XYZ1 große XYZ2 Hund."]) == "{a}: der <b>große</b> Hund."
    for wrong in (
        "XYZ1 XYZ2",
        "XYZ1 XYZ2 XYZ3 XYZ3",
        "XYZ1 XYZ2 XYZ 3",
        "XYZ2 XYZ1 XYZ3",
        "XYZ1 XYZ2 XYZ34",
    ):
        assert masked.restore([wrong]) is None
    assert masked.restore(["XYZ1 XYZ2 XYZ 3"]) is None
    assert Masked(protected("XYZ is {a}.")).texts == ["XYZ is QXZ1."]


def test_pieces() -> None:
    apart = protected('Hi, "{a}": it rains, 5{b}.').attempts()[-1]
    assert apart.texts == ["Hi", "it rains, 5"]
    assert apart.restore(["Hallo.", "es regnet 5"]) == 'Hallo, "{a}": es regnet 5{b}.'
    assert apart.restore(["Hallo {c}", "%s"]) == 'Hi, "{a}": it rains, 5{b}.'


def test_a_sentence_of_spans_alone_needs_no_model() -> None:
    (apart,) = protected("{a}: {b} - <b>").attempts()
    assert (apart.texts, apart.restore([])) == ([], "{a}: {b} - <b>")
    assert isinstance(protected("a <b>").attempts()[0], AsItIs)


def test_plain_forms() -> None:
    forms = {
        "ü": "u",
        "Í": "I",
        "ß": "ss",
        "ø": "o",
        "“": '"',
        "\u2019": "'",
        "\u2013": "-",
        "…": "...",
    }
    assert {x: plain_form(x) for x in forms} == forms
    assert [x for x in "aж東が½™→\U0001f600{" if plain_form(x)] == []


def test_what_a_model_reads_in_plain_forms_is_put_back() -> None:
    text = "Zoë\u2019s “big” dog, isn't it \u2013 Zoë?"
    reading = PlainReading(text, frozenset("ë\u2019“”\u2013"))
    assert reading.plain(text) == "Zoe's \"big\" dog, isn't it - Zoe?"
    assert reading.put_back('Zoe: "A" - Zoe') == "Zoë: “A” \u2013 Zoë"
    assert reading.put_back("Zoe's 'B'") == "Zoe's “B”"  # "Zoe" is not there as often
    assert reading.put_back("Zoe: 'B'' - so - on") == "Zoe: 'B'' - so - on"


def test_quotes_are_put_back_whichever_the_model_writes() -> None:
    reading = PlainReading(
        "He \u2018said\u2019 it \u2013 isn\u2019t it?", frozenset("\u2018\u2019\u2013")
    )
    assert reading.put_back('Ele "disse" - veja-o') == "Ele \u2018disse\u2019 \u2013 veja-o"


def test_what_a_tokenizer_normalises_is_put_back() -> None:
    sentence = protected("So… the ﬁle.", "…ﬁ")
    assert sentence.attempts()[0].texts == ["So... the file."]
    assert sentence.attempts()[0].restore(["So... file."]) == "So… ﬁle."
    degrees = protected("It is 20º, the 1ª.", "ºª").attempts()[0]
    assert degrees.restore(["São 20o, o 1st."]) == "São 20º, o 1st."


def test_letters_with_a_plain_form_are_no_spans() -> None:
    sentence = protected("I don\u2019t know {a}, 東.", "\u2019東{")
    assert sentence.attempts()[0].texts == ["I don't know XYZ1, XYZ2."]
    assert sentence.attempts()[0].restore(["XYZ2' XYZ1"]) == "東\u2019 {a}"


@pytest.mark.parametrize("part", ["a", "a.", "a-", "1.", "v1.", "/a", "1.1.1.", "a@b.c:", *OPENERS])
def test_a_long_token_is_read_in_one_go(part: str) -> None:
    """Of 40,000 characters; at every place anew it would take minutes."""
    text = part * (40_000 // len(part))
    found = find_spans(text)
    assert all(span.start < span.end <= len(text) for span in found)
    assert "".join(blocks(text)) == text


def test_signs_between_spaces() -> None:
    assert spans_of("| a | b |") == ["|", "|", "|"]
    assert spans_of("if x != y && z <= w => go") == ["!=", "&&", "<=", "=>"]
    assert spans_of("a=>b, (!=) x|y") == []


def test_spans_in_ass_subtitles() -> None:
    line = "Dialogue: 0,0:00:01.00,0:00:04.00,Default,,0,0,0,,"
    assert protected(f"{line}{{\\an8}}Hello there!").before == f"{line}{{\\an8}}"
    assert spans_of("[Script Info]\nPlayResX: 1920\nStyle: A b,Arial,20,&H00FFFFFF,&H0,1") == [
        "[Script Info]\nPlayResX: 1920\nStyle: A b,Arial,20,&H00FFFFFF,&H0,1"
    ]


def test_vowel_signs_belong_to_their_word() -> None:
    assert spans_of("The हिन्दी is here.", "हनद") == ["हिन्दी"]


def test_blocks_of_program_text() -> None:
    fence = "```py\nprint('a. B')\n```"
    comment = "<!-- one.\nTwo -->"
    script = "<script>let a = 1. B;</script>"
    text = f"One.\n{fence}\nTwo. {comment} Three <!-- a --> {script}"
    assert blocks(text) == ["One.\n", fence, "\nTwo. ", comment, " Three <!-- a --> ", script, ""]
    assert blocks("```\nopen") == ["```\nopen"]
    split = split_text(text, "en", lambda sentence: True)
    assert split.sentences == ["One.", "Two.", "Three <!-- a -->"]
    assert split.join(split.sentences) == text
    assert fence not in split_text(text, "en", lambda _: True, keep_blocks=False).gaps


@pytest.mark.parametrize("span", SPANS)
def test_no_sentence_ends_within_a_span(span: str) -> None:
    text = f"Take the {span} with you. It rains."
    split = split_text(text, "en", lambda sentence: True)
    assert split.sentences == [f"Take the {span} with you.", "It rains."]
