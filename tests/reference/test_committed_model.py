"""The committed English-German model: its files, its goldens and its quality."""

import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
sentencepiece = pytest.importorskip("sentencepiece")
pytest.importorskip("onnxruntime")

from tools.reference.folder import load_folder  # noqa: E402
from tools.reference.onnx_check import check_translation_model  # noqa: E402
from tools.reference.search import beam_search  # noqa: E402

FIXTURES = Path(__file__).parents[1] / "fixtures"
FOLDER = FIXTURES / "multi30k-en-de"
DATA = Path(__file__).parents[3] / "shared" / "data" / "multi30k"


@pytest.fixture(scope="module")
def model():
    return load_folder(FOLDER)


@pytest.fixture(scope="module")
def tokenizer():
    return sentencepiece.SentencePieceProcessor(model_file=str(FOLDER / "spiece.model"))


def golden(name):
    """The sources and one case of the golden search results."""
    content = json.loads((FIXTURES / "golden" / "multi30k_search.json").read_text("utf-8"))
    return content["sources"], next(x for x in content["cases"] if x["name"] == name)


def test_the_folder_is_small():
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 30e6


def test_onnxruntime_agrees(model):
    assert check_translation_model(model, FOLDER) < 1e-5


def test_the_tokenizer_configuration_means_sentencepiece_ids(tokenizer):
    transformers = pytest.importorskip("transformers")
    oracle = transformers.T5Tokenizer.from_pretrained(FOLDER)
    sources, _ = golden("greedy")
    for source in sources:
        assert tokenizer.encode(source["text"], add_eos=True) == source["ids"]
        assert oracle(source["text"]).input_ids == source["ids"]


def test_beam_search_gives_the_goldens(model):
    sources, case = golden("best_5_of_5")
    for result in case["results"]:
        ids = torch.tensor([sources[result["source"]]["ids"]])
        found = beam_search(model, ids, torch.ones_like(ids), num_beams=5, max_length=128)[0]
        assert [h.ids for h in found] == [h["ids"] for h in result["hypotheses"]]
        scores = [h["score"] for h in result["hypotheses"]]
        assert [h.score for h in found] == pytest.approx(scores, abs=1e-4)


@pytest.mark.skipif(not DATA.exists(), reason="Multi30k is not part of the repository")
def test_bleu_of_100_sentences(model, tokenizer):
    pytest.importorskip("sacrebleu")
    pytest.importorskip("sacremoses")
    from tools.reference.data import read_lines
    from tools.reference.evaluate import lowercased_bleu, pytorch_translate

    source, target = (read_lines(DATA / f"test_2016_flickr.{x}.gz")[:100] for x in ("en", "de"))
    translations = pytorch_translate(model, tokenizer, num_beams=5)(source)
    assert lowercased_bleu(translations, target) > 35
