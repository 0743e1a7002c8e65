"""Texts that find no end: they are as long as the folder says, or as the model has positions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pyengine import Generator, Translator
from pyengine.info import open_model

from .conftest import FIXTURES

PAIRS = ("marian-split", "bart", "m2m", "mbart", "pegasus", "t5", "transformer-ssru")
DECODERS = ("gpt2", "llama", "mistral", "qwen2")
INPUT = [5, 9, 7, 20]


def endless(name: str, out: Path, generation: dict[str, Any], in_config: bool = False) -> int:
    """How many tokens the model of a fixture generates without its end token.

    Args:
        generation: its generation_config.json, or what config.json says in its place.
    """
    config = json.loads((FIXTURES / name / "config.json").read_text())
    out.mkdir()
    for path in (FIXTURES / name).iterdir():
        if not path.name.endswith("config.json"):
            (out / path.name).symlink_to(path)
    options = generation | {"suppress_tokens": [config["eos_token_id"]]}
    if in_config:
        config = config | options | {"forced_eos_token_id": None}
    else:
        (out / "generation_config.json").write_text(json.dumps(options))
    (out / "config.json").write_text(json.dumps(config))
    with open_model(out, cache_dir=False) as model:
        assert isinstance(model, Translator | Generator)
        return len(model.generate([INPUT])[0][0].ids)


@pytest.mark.parametrize("name", PAIRS)
def test_a_translation_without_end(name: str, tmp_path: Path) -> None:
    assert endless(name, tmp_path / "total", {"max_length": 20}) == 19
    assert endless(name, tmp_path / "config", {"max_length": 20}, in_config=True) == 19
    assert endless(name, tmp_path / "new", {"max_new_tokens": 7, "max_length": 20}) == 7
    assert endless(name, tmp_path / "factor", {"max_length_factor": 2.5}) == 10
    with Translator(FIXTURES / name, cache_dir=False) as translator:
        positions = min(translator.config.max_positions, 1024)  # which is T5's where nothing says
    assert endless(name, tmp_path / "none", {}) == positions - 1


@pytest.mark.parametrize("name", DECODERS)
def test_a_continuation_without_end(name: str, tmp_path: Path) -> None:
    """Lengths count the prompt; numbers of new tokens do not."""
    assert endless(name, tmp_path / "total", {"max_length": 20}) == 20 - len(INPUT)
    assert endless(name, tmp_path / "config", {"max_length": 20}, in_config=True) == 16
    assert endless(name, tmp_path / "new", {"max_new_tokens": 7, "max_length": 20}) == 7
    assert endless(name, tmp_path / "factor", {"max_length_factor": 2.5}) == 10
    with Generator(FIXTURES / name, cache_dir=False) as generator:
        positions = generator.config.max_positions
    assert endless(name, tmp_path / "none", {}) == positions - len(INPUT)
