"""Tokens and text of one prompt as they are made."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import pyengine

from .conftest import FIXTURES, SENTENCES, run_python
from .test_stream import at_work

PROMPT = [5, 9, 77, 20]
SAMPLED = {"do_sample": True, "seed": 3, "temperature": 2.0, "top_k": 0}


@pytest.fixture
def generator(prompted_model: Path) -> Iterator[pyengine.Generator]:
    with pyengine.Generator(prompted_model, cache_dir=False, threads=2) as generator:
        yield generator
    assert at_work() == []


@pytest.mark.parametrize("options", [{}, SAMPLED, {"repetition_penalty": 1.3}])
@pytest.mark.parametrize("lengths", [{}, {"max_new_tokens": 1}, {"max_new_tokens": 9}])
def test_the_ids_are_those_of_generate(
    generator: pyengine.Generator, options: dict[str, Any], lengths: dict[str, Any]
) -> None:
    for prompt in (PROMPT, [3], list(range(3, 40))):
        for end in ({}, {"eos_token_id": None}):
            given = {**options, **lengths, **end}
            found = list(generator.stream(prompt, **given))
            assert found == generator.generate([prompt], **given)[0][0].ids


@pytest.mark.parametrize("options", [{}, SAMPLED, {**SAMPLED, "seed": 4}])
def test_the_pieces_are_the_text(generator: pyengine.Generator, options: dict[str, Any]) -> None:
    ids = generator.encode("A)")
    found = list(generator.stream("A)", eos_token_id=None, **options))
    best = generator.generate([ids], eos_token_id=None, **options)[0][0].ids
    assert "".join(found) == generator.decode(best)
    assert len(best) == 48 - len(ids)


def test_work_starts_with_the_first_token_asked_for(generator: pyengine.Generator) -> None:
    tokens = generator.stream(PROMPT, eos_token_id=None)
    assert at_work() == []
    first = next(tokens)
    rest = list(tokens)
    assert [first, *rest] == generator.generate([PROMPT], eos_token_id=None)[0][0].ids
    assert list(tokens) == []


@pytest.mark.parametrize("closes", [True, False])
def test_a_stream_that_is_left_ends_its_work(tmp_path: Path, closes: bool) -> None:
    generator = long_generator(tmp_path)
    tokens = generator.stream(PROMPT, eos_token_id=None)
    assert len(list(itertools.islice(tokens, 3))) == 3
    assert at_work()
    if closes:
        tokens.close()
        assert list(tokens) == []
    del tokens
    assert at_work() == []
    assert generator.generate([PROMPT], max_new_tokens=2)  # its rows are free


def long_generator(tmp_path: Path) -> pyengine.Generator:
    """A Llama with 100,000 positions, which no test waits for."""
    folder = tmp_path / "llama"
    shutil.copytree(FIXTURES / "llama", folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 100_000}))
    return pyengine.Generator(folder, cache_dir=False, threads=2)


def test_streams_and_calls_share_a_generator(generator: pyengine.Generator) -> None:
    prompts = [[n, n + 1] for n in range(3, 40)]
    expected = [row[0].ids for row in generator.generate(prompts, max_new_tokens=20)]
    streams = [generator.stream(prompt, max_new_tokens=20) for prompt in prompts[:6]]
    found: list[list[int]] = [[] for _ in streams]
    for row in itertools.zip_longest(*streams):
        for ids, token in zip(found, row, strict=True):
            ids += [] if token is None else [token]
        assert generator.generate(prompts[:1], max_new_tokens=20)[0][0].ids == expected[0]
    assert found == expected[:6]


def test_what_is_wrong_shows_at_the_call(generator: pyengine.Generator) -> None:
    with pytest.raises(pyengine.OptionError, match="num_beams: found 2, expected 1: a stream is"):
        generator.stream(PROMPT, num_beams=2)
    with pytest.raises(pyengine.OptionError, match="num_return_sequences: found 3, expected 1"):
        generator.stream(PROMPT, num_return_sequences=3, do_sample=True)
    with pytest.raises(pyengine.UnknownOptionError, match="did you mean temperature"):
        generator.stream(PROMPT, temprature=2)
    with pytest.raises(pyengine.InputError, match="item 0: found 0 tokens, expected 1 to 47"):
        generator.stream([])
    with pytest.raises(pyengine.InputError, match="131"):
        generator.stream([5, 131])
    with pytest.raises(pyengine.InputTypeError):
        generator.stream(None)  # type: ignore[call-overload]
    with pyengine.Generator(FIXTURES / "gpt2", cache_dir=False) as other:
        with pytest.raises(pyengine.TokenizerMissingError):
            other.stream("text")
        tokens = other.stream(PROMPT)
    assert list(tokens)  # it was asked for before the end
    with pytest.raises(pyengine.ClosedError):
        other.stream(PROMPT)


@pytest.mark.parametrize("options", [{}, {"do_sample": True, "seed": 5}, {"max_new_tokens": 3}])
def test_a_translation_in_pieces(text_translator: pyengine.Translator, options: Any) -> None:
    for text in (*SENTENCES, " ".join(SENTENCES[:2]) + "\n", "", "  "):
        expected = text_translator.translate(text, num_beams=1, **options)
        assert "".join(text_translator.translate_stream(text, **options)) == expected


def test_errors_of_a_translation_in_pieces(text_translator: pyengine.Translator) -> None:
    with pytest.raises(pyengine.OptionError, match="num_beams: found 4, expected 1"):
        text_translator.translate_stream("A dog.", num_beams=4)
    with pytest.raises(pyengine.InputTypeError, match="text: expected a string, found list"):
        text_translator.translate_stream(["A dog."])  # type: ignore[arg-type]
    with pytest.raises(pyengine.InputError, match="positions; split the text"):
        text_translator.translate_stream("dog " * 2000, split=False)


SCRIPT = """
import json, os, pathlib, shutil, signal, sys, threading
import pyengine
folder = pathlib.Path(sys.argv[2]) / "llama"
shutil.copytree(sys.argv[1], folder)
config = json.loads((folder / "config.json").read_text())
(folder / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 100_000}))
generator = pyengine.Generator(folder, cache_dir=False, threads=2)
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job inherits "ignore"
tokens = generator.stream([5, 9], eos_token_id=None)
next(tokens)
"""


@pytest.mark.parametrize(
    ("script", "output"),
    [
        (
            """
try:
    threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    for _ in tokens: pass
except KeyboardInterrupt:
    print([t.name for t in threading.enumerate() if t.name == "pyengine-stream"], list(tokens))
""",
            "[] []\n",
        ),
        ("print('left at work')", "left at work\n"),
        (
            """
child = os.fork()
if child == 0:
    try:
        for _ in tokens: pass
    except pyengine.ForkedError: os._exit(0)
    os._exit(1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), next(tokens) >= 0)
tokens.close()
""",
            "0 True\n",
        ),
    ],
    ids=["ctrl-c", "exit", "fork"],
)
def test_ends_of_a_process(tmp_path: Path, script: str, output: str) -> None:
    arguments = ["-W", "ignore", "-c", SCRIPT + script, str(FIXTURES / "llama"), str(tmp_path)]
    done = run_python(arguments)
    assert (done.stdout, done.stderr, done.returncode) == (output, "", 0)
