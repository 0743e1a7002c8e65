#!/usr/bin/env bash
# tokenizers 0.23.3, sentencepiece 0.2.3
#
# Expected: the normalizer Precompiled does with SentencePiece's own table of rules what SentencePiece does with it.
# Seen: it looks up a short letter together with its accents, takes the first rule that fits the beginning and replaces
# all of it, so that an accent after a letter of its own rule is dropped: the Dutch "bĳ́na" (one letter ij with an acute
# accent) becomes "bijna", a wide letter with an accent becomes the plain letter, and the halfwidth katakana GA is left
# in two parts. SentencePiece keeps every accent and composes the letter.
# Why it matters: T5, XLM-R, mBART and NLLB have this normalizer in tokenizer.json. The same text gives other pieces than
# in training, and a word can turn into another before the model sees it.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check tokenizers==0.23.3 sentencepiece==0.2.3 protobuf==7.36.2
cd "$folder"
venv/bin/python - <<'PYTHON'
import io

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import normalizers

file = io.BytesIO()
sentencepiece.SentencePieceTrainer.train(
    sentence_iterator=iter(["the cat sat on the mat"] * 50),
    model_writer=file,
    vocab_size=30,
    hard_vocab_limit=False,
    add_dummy_prefix=False,
    minloglevel=2,
)
model = sentencepiece_model_pb2.ModelProto.FromString(file.getvalue())
original = sentencepiece.SentencePieceNormalizer(model_proto=file.getvalue())
imitation = normalizers.Precompiled(model.normalizer_spec.precompiled_charsmap)

SEEN = {
    "b\u0133\u0301na": ("bij\u0301na", "bijna"),
    "\uff21\u0301": ("\u00c1", "A"),
    "\ufb01\u0301": ("fi\u0301", "fi"),
    "\uff76\uff9e": ("\u30ac", "\u30ab\u3099"),
}
for text, expected in SEEN.items():
    found = original.normalize(text), imitation.normalize_str(text)
    print(f"{ascii(text):20} SentencePiece {ascii(found[0]):18} tokenizers {ascii(found[1])}")
    assert found == expected, "the behaviour has changed"
PYTHON
