"""Tiny tokenizer folders of the encoder-decoder families, for tools/make_tokenizer_goldens.py.

Each is written by the family's own class in transformers, as its folders are, from a SentencePiece
model or a byte-level BPE trained on made-up sentences.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import tokenizers
import transformers
from transformers.models.m2m_100.tokenization_m2m_100 import FAIRSEQ_LANGUAGE_CODES

Train = Callable[..., None]
"""Trains a SentencePiece model and writes it: path, seed, options of the trainer."""

IDS = {"bos_id": 1, "eos_id": 2, "unk_id": 0, "pad_id": -1}


def write_json(path: Path, content: Any) -> None:
    """Compact JSON with a line end."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    path.write_text(text + "\n", encoding="utf-8")


def make_bart(folder: Path, sentences: Iterable[str]) -> None:
    """BartTokenizerFast: byte-level BPE, ``<s> X </s>``."""
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    bpe = tokenizers.ByteLevelBPETokenizer()
    bpe.train_from_iterator(sentences, vocab_size=420, special_tokens=special, show_progress=False)
    with tempfile.TemporaryDirectory() as scratch:
        bpe.save_model(scratch)
        files = {"vocab_file": f"{scratch}/vocab.json", "merges_file": f"{scratch}/merges.txt"}
        _save(transformers.BartTokenizerFast(**files), folder)


def make_fast(folder: Path, train: Train, tokenizer_class: Any, seed: int, **options: Any) -> None:
    """A fast tokenizer that its class converts from a SentencePiece model."""
    with tempfile.TemporaryDirectory() as scratch:
        model = Path(scratch, "sentencepiece.bpe.model")
        train(model, seed, vocab_size=300, **{"model_type": "unigram", **IDS, **options})
        _save(tokenizer_class(vocab_file=str(model)), folder)


def make_pegasus(folder: Path, train: Train) -> None:
    """PegasusTokenizerFast: ``X </s>``, with its own masks and unused tokens."""
    ids = {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}
    make_fast(folder, train, transformers.PegasusTokenizerFast, 21, **ids)


def make_mbart(folder: Path, train: Train) -> None:
    """MBartTokenizerFast: ``X </s> [language]``."""
    make_fast(folder, train, transformers.MBartTokenizerFast, 22)
    write_json(folder / "config.json", {"model_type": "mbart"})


def make_mbart50(folder: Path, train: Train) -> None:
    """MBart50TokenizerFast: ``[language] X </s>``."""
    make_fast(folder, train, transformers.MBart50TokenizerFast, 23)
    write_json(folder / "config.json", {"model_type": "mbart"})


def make_nllb(folder: Path, train: Train) -> None:
    """NllbTokenizerFast, whose file adds the tokens in the order of old: ``X </s> [language]``."""
    make_fast(folder, train, transformers.NllbTokenizerFast, 24, model_type="bpe")
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text("utf-8"))
    template = content["post_processor"]["single"]
    content["post_processor"]["single"] = [*template[1:], template[0]]
    write_json(path, content)
    write_json(folder / "config.json", {"model_type": "m2m_100"})


def make_m2m(folder: Path, train: Train, pieces: Callable[[Path], list[str]]) -> None:
    """M2M100Tokenizer as the folders of the hub have it, without ``added_tokens_decoder``."""
    model = folder / "sentencepiece.bpe.model"
    train(model, 25, vocab_size=280, **{"model_type": "bpe", **IDS})
    tokens = ["<s>", "<pad>", "</s>", "<unk>", *pieces(model)]
    tokens += [f"madeupword{i:04}" for i in range(3)]
    write_json(folder / "vocab.json", {token: number for number, token in enumerate(tokens)})
    languages = [f"__{code}__" for code in FAIRSEQ_LANGUAGE_CODES["m2m100"]]
    names = {"bos_token": "<s>", "eos_token": "</s>", "sep_token": "</s>", "unk_token": "<unk>"}
    special = {**names, "pad_token": "<pad>", "additional_special_tokens": languages}
    write_json(folder / "special_tokens_map.json", special)
    settings = {"src_lang": None, "tgt_lang": None, "tokenizer_class": "M2M100Tokenizer"}
    write_json(folder / "tokenizer_config.json", {**names, **settings})
    write_json(folder / "config.json", {"model_type": "m2m_100"})


def make_numbered(
    folder: Path,
    train: Train,
    tokenizer_class: Any,
    seed: int,
    keep: tuple[str, ...] = (),
    **options: Any,
) -> None:
    """A folder without tokenizer.json: the SentencePiece model, and of what the class saves the
    files to keep."""
    model = folder / tokenizer_class.vocab_files_names["vocab_file"]
    ids = IDS if "bpe" in model.name else {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}
    train(model, seed, vocab_size=300, model_type="unigram", **ids)
    with tempfile.TemporaryDirectory() as scratch:
        tokenizer_class(vocab_file=str(model), **options).save_pretrained(scratch)
        for name in keep:
            write_json(folder / name, json.loads(Path(scratch, name).read_text("utf-8")))
    kinds = {"T5": "t5", "Pegasus": "pegasus", "XLM": "xlm-roberta", "MBart": "mbart"}
    name = tokenizer_class.__name__
    model_type = next((kinds[start] for start in kinds if name.startswith(start)), "m2m_100")
    write_json(folder / "config.json", {"model_type": model_type, "tokenizer_class": name})


def source_ids(oracle: Any, lines: list[str]) -> dict[str, list[list[int]]]:
    """The ids of a few lines from every language that the oracle knows; none of most oracles."""
    if not hasattr(oracle, "src_lang"):
        return {}
    if hasattr(oracle, "lang_code_to_token"):
        codes = list(oracle.lang_code_to_token)
    else:
        codes = [token for token in oracle.additional_special_tokens if "_" in token]
    default, found = oracle.src_lang, {}
    for code in codes:
        oracle.src_lang = code
        found[code] = [oracle(line)["input_ids"] for line in lines]
    oracle.src_lang = default
    return found


def _save(tokenizer: Any, folder: Path) -> None:
    """What a folder with a ``tokenizer.json`` needs, without line breaks."""
    tokenizer.save_pretrained(folder)
    keep = {"tokenizer.json", "tokenizer_config.json"}
    for path in folder.iterdir():
        if path.name in keep:
            write_json(path, json.loads(path.read_text("utf-8")))
        elif path.suffix != ".gz":
            path.unlink()
