#!/usr/bin/env bash
# sacrebleu 2.6.0
#
# Expected: a translation full of "&amp;" and "&quot;", or with a stray "<skipped>" in it, scores lower than the reference
# that has none.
# Seen: the default tokenizer 13a turns the escapes into characters and removes "<skipped>" on both sides: BLEU is 100.
# chrF, which has no tokenizer, sees the difference.
# Why it matters: escaping twice or not at all is the commonest fault where markup meets a translation model, and the
# usual score cannot show it.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check sacrebleu==2.6.0
cd "$folder"
venv/bin/python - <<'PYTHON'
import sacrebleu

PAIRS = [
    ("Salt &amp; pepper cost &lt; 5 euros at &quot;Tom&quot;", 'Salt & pepper cost < 5 euros at "Tom"'),
    ("We found the word <skipped> in the very long file", "We found the word in the very long file"),
]
for translation, reference in PAIRS:
    bleu = sacrebleu.corpus_bleu([translation], [[reference]]).score
    chrf = sacrebleu.corpus_chrf([translation], [[reference]]).score
    print(f"BLEU {bleu:.1f}  chrF {chrf:.1f}  {translation}")
    assert chrf < 90
    assert round(bleu, 6) == 100, "the behaviour has changed"
PYTHON
