#!/usr/bin/env bash
# langcodes 3.5.1
#
# Expected: bringing a language code to its standard form leaves the language what it is.
# Seen: Tagalog in every spelling ("tl", "tgl", NLLB's "tgl_Latn") becomes "fil", Filipino, and Dari (NLLB's "prs_Arab")
# becomes "fa-AF", while NLLB's code of Western Persian, "pes_Arab", keeps its own form. The rules are Unicode's, but they
# are applied by default and without a word.
# Why it matters: multilingual models know Tagalog by "tl" (M2M-100) or "tgl_Latn" (NLLB) and have no "fil". A program
# that puts codes into standard form first does not find the language, or takes Dari for the other Persian.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check langcodes==3.5.1
cd "$folder"
venv/bin/python - <<'PYTHON'
from langcodes import standardize_tag

SEEN = {"tl": "fil", "tgl": "fil", "tgl_Latn": "fil-Latn", "prs_Arab": "fa-AF", "pes_Arab": "pes-Arab"}
for code, expected in SEEN.items():
    found = standardize_tag(code)
    print(f"{code:9} -> {found}")
    assert found == expected, "the behaviour has changed"
PYTHON
