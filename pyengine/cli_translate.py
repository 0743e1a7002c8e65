"""``pyengine translate``: lines in, translations out as they are ready, in input order."""

from __future__ import annotations

import argparse
import select
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO

from pyengine.errors import InputError, OptionError
from pyengine.inputs import ItemError, ItemTruncated
from pyengine.route import Route
from pyengine.translator import Translator

MIN_CHUNK, MAX_CHUNK = 64, 4096
"""Lines translated in one call."""

CHUNK_SECONDS = 1.0
"""Chunks grow while they take less: long ones fill the batches, short ones show progress."""

BAR_DELAY = 2.0
"""Seconds of work before a progress bar appears."""


LineTranslator = Callable[[list[str]], list[list[str]]]
"""Lines to their translations, best first."""


@dataclass(frozen=True)
class Line:
    """One sentence and where it stands."""

    text: str
    where: str  # "file:line"; empty for a sentence of the command line


class Pace:
    """How many lines go into the next chunk."""

    def __init__(self) -> None:
        self.lines = MIN_CHUNK

    def learn(self, lines: int, seconds: float) -> None:
        """Take in how long a chunk took."""
        if lines >= self.lines and seconds < CHUNK_SECONDS:
            self.lines = min(2 * self.lines, MAX_CHUNK)
        elif seconds > 4 * CHUNK_SECONDS:
            self.lines = max(self.lines // 2, MIN_CHUNK)


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
        chunks = _open_inputs(arguments, stack, pace)
        _check_output(arguments.output, arguments.input)
        output = _open_output(arguments.output, stack)
        bar = stack.enter_context(_Bar(lambda: _count_inputs(arguments), output))
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
    """How lines are translated: as one sentence each, or with ``--split`` as texts."""
    if arguments.split:
        if arguments.truncate:
            raise OptionError("--truncate: found with --split, which cuts nothing off")
        return lambda lines: [[text] for text in translator.translate_text(lines, **options)]

    def translate(lines: list[str]) -> list[list[str]]:
        results: list[Any] = translator.translate(lines, truncate=arguments.truncate, **options)
        return [[_flat(text) for text in (r if isinstance(r, list) else [r])] for r in results]

    return translate


def _flat(text: str) -> str:
    return " ".join(text.split("\n"))  # one line, whatever it holds


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


# --- inputs --------------------------------------------------------------------------------------


def _open_inputs(
    arguments: argparse.Namespace, stack: ExitStack, pace: Pace
) -> Iterator[list[Line]]:
    """The chunks of all inputs."""
    if arguments.text:
        if arguments.input:
            raise OptionError("found both TEXT and --input, expected one of them")
        return iter([[Line(text, "") for text in arguments.text]])
    names = arguments.input or ["-"]
    if "-" in names and sys.stdin is None:  # closed by the shell
        raise OptionError("found no standard input, expected TEXT or --input")
    if names == ["-"] and sys.stdin.isatty():
        print("pyengine: one sentence a line; Ctrl-D ends", file=sys.stderr)
    files = [(name, _open_input(name, stack)) for name in names]
    return _chunks(files, pace, "" if arguments.split else "\r")


def _open_input(name: str, stack: ExitStack) -> BinaryIO:
    if name == "-":
        return sys.stdin.buffer
    return stack.enter_context(open(name, "rb"))


def _count_inputs(arguments: argparse.Namespace) -> int | None:
    """Lines of all inputs; ``None`` where reading them twice would take text away, as of a pipe."""
    if arguments.text:
        return len(arguments.text)
    names = arguments.input or ["-"]
    if "-" in names or not all(Path(name).is_file() for name in names):
        return None
    return sum(_count_lines(Path(name)) for name in names)


def _count_lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))


def _chunks(files: list[tuple[str, BinaryIO]], pace: Pace, stripped: str) -> Iterator[list[Line]]:
    for name, file in files:
        label = "<stdin>" if name == "-" else name
        number = 0
        for raw_lines in LineReader(file, pace):
            texts = [_decoded(raw, stripped) for raw in raw_lines]
            if number == 0:
                texts[0] = texts[0].removeprefix("\ufeff")
            yield [Line(text, f"{label}:{number + i + 1}") for i, text in enumerate(texts)]
            number += len(raw_lines)


def _decoded(raw: bytes, stripped: str) -> str:
    """The text of a line; of whole texts, the "\\r" of its end is kept like all white space."""
    return raw.decode("utf-8", errors="replace").rstrip(stripped)


class LineReader:
    """Lists of lines of a binary file: all that have arrived, at least one, as ``pace`` allows.

    So a file gives full chunks, and a person or a program that writes a line and waits gets its
    answer at once. (Output does not depend on the chunks.)
    """

    def __init__(self, file: BinaryIO, pace: Pace) -> None:
        self._raw = getattr(file, "raw", file)
        self._pace = pace
        self._lines: list[bytes] = []
        self._rest: list[bytes] = []  # blocks of a line whose end has not come yet
        self._ended = False

    def __iter__(self) -> Iterator[list[bytes]]:
        while True:
            while not self._ended and (not self._lines or self._more_arrived()):
                self._read()
            if not self._lines:
                return
            count = self._pace.lines
            chunk, self._lines = self._lines[:count], self._lines[count:]
            yield chunk

    def _more_arrived(self) -> bool:
        if len(self._lines) >= self._pace.lines:
            return False
        try:
            return bool(select.select([self._raw], [], [], 0)[0])
        except (OSError, ValueError):  # not a real file, as in tests
            return False

    def _read(self) -> None:
        block = self._raw.read(1 << 16)
        if block is None:  # not blocking, and nothing is there yet
            select.select([self._raw], [], [])
            return
        if not block:
            self._ended = True
            if self._rest:
                self._lines.append(b"".join(self._rest))
            return
        head, *tail = block.split(b"\n")
        self._rest.append(head)
        if tail:
            self._lines += [b"".join(self._rest), *tail[:-1]]
            self._rest = [tail[-1]] if tail[-1] else []


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
    """A progress bar on stderr, if that is a terminal, tqdm is there and the work takes long.

    None where the translations appear on a terminal too: a bar would spoil them.
    """

    def __init__(self, count: Callable[[], int | None], output: IO[str]) -> None:
        self._bar: Any = None
        if sys.stderr.isatty() and not output.isatty():
            try:
                from tqdm import tqdm  # type: ignore[import-untyped, unused-ignore]
            except ImportError:
                return
            self._bar = tqdm(total=count(), unit="line", delay=BAR_DELAY, leave=False)

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def update(self, lines: int) -> None:
        if self._bar is not None:
            self._bar.update(lines)
