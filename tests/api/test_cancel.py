"""What ends a call before it is done: a token, a deadline, a signal."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import pyengine
from pyengine import (
    CancelledError,
    CancelToken,
    DeadlineError,
    Encoder,
    Error,
    Generator,
    InputTypeError,
    OptionError,
    Translator,
)
from pyengine.wording import Wording

from .conftest import FIXTURES, SENTENCES, run_python

Call = Callable[..., Any]
LONG = 10**9
"""Seconds that no test takes."""


@pytest.fixture(scope="module")
def calls(text_translator: Translator, prompted_model: Path) -> Iterator[dict[str, Call]]:
    """Everything that computes, with the keywords ``timeout`` and ``cancel`` left."""
    t = text_translator
    ids = t.encode("A dog runs.")
    with (
        Generator(prompted_model, cache_dir=False) as generator,
        Encoder(FIXTURES / "distilbert-cls", cache_dir=False) as encoder,
    ):
        yield {
            "translate": lambda **k: t.translate(list(SENTENCES), **k),
            "translate one": lambda **k: t.translate("A dog runs.", **k),
            "translate nothing": lambda **k: t.translate(" ", **k),
            "translate_iter": lambda **k: list(t.translate_iter(SENTENCES, **k)),
            "translate_stream": lambda **k: "".join(t.translate_stream("A dog runs.", **k)),
            "translate_text": lambda **k: t.translate_text("A dog runs. It rains.", **k),
            "generate": lambda **k: t.generate([ids], **k),
            "score": lambda **k: [row.tolist() for row in t.score([ids], [[5, 9]], **k)],
            "oneshot": lambda **k: pyengine.translate("A dog runs.", t.path, **k),
            "Generator.generate": lambda **k: generator.generate([[5, 9]], **k),
            "Generator.stream": lambda **k: list(generator.stream([5, 9], **k)),
            "Generator.stream text": lambda **k: "".join(generator.stream("A", **k)),
            "Generator.score": lambda **k: [r.tolist() for r in generator.score([[5, 9]], **k)],
            "Encoder.forward": lambda **k: encoder.forward([[5, 9]], **k)[0].tolist(),
        }


def test_every_call_takes_a_timeout_and_a_token(calls: dict[str, Call]) -> None:
    late, cancelled = CancelToken(timeout=1e-9), CancelToken()
    cancelled.cancel()
    while not late.cancelled:
        pass
    for name, call in calls.items():
        expected = call()
        assert call(timeout=LONG, cancel=CancelToken(timeout=LONG)) == expected, name
        with pytest.raises(CancelledError, match="the call was cancelled"):
            call(cancel=cancelled, timeout=LONG)
        with pytest.raises(DeadlineError, match="timeout: the time is up"):
            call(cancel=late)
        assert call() == expected, name


@pytest.mark.parametrize("wrong", [0, -1, float("nan"), float("inf"), "1", True, [], 10**400])
def test_what_no_timeout_is(text_translator: Translator, wrong: Any) -> None:
    expected = "^timeout: found .*, expected a positive finite number of seconds$"
    with pytest.raises(OptionError, match=expected):
        text_translator.translate("A dog runs.", timeout=wrong)
    with pytest.raises(OptionError, match=expected):
        CancelToken(timeout=wrong)


def test_what_no_token_is(text_translator: Translator) -> None:
    with pytest.raises(InputTypeError, match="cancel: expected a CancelToken, found Event"):
        text_translator.translate("A dog runs.", cancel=threading.Event())  # type: ignore[call-overload]


def test_the_errors_are_what_one_catches() -> None:
    assert issubclass(DeadlineError, TimeoutError) and issubclass(DeadlineError, Error)
    assert issubclass(CancelledError, Error)
    token = CancelToken()
    assert (token.cancelled, repr(token)) == (False, "<pyengine.CancelToken cancelled=False>")
    token.cancel()
    token.cancel()
    assert (token.cancelled, repr(token)) == (True, "<pyengine.CancelToken cancelled=True>")


@pytest.mark.parametrize("num_beams", [1, 4, 300])
def test_a_call_that_is_cancelled_at_work_leaves_the_others(
    text_translator: Translator, num_beams: int
) -> None:
    """Endless work, so that nothing but the token ends it."""
    expected = text_translator.translate(list(SENTENCES))
    token, at_work = CancelToken(), threading.Event()
    errors: list[BaseException] = []

    def endless() -> Iterator[str]:
        while True:
            at_work.set()
            yield SENTENCES[0]

    def work() -> None:
        try:
            for _ in text_translator.translate_iter(endless(), cancel=token, num_beams=num_beams):
                pass
        except Error as error:
            errors.append(error)

    worker = threading.Thread(target=work)
    worker.start()
    at_work.wait()
    assert text_translator.translate(list(SENTENCES)) == expected
    token.cancel()
    assert text_translator.translate(list(SENTENCES)) == expected
    worker.join()
    assert [type(error) for error in errors] == [CancelledError]


class Encoding:
    """Counts the calls of a method that encodes, and cancels a token at the third."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, owner: type) -> None:
        self._encode_batch = owner.encode_batch  # type: ignore[attr-defined]
        self.start()
        monkeypatch.setattr(owner, "encode_batch", lambda *arguments: self(*arguments))

    def start(self) -> CancelToken:
        self.token, self.calls = CancelToken(), 0
        return self.token

    def __call__(self, *arguments: Any) -> list[list[int]]:
        self.calls += 1
        if self.calls == 3:
            self.token.cancel()
        return self._encode_batch(*arguments)


def test_texts_are_not_split_and_encoded_after_the_end(
    text_translator: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoding = Encoding(monkeypatch, Wording)
    text = "A dog runs. {a} It rains. " * 20
    t = text_translator
    for call in (t.translate, t.translate_stream, lambda x, **k: list(t.translate_iter([x], **k))):
        with pytest.raises(CancelledError):
            "".join(call(text, cancel=encoding.start()))
        assert encoding.calls == 3


def test_texts_of_an_encoder_are_not_encoded_after_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Encoder(FIXTURES / "bert-cls", threads=1) as encoder:
        encoding = Encoding(monkeypatch, type(encoder._get_tokenizer()))
        for call in (encoder.encode, encoder.classify):
            with pytest.raises(CancelledError):
                call(["a dog runs"] * 20, cancel=encoding.start())
            assert encoding.calls == 3


def test_a_cancelled_stream_ends_after_what_was_done(text_translator: Translator) -> None:
    token = CancelToken()
    pieces = text_translator.translate_stream(SENTENCES[2], cancel=token)
    first = next(pieces)
    token.cancel()
    found = first
    try:
        for piece in pieces:
            found += piece
    except CancelledError:
        pass
    assert text_translator.translate(SENTENCES[2], num_beams=1).startswith(found)


HANDLERS = """
import signal, sys, threading
import pyengine

t = pyengine.Translator(sys.argv[1], threads=2, cache_dir=False)
text = "A man is riding a bicycle."
expected, best = t.translate(text), t.translate(text, num_beams=4)
calls = 0

def calls_the_engine(*_):
    global calls
    calls += 1
    assert t.translate([text] * 3) == [expected] * 3
    again()

def waits_for_a_worker(*_):
    global calls
    calls += 1
    worker = threading.Thread(target=lambda: found.append(t.translate(text)))
    worker.start()
    worker.join()
    again()

def again():  # once a handler is done, however long it takes
    if calls < 3:
        signal.setitimer(signal.ITIMER_REAL, 0.05)

found = []
for handler in (calls_the_engine, waits_for_a_worker):
    calls = 0
    signal.signal(signal.SIGALRM, handler)
    again()
    while calls < 3:  # a call that lasts is where they run
        assert t.translate([text] * 300, num_beams=4)[7] == best
assert set(found) == {expected}

def ends(*_):
    raise KeyboardInterrupt

signal.signal(signal.SIGALRM, ends)
signal.setitimer(signal.ITIMER_REAL, 0.3)
try:
    while True:
        t.translate([text] * 8, num_beams=1024, length_penalty=0.0)
except KeyboardInterrupt:
    assert t.translate(text) == expected
    print("ended")
"""


def test_handlers_of_signals_use_the_engine(text_model: Path) -> None:
    done = run_python(["-c", HANDLERS, str(text_model)])
    assert done.stdout == "ended\n", done.stderr
