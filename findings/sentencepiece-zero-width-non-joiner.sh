#!/usr/bin/env bash
# sentencepiece 0.2.3
#
# Expected: the rule nmt_nfkc, which training takes unless told otherwise, does what NFKC does and tidies spaces. NFKC
# leaves U+200C, the zero-width non-joiner, in the text, and so does the library's rule nfkc.
# Seen: nmt_nfkc puts a space in its place. U+200D, the joiner, stays.
# Why it matters: Persian and Kurdish write it within words, as in the Persian for "I want". A model with this rule reads
# two words for one and can never write the sign, since it is in none of its training texts: each such word comes
# out wrongly spelt, and no round trip through the tokenizer gives the text back.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check sentencepiece==0.2.3
cd "$folder"
venv/bin/python - <<'PYTHON'
import io
import unicodedata

import sentencepiece

WORD = "می\u200cخواهم"


def normalized(text: str, **settings: str) -> str:
    file = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([f"{WORD} به خانه بروم"] * 30),
        model_writer=file,
        vocab_size=24,
        hard_vocab_limit=False,
        add_dummy_prefix=False,
        minloglevel=2,
        **settings,
    )
    return sentencepiece.SentencePieceNormalizer(model_proto=file.getvalue()).normalize(text)


default, plain = normalized(WORD), normalized(WORD, normalization_rule_name="nfkc")
print("text:   ", ascii(WORD))
print("NFKC:   ", ascii(plain))
print("default:", ascii(default))  # the library writes U+2581 for a space
assert plain == unicodedata.normalize("NFKC", WORD) == WORD
assert normalized("a\u200db") == "a\u200db"
assert default == WORD.replace("\u200c", "▁"), "the behaviour has changed"
PYTHON
