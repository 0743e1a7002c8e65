"""Models and helpers of the API tests."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import pyengine
from pyengine import Translator
from pyengine.cli import main

FIXTURES = Path(__file__).parents[1] / "fixtures"
IDS_MODEL = FIXTURES / "marian-split"
"""Random weights, 211 ids, 40 positions, no tokenizer; decoding defaults as OPUS-MT has them."""

TEXT_MODEL = FIXTURES / "multi30k-en-de"
"""The committed English-German model."""

SENTENCES = (
    "A man is riding a bicycle.",
    "Two dogs run.",
    "A group of young people in red jackets is standing in front of an old building in the snow.",
    "A woman.",
    "Children play football in a park while their parents are watching from a bench.",
    "A brown dog jumps over a fence.",
    "An old man with a hat sits on a chair and reads a newspaper.",
    "The girl is smiling at the camera.",
    "Three men are working on a roof.",
)

SOURCES = [[5, 6, 7, 0], [9, 0], list(range(1, 20))]
"""Ids for :data:`IDS_MODEL`."""

Cli = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def ids_model() -> Path:
    """A folder that takes token ids only."""
    return IDS_MODEL


@pytest.fixture
def model(ids_model: Path, tmp_path: Path) -> Path:
    """A copy of it to change."""
    return Path(shutil.copytree(ids_model, tmp_path / "model"))


@pytest.fixture
def cache_dir(tmp_path: Path) -> Path:
    """A folder for packed weights, which does not exist yet."""
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def text_model() -> Path:
    """A folder that takes text."""
    if not (TEXT_MODEL / "config.json").is_file():
        pytest.skip("tests/fixtures/multi30k-en-de is not there")
    return TEXT_MODEL


@pytest.fixture(scope="session")
def prompted_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """GPT-2 with a byte-level tokenizer, whose bytes random weights rarely put together well."""
    folder = tmp_path_factory.mktemp("generate") / "gpt2"
    shutil.copytree(FIXTURES / "gpt2", folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(FIXTURES / "tokenizers" / "fast-bpe" / name, folder)
    return folder


@pytest.fixture(scope="session")
def ids_translator() -> Iterator[Translator]:
    """The model of random weights on two threads."""
    with Translator(IDS_MODEL, threads=2) as translator:
        yield translator


@pytest.fixture(scope="session")
def text_translator(text_model: Path) -> Iterator[Translator]:
    """The English-German model on two threads."""
    with Translator(text_model, threads=2) as translator:
        yield translator


def results(translator: Translator) -> Any:
    """What a translator makes of :data:`SOURCES`: hypotheses and log-probabilities."""
    options = {"num_beams": 3, "num_return_sequences": 3, "max_new_tokens": 12}
    found = translator.generate(SOURCES, **options)
    return found, [row.tolist() for row in translator.score(SOURCES, [[4, 5, 6]] * 3)]


def elsewhere(**environment: str) -> dict[str, Any]:
    """Where a process runs that must find the pyengine of this one, not a source tree."""
    package = str(Path(pyengine.__file__).parents[1])
    return {
        "cwd": tempfile.gettempdir(),
        "env": {**os.environ, "PYTHONPATH": package, **environment},
    }


def run_python(
    arguments: Sequence[str], text: str | bytes = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run this Python in a process of its own, with UTF-8 in and out."""
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    done = subprocess.run(
        [sys.executable, *arguments],
        input=data,
        capture_output=True,
        **elsewhere(**environment),
    )
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode("utf-8"), done.stderr.decode("utf-8")
    )


@pytest.fixture(scope="session")
def cli_process() -> Cli:
    """Run ``python -m pyengine ARGUMENTS`` with some standard input, in a process of its own."""

    def run(*arguments: object, text: str | bytes = "", **environment: str):
        return run_python(["-m", "pyengine", *map(str, arguments)], text, **environment)

    return run


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The same in this process: a second of imports less, and what C++ prints is seen as well."""

    def run(*arguments: object, text: str | bytes = "", **environment: str):
        words = [str(word) for word in arguments]
        data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
        capfd.readouterr()
        with monkeypatch.context() as patch, warnings.catch_warnings():
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))
            for name, value in environment.items():
                patch.setenv(name, value)
            warnings.simplefilter("default")
            for category in (DeprecationWarning, PendingDeprecationWarning, ResourceWarning):
                warnings.simplefilter("ignore", category)  # as Python does by itself
            warnings.showwarning = _show_warning  # pytest would take them for itself
            try:
                status = main(words)
            except SystemExit as exit:
                status = exit.code
        return subprocess.CompletedProcess(words, status, *capfd.readouterr())

    return run


def _show_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: Any
) -> None:
    sys.stderr.write(warnings.formatwarning(message, category, filename, lineno))
