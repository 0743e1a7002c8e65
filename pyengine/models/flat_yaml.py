"""The little of YAML that Marian writes: `key: value` lines, and lists of scalars below a key."""

from __future__ import annotations

import re

_ENTRY = re.compile(r"([A-Za-z0-9_-]+):\s*(.*)")


def read_flat_yaml(text: str) -> dict[str, str | list[str]]:
    """The top level of ``text``: scalars as strings without quotes, lists of such strings.

    Lines of any other form are passed over.

    >>> read_flat_yaml('size: 256\\nvocabs:\\n  - 32000\\n  - 31000\\ntypes: []\\ntop: ""')
    {'size': '256', 'vocabs': ['32000', '31000'], 'types': [], 'top': ''}
    """
    values: dict[str, str | list[str]] = {}
    items: list[str] = []  # of the list below the last key
    for line in text.splitlines():
        if line.lstrip().startswith("- "):
            items.append(_scalar(line.lstrip()[2:]))
        elif entry := _ENTRY.fullmatch(line.rstrip()):
            items = []
            inline = entry[2].startswith("[") and entry[2].endswith("]")
            if inline:
                items = [_scalar(item) for item in entry[2][1:-1].split(",") if item.strip()]
            values[entry[1]] = items if inline or not entry[2] else _scalar(entry[2])
            items = [] if inline else items
    return values


def _scalar(text: str) -> str:
    text = text.strip()
    quoted = len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'"
    return text[1:-1] if quoted else text
