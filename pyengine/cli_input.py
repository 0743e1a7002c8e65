"""The input of ``pyengine translate``: its lines, as they arrive."""

from __future__ import annotations

import argparse
import select
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pyengine.errors import OptionError
from pyengine.text_decoder import TextDecoder, check_head, checked_encoding, read_argument

MIN_CHUNK, MAX_CHUNK = 64, 4096
"""Lines translated in one call."""

CHUNK_SECONDS = 1.0
"""Chunks grow while they take less: long ones fill the batches, short ones show progress."""


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


def open_inputs(
    arguments: argparse.Namespace, stack: ExitStack, pace: Pace
) -> Iterator[list[Line]]:
    """The chunks of all inputs."""
    encoding = checked_encoding(arguments.encoding)
    if arguments.text:
        if arguments.input:
            raise OptionError("found both TEXT and --input, expected one of them")
        _warn_of_files(arguments.text)
        return iter([[Line(read_argument(text, encoding), "") for text in arguments.text]])
    names = arguments.input or ["-"]
    if "-" in names and sys.stdin is None:  # closed by the shell
        raise OptionError("found no standard input, expected TEXT or --input")
    if names == ["-"] and sys.stdin.isatty():
        print("pyengine: one sentence a line; Ctrl-D ends", file=sys.stderr)
    files = [(_label(name), _open_input(name, stack)) for name in names]
    readers = [LineReader(file, pace, TextDecoder(label, encoding)) for label, file in files]
    return _chunks(readers, "" if arguments.split else "\r")


def _open_input(name: str, stack: ExitStack) -> BinaryIO:
    if name == "-":
        return sys.stdin.buffer
    file = stack.enter_context(open(name, "rb", buffering=0))
    check_head(file, name)
    return file


def _label(name: str) -> str:
    return "<stdin>" if name == "-" else name


def count_inputs(arguments: argparse.Namespace) -> int | None:
    """Lines of all inputs; ``None`` where reading them twice would take text away, as of a pipe."""
    if arguments.text:
        return len(arguments.text)
    names = arguments.input or ["-"]
    if "-" in names or not all(Path(name).is_file() for name in names):
        return None
    return sum(_count_lines(Path(name)) for name in names)


def _warn_of_files(texts: list[str]) -> None:
    """Say so where a text is the name of a file, whose text is probably meant."""
    for text in texts:
        is_name = len(text) < 256 and "\n" not in text and Path(text).suffix != ""
        if is_name and Path(text).is_file():
            hint = f"{text!r} is a file; --input {text} translates what it holds"
            print(f"pyengine: warning: {hint}", file=sys.stderr)


def _count_lines(path: Path) -> int:
    lines, end = 0, b"\n"
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            lines, end = lines + block.count(b"\n"), block[-1:]
    return lines + (end != b"\n")


def _chunks(readers: list[LineReader], stripped: str) -> Iterator[list[Line]]:
    """Of all inputs; of whole texts, the "\\r" of a line's end is kept like all white space."""
    for reader in readers:
        number = 0
        for lines in reader:
            yield [
                Line(text.rstrip(stripped), f"{reader.label}:{number + i}")
                for i, text in enumerate(lines, 1)
            ]
            number += len(lines)


class LineReader:
    """Lists of lines of a binary file: all that have arrived, at least one, as ``pace`` allows.

    So a file gives full chunks, and a person or a program that writes a line and waits gets its
    answer at once. (Output does not depend on the chunks.)

    Raises:
        InputError: while iterating, after the lines before it: a line is no text.
    """

    def __init__(self, file: BinaryIO, pace: Pace, decoder: TextDecoder) -> None:
        self.label = decoder.label
        self._raw = getattr(file, "raw", file)
        self._pace, self._decoder = pace, decoder
        self._lines: list[str] = []
        self._rest: list[str] = []  # parts of a line whose end has not come yet
        self._ended = False

    def __iter__(self) -> Iterator[list[str]]:
        while True:
            while not self._ended and (not self._lines or self._more_arrived()):
                self._read()
            if not self._lines:
                break
            count = self._pace.lines
            chunk, self._lines = self._lines[:count], self._lines[count:]
            yield chunk
        if self._decoder.error is not None:
            raise self._decoder.error

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
        self._add(self._decoder.decode(block, final=not block))
        if self._decoder.error is not None:
            self._ended = True
        elif not block:
            self._ended = True
            if any(self._rest):
                self._lines.append("".join(self._rest))

    def _add(self, text: str) -> None:
        head, *tail = text.split("\n")
        self._rest.append(head)
        if tail:
            self._lines += ["".join(self._rest), *tail[:-1]]
            self._rest = [tail[-1]]
