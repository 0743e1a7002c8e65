#!/usr/bin/env bash
# tokenizers 0.23.3, sentencepiece 0.2.3
#
# Expected: one stray byte after the bytes of a complete character costs one U+FFFD, as in Python's own decoding and in
# SentencePiece, whose byte pieces the decoder ByteFallback imitates.
# Seen: the whole run of bytes is decoded or given up as one: the sound character goes too, and every byte of the run
# becomes a U+FFFD of its own.
# Why it matters: a search that ends at its length limit, or a text that is shown while it is being made, often stops
# within a character. Everything rare before it (Chinese, emoji) turns into marks of damage, and back again with the next
# token.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check tokenizers==0.23.3 sentencepiece==0.2.3
cd "$folder"
venv/bin/python - <<'PYTHON'
import io

import sentencepiece
from tokenizers import Tokenizer, decoders, models

BYTES = [f"<0x{value:02X}>" for value in range(256)]
text = "你".encode() + b"\xe4"  # a whole character, and the first byte of another
names = [BYTES[value] for value in text]

vocabulary = {piece: number for number, piece in enumerate(["<unk>", *BYTES])}
tokenizer = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>", byte_fallback=True))
tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
imitation = tokenizer.decode([vocabulary[name] for name in names])

file = io.BytesIO()
sentencepiece.SentencePieceTrainer.train(
    sentence_iterator=iter(["a b c d"] * 20),
    model_writer=file,
    vocab_size=270,
    byte_fallback=True,
    hard_vocab_limit=False,
    minloglevel=2,
)
original = sentencepiece.SentencePieceProcessor(model_proto=file.getvalue())
decoded = original.decode([original.piece_to_id(name) for name in names])

print("Python:       ", ascii(text.decode(errors="replace")))
print("SentencePiece:", ascii(decoded))
print("tokenizers:   ", ascii(imitation))
assert text.decode(errors="replace") == decoded == "你\ufffd"
assert imitation == "\ufffd" * 4, "the behaviour has changed"
PYTHON
