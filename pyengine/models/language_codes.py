"""Codes of languages, however a model family writes them, as tags of BCP 47.

"de" is ``deu_Latn`` in NLLB, ``de_DE`` in mBART-50, ``__de__`` in M2M-100, ``>>deu<<`` in OPUS-MT
and ``<2de>`` in MADLAD. The library langcodes knows the registered languages, ISO 639's codes of
three letters, and how near two tags are (CLDR's language matching).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from pyengine import exits
from pyengine.errors import InputTypeError, OptionError, excerpt

_BRACKETS = re.compile(r"(?:>>|<2|__)?([\w-]+?)(?:<<|>|__)?", re.ASCII)

_NOT_REGISTERED = {"jap": "ja", "ns": "nso", "pob": "pt-BR", "zht": "zh-Hant"}
"""What models say besides the registered codes: "ns" is M2M-100's, the others OPUS-MT's."""

_PLAIN = frozenset(
    "aa ab ae af ak am an ar as av ay az ba be bg bi bm bn bo br bs ca ce ch co cr cs cu cv cy da "
    "de dv dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy "
    "hz ia id ie ig ii ik io is it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg "
    "li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om or "
    "os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st su sv sw ta "
    "te tg th ti tk tn to tr ts tt ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu".split()
)
"""The codes of two letters that are tags as they stand: for most calls, langcodes stays out."""

GROUPS = frozenset(
    "aav afa alg alv apa aqa aql art ath auf aus awd azc bad bai bat ber bih bnt btk cai cau cba "
    "ccn ccs cdc cdd cel cmc cpe cpf cpp crp csu cus day dmn dra egx esx euq fiu fox gem gme gmq "
    "gmw grk hmx hok hyx iir ijo inc ine ira iro itc jpx kar kdo khi kro map mkh mno mul mun myn "
    "nah nai ngf nic nub omq omv oto paa phi plf poz pqe pqw pra qwe roa sai sal sdv sem sgn sio "
    "sit sla smi son sqj ssa syd tai tbq trk tup tut tuw urj wak wen xgn xnd ypk zhx zle zls zlw "
    "znd".split()
)
"""ISO 639-5's codes of groups of languages, which OPUS-MT's names hold, and that of several."""

_NO_REGION = "-xx"
"""At the end of mBART's codes of languages that it gives no country."""

MAX_DISTANCE = 5
"""Between tags that stand for one another: en-GB and en-US, or no and nb; sr and hr are 9 apart."""


@lru_cache(maxsize=256)
def language_tag(code: str) -> str | None:
    """The tag of a code: "de" for ``deu_Latn``, "zh-Hant" for ``zho_Hant``, "pt-BR" for ``pt_br``.

    A language that is part of another goes by the other's code, where CLDR has it so: "ar" for
    ``arb``, "sw" for ``swh``.

    Args:
        code: in any of the forms above, in small letters or capitals.

    Returns:
        The tag; ``None`` where the code is none of a language or of a group of languages.
    """
    if code in _PLAIN:
        return code
    with exits.guarded_imports:
        import langcodes  # 0.1 s, most of it tables

    plain = _BRACKETS.fullmatch(code.strip())
    if plain is None:
        return None
    name = plain[1].lower().replace("_", "-").removesuffix(_NO_REGION)
    name = _NOT_REGISTERED.get(name, name)
    return langcodes.standardize_tag(name, macro=True) if langcodes.tag_is_valid(name) else None


def primary_language(tag: str) -> str:
    """The language of a tag, without script and region: "zh" for "zh-Hant"."""
    return tag.split("-")[0]


def checked_language(name: str, code: Any) -> str:
    """The tag of a code that a caller gave as ``name``.

    Raises:
        InputTypeError: no string.
        OptionError: no language's code; names of languages, such as "german", are none.
    """
    if not isinstance(code, str):
        found = type(code).__name__
        raise InputTypeError(f"{name}: expected the code of a language, found {found}")
    tag = language_tag(code)
    if tag is None:
        raise OptionError(
            f"{name}: found {excerpt(code)}, expected the code of a language, such as 'de', "
            "'deu_Latn' or 'pt-BR'"
        )
    return tag


def nearest_tag(tag: str, known: Iterable[str]) -> str | None:
    """Which of ``known`` stands for ``tag``, if any: the nearest, or else the bare language.

    "en-GB" is served by "en-US", but "zh" (which is Simplified Chinese) not by "zh-Hant"; what
    names no script serves every one: "zh" is good for "zh-Hant".
    """
    known = list(known)
    if tag in known:
        return tag
    with exits.guarded_imports:
        import langcodes

    language = primary_language(tag)
    near = {other: langcodes.tag_distance(tag, other) for other in known}
    best = min(near, key=lambda other: (near[other], other != language), default=None)
    if best is not None and near[best] <= MAX_DISTANCE:
        return best
    return language if language in near else None
