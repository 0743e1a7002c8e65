#!/usr/bin/env bash
# @huggingface/tokenizers 0.2.0 (npm), tokenizers 0.23.3, sentencepiece 0.2.3
#
# Expected: the normalizer Precompiled follows the table that stands beside it in tokenizer.json.
# Seen: the JavaScript library takes the Unicode form NFKC whatever the table says. SentencePiece's rule nmt_nfkc_cf also
# folds case: "CAT" is one unknown piece in JavaScript, and "c", "at" in SentencePiece and in the Python library of the
# same name, which reads the table.
# Why it matters: the same tokenizer.json gives a translation model other tokens in a browser than on a server.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check tokenizers==0.23.3 sentencepiece==0.2.3 protobuf==7.36.2
cd "$folder"
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund @huggingface/tokenizers@0.2.0
venv/bin/python - <<'PYTHON'
import io
import json
import subprocess

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import Tokenizer, decoders, models, normalizers

SCRIPT = """
import {readFileSync} from "fs";
import {Tokenizer} from "@huggingface/tokenizers";
const tokenizer = new Tokenizer(JSON.parse(readFileSync("tokenizer.json")), {});
console.log(JSON.stringify(tokenizer.encode(process.argv[1]).tokens));
"""


def tokens(rule, text):
    """The pieces of `text` in SentencePiece, in tokenizers and in the JavaScript library."""
    file = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["the cat sat on the mat"] * 50),
        model_writer=file,
        vocab_size=30,
        hard_vocab_limit=False,
        add_dummy_prefix=False,
        normalization_rule_name=rule,
        minloglevel=2,
    )
    model = sentencepiece_model_pb2.ModelProto.FromString(file.getvalue())
    pieces = [(piece.piece, piece.score) for piece in model.pieces]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=0))
    tokenizer.normalizer = normalizers.Precompiled(model.normalizer_spec.precompiled_charsmap)
    tokenizer.save("tokenizer.json")
    script = subprocess.run(["node", "--input-type=module", "-e", SCRIPT, text], capture_output=True, check=True)
    original = sentencepiece.SentencePieceProcessor(model_proto=file.getvalue())
    return original.encode(text, out_type=str), tokenizer.encode(text).tokens, json.loads(script.stdout)


SEEN = {
    ("nmt_nfkc", "CAT"): (["CAT"], ["CAT"], ["CAT"]),
    ("nmt_nfkc_cf", "cat"): (["c", "at"], ["c", "at"], ["c", "at"]),
    ("nmt_nfkc_cf", "CAT"): (["c", "at"], ["c", "at"], ["CAT"]),
}
for (rule, text), expected in SEEN.items():
    found = tokens(rule, text)
    print(f"{rule:11} {text}: SentencePiece {found[0]}, tokenizers {found[1]}, JavaScript {found[2]}")
    assert found == expected, "the behaviour has changed"
PYTHON
