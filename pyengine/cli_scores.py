"""``pyengine translate --scores``: each translation after its score."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from pyengine.decoder_model import Hypothesis
from pyengine.errors import OptionError
from pyengine.inputs import is_blank
from pyengine.route import Route
from pyengine.translator import Translator

LineTranslator = Callable[[list[str]], list[list[str]]]
"""Lines to their translations, best first."""


def scored(score: float, text: str) -> str:
    """A result as a line: its score, a tab, and its text."""
    return f"{score:.6f}\t{' '.join(text.splitlines())}"


def scored_lines(
    arguments: argparse.Namespace, translator: Translator | Route, options: dict[str, Any]
) -> LineTranslator:
    """Translate a line in one pass of the model, since only that has a score.

    Args:
        arguments: of the command line.
        translator: the model; two by way of English have no score.
        options: keywords of :meth:`Translator.translate`.

    Raises:
        OptionError: the lines are split, or pass through English.
    """
    if arguments.split:
        raise OptionError(
            "--scores: expected with --no-split: a score is that of one pass of the model, and a "
            "line is split into sentences, each with a score of its own"
        )
    if arguments.truncate:
        raise OptionError("--scores: expected without --truncate")
    model = translator.direct if isinstance(translator, Route) else translator
    if model is None:
        raise OptionError("--scores: expected a model that translates directly, found two")
    wording = {name: options[name] for name in ("source", "target", "prefix") if name in options}
    decoding = {name: value for name, value in options.items() if name not in wording}
    target = wording.get("target")
    count = model.generation_options(**decoding).num_return_sequences

    def translate(lines: list[str]) -> list[list[str]]:
        spoken = [line for line in lines if not is_blank(line)]
        sources = [model.encode(line, **wording) for line in spoken]
        rows = iter(model.generate(sources, target=target, **decoding))
        return [[""] * count if is_blank(line) else written(next(rows)) for line in lines]

    def written(hypotheses: list[Hypothesis]) -> list[str]:
        return [scored(found.score, model.decode(found.ids)) for found in hypotheses]

    return translate
