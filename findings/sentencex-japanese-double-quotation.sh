#!/usr/bin/env bash
# sentencex 1.0.32
#
# Expected: of the two pairs of Japanese quotation marks, the inner one (U+300E, U+300F) is kept together like the usual
# one (U+300C, U+300D), for which the library has a rule.
# Seen: the inner pair is none to it. The text is cut before the closing mark, which then stands at the start of the next
# sentence.
# Why it matters: titles and quotations within quotations are written so. A translation model gets one sentence that opens
# a quotation and never closes it and another that begins with a closing mark, and puts stray marks into both translations.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check sentencex==1.0.32
cd "$folder"
venv/bin/python - <<'PYTHON'
from sentencex import segment

usual = segment("ja", "「だめ！」と母は言った。")
inner = segment("ja", "『だめ！』と母は言った。")
print("usual pair:", list(usual))
print("inner pair:", list(inner))
assert list(usual)[0] == "「だめ！」"
assert list(inner) == ["『だめ！", "』と母は言った。"], "the behaviour has changed"
PYTHON
