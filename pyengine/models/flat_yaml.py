"""The little of YAML that Marian writes: `key: value` lines, and lists of scalars below a key."""

from __future__ import annotations

import re

_ENTRY = re.compile(r"([\"']?)([A-Za-z0-9_-]+)\1\s*:\s*(.*)")
_BEFORE_COMMENT = re.compile(r"""(?:"[^"]*"|'[^']*'|(?<=\S)\#|[^\#])*""")
_MARKERS = ("", "---", "...")
"""Lines that say nothing: empty ones, and the beginning and end of a document."""


def read_flat_yaml(text: str, strict: bool = False) -> dict[str, str | list[str]]:
    """The top level of ``text``: scalars as strings without quotes, lists of such strings.

    Args:
        text: YAML.
        strict: refuse lines of any other form, which are passed over otherwise.

    Raises:
        ValueError: names such a line and its number.

    >>> read_flat_yaml('size: 256  # a\\nvocabs:\\n  - 32000\\n  - 31000\\ntypes: []\\ntop: ""')
    {'size': '256', 'vocabs': ['32000', '31000'], 'types': [], 'top': ''}
    """
    values: dict[str, str | list[str]] = {}
    items: list[str] = []  # of the list below the last key
    for number, whole in enumerate(text.splitlines(), 1):
        match = _BEFORE_COMMENT.match(whole)
        line = match[0].rstrip() if match else whole
        if values and line.lstrip().startswith("- "):
            items.append(_scalar(line.lstrip()[2:]))
        elif entry := _ENTRY.fullmatch(line):
            _, name, value = entry.groups()
            items = []
            inline = value.startswith("[") and value.endswith("]")
            if inline:
                items = [_scalar(item) for item in value[1:-1].split(",") if item.strip()]
            values[name] = items if inline or not value else _scalar(value)
            items = [] if inline else items
        elif strict and line not in _MARKERS:
            raise ValueError(f"line {number}: found {whole!r:.60}, expected 'key: value'")
    return values


def _scalar(text: str) -> str:
    text = text.strip()
    quoted = len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'"
    return text[1:-1] if quoted else text
