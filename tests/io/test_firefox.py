"""Firefox models, tiny and random: as stored, converted to ONNX, and in the engine."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import model_twin
import numpy as np
import onnx
import onnxruntime
import pytest
from tiny_marian import YAML, binary, quantize, random_tensors, write_folder, write_vocabulary

from pyengine import (
    ModelFormatError,
    ModelNotFoundError,
    OptionError,
    Translator,
    UnsupportedModelError,
    _core,
)
from pyengine.bench.onnxruntime_loop import (
    GreedySearch,
    OnnxFiles,
    OnnxRuntimeModel,
    exact_session,
)
from pyengine.bench.peer import onnx_files
from pyengine.cache import core_config
from pyengine.cli import main
from pyengine.convert.firefox import convert
from pyengine.models import read_model
from pyengine.models.quantized import dequantized
from pyengine.verify import verify_model

VOCAB = 700  # more than one run of the vocabulary reduction
SOURCES = [[(7 * i + 13 * j) % VOCAB for j in range(1 + 5 * i % 23)] + [0] for i in range(12)]
TEXT = "ab cd, ef gh. zz"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("firefox") / "xxyy"
    write_folder(path, seed=1, vocab_size=VOCAB)
    return path


@pytest.fixture(scope="module")
def converted(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("converted") / "model"
    convert(folder, out)
    return out


def logits(translator: Translator, source: list[int], target: list[int]) -> np.ndarray:
    """[len(target), vocab_size] without the column of padding."""
    ids = np.array(source, np.int32), np.array(target, np.int32)
    return translator.engine.logits(*ids)[:, :-1]


def difference(actual: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(actual - expected).max() / np.abs(expected).max())


@pytest.mark.parametrize("kind", ["int8", "float32", "npz"])
@pytest.mark.parametrize("isa", _core.available_isas())
def test_logits_are_those_of_the_twin(tmp_path: Path, kind: str, isa: str) -> None:
    write_folder(tmp_path, seed=2, vocab_size=VOCAB, kind=kind)
    model = read_model(tmp_path)
    assert model.stored_type == ("int8" if kind == "int8" else "float32")
    tensors = dequantized(model.tensors)
    target = [VOCAB, 5, 9, 300, 2, 2, 41]
    with Translator(tmp_path, "float32", threads=2, isa=isa) as translator:
        for source in SOURCES[:4]:
            expected = model_twin.logits(model.config, tensors, source, target)
            assert difference(logits(translator, source, target), expected[:, :-1]) < 1e-5


def test_stored_int8_weights_are_used_as_they_are(folder: Path) -> None:
    quantized = quantize(random_tensors(1, VOCAB))
    tensors = read_model(folder).tensors
    for name, marian in {
        "encoder.embed_tokens": "Wemb",
        "decoder.layers.1.ssru.gate": "decoder_l2_rnn_Wf",
        "encoder.layers.0.fc2": "encoder_l1_ffn_W2",
    }.items():
        values, multiplier = quantized[marian]
        np.testing.assert_array_equal(tensors[f"{name}.weight"][: len(values)], values)
        assert set(tensors[f"{name}.weight_scale"]) == {np.float32(1 / multiplier)}
    assert not tensors["encoder.embed_tokens.weight"][VOCAB].any()
    with Translator(folder) as translator:
        assert translator.compute_type == "int8"
        weights = sum(v[0].size for v in quantized.values())
        assert translator.engine.weight_bytes < 1.5 * weights + 200_000  # int8, the table held once


@pytest.mark.parametrize("compute_type", ["int8", "float32"])
def test_tables_that_share_integers_but_not_scales(folder: Path, compute_type: str) -> None:
    """Logits are linear in the scales of the output projection, but for its bias."""
    model = read_model(folder)
    ids = np.array(SOURCES[5], np.int32), np.array([VOCAB, 5, 9], np.int32)

    def logits_with(factor: float) -> np.ndarray:
        tensors = {**model.tensors, "lm_head.bias": np.zeros(VOCAB + 1, np.float32)}
        tensors["lm_head.weight_scale"] = tensors["lm_head.weight_scale"] * np.float32(factor)
        values = tensors if compute_type == "int8" else dequantized(tensors)
        weights = _core.Weights.pack(core_config(model.config), values, compute_type)
        return np.asarray(_core.Engine(weights).logits(*ids))

    np.testing.assert_array_equal(logits_with(2), 2 * logits_with(1))


def test_int8_is_close_to_float32(folder: Path) -> None:
    target = [VOCAB, 5, 9, 300, 2]
    with Translator(folder) as int8, Translator(folder, "float32") as float32:
        gap = difference(logits(int8, SOURCES[5], target), logits(float32, SOURCES[5], target))
    assert 0 < gap < 0.05


def test_converted_is_the_same_model(folder: Path, converted: Path) -> None:
    ours, theirs = read_model(folder), read_model(converted)
    assert ours.config == theirs.config
    assert ours.generation_config == theirs.generation_config
    assert ours.tensors.keys() == theirs.tensors.keys()
    for name, array in ours.tensors.items():
        assert array.dtype == theirs.tensors[name].dtype
        np.testing.assert_array_equal(array, theirs.tensors[name])
    with Translator(folder) as one, Translator(converted) as other:
        assert one.generate(SOURCES) == other.generate(SOURCES)
        assert one.encode(TEXT) == other.encode(TEXT)
        assert one.translate(TEXT, max_new_tokens=9) == other.translate(TEXT, max_new_tokens=9)


def test_onnxruntime_gives_the_same_tokens(converted: Path) -> None:
    files = OnnxFiles(converted / "encoder_model.onnx", converted / "decoder_model.onnx")
    search = GreedySearch(VOCAB, (0,), VOCAB, max_length=30, never=(1,))
    expected = OnnxRuntimeModel(files, 1, exact_session).greedy(SOURCES, search).ids
    with Translator(converted, "float32") as translator:
        found = translator.generate(SOURCES, max_length=30)
    assert [row[0].ids for row in found] == [ids[:-1] if ids[-1] == 0 else ids for ids in expected]


def test_verify_converts_by_itself(folder: Path, converted: Path) -> None:
    with Translator(folder, "float32") as translator:
        report = verify_model(translator, max_new_tokens=8)
    assert report.faithful and report.sentences > 0
    with Translator(converted, "float32") as translator:
        assert verify_model(translator, max_new_tokens=8).max_difference == report.max_difference
    with pytest.raises(ModelNotFoundError, match="pyengine convert writes them"):
        onnx_files(folder)


def test_converted_weights_are_int8(converted: Path) -> None:
    model = read_model(converted)
    stored = sum(array.nbytes for name, array in model.tensors.items() if "encoder" in name)
    assert (converted / "encoder_model.onnx").stat().st_size < stored + 40_000  # of nodes
    session = onnxruntime.InferenceSession(converted / "decoder_model.onnx")
    assert [value.name for value in session.get_outputs()] == ["logits"]


SEARCHES: tuple[dict[str, Any], ...] = (
    {},
    {"num_beams": 4, "num_return_sequences": 4, "length_penalty": 0.6},
)


@pytest.mark.parametrize("compute_type", ["int8", "float32"])
@pytest.mark.parametrize("search", SEARCHES, ids=["greedy", "beam"])
def test_invariance(folder: Path, compute_type: str, search: dict[str, Any]) -> None:
    search = {**search, "max_length": 24}
    with Translator(folder, compute_type, threads=1, batch_size=1) as translator:
        alone = [translator.generate([source], **search)[0] for source in SOURCES]
        best = alone[3][0].ids
        scores = translator.score([SOURCES[3]], [best])[0]
    for isa in _core.available_isas():
        for batch_size, threads in ((3, 1), (32, 2)):
            with Translator(folder, compute_type, threads, batch_size, isa) as translator:
                assert translator.generate(SOURCES, **search) == alone
                np.testing.assert_array_equal(translator.score([SOURCES[3]], [best])[0], scores)


def test_one_beam_is_greedy(folder: Path) -> None:
    with Translator(folder) as translator:
        greedy = [row[0].ids for row in translator.generate(SOURCES, max_length=20)]
        beams = translator.generate(SOURCES, max_length=20, num_beams=1)
        assert [row[0].ids for row in beams] == greedy


@pytest.mark.parametrize(
    ("line", "changed", "error", "message"),
    [
        ("dec-cell: ssru", "dec-cell: gru", UnsupportedModelError, "dec-cell is 'gru'"),
        ("autoreg: rnn", "autoreg: self-attention", UnsupportedModelError, "self-attention"),
        ("type: transformer", "type: s2s", UnsupportedModelError, "type is 's2s'"),
        ("dim-emb: 40", "dim-emb: 48", ModelFormatError, "has shape"),
        ("dim-emb: 40", "dim-emb: many", ModelFormatError, "dim-emb is 'many', expected a size"),
        ("dim-emb: 40", "dim-emb: 16000000", ModelFormatError, "has shape"),  # 30 GB of positions
        ("dim-emb: 40", f"dim-emb: {'9' * 5000}", ModelFormatError, "expected a size"),
        ("enc-depth: 2", "enc-depth: 3", ModelFormatError, "no tensor 'encoder_l3_self_Wq'"),
        ("enc-depth: 2", "enc-depth: 1", UnsupportedModelError, "'encoder_l2_ffn_W1' of shape"),
        ("heads: 4", "heads: 3", ModelFormatError, "model.bin: dim-emb is 40, expected a multiple"),
        ("heads: 4", "heads: 0", ModelFormatError, "transformer-heads is '0', expected a size"),
        ("dim-ffn: 52", "dim-ffn: 99999999", ModelFormatError, "'99999999', expected a size"),
        (YAML, "", ModelFormatError, "no configuration"),
    ],
)
def test_models_that_are_not_run(
    tmp_path: Path, line: str, changed: str, error: type[Exception], message: str
) -> None:
    tensors = random_tensors(1, 40)
    (tmp_path / "model.bin").write_bytes(binary(tensors, yaml=YAML.replace(line, changed)))
    write_vocabulary(tmp_path / "vocab.spm", 40)
    with pytest.raises(error, match=message):
        read_model(tmp_path)


def test_a_token_table_without_dimensions(tmp_path: Path) -> None:
    tensors = {**random_tensors(1, 40), "Wemb": np.array(1, np.float32)}
    (tmp_path / "model.bin").write_bytes(binary(tensors))
    write_vocabulary(tmp_path / "vocab.spm", 40)
    with pytest.raises(ModelFormatError, match=r"'Wemb' has shape \[\]"):
        read_model(tmp_path)


def test_weights_below_minus_127(tmp_path: Path) -> None:
    tensors = random_tensors(1, 40)
    quantized = quantize(tensors)
    quantized["encoder_l1_ffn_W1"][0][0, 0] = -128
    (tmp_path / "model.bin").write_bytes(binary(tensors, quantized))
    write_vocabulary(tmp_path / "vocab.spm", 40)
    with pytest.raises(ModelFormatError, match=r"encoder_l1_ffn_W1.*-128"):
        read_model(tmp_path)


def test_a_vocabulary_of_another_size(tmp_path: Path) -> None:
    write_folder(tmp_path, seed=1, vocab_size=40)
    write_vocabulary(tmp_path / "vocab.xxyy.spm", 39)
    with (
        Translator(tmp_path) as translator,
        pytest.raises(ModelFormatError, match=r"vocab\.xxyy\.spm: expected the 40 pieces.*39"),
    ):
        translator.encode(TEXT)
    with pytest.raises(ModelFormatError, match=r"vocab\.xxyy\.spm: expected the 40 pieces.*39"):
        convert(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_gzipped_files(tmp_path: Path, folder: Path) -> None:
    for path in folder.iterdir():
        (tmp_path / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    with Translator(folder) as one, Translator(tmp_path) as other:
        assert one.translate(TEXT, max_new_tokens=9) == other.translate(TEXT, max_new_tokens=9)


def test_the_command(tmp_path: Path, folder: Path, converted: Path) -> None:
    assert main(["convert", str(folder), str(tmp_path / "out")]) == 0
    for path in converted.iterdir():
        assert (tmp_path / "out" / path.name).read_bytes() == path.read_bytes()


def test_a_conversion_that_failed_can_be_repeated(
    tmp_path: Path, folder: Path, converted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch, pytest.raises(OSError, match="disk"):
        patch.setattr(onnx, "save", Mock(side_effect=[None, OSError("the disk is full")]))
        convert(folder, tmp_path)
    convert(folder, tmp_path)
    for path in converted.iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


def test_convert_refuses(tmp_path: Path, folder: Path, converted: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="holds no Firefox model"):
        convert(tmp_path, tmp_path / "out")
    with pytest.raises(OptionError, match="found a model in it"):
        convert(folder, converted)
