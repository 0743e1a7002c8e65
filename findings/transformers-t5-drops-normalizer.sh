#!/usr/bin/env bash
# transformers 5.24.0, tokenizers 0.23.3
#
# Expected: a tokenizer.json is used as it stands, whatever class tokenizer_config.json names.
# Seen: where it names T5Tokenizer, only the vocabulary is taken and the rest is rebuilt from the class: a normalizer that
# makes everything lower case is gone. With the class PreTrainedTokenizerFast the same file keeps it.
# Why it matters: people train T5-like translation models with a tokenizer of their own and name the class of the family.
# Version 4.57.6 used the whole file; now the models get other ids than in training, with no warning, and translate worse.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check transformers==5.24.0 tokenizers==0.23.3
cd "$folder"
venv/bin/python - <<'PYTHON'
import json
from pathlib import Path

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import AutoTokenizer

special = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -2.0)]
words = [("▁hello", -3.0), ("▁world", -3.0), ("▁HELLO", -3.0)]
letters = [(letter, -8.0) for letter in "▁abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"]
own = Tokenizer(models.Unigram(special + words + letters, unk_id=2))
own.normalizer = normalizers.Lowercase()
own.pre_tokenizer = pre_tokenizers.Metaspace()


def pieces(name: str) -> list[str]:
    folder = Path(name)
    folder.mkdir()
    own.save(str(folder / "tokenizer.json"))
    roles = {"eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": name, "extra_ids": 0, **roles}))
    (folder / "config.json").write_text(json.dumps({"model_type": "t5"}))
    return AutoTokenizer.from_pretrained(name).tokenize("HELLO world")


print("the file itself:        ", own.encode("HELLO world").tokens)
general, family = pieces("PreTrainedTokenizerFast"), pieces("T5Tokenizer")
print("PreTrainedTokenizerFast:", general)
print("T5Tokenizer:            ", family)
assert own.encode("HELLO world").tokens == general == ["▁hello", "▁world"]
assert family == ["▁HELLO", "▁world"], "the behaviour has changed"
PYTHON
