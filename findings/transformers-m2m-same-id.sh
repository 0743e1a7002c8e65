#!/usr/bin/env bash
# transformers 5.24.0
#
# Expected: a special token that one adds to an M2M-100 folder as it stands on the hub (vocab.json and a SentencePiece
# model) gets an id of its own.
# Seen: it gets the first id after the vocabulary file, which the language token __af__ has already. Both encode to that
# id, and decoding it gives the new token.
# Why it matters: whoever marks names or formality with a token of their own tells the model "this is Afrikaans" instead,
# and training it changes the language token.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check transformers==5.24.0 tokenizers==0.23.3 sentencepiece==0.2.3
cd "$folder"
venv/bin/python - <<'PYTHON'
import json
from pathlib import Path

import sentencepiece
from transformers import AutoTokenizer

sentencepiece.SentencePieceTrainer.train(
    sentence_iterator=iter([f"the quick brown fox jumps over the lazy dog {n}" for n in range(100)]),
    model_prefix="sentencepiece.bpe",
    vocab_size=60,
    hard_vocab_limit=False,
    minloglevel=2,
)
model = sentencepiece.SentencePieceProcessor(model_file="sentencepiece.bpe.model")
pieces = [model.id_to_piece(number) for number in range(3, model.get_piece_size())]
vocabulary = {piece: number for number, piece in enumerate(["<s>", "<pad>", "</s>", "<unk>", *pieces])}
Path("vocab.json").write_text(json.dumps(vocabulary))
Path("config.json").write_text(json.dumps({"model_type": "m2m_100"}))
settings = {"tokenizer_class": "M2M100Tokenizer", "extra_special_tokens": ["<q>"]}
Path("tokenizer_config.json").write_text(json.dumps(settings))

tokenizer = AutoTokenizer.from_pretrained(".", src_lang="af")
own, language = tokenizer.convert_tokens_to_ids(["<q>", "__af__"])
print("size of vocab.json:", len(vocabulary))
print("id of <q>:         ", own, tokenizer("<q>").input_ids)
print("id of __af__:      ", language, tokenizer.get_lang_id("af"))
print("that id decodes to:", tokenizer.decode([language]))
assert language == tokenizer.get_lang_id("af") == len(vocabulary)
assert own == language and tokenizer.decode([language]) == "<q>", "the behaviour has changed"
PYTHON
