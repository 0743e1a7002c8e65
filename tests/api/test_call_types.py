"""The types that checkers see name the options that calls take."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import get_args

import pytest

import pyengine
from pyengine import call_types
from pyengine._core import available_isas
from pyengine.generation_options import OPTION_NAMES
from pyengine.option_names import SETTING_NAMES
from pyengine.pooling import POOLINGS

SEARCH = set(OPTION_NAMES) - {"num_return_sequences"}


def keywords(function: object) -> set[str]:
    """Those that a call names one by one."""
    parameters = inspect.signature(function).parameters.values()
    return {p.name for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}


def test_the_options_of_searches() -> None:
    assert call_types.SearchOptions.__annotations__.keys() == SEARCH
    assert call_types.GenerateOptions.__annotations__.keys() == set(OPTION_NAMES)


def test_the_keywords_of_translate() -> None:
    named = keywords(pyengine.Translator.translate)
    assert call_types.TranslateOptions.__annotations__.keys() == SEARCH | named


@pytest.mark.parametrize("name", ["translate_iter", "translate_stream"])
def test_the_keywords_of_streams_of_text(name: str) -> None:
    named = keywords(getattr(pyengine.Translator, name))
    assert call_types.TextOptions.__annotations__.keys() == SEARCH | named


def test_the_keywords_of_one_call() -> None:
    named = keywords(pyengine.Translator.translate) | set(SETTING_NAMES)
    assert keywords(pyengine.translate) <= named
    assert call_types.OneCallOptions.__annotations__.keys() == SEARCH | named


def test_the_keywords_of_streams() -> None:
    named = keywords(pyengine.Generator.stream)
    assert call_types.StreamOptions.__annotations__.keys() == set(OPTION_NAMES) | named


def test_the_values_of_settings() -> None:
    assert set(available_isas()) <= set(get_args(call_types.Isa))
    assert get_args(call_types.Pooling) == tuple(POOLINGS)


def test_the_user_program_is_checked_in_ci() -> None:
    root = Path(__file__).parents[2]
    assert "tests/typing" in (root / ".ci/run").read_text(encoding="utf-8")
