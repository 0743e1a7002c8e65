"""``pyengine translate``: lines in, translations out as they are ready, in input order."""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from pyengine.cli_input import Line, Pace, count_inputs, open_inputs
from pyengine.cli_scores import LineTranslator, scored_lines
from pyengine.errors import InputError, OptionError
from pyengine.inputs import ItemError, ItemTruncated
from pyengine.route import Route
from pyengine.translator import Translator

BAR_DELAY = 2.0
"""Seconds of work before a progress bar appears."""


def translate_lines(
    arguments: argparse.Namespace,
    translator: Translator | Route,
    options: dict[str, Any],
    wording: dict[str, Any],
) -> int:
    """Translate everything the arguments name; return the exit status.

    Args:
        arguments: of the command line.
        translator: the model, or two by way of English.
        options: of decoding.
        wording: the other keywords of ``translate``: languages and prefix.
    """
    translator.generation_options(**options)  # what is wrong shows before a file is opened
    translator.require_tokenizer()
    translate = _line_translator(arguments, translator, {**wording, **options})
    pace = Pace()
    with ExitStack() as stack:
        chunks = open_inputs(arguments, stack, pace)
        _check_output(arguments.output, arguments.input)
        output = _open_output(arguments.output, stack)
        bar = stack.enter_context(_Bar(lambda: count_inputs(arguments), output))
        for chunk in chunks:
            start = time.monotonic()
            _translate_chunk(translate, chunk, output)
            output.flush()
            pace.learn(len(chunk), time.monotonic() - start)
            bar.update(len(chunk))
    return 0


def _line_translator(
    arguments: argparse.Namespace, translator: Translator | Route, options: dict[str, Any]
) -> LineTranslator:
    """How lines are translated: a line may hold any text."""
    if arguments.split and arguments.truncate:
        raise OptionError("--truncate: expected with --no-split: nothing is cut off a split text")
    if arguments.scores:
        return scored_lines(arguments, translator, options)
    manner = {
        "split": arguments.split,
        "truncate": arguments.truncate,
        "keep_spans": arguments.keep_spans,
    }

    def translate(lines: list[str]) -> list[list[str]]:
        results: list[Any] = translator.translate(lines, **manner, **options)
        rows = [result if isinstance(result, list) else [result] for result in results]
        return [_as_lines(row, line) for row, line in zip(rows, lines, strict=True)]

    return translate


def _as_lines(translations: list[str], line: str) -> list[str]:
    """Those of one line in one line each, so that the n-th line out is of the n-th line in."""
    return translations if "\n" in line else [text.replace("\n", " ") for text in translations]


def _translate_chunk(translate: LineTranslator, chunk: list[Line], output: IO[str]) -> None:
    """Write the translations of ``chunk``; before an error, those of the lines before it."""
    try:
        results = _translated(translate, chunk)
    except ItemError as error:
        if error.item > 0:
            good = _translated(translate, chunk[: error.item])
            _write(good, output)
            output.flush()
        where = chunk[error.item].where
        reason = error.reason.replace("set truncate=True", "pass --truncate")
        raise InputError(f"{where}: {reason}" if where else reason) from None
    _write(results, output)


def _translated(translate: LineTranslator, chunk: list[Line]) -> list[list[str]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ItemTruncated)
        results = translate([line.text for line in chunk])
    for warning in caught:
        cut = warning.message
        if isinstance(cut, ItemTruncated):
            where = chunk[cut.item].where or f"sentence {cut.item + 1}"
            print(f"pyengine: warning: {where}: {cut.reason}", file=sys.stderr)
    return results


def _write(results: list[list[str]], output: IO[str]) -> None:
    for best in results:
        for text in best:
            output.write(text + "\n")


# --- output --------------------------------------------------------------------------------------


def _check_output(path: Path | None, inputs: list[str]) -> None:
    """Refuse to write over a file that is still to be read."""
    if path is not None and path.exists():
        for name in inputs:
            if name != "-" and path.samefile(name):
                raise OptionError(f"--output: found {str(path)!r}, which is also an input")


def _open_output(path: Path | None, stack: ExitStack) -> IO[str]:
    if path is not None:
        return stack.enter_context(path.open("w", encoding="utf-8", newline="\n"))
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(encoding="utf-8", errors="replace", newline="\n")
    return sys.stdout


class _Bar:
    """A progress bar on stderr, if that is a terminal and the work takes long.

    None where the translations appear on a terminal too: a bar would spoil them.
    """

    def __init__(self, count: Callable[[], int | None], output: IO[str]) -> None:
        self._bar: Any = None
        if sys.stderr.isatty() and not output.isatty():
            from tqdm import tqdm  # type: ignore[import-untyped, unused-ignore]

            self._bar = tqdm(total=count(), unit=" lines", delay=BAR_DELAY, leave=False)

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def update(self, lines: int) -> None:
        if self._bar is not None:
            self._bar.update(lines)
