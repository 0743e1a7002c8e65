"""Folders of sentence-transformers: their own pooling, length and prompts make the vectors.

The forms are those that versions 2 to 6 write; on folders of 5.7 and 6.2 the vectors were those of
its own ``encode`` to 3e-7.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pyengine
from pyengine.info import describe, format_info

from .test_encoder import FIXTURES, Golden, difference

TEXTS = ["a dog runs .", "two women talk to a man", "a " * 30]
PREFIX = "sentence_transformers.models"
NEW_PREFIX = "sentence_transformers.sentence_transformer.modules.pooling"


def module(place: int, kind: str, prefix: str = PREFIX) -> dict[str, Any]:
    path = f"{place}_{kind}" if place else ""
    return {"idx": place, "name": str(place), "path": path, "type": f"{prefix}.{kind}"}


class Folder:
    """A copy of a fixture, to which files of sentence-transformers are added."""

    def __init__(self, path: Path) -> None:
        self.path = path
        shutil.copytree(FIXTURES / "roberta", path)

    def write(self, name: str, content: Any) -> Folder:
        path = self.path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content))
        return self

    def modules(self, *kinds: str, **pooling: Any) -> Folder:
        listed = [module(place, kind) for place, kind in enumerate(("Transformer", *kinds))]
        self.write("modules.json", listed)
        return self.write("1_Pooling/config.json", {"word_embedding_dimension": 48, **pooling})

    def load(self) -> pyengine.Encoder:
        return pyengine.Encoder(self.path, cache_dir=False)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "model")


def golden_states() -> tuple[list[str], list[np.ndarray]]:
    golden = Golden("roberta")
    return golden.texts, [h.astype(np.float64) for h in golden.hidden[: len(golden.texts)]]


def ranks(hidden: np.ndarray) -> np.ndarray:
    return np.arange(1, len(hidden) + 1)[:, None]


POOLS = {
    "cls": lambda h: h[0],
    "mean": lambda h: h.mean(axis=0),
    "max": lambda h: h.max(axis=0),
    "mean_sqrt_len_tokens": lambda h: h.sum(axis=0) / np.sqrt(len(h)),
    "weightedmean": lambda h: (h * ranks(h)).sum(axis=0) / ranks(h).sum(),
    "lasttoken": lambda h: h[-1],
}


@pytest.mark.parametrize(
    ("pooling", "names"),
    [
        ({"pooling_mode": "cls", "include_prompt": True}, ["cls"]),
        ({"pooling_mode": ["max", "cls"]}, ["max", "cls"]),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, ["cls"]),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}, ["cls", "mean"]),
        ({"pooling_mode_max_tokens": True}, ["max"]),
        ({"pooling_mode_mean_sqrt_len_tokens": True}, ["mean_sqrt_len_tokens"]),
        ({"pooling_mode_weightedmean_tokens": True}, ["weightedmean"]),
        ({"pooling_mode_lasttoken": True}, ["lasttoken"]),
        ({}, ["mean"]),
    ],
    ids=str,
)
def test_the_pooling_is_the_folders(folder: Folder, pooling: dict[str, Any], names: list[str]):
    texts, states = golden_states()
    found = folder.modules("Pooling", **pooling).load().encode(texts)
    expected = np.stack([np.concatenate([POOLS[name](h) for name in names]) for h in states])
    assert found.shape == expected.shape
    assert difference(found, expected) < 1e-5


def test_normalize_is_the_folders_and_arguments_override_it(folder: Folder):
    texts, _ = golden_states()
    encoder = folder.modules("Pooling", "Normalize", pooling_mode_max_tokens=True).load()
    lengths = np.linalg.norm(encoder.encode(texts), axis=1)
    np.testing.assert_allclose(lengths, 1, atol=1e-6)
    plain = pyengine.Encoder(FIXTURES / "roberta", cache_dir=False)
    for options in ({"normalize": False}, {"pooling": "cls"}):
        told = {"pooling": "max", "normalize": True, **options}
        found = encoder.encode(texts, **options)
        np.testing.assert_array_equal(found, plain.encode(texts, **told))


def test_new_names_of_the_modules(folder: Folder):
    kinds = [module(0, "Transformer", "sentence_transformers.base.modules.transformer")]
    kinds.append(module(1, "Pooling", NEW_PREFIX))
    folder.write("1_Pooling/config.json", {"embedding_dimension": 48, "pooling_mode": "cls"})
    folder.write("modules.json", [*kinds, module(2, "Dropout")])
    settings = {
        "transformer_task": "feature-extraction",
        "modality_config": {"text": {"method_output_name": "last_hidden_state"}},
    }
    encoder = folder.write("sentence_bert_config.json", settings).load()
    np.testing.assert_array_equal(
        encoder.encode(TEXTS[:2]), encoder.encode(TEXTS[:2], pooling="cls")
    )


@pytest.mark.parametrize(
    ("file", "settings"),
    [
        ("sentence_bert_config.json", {"max_seq_length": 12, "do_lower_case": False}),
        ("sentence_roberta_config.json", {"max_seq_length": 12}),
        ("sentence_bert_config.json", {"tokenizer_args": {"model_max_length": 12}}),
        ("tokenizer_config.json", {"model_max_length": 12}),
    ],
)
def test_the_rest_of_a_long_text_is_cut(folder: Folder, file: str, settings: dict[str, Any]):
    if file == "tokenizer_config.json":
        settings = {**json.loads((folder.path / file).read_text()), **settings}
    encoder = folder.modules("Pooling").write(file, settings).load()
    with pytest.warns(
        pyengine.TruncationWarning, match="32 tokens, the folder's max_seq_length is"
    ):
        found = encoder.encode(TEXTS)
    plain = pyengine.Encoder(FIXTURES / "roberta", cache_dir=False)
    ids = plain.tokenize(TEXTS)
    ids[2] = [*ids[2][:11], ids[2][-1]]
    for vector, hidden in zip(found, plain.forward(ids), strict=True):
        assert difference(vector[None], hidden.mean(axis=0)[None]) < 1e-6
    with pytest.raises(pyengine.InputError, match=r"item 2: 32 tokens.*max_seq_length is 12"):
        encoder.encode(TEXTS, truncate=False)
    with pytest.warns(pyengine.TruncationWarning, match="item 0"):
        (pair,) = encoder.tokenize([("a dog " * 9, "a man")])
    assert len(pair) == 12


def test_a_limit_beyond_the_positions_is_that_of_the_positions(folder: Folder):
    encoder = (
        folder.modules("Pooling").write("sentence_bert_config.json", {"max_seq_length": 512}).load()
    )
    with pytest.warns(pyengine.TruncationWarning, match="52 tokens, the model has 40 positions"):
        assert len(encoder.tokenize(["dog " * 50])[0]) == 40


def test_prompts(folder: Folder):
    prompts = {"prompts": {"query": "two women ", "document": ""}, "default_prompt_name": "query"}
    encoder = folder.modules("Pooling").write("config_sentence_transformers.json", prompts).load()
    plain = pyengine.Encoder(FIXTURES / "roberta", cache_dir=False)
    text, told = "talk .", "two women talk ."
    np.testing.assert_array_equal(encoder.encode(text), plain.encode(told))
    np.testing.assert_array_equal(encoder.encode(text, prompt=""), plain.encode(text))
    np.testing.assert_array_equal(encoder.encode(text, prompt_name="document"), plain.encode(text))
    np.testing.assert_array_equal(plain.encode(text, prompt="two women "), plain.encode(told))
    pair = [(text, "a man")]
    np.testing.assert_array_equal(encoder.encode(pair), plain.encode([(told, "a man")]))
    with pytest.raises(pyengine.OptionError, match="found 'x', expected 'query', 'document'"):
        encoder.encode(text, prompt_name="x")
    with pytest.raises(pyengine.OptionError, match="the folder has no prompts"):
        plain.encode(text, prompt_name="query")
    with pytest.raises(pyengine.OptionError, match="found both"):
        encoder.encode(text, prompt="a", prompt_name="query")


def test_texts_are_lowercased_first(folder: Folder):
    content = json.loads((folder.path / "tokenizer.json").read_text("utf-8"))
    content["normalizer"]["lowercase"] = False
    folder.write("tokenizer.json", content).modules("Pooling")
    cased = folder.load().tokenize(["A Dog"])
    folder.write("sentence_bert_config.json", {"do_lower_case": True})
    lowered = folder.load()
    assert lowered.tokenize(["A Dog"]) == lowered.tokenize(["a dog"]) != cased


@pytest.mark.parametrize(
    ("kinds", "message"),
    [
        (("Pooling", "Dense", "Normalize"), "module '2_Dense' of type 'Dense' is not run"),
        (("WeightedLayerPooling", "Pooling"), "'1_WeightedLayerPooling' of type .* is not run"),
        (("CNN", "Pooling"), "module '1_CNN' of type 'CNN' is not run"),
        ((), r"modules\.json has no Pooling"),
    ],
)
def test_a_module_that_is_not_run_is_named(folder: Folder, kinds: tuple[str, ...], message: str):
    encoder = folder.modules(*kinds).load()
    for options in ({}, {"pooling": "cls", "normalize": True}):
        with pytest.raises(pyengine.UnsupportedModelError, match=message):
            encoder.encode(TEXTS[0], **options)
    assert encoder.forward(encoder.tokenize(TEXTS[:1]))[0].shape[1] == 48


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("1_Pooling/config.json", {"pooling_mode": "sum"}, "pooling_mode 'sum' is not run"),
        ("sentence_bert_config.json", {"transformer_task": "fill-mask"}, "is 'fill-mask', expec"),
        (
            "sentence_bert_config.json",
            {"modality_config": {"text": {"method_output_name": "pooler_output"}}},
            "method_output_name is 'pooler_output'",
        ),
        ("2_Normalize/config.json", {"module_input_name": "token_embeddings"}, "2_Normalize"),
    ],
)
def test_a_setting_that_is_not_run_is_named(folder: Folder, file: str, content: Any, message: str):
    encoder = folder.modules("Pooling", "Normalize").write(file, content).load()
    with pytest.raises(pyengine.UnsupportedModelError, match=message):
        encoder.encode(TEXTS[0])


def test_prompts_that_the_pooling_leaves_out(folder: Folder):
    folder.modules("Pooling", include_prompt=False)
    encoder = folder.write("config_sentence_transformers.json", {"prompts": {"q": "a dog "}}).load()
    (hidden,) = encoder.forward(encoder.tokenize(["a dog runs ."]))
    found = encoder.encode("runs .", prompt_name="q")
    assert difference(found[None], hidden[3:].mean(axis=0)[None]) < 1e-6  # start, a, dog
    assert difference(encoder.encode("a dog runs .")[None], hidden.mean(axis=0)[None]) < 1e-6
    encoder = folder.write("sentence_bert_config.json", {"max_seq_length": 3}).load()
    with (
        pytest.warns(pyengine.TruncationWarning),
        pytest.raises(pyengine.InputError, match="item 0: found no token behind the 3"),
    ):
        encoder.encode(["runs ."], prompt_name="q")


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("modules.json", {}, "expected a list of modules"),
        ("modules.json", [{"type": "x"}], "expected a module, found"),
        ("1_Pooling/config.json", {"pooling_mode": 5}, "pooling_mode is"),
        ("sentence_bert_config.json", {"max_seq_length": 0}, "max_seq_length is 0, expected"),
        ("sentence_bert_config.json", {"max_seq_length": "x"}, "max_seq_length is 'x', expected"),
        ("config_sentence_transformers.json", {"prompts": ["a"]}, "expected prompts by name"),
        (
            "config_sentence_transformers.json",
            {"default_prompt_name": "x"},
            "default_prompt_name is 'x', expected one of no prompts",
        ),
    ],
)
def test_damaged_files(folder: Folder, file: str, content: Any, message: str):
    folder.modules("Pooling").write(file, content)
    with pytest.raises(pyengine.ModelFormatError, match=message):
        folder.load().encode(TEXTS[0])


def test_a_missing_file_is_named(folder: Folder):
    folder.modules("Pooling")
    (folder.path / "1_Pooling" / "config.json").unlink()
    with pytest.raises(pyengine.ModelNotFoundError, match=r"1_Pooling' lacks config\.json"):
        folder.load().encode(TEXTS[0])


def test_a_graph_with_a_pooling_of_its_own(folder: Folder):
    """As Optimum writes it: what the output sentence_embedding holds is not guessed."""
    import onnx

    path = folder.path / "model.onnx"
    model = onnx.load(path)
    (output,) = model.graph.output
    for node in model.graph.node:
        node.output[:] = ["token_embeddings" if x == output.name else x for x in node.output]
    output.name = "token_embeddings"
    model.graph.node.append(
        onnx.helper.make_node("ReduceMax", ["token_embeddings"], ["sentence_embedding"])
    )
    model.graph.output.append(
        onnx.helper.make_tensor_value_info("sentence_embedding", onnx.TensorProto.FLOAT, None)
    )
    onnx.save(model, path)
    encoder = folder.load()
    with pytest.raises(
        pyengine.UnsupportedModelError, match=r"output sentence_embedding.*pooling="
    ):
        encoder.encode(TEXTS[0])
    texts, states = golden_states()
    expected = np.stack([h.max(axis=0) for h in states])
    assert difference(encoder.encode(texts, pooling="max"), expected) < 1e-5
    assert (
        difference(folder.modules("Pooling", pooling_mode="max").load().encode(texts), expected)
        < 1e-5
    )


def test_info_says_how_vectors_are_made(folder: Folder):
    assert "mean of the hidden states\n" in format_info(describe(folder.load()))
    folder.modules("Pooling", "Normalize", pooling_mode=["cls", "max"])
    folder.write("sentence_bert_config.json", {"max_seq_length": 12})
    prompts = {"prompts": {"query": "q: "}, "default_prompt_name": "query"}
    facts = describe(folder.write("config_sentence_transformers.json", prompts).load())
    told = "cls and max of the hidden states, normalised, at most 12 tokens, prompt 'query'"
    assert told in format_info(json.loads(json.dumps(facts)))
    facts = describe(folder.modules("Pooling", "Dense").load())
    assert "none: modules.json: module '2_Dense'" in format_info(facts)
