"""Text that no encoding can hold: lone surrogates."""

from __future__ import annotations


def replace_lone_surrogates(text: str) -> str:
    """Turn every lone surrogate into U+FFFD, the replacement character.

    A Python string may hold code points U+D800 to U+DFFF, say from ``errors="surrogateescape"`` or
    from a JSON ``"\\ud83d"``. They have no UTF-8 form, which is what both tokenizer libraries need.
    A high surrogate followed by a low one is the pair that UTF-16 means by it, and becomes that
    character.

    Args:
        text: any string.

    Returns:
        The same object if it holds no surrogate, else a string that encodes in UTF-8.

    >>> replace_lone_surrogates("a\\ud800b") == "a\\ufffdb"
    True
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
