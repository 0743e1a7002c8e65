"""Every family end to end: the recorded logits, all compute types, any batch, up to the limit.

tests/api/test_golden.py compares their searches.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from pyengine import Translator
from pyengine.info import describe, format_info
from pyengine.verify import verify_model

from .conftest import FIXTURES

FAMILIES = ("marian-odd", "marian-dynamo", "bart", "mbart", "pegasus", "m2m", "t5", "mt5")


@pytest.fixture(params=FAMILIES, scope="module")
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def open_translator(name: str, compute_type: str = "default") -> Translator:
    return Translator(FIXTURES / name, compute_type=compute_type, threads=2, cache_dir=False)


def difference(found: np.ndarray, expected: np.ndarray) -> float:
    return float((np.abs(found - expected).max(-1) / np.abs(expected).max(-1)).max())


@pytest.mark.parametrize(
    ("compute_type", "bound"), [("float32", 1e-4), ("bfloat16", 2e-2), ("int8", 1e-1)]
)
def test_logits_are_those_of_transformers(name: str, compute_type: str, bound: float) -> None:
    golden = np.load(FIXTURES / "golden" / f"{name.replace('-', '_')}.npz")
    with open_translator(name, compute_type) as translator:
        for k in range(len(golden) // 3):
            found = translator.engine.logits(golden[f"source_{k}"], golden[f"decoder_input_{k}"])
            assert difference(found, golden[f"logits_{k}"]) <= bound


def test_verify_finds_it_faithful(name: str) -> None:
    for compute_type in ("float32", "int8"):
        with open_translator(name, compute_type) as translator:
            report = verify_model(translator, max_new_tokens=20)
        assert report.faithful, report.format()


def test_info_names_the_family(name: str) -> None:
    with open_translator(name) as translator:
        text = format_info(describe(translator))
        assert translator.model_type in text
        assert ("RMS pre-norm" in text) == (name in ("t5", "mt5"))
        assert ("gated gelu_tanh" in text) == (name == "mt5")
        assert f"{translator.config.hidden_size}, " in text


def random_sources(translator: Translator, lengths: list[int]) -> list[list[int]]:
    rng = np.random.default_rng(8)
    return [rng.integers(4, translator.config.source_vocab_size - 1, n).tolist() for n in lengths]


@pytest.mark.parametrize("compute_type", ["float32", "int8"])
def test_a_batch_changes_nothing(name: str, compute_type: str) -> None:
    with open_translator(name, compute_type) as translator:
        sources = random_sources(translator, [3, 17, 1, 30, 8, 8, 25, 2, 12])
        for num_beams in (1, 4):
            together = translator.generate(sources, num_beams=num_beams, min_length=0)
            for source, expected in zip(sources, together, strict=True):
                alone = translator.generate([source], num_beams=num_beams, min_length=0)
                assert alone == [expected]


def test_as_long_as_the_positions_go(name: str) -> None:
    with open_translator(name) as translator:
        limit = min(translator.config.max_positions, 1200)  # T5's end only where memory does
        source, target = random_sources(translator, [limit, limit])
        found = translator.engine.logits(np.array(source, np.int32), np.array(target, np.int32))
        expected = onnxruntime_logits(translator, source, target)
    assert difference(found, expected) <= 1e-4


@pytest.mark.parametrize("name", ["t5", "mt5"])
def test_t5_goes_on_for_long_but_not_by_itself(name: str, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(FIXTURES / name, tmp_path / name))
    file = folder / "generation_config.json"
    config = json.loads(file.read_text())
    assert config.pop("max_length") > 0
    file.write_text(json.dumps(config))
    with Translator(folder, cache_dir=False) as translator:
        assert translator.generation_options().max_length == 1024
        assert translator.generation_options(max_new_tokens=2000).max_length == 2001
        assert translator.max_source_length == 1 << 14
        (best,) = translator.generate(
            [[5] * 1500], num_beams=1, max_new_tokens=1300, eos_token_id=None
        )
        assert len(best[0].ids) == 1300
    file.write_text(json.dumps({**config, "max_new_tokens": 7}))
    with Translator(folder, cache_dir=False) as translator:
        assert translator.generation_options().max_length == 8


def onnxruntime_logits(translator: Translator, source: list[int], target: list[int]) -> np.ndarray:
    """Teacher-forced logits [len(target), vocab_size] of the folder's own files."""
    model, config = translator._model, translator.config
    mask = np.ones((1, len(source)), np.int64)
    encoder = onnxruntime.InferenceSession(model.encoder_path)
    hidden = encoder.run(None, {"input_ids": np.array([source]), "attention_mask": mask})[0]
    decoder = onnxruntime.InferenceSession(model.decoder_path)
    feeds = {
        "encoder_attention_mask": mask,
        "input_ids": np.array([target]),
        "encoder_hidden_states": hidden,
        "use_cache_branch": np.array([False]),
    }
    shape = (1, config.decoder_num_heads, 0, config.decoder_head_dim)
    empty = np.zeros(shape, np.float32)
    names = [value.name for value in decoder.get_inputs()]
    outputs = decoder.run(["logits"], {name: feeds.get(name, empty) for name in names})
    logits: np.ndarray = outputs[0][0]
    return logits
