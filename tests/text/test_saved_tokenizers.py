"""Tokenizer folders as transformers 5 saves them: ids and texts are those that it says itself."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from pyengine.text import load_tokenizer

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
SAVED = FIXTURES / "saved_tokenizers"
NAMES = sorted(path.name.removesuffix(".json.gz") for path in SAVED.iterdir())
NAMES.remove("lines")


def read_gzip(name: str) -> Any:
    return json.loads(gzip.decompress((SAVED / f"{name}.json.gz").read_bytes()))


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_saved_by_version_5(tmp_path: Path, name: str) -> None:
    golden = read_gzip(name)
    fixture = FIXTURES / golden["fixture"]
    for file, text in golden["files"].items():
        (tmp_path / file).write_text(text, "utf-8")
    for file in golden["copied"]:
        shutil.copy(fixture / file, tmp_path)
    config = fixture / "config.json"
    raw_config = json.loads(config.read_text("utf-8")) if config.exists() else {}
    tokenizer = load_tokenizer(tmp_path, raw_config)
    for line, ids in zip(read_gzip("lines"), golden["ids"], strict=True):
        assert tokenizer.encode(line) == ids, line
    for which in ("", "random_"):
        sequences, texts = golden[f"{which}ids"], golden[f"{which}decoded"]
        for sequence, text in zip(sequences, texts, strict=True):
            assert tokenizer.decode(sequence) == text, sequence
