"""Defaults of the generation options, from generation_config.json and config.json."""

import json
from pathlib import Path
from typing import Any

import tiny_onnx

from pyengine.models import read_model


def generation_config(folder: Path, own: dict[str, Any] | None, **config: Any) -> dict[str, Any]:
    tiny_onnx.write(folder, **config)
    if own is not None:
        (folder / "generation_config.json").write_text(json.dumps(own))
    return read_model(folder).generation_config


def test_without_the_file_config_json_gives_all(tmp_path: Path) -> None:
    options = {"num_beams": 6, "bad_words_ids": [[8]], "max_length": 7, "forced_eos_token_id": 0}
    found = generation_config(tmp_path, None, **options)
    special = {"decoder_start_token_id": 8, "eos_token_id": 0, "pad_token_id": 8}
    assert found == options | special


def test_the_file_rules_alone_but_for_special_ids(tmp_path: Path) -> None:
    found = generation_config(
        tmp_path, {"max_length": 9, "eos_token_id": 3}, num_beams=6, forced_eos_token_id=0
    )
    special = {"decoder_start_token_id": 8, "eos_token_id": 3, "pad_token_id": 8}
    assert found == {"max_length": 9} | special


def test_null_is_absent(tmp_path: Path) -> None:
    found = generation_config(tmp_path, {"eos_token_id": None, "num_beams": None})
    assert found["eos_token_id"] == 0
    assert "num_beams" not in found
