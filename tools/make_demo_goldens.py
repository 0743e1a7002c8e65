"""Translates the sentences of tests/fixtures/golden/demo.json again, with the extra "demo".

    python tools/make_demo_goldens.py

The file holds, for each direction, [source, translation] of 30 sentences: what int8 weights and the
models' shortlists give on every instruction set. After a change that may move results, its diff
shows which translations moved.
"""

from __future__ import annotations

import json
from pathlib import Path

from pyengine import Translator
from pyengine.registry import find_route

GOLDEN = Path(__file__).parents[1] / "tests" / "fixtures" / "golden" / "demo.json"


def main() -> None:
    """Rewrite the file."""
    pairs = json.loads(GOLDEN.read_text(encoding="utf-8"))
    for direction, golden in pairs.items():
        source, target = direction.split("-")
        sentences = [sentence for sentence, _ in golden]
        with Translator(find_route(source, target)[0].path, cache_dir=False) as translator:
            translations = translator.translate(sentences, split=False)
        pairs[direction] = [list(pair) for pair in zip(sentences, translations, strict=True)]
    text = json.dumps(pairs, ensure_ascii=False, indent=1)
    GOLDEN.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
