"""A sentence that is too long, cut where it hurts least."""

import re
from collections.abc import Callable

from pyengine.text.spans import inside_spans

# Where a cut may fall, best first: after a clause, after a phrase, between words. A mark of a
# script that writes spaces counts only before one, so that "1,000" and "12:30" stay whole.
_CUTS = tuple(
    re.compile(marks)
    for marks in (
        r"[;:]\s+|\s[\u2013\u2014-]\s+|\u2014|[\uff1b\uff1a]",
        r"[,)\]\u060c]\s+|[\uff0c\u3001\uff09]",
        r"\s+",
    )
)


def split_clauses(sentence: str, fits: Callable[[str], bool]) -> list[str]:
    """Parts of ``sentence`` that fit, in order; joined they are the sentence.

    It is halved near its middle, and the halves again, so the parts are of similar length.

    Args:
        sentence: any string.
        fits: whether a part is short enough. A single character always counts as short enough.
    """
    if len(sentence) < 2 or fits(sentence):
        return [sentence]
    cut = _cut(sentence)
    return split_clauses(sentence[:cut], fits) + split_clauses(sentence[cut:], fits)


def _cut(sentence: str) -> int:
    """The best place in the middle half of ``sentence``, or the middle if that has none."""
    middle, margin = len(sentence) // 2, max(1, len(sentence) // 4)
    is_inside = inside_spans(sentence)
    for marks in _CUTS:
        found = [cut.end() for cut in marks.finditer(sentence, margin, len(sentence) - margin)]
        places = [place for place in found if not is_inside(place)]
        if places:
            return min(places, key=lambda place: abs(place - middle))
    return middle
