"""Encoder-only models: hidden states, vectors and classes against transformers' recorded ones."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pyengine
from pyengine import _core
from pyengine.models.storage import output_names

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
FAMILIES = ("bert-cls", "roberta", "xlm-roberta-cls", "distilbert-cls")
CLASSIFIERS = tuple(name for name in FAMILIES if name.endswith("-cls"))


class Golden:
    """What transformers said: ids, last hidden states and logits of texts and of random ids."""

    def __init__(self, name: str) -> None:
        with np.load(FIXTURES / "golden" / f"{name.replace('-', '_')}.npz") as arrays:
            values = dict(arrays)
        self.texts: list[str] = values["texts"].tolist()
        count = sum(key.startswith("ids_") for key in values)
        self.ids = [values[f"ids_{k}"].tolist() for k in range(count)]
        self.hidden = [values[f"hidden_{k}"] for k in range(count)]
        self.logits = [values.get(f"logits_{k}") for k in range(count)]
        self.pairs = [tuple(pair) for pair in values["pairs"].tolist()]
        count = len(self.pairs) + 1
        self.pair_ids = [values[f"pair_ids_{k}"].tolist() for k in range(count)]
        self.pair_types = [values[f"pair_types_{k}"].tolist() for k in range(count)]
        self.pair_hidden = [values[f"pair_hidden_{k}"] for k in range(count)]
        self.pair_logits = [values.get(f"pair_logits_{k}") for k in range(count)]
        self.cut_ids = values["cut_ids"].tolist()


def load(name: str | Path, **settings: Any) -> pyengine.Encoder:
    return pyengine.Encoder(FIXTURES / name, **{"cache_dir": False, **settings})


def difference(found: np.ndarray, expected: np.ndarray) -> float:
    """Largest over the rows, of the row's largest entry."""
    return float(np.max(np.abs(found - expected).max(axis=-1) / np.abs(expected).max(axis=-1)))


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize(("compute_type", "bound"), [("float32", 1e-5), ("int8", 6e-2)])
def test_hidden_states_are_those_of_transformers(name, compute_type, bound):
    golden = Golden(name)
    found = load(name, compute_type=compute_type).forward(golden.ids)
    assert [hidden.dtype for hidden in found] == [np.float32] * len(found)
    for hidden, expected in zip(found, golden.hidden, strict=True):
        assert hidden.shape == expected.shape
        assert difference(hidden, expected) < bound


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_class_logits_are_those_of_transformers(name):
    golden, encoder = Golden(name), load(name)
    found = encoder.engine.classify(*pyengine._ragged.pack(golden.ids, 97), 4)
    np.testing.assert_allclose(found, np.stack(golden.logits), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", FAMILIES)
def test_nothing_depends_on_batch_threads_or_isa(name):
    golden = Golden(name)
    expected = load(name, threads=1, batch_size=1).forward(golden.ids)
    for isa in _core.available_isas():
        for threads, batch_size in ((1, 3), (2, 32)):
            encoder = load(name, threads=threads, batch_size=batch_size, isa=isa)
            for found, hidden in zip(encoder.forward(golden.ids * 9), expected * 9, strict=True):
                np.testing.assert_array_equal(found, hidden)


@pytest.mark.parametrize("compute_type", ["int8", "bfloat16"])
def test_smaller_types_do_not_depend_on_the_batch_either(compute_type):
    golden = Golden("bert-cls")
    encoder = load("bert-cls", compute_type=compute_type)
    together = encoder.forward(golden.ids)
    for ids, hidden in zip(golden.ids, together, strict=True):
        np.testing.assert_array_equal(encoder.forward([ids])[0], hidden)


@pytest.mark.parametrize("name", FAMILIES)
def test_texts_have_the_ids_of_transformers(name):
    golden = Golden(name)
    assert load(name).tokenize(golden.texts) == golden.ids[: len(golden.texts)]


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("normalize", [False, True])
def test_encode_pools_the_hidden_states(name, normalize):
    golden, encoder = Golden(name), load(name)
    pools = {
        "mean": lambda h: h.mean(axis=0),
        "cls": lambda h: h[0],
        "max": lambda h: h.max(axis=0),
    }
    for pooling, pool in pools.items():
        states = [h.astype(np.float64) for h in golden.hidden[: len(golden.texts)]]
        expected = np.stack([pool(hidden) for hidden in states])
        if normalize:
            expected /= np.linalg.norm(expected, axis=1, keepdims=True)
        found = encoder.encode(golden.texts, pooling=pooling, normalize=normalize)
        assert found.dtype == np.float32
        assert difference(found, expected) < 1e-5
        alone = encoder.encode(golden.texts[1], pooling=pooling, normalize=normalize)
        np.testing.assert_array_equal(alone, found[1])


def test_encode_takes_more_texts_than_it_holds_states_of():
    encoder = load("bert-cls", batch_size=2)
    texts = [f"a dog runs{' and runs' * (n % 7)} ." for n in range(50)]
    found = encoder.encode(texts)
    for n in (0, 1, 49):
        np.testing.assert_array_equal(encoder.encode(texts[n]), found[n])
    assert encoder.encode([]).shape == (0, 64)
    assert encoder.forward([]) == []
    assert encoder.classify([]) == []


def test_classes_come_by_their_names_and_probabilities():
    golden, encoder = Golden("bert-cls"), load("bert-cls")
    assert encoder.labels == ("sad", "calm", "glad")
    for text, logits, found in zip(
        golden.texts, golden.logits, encoder.classify(golden.texts), strict=False
    ):
        exp = np.exp(logits.astype(np.float64) - logits.max())
        expected = dict(zip(encoder.labels, exp / exp.sum(), strict=True))
        assert found == pytest.approx(expected, abs=1e-6)
        assert list(found) == sorted(expected, key=lambda label: -expected[label])
        assert encoder.classify(text) == found


def copied(tmp_path: Path, name: str, **fields: Any) -> Path:
    """A copy of a fixture with fields of its config.json changed; None removes one."""
    folder = tmp_path / name
    shutil.copytree(FIXTURES / name, folder)
    config = json.loads((folder / "config.json").read_text()) | fields
    config = {key: value for key, value in config.items() if value is not None}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_labels_that_do_not_exclude_each_other(tmp_path):
    logits = Golden("bert-cls").logits[0].astype(np.float64)
    folder = copied(tmp_path, "bert-cls", problem_type="multi_label_classification")
    found = load(folder).classify("A dog runs.")
    expected = dict(zip(("sad", "calm", "glad"), 1 / (1 + np.exp(-logits)), strict=True))
    assert found == pytest.approx(expected, abs=1e-6)
    one = load("xlm-roberta-cls").classify("A dog runs.")
    logit = float(Golden("xlm-roberta-cls").logits[0][0])
    assert one == pytest.approx({"LABEL_0": 1 / (1 + np.exp(-logit))}, abs=1e-6)
    regression = copied(tmp_path, "xlm-roberta-cls", problem_type="regression")
    assert load(regression).classify("A dog runs.") == pytest.approx({"LABEL_0": logit}, abs=1e-5)


def test_two_labels_need_no_names():
    assert load("distilbert-cls").labels == ("LABEL_0", "LABEL_1")


def test_the_cache_gives_the_same_bits(tmp_path):
    golden = Golden("bert-cls")
    first = load("bert-cls", cache_dir=tmp_path)
    second = load("bert-cls", cache_dir=tmp_path)
    assert (first.from_cache, second.from_cache) == (False, True)
    for a, b in zip(first.forward(golden.ids), second.forward(golden.ids), strict=True):
        np.testing.assert_array_equal(a, b)
    assert first.classify("a dog") == second.classify("a dog")


def test_longer_than_the_positions():
    for name in ("bert-cls", "roberta"):
        encoder = load(name)
        assert encoder.config.max_positions == 40
        assert len(encoder.forward([[5] * 40])[0]) == 40
        with pytest.raises(pyengine.InputError, match="item 1: found 41 tokens, expected 1 to 40"):
            encoder.forward([[5], [5] * 41])
        text = "dog " * 50
        with pytest.raises(pyengine.InputError, match=r"item 0: 52 tokens.*truncate=True"):
            encoder.encode([text])
        with pytest.warns(pyengine.TruncationWarning, match="item 0: 52 tokens"):
            cut = encoder.tokenize([text], truncate=True)[0]
        assert len(cut) == 40
        assert cut[-1] == 1  # the end token stays


def test_wrong_arguments():
    encoder = load("bert-cls")
    with pytest.raises(pyengine.OptionError, match="pooling: found 'sum', expected 'mean', 'cls'"):
        encoder.encode("a dog", pooling="sum")
    with pytest.raises(
        pyengine.InputTypeError, match="item 1: expected a string or a pair of strings, found int"
    ):
        encoder.encode(["a dog", 5])
    with pytest.raises(pyengine.InputError, match=r"item 0, position 1: .*97"):
        encoder.forward([[5, 97]])
    with pytest.raises(pyengine.InputError, match="item 0: found 0 tokens"):
        encoder.forward([[]])
    with pytest.raises(pyengine.UnsupportedModelError, match=r"no head for classes.*text-classif"):
        load("roberta").classify("a dog")
    encoder.close()
    with pytest.raises(pyengine.ClosedError, match="the encoder of"):
        encoder.encode("a dog")
    with pytest.raises(ValueError, match="has no decoder"):
        load("bert-cls").engine.score(
            *pyengine._ragged.pack([[5]], 97), *pyengine._ragged.pack([[5]], 97), 0, 1
        )


def test_the_other_class_is_named():
    with pytest.raises(pyengine.UnsupportedModelError, match=r"bert is no.*pyengine\.Encoder"):
        pyengine.Translator(FIXTURES / "bert-cls", cache_dir=False)
    with pytest.raises(pyengine.UnsupportedModelError, match=r"marian is no.*pyengine\.Translator"):
        load("marian-odd")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_hidden_layers": 1}, "encoder_layers: found 2, expected 1"),
        ({"num_hidden_layers": 3}, "encoder_layers: found 2, expected 3"),
        ({"num_attention_heads": 8}, "attention heads: found 16, expected 8"),
        ({"hidden_act": "relu"}, "activation_function: found gelu, expected relu"),
        ({"layer_norm_eps": 1e-3}, r"epsilon: found 9\.99\d*e-13, expected 0\.001"),
        ({"type_vocab_size": 5}, "embed_types.weight.*expected .5, 64. by config"),
        ({"max_position_embeddings": 41}, "embed_positions.weight.*expected .41, 64. by config"),
        ({"id2label": {"0": "a", "1": "b"}}, "expected .64, 2. by config"),
        (
            {"id2label": {"0": "a", "2": "b"}},
            "id2label has the ids 0, 2, expected names for 0 to 1",
        ),
        ({"id2label": {"0": "a", "1": "a"}}, "one name for two classes"),
        ({"id2label": 7}, "id2label is 7"),
        ({"hidden_size": None}, "'hidden_size' is missing"),
    ],
)
def test_a_configuration_that_is_not_the_graphs(tmp_path, fields, message):
    with pytest.raises(pyengine.ModelFormatError, match=message):
        load(copied(tmp_path, "bert-cls", **fields))


def test_roberta_needs_positions_after_padding(tmp_path):
    with pytest.raises(pyengine.ModelFormatError, match=r"more than pad_token_id \+ 1 = 43"):
        load(copied(tmp_path, "roberta", pad_token_id=42))


def test_the_file_may_lie_in_a_subfolder(tmp_path):
    folder = copied(tmp_path, "roberta")
    (folder / "onnx").mkdir()
    (folder / "model.onnx").rename(folder / "onnx" / "model.onnx")
    assert load(folder).forward([[5]])[0].shape == (1, 48)
    (folder / "onnx" / "model.onnx").unlink()
    with pytest.raises(pyengine.ModelNotFoundError, match=r"expected model\.onnx"):
        load(folder)


def test_output_names_are_read_without_onnx(tmp_path):
    path = FIXTURES / "bert-cls" / "model.onnx"
    assert output_names(path) == ["logits"]
    assert output_names(FIXTURES / "roberta" / "model.onnx") == ["last_hidden_state"]
    (tmp_path / "cut.onnx").write_bytes(path.read_bytes()[:-100])
    with pytest.raises(pyengine.ModelFormatError, match="truncated"):
        output_names(tmp_path / "cut.onnx")
