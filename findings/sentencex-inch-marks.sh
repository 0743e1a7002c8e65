#!/usr/bin/env bash
# sentencex 1.0.32
#
# Expected: a straight double quote after a number is the mark of inches and leaves the sentences alone.
# Seen: two of them in a line count as a pair of quotation marks, and no sentence between them is split off: four
# sentences come out as two, whereas the same line with "in" for the marks is split into four.
# Why it matters: a model that was trained on single sentences gets three at once, and such models leave some out. Product
# descriptions are full of inches.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check sentencex==1.0.32
cd "$folder"
venv/bin/python - <<'PYTHON'
from sentencex import segment

marks = 'The screen is 27" wide. It is new. The old one is 24" wide. It was small.'
words = marks.replace('"', " in")
with_marks, with_words = ([s.strip() for s in segment("en", line)] for line in (marks, words))
print("with marks of inches:", with_marks)
print("with the word:       ", with_words)
assert len(with_words) == 4
assert with_marks == [marks.removesuffix(" It was small."), "It was small."], "the behaviour has changed"
PYTHON
