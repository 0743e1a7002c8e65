"""Loads are bounded by the bytes of the files, whatever config.json says; numbers of any length."""

from __future__ import annotations

import json
import shutil
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from pyengine import ModelFormatError
from pyengine.models import read_folder
from pyengine.models.bounds import check_computed_tables
from pyengine.models.config import ConfigFields, ModelConfig
from pyengine.weights import pack_weights

FIXTURES = Path(__file__).parents[1] / "fixtures"
LARGEST = 1 << 24


def changed(folder: Path, name: str, **fields: Any) -> Path:
    """A fixture with other fields in its config.json."""
    shutil.copytree(FIXTURES / name, folder)
    config = json.loads((folder / "config.json").read_text())
    assert fields.keys() <= config.keys()
    (folder / "config.json").write_text(json.dumps(config | fields))
    return folder


@pytest.mark.parametrize(
    ("name", "field", "words"),
    [
        ("llama-tied-dynamo", "num_hidden_layers", r"found 95 nodes in all, expected 16777216"),
        (
            "xlm-roberta-cls-dynamo",
            "num_hidden_layers",
            r"found 73 nodes in all, expected 16777216",
        ),
        ("marian-dynamo", "encoder_layers", r"nodes in all, expected 16777216"),
        ("llama", "num_hidden_layers", r"found 2, expected 16777216"),
        (
            "llama",
            "max_position_embeddings",
            r"would take 1,536 MiB, the model's files hold 0\.3 MiB",
        ),
        ("gpt2", "n_positions", r"16777216"),
        ("bert-cls", "type_vocab_size", r"16777216"),
    ],
)
def test_a_size_that_the_files_do_not_hold(
    tmp_path: Path, name: str, field: str, words: str
) -> None:
    folder = changed(tmp_path / "model", name, **{field: LARGEST})
    tracemalloc.start()
    try:
        with pytest.raises(ModelFormatError, match=words):
            pack_weights(read_folder(folder), "float32")
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()


def test_tables_of_real_models_are_computed() -> None:
    sizes = {"hidden_size": 4096, "activation": "silu", "normalize_before": True}
    base = ModelConfig(**sizes, max_positions=131_072, embed_scale=1.0, norm_eps=1e-5)  # type: ignore[arg-type]
    llama = vars(base) | {"position_kind": "rotary", "decoder_head_dim": 128}
    check_computed_tables(ModelConfig(**llama), 1)
    long = ModelConfig(**llama | {"max_positions": 1_010_000})
    check_computed_tables(long, 5 << 30)
    with pytest.raises(ModelFormatError, match="max_position_embeddings is 1010000"):
        check_computed_tables(long, 400 << 20)


@pytest.mark.parametrize("number", [10**400, -(10**400), float("inf"), float("nan"), 0, "1"])
def test_a_number_of_config_json_that_is_no_float(number: Any) -> None:
    with pytest.raises(ModelFormatError, match="expected a positive number"):
        ConfigFields({"eps": number}).positive("eps")


@pytest.mark.parametrize("name", ["config.json", "generation_config.json"])
def test_an_integer_of_more_digits_than_python_reads(tmp_path: Path, name: str) -> None:
    folder = changed(tmp_path / "model", "marian-split")
    text = (folder / name).read_text()
    (folder / name).write_text(text.replace("{", '{"x": ' + "9" * 5000 + ",", 1))
    with pytest.raises(ModelFormatError, match=name):
        read_folder(folder)
