"""``pyengine generate``: a text in, what follows it out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from typing import Any

from pyengine.cli_scores import scored
from pyengine.errors import OptionError
from pyengine.generator import Generator
from pyengine.text_decoder import checked_encoding, read_argument, read_text


def continue_prompt(
    arguments: argparse.Namespace, generator: Generator, options: dict[str, Any]
) -> int:
    """Write the continuations of the text that the arguments name; return the exit status.

    Args:
        arguments: of the command line.
        generator: the model.
        options: of decoding.
    """
    generator.generation_options(**options)  # what is wrong shows before anything is read
    generator.require_tokenizer()
    if arguments.stream and arguments.scores:
        raise OptionError("--scores: expected without --stream")
    prompt = _prompt(arguments)
    if arguments.stream:
        _write(generator.stream(prompt, **options))
        return 0
    (found,) = generator.generate([generator.encode(prompt)], **options)
    for hypothesis in found:
        text = generator.decode(hypothesis.ids)
        _write([scored(hypothesis.score, text) if arguments.scores else text])
    return 0


def _prompt(arguments: argparse.Namespace) -> str:
    encoding = checked_encoding(arguments.encoding)
    if arguments.text is not None:
        return read_argument(arguments.text, encoding)
    if sys.stdin is None:  # closed by the shell
        raise OptionError("found no standard input, expected TEXT")
    return read_text(sys.stdin.buffer, "<stdin>", encoding).rstrip("\r\n")


def _write(pieces: Iterable[str]) -> None:
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(encoding="utf-8", errors="replace", newline="\n")
    for piece in pieces:
        sys.stdout.write(piece)
        sys.stdout.flush()
    sys.stdout.write("\n")
