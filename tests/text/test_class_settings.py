"""Settings in tokenizer_config.json that a class of transformers applies to the tokenizer.json."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from pyengine.errors import ModelFormatError
from pyengine.text import load_tokenizer

GOLDEN = json.loads(
    gzip.decompress(
        (Path(__file__).resolve().parents[1] / "fixtures/class_settings.json.gz").read_bytes()
    )
)
OLD, NEW = "4.57.6", "5.24.0"
DIFFER = {
    ("PreTrainedTokenizerFast", "add_prefix_space"),
    ("Qwen2Tokenizer", "add_prefix_space"),
    ("LlamaTokenizer", "add_prefix_space"),
    ("LlamaTokenizerFast", "add_bos_token"),
    ("LlamaTokenizerFast", "add_eos_token"),
}
"""Where the versions differ; the newer counts (docs/compatibility.md)."""


def named(case: dict[str, Any]) -> str:
    told = [f"{name}={value}" for name, value in case["settings"].items() if value in (True, False)]
    return " ".join([case["tokenizer"], case["model_type"], str(case["class"]), *told])


def write(folder: Path, case: dict[str, Any]) -> None:
    settings = {**case["settings"], "tokenizer_class": case["class"]}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    (folder / "tokenizer.json").write_text(json.dumps(GOLDEN["tokenizers"][case["tokenizer"]]))


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=named)
def test_a_class_applies_its_settings(tmp_path: Path, case: dict[str, Any]) -> None:
    write(tmp_path, case)
    tokenizer = load_tokenizer(tmp_path, {"model_type": case["model_type"]})
    ids = case["ids"]
    assert tokenizer.encode_batch(GOLDEN["lines"]) == ids[NEW]
    if ids[OLD] != ids[NEW]:
        assert {(case["class"], setting) for setting in case["settings"]} & DIFFER or (
            case["tokenizer"] == "roberta-prefix"  # whose prefix the old base class takes away
            and case["class"] == "PreTrainedTokenizerFast"
        )


@pytest.mark.parametrize(
    ("kind", "setting"), [("Bert", "do_lower_case"), ("Roberta", "add_prefix_space")]
)
def test_a_setting_that_is_no_boolean(tmp_path: Path, kind: str, setting: str) -> None:
    name = f"{kind}Tokenizer"
    case = next(case for case in GOLDEN["cases"] if (case["class"] or "").startswith(name))
    write(tmp_path, {**case, "settings": {**case["settings"], setting: "yes"}})
    with pytest.raises(ModelFormatError, match=rf"expected true or false for {setting}, found 'ye"):
        load_tokenizer(tmp_path, {})


def test_a_folder_without_settings_has_those_of_its_model_type(tmp_path: Path) -> None:
    case = next(case for case in GOLDEN["cases"] if named(case) == "cased bert None")
    write(tmp_path, case)
    (tmp_path / "tokenizer_config.json").unlink()
    tokenizer = load_tokenizer(tmp_path, {"model_type": "bert"})
    assert tokenizer.encode_batch(GOLDEN["lines"]) == case["ids"][NEW]
