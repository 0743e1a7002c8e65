"""Make tests/fixtures/class_settings.json.gz: what tokenizer_config.json changes of tokenizer.json.

    python -m tools.make_class_setting_goldens

Run it once with transformers 5.24, then once with 4.57.6: each run adds what its version says. The
file holds {"lines", "tokenizers": {name: tokenizer.json}, "cases": [{"tokenizer": name, "class",
"model_type", "settings", "ids": {version: a list for each line, or null where it raises}}]}.
"""

from __future__ import annotations

import gzip
import json
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import transformers
from tokenizers import (
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

HERE = Path(__file__).resolve().parent
OUTPUT = HERE.parent / "tests" / "fixtures" / "class_settings.json.gz"

LINES = [
    "The QUICK brown fox, and two dogs.",
    "\u00c9l\u00e8ve Stra\u00dfe M\u00c4DCHEN na\u00efve Fa\u00e7ade",
    "e\u0301 a\u0308 combined",
    "\u65e5\u672c\u8a9e\u306e\u6587 and \u4e2d\u6587 mixed\u4e2d\u6587words",
    "  two  spaces and\ttabs ",
    "numbers 1999 and 3.14",
    "<s> special </s> tokens [MASK] <mask>",
    "\x00control\x85 \u200bcharacters\ufffd",
    "",
    " ",
]
WORDS = [*" ".join(LINES).split(), "the", "quick", "fox", "dog", "runs", "eleve", "madchen"]


def texts() -> Iterator[str]:
    """What the tokenizers are trained on."""
    rng = random.Random(3)
    return (" ".join(rng.choice(WORDS) for _ in range(12)) for _ in range(500))


def word_piece(lowercase: bool) -> dict[str, Any]:
    """BERT's tokenizer, cased or not."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=260, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(texts(), trainer)
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    return json.loads(tokenizer.to_str())


def byte_level(pre_tokenizer: Any, post_processor: Any) -> dict[str, Any]:
    """A byte-level BPE."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    trainer = trainers.BpeTrainer(
        vocab_size=330,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts(), trainer)
    tokenizer.post_processor = post_processor
    tokenizer.decoder = decoders.ByteLevel()
    return json.loads(tokenizer.to_str())


def llama() -> dict[str, Any]:
    """A BPE over marked words, as LlamaTokenizer has it."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace("\u2581", prepend_scheme="first", split=True)
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(vocab_size=500, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(texts(), trainer)
    content = json.loads(tokenizer.to_str())
    content["added_tokens"] = content["added_tokens"][:3]
    content["pre_tokenizer"]["split"] = False
    template = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    content["post_processor"] = json.loads(template.__getstate__())
    steps = [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()]
    decoder = decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)])
    content["decoder"] = json.loads(decoder.__getstate__())
    return content


def make_tokenizers() -> dict[str, dict[str, Any]]:
    """Every ``tokenizer.json`` by name."""
    qwen2 = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(
                Regex(
                    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|"
                    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
                ),
                "isolated",
            ),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    sides = ("</s>", 2), ("<s>", 0)
    return {
        "cased": word_piece(lowercase=False),
        "uncased": word_piece(lowercase=True),
        "roberta": byte_level(
            pre_tokenizers.ByteLevel(add_prefix_space=False), processors.RobertaProcessing(*sides)
        ),
        "roberta-prefix": byte_level(
            pre_tokenizers.ByteLevel(add_prefix_space=True), processors.RobertaProcessing(*sides)
        ),
        "gpt2": byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False), None),
        "qwen2": {
            **byte_level(qwen2, processors.ByteLevel(trim_offsets=False)),
            "normalizer": {"type": "NFC"},
        },
        "llama": llama(),
    }


BERT_TOKENS = {"unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]"}
BERT_TOKENS |= {"cls_token": "[CLS]", "mask_token": "[MASK]"}
BERT_SETTINGS: tuple[dict[str, Any], ...] = (
    {},
    {"do_lower_case": False},
    {"do_lower_case": True},
    {"do_lower_case": False, "strip_accents": True},
    {"do_lower_case": True, "strip_accents": False},
    {"do_lower_case": False, "tokenize_chinese_chars": False},
)
ROBERTA_TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "sep_token": "</s>", "cls_token": "<s>"}
ROBERTA_TOKENS |= {"unk_token": "<unk>", "pad_token": "<pad>", "mask_token": "<mask>"}
PREFIXES: tuple[dict[str, Any], ...] = (
    {},
    {"add_prefix_space": True},
    {"add_prefix_space": False},
)
AROUND: tuple[dict[str, Any], ...] = (
    {"add_bos_token": True},
    {"add_bos_token": False},
    {"add_eos_token": True},
)
LLAMA_TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}


def make_cases() -> Iterator[dict[str, Any]]:
    """Every case without its ids."""

    def case(tokenizer: str, kind: str | None, model_type: str, settings: dict[str, Any]) -> Any:
        return {
            "tokenizer": tokenizer,
            "class": kind,
            "model_type": model_type,
            "settings": settings,
            "ids": {},
        }

    for name in ("cased", "uncased"):
        for settings in BERT_SETTINGS:
            yield case(name, "BertTokenizer", "bert", {**BERT_TOKENS, **settings})
        everything = {**BERT_TOKENS, "do_lower_case": name == "cased", "strip_accents": True}
        yield case(name, "DistilBertTokenizerFast", "distilbert", everything)
        yield case(name, "PreTrainedTokenizerFast", "bert", everything)
        yield case(name, None, "bert", BERT_TOKENS)
    for settings in PREFIXES:
        for name in ("roberta", "roberta-prefix"):
            own = {**ROBERTA_TOKENS, **settings}
            yield case(name, "BartTokenizer", "bart", own)
            yield case(name, "RobertaTokenizerFast", "roberta", own)
            yield case(name, None, "roberta", own)
            yield case(name, "PreTrainedTokenizerFast", "roberta", own)
        yield case("gpt2", "GPT2Tokenizer", "gpt2", {**LLAMA_TOKENS, **settings})
        yield case("qwen2", "Qwen2Tokenizer", "qwen2", {**LLAMA_TOKENS, **settings})
        yield case("llama", "LlamaTokenizer", "llama", {**LLAMA_TOKENS, **settings})
    for settings in AROUND:
        yield case("gpt2", "GPT2Tokenizer", "gpt2", {**LLAMA_TOKENS, **settings})
        yield case("llama", "LlamaTokenizerFast", "llama", {**LLAMA_TOKENS, **settings})
        yield case("llama", "PreTrainedTokenizerFast", "llama", {**LLAMA_TOKENS, **settings})


def ids_of(case: dict[str, Any], content: dict[str, Any]) -> list[list[int]] | None:
    """What this version of transformers makes of the lines; None if it refuses the folder."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        named = {"tokenizer_class": case["class"]} if case["class"] else {}
        for name, value in (
            ("tokenizer.json", content),
            ("tokenizer_config.json", {**case["settings"], **named}),
            ("config.json", {"model_type": case["model_type"]}),
        ):
            (folder / name).write_text(json.dumps(value))
        try:
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        except ValueError:  # it wants the SentencePiece model that the file was converted from
            return None
        return [tokenizer(line)["input_ids"] for line in LINES]


def main() -> None:
    """Add this version's answers to the file, or begin it."""
    if transformers.__version__.startswith("5"):
        golden = {"lines": LINES, "tokenizers": make_tokenizers(), "cases": list(make_cases())}
    else:
        golden = json.loads(gzip.decompress(OUTPUT.read_bytes()))
    for case in golden["cases"]:
        case["ids"][transformers.__version__] = ids_of(
            case, golden["tokenizers"][case["tokenizer"]]
        )
    data = json.dumps(golden, separators=(",", ":")).encode()
    OUTPUT.write_bytes(gzip.compress(data, 9, mtime=0))


if __name__ == "__main__":
    main()
