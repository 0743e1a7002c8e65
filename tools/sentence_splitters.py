"""Counts the hard cases of tests/fixtures/sentences/cases.txt that libraries split as marked.

    python -m tools.sentence_splitters

It prints the table of docs/sentences.md for the libraries that are installed:
``pip install pysbd segtok syntok nupunkt``. pysbd gets English rules where it has none of its own.
"""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from pyengine.text.boundaries import split_sentences

CASES = Path(__file__).parents[1] / "tests" / "fixtures" / "sentences" / "cases.txt"
MARK = "\u2016"

Splitter = Callable[[str, str], Iterable[str]]


def read_cases() -> list[tuple[str, str]]:
    """Pairs of a language and a marked text."""
    cases, language = [], ""
    for line in CASES.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            language = line.strip("[]")
        elif line and not line.startswith("#"):
            cases.append((language, line.removeprefix("! ")))
    return cases


def main() -> None:
    """Print the table."""
    cases = read_cases()
    counts = Counter(language for language, _ in cases)
    print(f"| | {' | '.join(counts)} | all |\n|{' --- |' * (len(counts) + 2)}")
    _print("cases", counts, counts)
    for name, load in SPLITTERS.items():
        try:
            split = load()
        except ImportError:
            continue
        right = Counter(language for language, text in cases if _is_right(split, language, text))
        _print(name, right, counts)


def _print(name: str, right: Counter[str], languages: Iterable[str]) -> None:
    cells = [str(right[language]) for language in languages]
    print(f"| {name} | {' | '.join(cells)} | {right.total()} |")


def _is_right(split: Splitter, language: str, text: str) -> bool:
    found = [part.strip() for part in split(text.replace(MARK, ""), language)]
    return [part for part in found if part] == [part.strip() for part in text.split(MARK)]


def _pyengine() -> Splitter:
    return split_sentences


def _sentencex() -> Splitter:
    library: Any = importlib.import_module("sentencex")
    return lambda text, language: library.segment(language, text)


def _pysbd() -> Splitter:
    library: Any = importlib.import_module("pysbd")
    known = importlib.import_module("pysbd.languages").LANGUAGE_CODES

    def split(text: str, language: str) -> Iterable[str]:
        code = language if language in known else "en"
        parts: Iterable[str] = library.Segmenter(language=code, clean=False).segment(text)
        return parts

    return split


def _segtok() -> Splitter:
    library: Any = importlib.import_module("segtok.segmenter")
    return lambda text, language: library.split_single(text)


def _syntok() -> Splitter:
    library: Any = importlib.import_module("syntok.segmenter")

    def split(text: str, language: str) -> Iterable[str]:
        starts = [sentence[0].offset for part in library.analyze(text) for sentence in part]
        ends = [*starts[1:], len(text)]
        return [text[start:end] for start, end in zip(starts, ends, strict=True)]

    return split


def _nupunkt() -> Splitter:
    library: Any = importlib.import_module("nupunkt")
    return lambda text, language: library.sent_tokenize(text)


SPLITTERS: dict[str, Callable[[], Splitter]] = {
    "pyengine": _pyengine,
    "sentencex": _sentencex,
    "pysbd": _pysbd,
    "nupunkt": _nupunkt,
    "syntok": _syntok,
    "segtok": _segtok,
}


if __name__ == "__main__":
    main()
