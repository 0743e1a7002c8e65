"""``verify``: it passes on sound models, and it notices an engine that computes something else."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnxruntime")

from pyengine import (
    Encoder,
    Generator,
    InputError,
    OptionError,
    TokenizerMissingError,
    Translator,
)
from pyengine.bench.onnxruntime_loop import (
    GreedySearch,
    MissingPackageError,
    OnnxFiles,
    OnnxRuntimeModel,
    import_onnxruntime,
)
from pyengine.bench.peer import onnx_files
from pyengine.verify import VerifyReport, _Tally, verify_model

from .conftest import FIXTURES, SENTENCES, Cli


def test_a_file_that_onnxruntime_does_not_load(cli: Cli, tmp_path: Path) -> None:
    """It refuses the links of git-annex."""
    folder = tmp_path / "model"
    shutil.copytree(FIXTURES / "marian-external", folder)
    for i, path in enumerate(sorted(folder.iterdir())):
        key = f"SHA256E-s1--{i}{'a' * 63}{path.suffix}"
        stored = tmp_path / ".git" / "annex" / "objects" / f"{i:03d}" / "abc" / key / key
        stored.parent.mkdir(parents=True)
        path.rename(stored)
        path.symlink_to(stored)
    done = cli("verify", folder)
    assert done.returncode == 1
    assert "encoder_model.onnx: onnxruntime does not load it" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("model", ["marian-split", "marian-merged", "marian-external"])
def test_random_models_are_faithful(model: str) -> None:
    with Translator(FIXTURES / model, threads=2) as translator:
        report = verify_model(translator)
    assert report.faithful
    assert report.random_sources >= 5
    assert report.sentences == 0
    assert report.positions > 20
    assert 0 < report.max_difference < 1e-5
    assert report.equal_tokens == 1
    assert json.loads(json.dumps(report.to_dict()))["faithful"] is True


def test_the_committed_model_is_faithful(text_translator: Translator) -> None:
    report = verify_model(text_translator, SENTENCES[:3])
    assert report.faithful
    assert report.sentences == 3
    assert verify_model(text_translator, max_new_tokens=4).sentences == 8  # the built-in ones


@pytest.mark.parametrize("model", ["gpt2", "llama", "llama-tied", "mistral", "qwen2"])
def test_generators_are_faithful(model: str) -> None:
    with Generator(FIXTURES / model, threads=2) as generator:
        report = verify_model(generator, max_new_tokens=9)
        assert report.faithful
        assert report.compared == "tokens"
        assert (report.sentences, report.random_sources) == (0, 6)
        assert report.positions > 12  # some end at once
        assert report.max_difference < 1e-5
        with pytest.raises(TokenizerMissingError):
            verify_model(generator, ["A dog."])


@pytest.mark.parametrize("model", ["bert-cls", "distilbert-cls", "xlm-roberta-cls", "roberta"])
def test_encoders_are_faithful(model: str) -> None:
    with Encoder(FIXTURES / model, threads=2) as encoder:
        report = verify_model(encoder, SENTENCES[:3])
    assert report.faithful
    assert (report.sentences, report.random_sources) == (3, 6)
    assert report.max_difference < 1e-5
    classes = model.endswith("-cls")
    assert report.compared == ("classes" if classes else "hidden states")
    assert ("equal classes" in report.format()) == classes
    assert report.positions == 9 if classes else report.positions > 50
    with Encoder(FIXTURES / model, "int8", threads=2) as encoder:
        report = verify_model(encoder, SENTENCES[:3])
    assert report.faithful
    assert report.max_difference > 1e-4


@pytest.mark.parametrize("model", ["llama", "roberta", "bert-cls"])
def test_a_tampered_model_of_one_stack_is_not(cli: Cli, tmp_path: Path, model: str) -> None:
    folder = Path(shutil.copytree(FIXTURES / model, tmp_path / "model"))
    done = cli("verify", folder, "--max-new-tokens", 4)
    assert done.returncode == 0
    with (Generator if model == "llama" else Encoder)(folder, threads=1) as loaded:
        change_a_weight(folder / "model.onnx")
        report = verify_model(loaded, max_new_tokens=4)
    assert not report.faithful
    assert report.max_difference > 1e-4


@pytest.mark.parametrize("tampered", ["encoder_model.onnx", "decoder_with_past_model.onnx"])
def test_a_tampered_model_is_not(cli: Cli, ids_model: Path, tmp_path: Path, tampered: str) -> None:
    """The engine has read the sound files, onnxruntime reads one that was changed since."""
    folder = Path(shutil.copytree(ids_model, tmp_path / "model"))
    with Translator(folder, threads=1) as translator:
        assert verify_model(translator).faithful
        change_a_weight(folder / tampered)
        report = verify_model(translator)
    assert not report.faithful
    assert report.max_difference > 1e-4
    assert "NOT FAITHFUL" in report.format()
    if tampered.startswith("decoder"):  # pyengine does not read this file: the process sees it too
        done = cli("verify", folder)
        assert done.returncode == 1
        assert "NOT FAITHFUL" in done.stdout


@pytest.mark.parametrize(("compute_type", "bound"), [("int8", 0.98), ("bfloat16", 0.999)])
def test_vectors_of_rounded_weights_are_compared_by_their_cosine(
    tmp_path: Path, compute_type: str, bound: float
) -> None:
    folder = Path(shutil.copytree(FIXTURES / "roberta", tmp_path / "model"))
    with Encoder(folder, compute_type, threads=1) as encoder:
        report = verify_model(encoder, SENTENCES[:3])
        assert report.faithful
        assert bound < report.min_cosine < 1
        assert f"of a text's vectors (allowed: {bound})" in report.format()
        assert report.to_dict()["cosine_bound"] == bound
        # What all-MiniLM-L6-v2 shows in int8, whose rounding is finer than onnxruntime's own.
        assert dataclasses.replace(report, max_difference=0.261).faithful
        for cosine in (bound - 0.001, float("nan")):
            assert not dataclasses.replace(report, min_cosine=cosine).faithful
        change_a_weight(folder / "model.onnx", factor=0.0)
        tampered = verify_model(encoder, SENTENCES[:3])
    assert not tampered.faithful
    assert tampered.min_cosine < 0.98
    assert "NOT FAITHFUL" in tampered.format()


def test_hidden_states_of_float32_are_compared_by_their_difference() -> None:
    with Encoder(FIXTURES / "roberta", threads=1) as encoder:
        report = verify_model(encoder, SENTENCES[:1])
    assert report.cosine_bound is None
    assert report.min_cosine == pytest.approx(1, abs=1e-6)
    assert not dataclasses.replace(report, max_difference=2e-4).faithful


@pytest.mark.parametrize("name", ["last_hidden_state", "token_embeddings", "output"])
def test_an_encoder_with_more_outputs(tmp_path: Path, name: str) -> None:
    import onnx

    folder = Path(shutil.copytree(FIXTURES / "roberta", tmp_path / "model"))
    model = onnx.load(folder / "model.onnx")
    (output,) = model.graph.output
    for node in model.graph.node:
        node.output[:] = [name if x == output.name else x for x in node.output]
    output.name = name
    model.graph.node.append(onnx.helper.make_node("ReduceMax", [name], ["a"], keepdims=0))
    shape = onnx.helper.make_tensor_value_info("a", onnx.TensorProto.FLOAT, [])
    model.graph.output.insert(0, shape)
    onnx.save(model, folder / "model.onnx")
    with Encoder(folder, threads=1, cache_dir=False) as encoder:
        assert verify_model(encoder, SENTENCES[:2]).faithful


def change_a_weight(path: Path, factor: float = 1.02) -> None:
    import onnx
    from onnx import numpy_helper

    model = onnx.load(path)
    weights = [t for t in model.graph.initializer if len(t.dims) == 2 and t.dims[0] > 30]
    values = numpy_helper.to_array(weights[-1]) * np.float32(factor)
    weights[-1].CopyFrom(numpy_helper.from_array(values, weights[-1].name))
    onnx.save(model, path)


def test_command_line(cli: Cli, ids_model: Path, tmp_path: Path) -> None:
    done = cli("verify", ids_model, "--max-new-tokens", 5)
    assert done.returncode == 0
    assert "faithful" in done.stdout
    assert done.stderr == ""
    facts = json.loads(cli("verify", ids_model, "--json", "--isa", "scalar").stdout)
    assert facts["faithful"] is True
    assert facts["isa"] == "scalar"
    path = tmp_path / "text"
    path.write_text("A dog.\n")
    done = cli("verify", ids_model, "--text", path)
    assert done.returncode == 1
    assert "no tokenizer files" in done.stderr


def tally(
    actual: list[list[float]], expected: list[list[float]], compared: str = "tokens"
) -> _Tally:
    result = _Tally(1e-4, compared)
    result.add(np.array(actual, np.float32), np.array(expected, np.float32))
    return result


def test_the_difference_is_that_of_the_definition() -> None:
    assert tally([[1.0, 4.0]], [[1.5, -5.0]]).max_difference == pytest.approx(9 / 5)
    assert tally([[1.0, 7.0]], [[1.5, -2e4]]).max_difference == pytest.approx(0.5 / 1.5)  # masked
    two = tally([[1.0, 2.0], [3.0, 1.0]], [[1.0, 2.0], [3.0, 1.5]])
    assert (two.positions, two.equal, two.wrong) == (2, 2, 0)
    assert two.max_difference == pytest.approx(0.5 / 3)


def test_a_differing_token_is_wrong_only_if_the_candidates_are_apart() -> None:
    near = tally([[10.0, 10.0004]], [[10.0003, 10.0]])
    assert (near.equal, near.wrong) == (0, 0)
    far = tally([[10.0, 10.1]], [[10.1, 10.0]])
    assert (far.equal, far.wrong) == (0, 1)


def test_hidden_states_prefer_nothing() -> None:
    far = tally([[10.0, 10.1]], [[10.1, 10.0]], "hidden states")
    assert (far.positions, far.equal, far.wrong) == (1, 1, 0)
    assert far.max_difference == pytest.approx(0.1 / 10.1, rel=1e-4)


def test_logits_of_classes_are_seldom_large() -> None:
    found = tally([[0.02, 0.01], [3.0, 5.0]], [[0.01, 0.02], [3.0, 4.0]], "classes")
    assert found.max_difference == pytest.approx(1 / 4)
    assert found.sum_of_differences == pytest.approx(0.01 + 1 / 4)
    assert (found.equal, found.wrong) == (1, 1)


def test_nothing_that_is_no_number_is_faithful() -> None:
    broken = tally([[float("nan"), 1.0]], [[1.0, 2.0]])
    assert not broken.max_difference <= 1e-4
    report = VerifyReport(
        "m", "1", "float32", "avx2", "tokens", 1, 1, 1, broken.max_difference, 0.0, 1.0, 1.0, 0
    )
    assert not report.faithful


@pytest.mark.parametrize("compute_type", ["bfloat16", "int8"])
def test_smaller_types_have_bounds_of_their_own(text_model: Path, compute_type: str) -> None:
    with Translator(text_model, compute_type, threads=2) as translator:
        report = verify_model(translator, SENTENCES)
    assert report.faithful
    assert report.compute_type == compute_type
    assert 0.97 <= report.equal_tokens_of_text <= 1
    assert 1e-4 < report.mean_difference < report.max_difference < report.tolerance
    assert dataclasses.replace(report, equal_tokens_of_text=0.96).faithful is False
    assert dataclasses.replace(report, compute_type="float32").faithful is False


def test_bad_arguments(ids_translator: Translator, text_translator: Translator) -> None:
    with pytest.raises(OptionError, match="max_new_tokens: found 0"):
        verify_model(ids_translator, max_new_tokens=0)
    with pytest.raises(OptionError, match="text: found no sentence"):
        verify_model(text_translator, [])
    with pytest.raises(TokenizerMissingError):
        verify_model(ids_translator, ["A dog."])
    with pytest.raises(InputError, match="item 0"):
        verify_model(text_translator, ["dog " * 2000])


def test_without_onnxruntime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingPackageError, match=r"pip install onnxruntime$"):
        import_onnxruntime()


# --- the loop over onnxruntime's steps ---

SOURCES = [[99, 107, 158, 0], [5, 0], [199, 8, 31, 172, 199, 53, 66, 182, 0]]


def search_of(translator: Translator, **options: Any) -> GreedySearch:
    return GreedySearch.of(translator.generation_options(num_beams=1, **options), 210)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"max_new_tokens": 3},
        {"min_new_tokens": 12},
        {"forced_bos_token_id": 7},
        {"suppress_tokens": [49, 183]},
        {"forced_eos_token_id": None},
    ],
)
def test_the_loop_finds_what_the_engine_finds(
    ids_translator: Translator, options: dict[str, Any]
) -> None:
    expected = [row[0].ids for row in ids_translator.generate(SOURCES, num_beams=1, **options)]
    search = search_of(ids_translator, **options)
    loop = OnnxRuntimeModel(onnx_files(ids_translator.path), threads=1)
    assert loop.has_cache
    batch = loop.greedy(SOURCES, search).ids
    assert [without_end(ids) for ids in batch] == expected
    assert [loop.greedy([source], search).ids[0] for source in SOURCES] == batch


def without_end(ids: list[int]) -> list[int]:
    return ids[:-1] if ids[-1] == 0 else ids


def test_with_and_without_cache_the_loop_sees_the_same_logits(ids_translator: Translator) -> None:
    pair = onnx_files(ids_translator.path)
    single = OnnxFiles(pair.encoder, pair.decoder)
    search = search_of(ids_translator)
    cached = OnnxRuntimeModel(pair, 1).greedy(SOURCES, search, keep_logits=True)
    loop = OnnxRuntimeModel(single, 1)
    assert not loop.has_cache
    uncached = loop.greedy(SOURCES, search, keep_logits=True)
    assert cached.ids == uncached.ids
    for ids, a, b in zip(cached.ids, cached.logits, uncached.logits, strict=True):
        assert a.shape == (len(ids), 211)
        finite = np.isfinite(a)
        assert np.allclose(a[finite], b[finite], atol=1e-4)
