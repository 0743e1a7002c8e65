"""Tokenizers: tokenizer.json, SentencePiece models, vocabularies and what configures them."""

from __future__ import annotations

import functools
import json
import random
from typing import Any

from sentencepiece import sentencepiece_model_pb2 as proto

from pyengine.text import load_tokenizer

from .area import FIXTURES, Area, Files, Workplace, files_of
from .mutations import FLOATS, TEXTS, changed_bytes, changed_json, odd_integer

_FOLDERS = sorted(path.name for path in (FIXTURES / "tokenizers").iterdir() if path.is_dir())
_TEXTS = ("A dog runs.", "", " <unk></s> \u2581x\ufffd\n\t", ">>de<< e\u0301\U0001f600 \ud800")
_MODEL_TYPES = ("marian", "transformer", "m2m_100", "mbart", "t5", "mt5", "pegasus", "xlm-roberta")
_SETTINGS = b"""{"bos_token": "<s>", "unk_token": {"content": "<unk>", "lstrip": true},
"extra_special_tokens": ["__de__"], "additional_special_tokens": [], "src_lang": "en_XX",
"added_tokens_decoder": {"3": {"content": "<x>", "special": true}}, "add_prefix_space": false,
"do_lower_case": true, "model_max_length": 9, "tokenizer_class": "T5Tokenizer", "offset": 3,
"clean_up_tokenization_spaces": true, "extra_ids": 4, "legacy": false, "separate_vocabs": false}"""
_DEFAULTS = {
    "tokenizer_config.json": _SETTINGS,
    "added_tokens.json": b'{"<a>": 300, "__de__": 301, "<unk>": 3}',
}


class TokenizerFiles(Area):
    """Each input is one or two files of a folder, which its first name tells."""

    def make(self, rng: random.Random) -> Files:
        folder = rng.choice(_FOLDERS)
        sound = _place(folder).files
        files: dict[str, bytes] = {}
        for _ in range(rng.choice((1, 1, 2))):
            name = rng.choice((*sound, *_DEFAULTS))
            files[f"{folder}/{name}"] = self._changed(rng, name, sound)
        return files

    def run(self, files: Files) -> bool:
        [folder] = {name.partition("/")[0] for name in files}
        own = {name.partition("/")[2]: content for name, content in files.items()}
        with _place(folder).holding(own) as path:
            tokenizer = load_tokenizer(path, _config(folder, own))
        for ids in tokenizer.encode_batch(_TEXTS):
            tokenizer.decode(ids)
            tokenizer.unknown_characters(_TEXTS[0], ids)
        tokenizer.decode(range(0, 400, 7))
        tokenizer.decode([0, 2**31 - 1, 299, 300, 301])
        return True

    def _changed(self, rng: random.Random, name: str, sound: Files) -> bytes:
        if name.endswith(".json"):
            defaults = [_DEFAULTS[name]] if name in _DEFAULTS else []
            return changed_json(rng, rng.choice([*defaults, sound.get(name, *defaults)]))
        if rng.random() < 0.3:
            return changed_bytes(rng, sound[name])
        return _changed_pieces(rng, sound[name])


@functools.cache
def _place(name: str) -> Workplace:
    files = files_of(FIXTURES / "tokenizers" / name)
    return Workplace({name: files[name] for name in files if not name.startswith("golden")})


def _config(folder: str, own: Files) -> dict[str, Any]:
    """What config.json says, where the input leaves it sound; else by the folder's name."""
    content = own.get("config.json", _place(folder).files.get("config.json"))
    try:
        found = json.loads(content or b"{}")
    except (ValueError, RecursionError):
        found = {}
    kind = next((kind for kind in _MODEL_TYPES if folder.startswith(kind)), "bart")
    return {"model_type": kind, **(found if isinstance(found, dict) else {})}


def _changed_pieces(rng: random.Random, content: bytes) -> bytes:
    """A SentencePiece model with other pieces, scores, kinds, special ids or rules."""
    model = proto.ModelProto.FromString(content)
    for _ in range(rng.choice((1, 1, 2, 4))):
        piece = rng.choice(model.pieces) if model.pieces else model.pieces.add()
        kind = rng.randrange(7)
        if kind == 0:
            piece.piece = rng.choice(TEXTS).encode("utf-8", "replace").decode()
        elif kind == 1:
            number = rng.choice(FLOATS)
            piece.score = number if abs(number) < 3e38 or number != number else 0
        elif kind == 2:
            piece.type = rng.randrange(1, 7)
        elif kind == 3:
            field = rng.choice(("unk_id", "bos_id", "eos_id", "pad_id", "vocab_size", "model_type"))
            number = odd_integer(rng) if field != "model_type" else rng.randrange(1, 5)
            setattr(model.trainer_spec, field, max(-(2**31), min(number, 2**31 - 1)))
        elif kind == 4:
            field = rng.choice(("byte_fallback", "treat_whitespace_as_suffix"))
            setattr(model.trainer_spec, field, rng.random() < 0.5)
        elif kind == 5:
            rules = model.normalizer_spec.precompiled_charsmap
            model.normalizer_spec.precompiled_charsmap = changed_bytes(rng, rules[:4096])
        else:
            del model.pieces[rng.randrange(len(model.pieces)) :]
    return model.SerializeToString()
