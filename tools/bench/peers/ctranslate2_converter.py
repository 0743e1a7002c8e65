"""A MarianMT checkpoint without a tokenizer in CTranslate2's format, its tokens named by their ids.

CTranslate2's own code does the work. For OPUS-MT's models it takes two liberties that are wrong for
others: it drops the last id (the padding) and starts the decoder from a zero vector.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from ctranslate2.converters.converter import Converter
from ctranslate2.converters.transformers import BartLoader, MarianMTLoader

from tools.bench.peers.ctranslate2_tokens import END, MARIAN_CONFIG, UNKNOWN, token_names
from tools.bench.store import read_config


def convert_marian(checkpoint: Path, out: Path, quantization: str) -> None:
    """Write the folder ``out``, which may exist; needs torch and transformers."""
    _Converter(checkpoint).convert(str(out), quantization=quantization, force=True)
    shutil.copyfile(checkpoint / "config.json", out / MARIAN_CONFIG)


class _Converter(Converter):
    def __init__(self, checkpoint: Path) -> None:
        self._checkpoint = checkpoint

    def _load(self) -> Any:
        import torch
        from transformers import MarianMTModel

        config = read_config(self._checkpoint)
        like_opus = config["decoder_start_token_id"] == config["pad_token_id"]
        loader = MarianMTLoader() if like_opus else _OtherMarianLoader()
        with torch.no_grad():
            model = MarianMTModel.from_pretrained(self._checkpoint)
            return loader(model, _Names(token_names(config)))


class _OtherMarianLoader(MarianMTLoader):
    """Keeps every id and the embedding of the decoder's start token."""

    set_config = BartLoader.set_config
    set_decoder = BartLoader.set_decoder
    get_vocabulary = BartLoader.get_vocabulary

    def _remove_pad_weights(self, spec: Any) -> None:
        pass


class _Names:
    """What the loaders ask of a tokenizer."""

    eos_token, unk_token, bos_token = END, UNKNOWN, END

    def __init__(self, names: list[str]) -> None:
        self._names = names

    def get_vocab(self) -> dict[str, int]:
        return {name: token_id for token_id, name in enumerate(self._names)}

    def convert_ids_to_tokens(self, token_id: int) -> str:
        return self._names[token_id]
