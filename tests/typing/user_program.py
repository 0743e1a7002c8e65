"""What users write, for mypy --strict and pyright: never run.

Each line that ends in "expected error" must be one; a type checker that takes it complains of the
comment that silences it.
"""

from collections.abc import Iterator

import numpy as np
from typing_extensions import assert_type

import pyengine
from pyengine import CancelToken, Encoder, Generator, Hypothesis, Translator


def texts_in_texts_out(t: Translator, text: str, texts: list[str], either: str | list[str]) -> None:
    assert_type(t.translate(text), str)
    assert_type(t.translate(texts, num_beams=4), list[str])
    assert_type(t.translate(("a", "b")), list[str])
    assert_type(t.translate({"a": "b"}.values()), list[str])
    assert_type(t.translate(line for line in texts), list[str])
    assert_type(t.translate(np.array(texts)), list[str])
    assert_type(t.translate(either), str | list[str])
    assert_type(t.translate_text(text), str)


def several_results(t: Translator, text: str, texts: list[str], n: int) -> None:
    assert_type(t.translate(text, num_return_sequences=1), str)
    assert_type(t.translate(text, num_return_sequences=3), list[str])
    assert_type(t.translate(texts, num_return_sequences=3), list[list[str]])
    assert_type(t.translate(text, num_return_sequences=n), str | list[str] | list[list[str]])


def streams(t: Translator, g: Generator, texts: Iterator[str]) -> None:
    for translation in t.translate_iter(texts, max_new_tokens=9):
        assert_type(translation, str)
    for best in t.translate_iter(texts, num_return_sequences=2):
        assert_type(best, list[str])
    for piece in t.translate_stream("A dog runs."):
        assert_type(piece, str)
    for token in g.stream([5, 9], do_sample=True, seed=1):
        assert_type(token, int)
    for part in g.stream("Once", timeout=1.5):
        assert_type(part, str)


def ids(t: Translator, g: Generator) -> None:
    assert_type(t.generate([t.encode("A dog.")], num_beams=4), list[list[Hypothesis]])
    assert_type(g.generate([[5, 9]], eos_token_id=[1, 2])[0][0].ids, list[int])
    assert_type(t.decode([1, 2]), str)


def one_call(text: str, either: str | list[str]) -> None:
    assert_type(pyengine.translate(text, source="en", target="pt"), str)
    assert_type(pyengine.translate([text], "folder", compute_type="int8", threads=2), list[str])
    assert_type(pyengine.translate(either, "folder"), str | list[str])


def ended(t: Translator, text: str) -> str:
    cancel = CancelToken(timeout=2.0)
    try:
        return t.translate(text, timeout=0.5, cancel=cancel)
    except pyengine.DeadlineError:
        return ""


def vectors(e: Encoder, texts: list[str]) -> None:
    print(e.encode(texts, pooling="cls", normalize=True).shape)
    assert_type(e.classify("A dog."), dict[str, float])
    assert_type(e.classify(texts), list[dict[str, float]])


def mistakes(t: Translator, e: Encoder, text: str) -> None:
    t.translate(text, num_beam=4)  # type: ignore[call-overload]  # pyright: ignore  # expected error
    t.translate(text, num_beams="4")  # type: ignore[call-overload]  # pyright: ignore  # expected error
    t.translate(4)  # type: ignore[call-overload]  # pyright: ignore  # expected error
    t.translate(text, early_stopping="always")  # type: ignore[call-overload]  # pyright: ignore  # expected error
    t.generate([[1]], beams=4)  # type: ignore[call-arg]  # pyright: ignore  # expected error
    Translator("folder", compute_type="int4")  # type: ignore[arg-type]  # pyright: ignore  # expected error
    Translator("folder", isa="neon")  # type: ignore[arg-type]  # pyright: ignore  # expected error
    e.encode(text, pooling="average")  # type: ignore[arg-type]  # pyright: ignore  # expected error
    pyengine.translate(text, "folder", compute_type="int4")  # type: ignore[call-overload]  # pyright: ignore  # expected error
    pyengine.translate(text, "folder", device="cpu")  # type: ignore[call-overload]  # pyright: ignore  # expected error
