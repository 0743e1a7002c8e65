"""The tokenizer folders under tests/fixtures/tokenizers, and the golden file of each."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from pyengine.text import Tokenizer, load_tokenizer

TOKENIZERS = Path(__file__).resolve().parents[1] / "fixtures" / "tokenizers"
NAMES = sorted(folder.name for folder in TOKENIZERS.iterdir() if folder.is_dir())


@dataclass(frozen=True)
class Case:
    """One tokenizer folder, loaded, with what tools/make_tokenizer_goldens.py recorded of it."""

    name: str
    folder: Path
    config: dict[str, Any]
    tokenizer: Tokenizer
    golden: dict[str, Any]

    def lines_of(self, lines: list[str]) -> list[str]:
        """Those of the lines that the golden file is about."""
        return lines[:: self.golden.get("every", 1)]


@cache
def read_gzip(path: Path) -> Any:
    return json.loads(gzip.decompress(path.read_bytes()))


@cache
def load_case(name: str) -> Case:
    folder = TOKENIZERS / name
    config_file = folder / "config.json"
    config = json.loads(config_file.read_text("utf-8")) if config_file.exists() else {}
    golden = read_gzip(folder / "golden.json.gz")
    return Case(name, folder, config, load_tokenizer(folder, config), golden)


@pytest.fixture(scope="session")
def lines() -> list[str]:
    """The 1,000 lines that every golden file is about."""
    result: list[str] = read_gzip(TOKENIZERS / "lines.json.gz")
    assert len(result) == 1000
    return result


@pytest.fixture(params=NAMES)
def case(request: pytest.FixtureRequest) -> Case:
    """Every folder in turn."""
    return load_case(request.param)


@pytest.fixture(scope="session")
def cases() -> dict[str, Case]:
    """All folders by name."""
    return {name: load_case(name) for name in NAMES}
