r"""What spans look like: the parts of a text that are no language.

Each pattern reads a text in time that grows with its length alone: what stands between an opening
sign and its closing one holds no other opening sign, has a bounded length, or begins where a token
begins (``(?<!\w)`` and the like), so that no part is read again from each of its characters.
"""

from __future__ import annotations

_BYTE = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"

SIGNS = (
    "\u00b2\u00b3\u00b9\u00bc-\u00be\u02b0-\u02b8\u02e0-\u02e4"  # superscripts, fractions
    "\u1d2c-\u1d6a\u1d78\u1d9b-\u1dbf\u203c\u2047-\u2049\u2070-\u209c"
    "\u2100-\u218b\u2460-\u24ff\u3200-\u33ff"  # such as ℃, ™, ⅓, Ⅳ, ①, ㎏
    "\U0001d400-\U0001d7ff"  # letters of mathematics
)
"""Compatibility signs, for a character class: normalisers make letters and digits of them."""

SYMBOLS = "\u2300-\u23ff\u2600-\u27bf\u2b00-\u2bff\u3030\u303d\U0001f000-\U0001faff"
"""Symbols and emoji, for a character class."""

_SMALL = "\u00b2\u00b3\u00b9\u2070-\u209c"  # raised and lowered digits

_PATH_NAME = r"[\w.@+()&$~-]+"
_FILE_NAME = rf"{_PATH_NAME}(?: [\w@+()&-]+){{0,2}}\.[A-Za-z]\w{{0,4}}\b"
_TAIL = rf"(?:{_FILE_NAME}|[\w.@+()~-]*\w)?"
"""Of a path: a file's name, with spaces where its ending shows that it is one."""

_EXTENSIONS = (
    "7z|aac|ai|apk|ass|avi|bak|bat|bin|bmp|bz2|cfg|conf|cpp|css|csv|dat|db|deb|dll|dmg|docx?|env|"
    "epub|exe|flac|gif|gz|hpp|html?|ico|ini|ipynb|iso|jar|java|jpe?g|js|json|jsonl|jsx|lock|log|"
    "md|mkv|mov|mp3|mp4|msi|od[pst]|ogg|onnx|pdf|php|plist|png|po|pot|pptx?|properties|ps1|psd|py|"
    "rar|rpm|rst|rtf|sass|scss|sh|sqlite|srt|svg|tar|tex|tgz|tiff?|toml|tsv|tsx|ttf|txt|vtt|wav|"
    "webm|webp|whl|woff2?|xlf|xliff|xlsx?|xml|ya?ml|zip"
)

_SOUNDS = (
    "APPLAUSE|BEEP|CHATTER|CHEERING|CHUCKLES|CHUCKLING|COUGHS|CRYING|GASPS|GROANS|INAUDIBLE|"
    "LAUGHING|LAUGHS|LAUGHTER|MUSIC|SCREAMING|SCREAMS|SIGHS|SILENCE|SINGING|SOBBING|WHISPERING"
)
"""Remarks of subtitles, which are translated."""

# These stand between the lines.
BLOCKS = (
    r"(?m:^)[ \t]{0,3}(?:```[^`\n]*\n(?:(?![ \t]{0,3}```).*\n)*[ \t]{0,3}```|"  # fenced code
    r"~~~[^\n]*\n(?:(?![ \t]{0,3}~~~).*\n)*[ \t]{0,3}~~~)[`~]*",
    r"<!--(?:[^<\n-]|<(?!!--)|-(?!->))*\n(?:[^<-]|<(?!!--)|-(?!->))*-->",
    r"<script\b(?:[^<]|<(?!/?script\b))*</script>|<style\b(?:[^<]|<(?!/?style\b))*</style>",
)

# At an end of a sentence these stand beside it; elsewhere they are a part of it.
MARKS = (
    r"</?[A-Za-z][\w:.-]*(?:\s[^<>]*)?/?>",  # <b>, </b>, <a href="...">, <br/>
    r"</?\d+/?>",  # <1>
    r"<!--(?:[^<-]|<(?!!--)|-(?!->))*-->",  # comments
    r"<[%?](?:[^<%?]|<(?![%?])|[%?](?!>))*[%?]>",  # <%= name %>, <?php echo $x; ?>
    r"(?m:^)(?:Dialogue|Comment):[^\S\n]*\d+,(?:[^,\n]*,){8}",  # ASS, up to the text
    r"(?m:^)(?:Format:[^\S\n]*(?:Layer|Marked|Name),|Style:[^,\n]*,[^,\n]*,\d+,&H).*",
    r"(?m:^)(?:ScriptType|PlayRes[XY]|WrapStyle|ScaledBorderAndShadow):.*",
    r"(?m:^)\[(?:Script Info|V4\+? Styles|Events|Fonts|Graphics)\]",
    r"\{\\[^{}]*\}",  # {\an8}
    r"(?:\d{1,4}:)?\d\d?:\d\d[.,]\d{3}|\d:\d\d:\d\d\.\d\d|-->",  # 00:01:02,345 --> 00:01:04,000
    r"\b(?:align|line|position|region|size|vertical):\w[\w%.,-]*",  # behind WebVTT's times
    r"!?\[(?=[^\[\]\n]*\]\()|(?<!\[)\]\([^()\s]*\)",  # around the text of Markdown's links
    r"(?<![\w*])\*{1,3}(?=[^\s*])|(?<=[^\s*])\*{1,3}(?![\w*])|~~",  # its emphasis
    r"\[/?(?:b|i|u|s|url|img|quote|code|color|size|list|center|spoiler)(?:=[^\[\]\s]*)?\]",
    r"\\[abfhNnrtv0\"'](?![A-Za-z]{1,32}[{*\[])|\\\\(?![?.]?\\|[\w.$-]+\\)",  # escapes, also of ASS
    r"\\(?:u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2})",
    r"(?<!\S)\|(?!\S)",  # between the cells of a table
    r"[0-9#*]\ufe0f?\u20e3",  # keycaps
    rf"[{SYMBOLS}]",
)

# These stand for a word.
WORDS = (
    r"(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]{1,15}://"
    r"(?:[$#%]?\{[^{}]*\}|[^\s<>\"{}])*(?:\}|[^\s<>\"{}.,;:!?'()\[\]])",
    r"\bwww\.[^\s<>\"]*[^\s<>\"{}.,;:!?'()\[\]]",
    r"\b(?:data:\w+/[\w.+-]+[;,]|urn:\w|tel:\+?\d|magnet:\?)[^\s<>\"]*[\w/=]",
    r"(?<![\w.+-])(?:mailto:)?[\w.+-]+@[\w-]+(?:\.[\w-]+)+(?::[\w.-]+/[\w./-]*\w)?",
    # Addresses, dates and numbers of machines
    rf"(?<![\w.])(?:{_BYTE}\.){{3}}{_BYTE}(?::\d+|/\d+)?(?![\w.]*\d)",  # 10.0.0.1
    r"(?<![\w:.])(?=[0-9A-Fa-f:]{0,39}::|(?:[0-9A-Fa-f]{1,4}:){7})(?=:*[0-9A-Fa-f])"
    r"[0-9A-Fa-f:]{3,39}(?:/\d{1,3})?(?![\w:])",  # 2001:db8::1
    r"(?<![\w:-])[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}(?![\w:-])",  # 00:1b:44:11:3a:b7
    r"\b[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}\b",
    r"(?<![\w-])\d{4}-\d\d-\d\d"
    r"(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?(?![\w-])",  # ISO 8601
    r"(?<![\w:])\d\d?:\d\d:\d\d(?![\w:])",
    r"(?<![\w-])\d{1,17}(?:-\d{1,17}){3,8}(?![\w-])",  # ISBN, card numbers
    r"(?<![\w+])\+(?=(?:[ ()-]{0,3}\d){7})"
    r"\d{1,4}(?:[ -]?\(\d{1,5}\))?(?:[ -]?\d{2,12}){1,6}(?![\w-])",  # +49 30 123456
    r"(?<!\w)(?:\(\d{3}\) ?|\d{3}-)\d{3}-\d{4}(?![\w-])",  # (555) 123-4567
    r"\b(?=[a-f]{0,63}\d)(?=\d{0,63}[a-f])[0-9a-f]{7,64}\b|\b0[xX][0-9A-Fa-f]{1,64}\b",  # hashes
    r"\bv\d+\.\d[\w.-]*\b",  # v1.2.3
    # Files
    rf"\\\\(?:[?.]\\)?[\w.$:-]+(?:\\{_PATH_NAME}(?: {_PATH_NAME}){{0,4}}(?=\\))*(?:\\{_TAIL})?",
    rf"\b[A-Za-z]:\\(?:{_PATH_NAME}(?: {_PATH_NAME}){{0,4}}\\)*{_TAIL}",  # C:\Program Files\App
    r"(?<![\w/.~<\\])(?:[A-Za-z]:|~|\.\.?)?//?"
    rf"(?:[\w.@+-]+(?: [A-Z\d(][\w.@+()-]*){{0,4}}/)+{_TAIL}",  # /usr/bin
    r"(?<![\w/.~<])(?:~|\.\.?)/[\w.@+-]*\w",  # ./run.sh
    rf"(?<![\w.-])(?:[\w-]+\.)+(?i:{_EXTENSIONS})\b(?![\w-])",
    r"(?<![\w.])\.[A-Za-z][\w-]*(?:\.\w+)*",  # .gitignore, .NET
    r"(?<![\w-])(?<!\w\.)(?:[\w-]+\.)+(?:com|org|net|edu|gov|io|dev|app|info)\b(?:/[^\s<>\"]*[\w/])?",
    # Programs
    r"```[^`]*```|`[^`]+`",
    r"\$\$[^$\n]+\$\$|(?<![\w$])\$(?=[^\s$\d])[^$\n]*(?<![\s\\])\$(?!\w)",  # $x^2$
    r"\\[A-Za-z]{2,32}\*?(?:\[[^\[\]\n]*\])?(?:\{[^{}\n]*\})+"
    r"|\\\((?:[^\\\n]|\\(?![()]))*\\\)|\\\[(?:[^\\\n]|\\(?![\[\]]))*\\\]",  # \cite{knuth84}
    r"(?<!\w)--[A-Za-z][\w-]*(?:=[^\s,;\"']*\w)?(?![\w-])",  # --help
    r"@[a-z]+\('[^'()]*'\)",  # @lang('x')
    r"[$#%@]?\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\}",  # {name}, {{x}}, ${x}, {n, plural, ...}
    rf"\[(?!(?:{_SOUNDS})\])[A-Z][A-Z0-9_]*\]|\[\w+_\w+\]",  # [NAME], [first_name]
    r"\$\(\w+\)|\$t\([^()]*\)|\[\[[^\[\]]+\]\]|\[%[^\[\]]+%\]",
    r"%%\w+%%|(?<!\w)%[A-Za-z_]\w*%(?!%)",  # %NAME%
    r"(?<!\d)%(?:\(\w+\))?(?:\d+\$)?[-+#0]*\d*(?:\.\d+)?(?:hh?|ll?|[Lqjzt])?[@diouxXeEfFgGcrsaA]",
    r"(?<![\w%])%\d{1,2}(?![\w%])|%%",  # %1 of Qt
    r"\$[A-Za-z_]\w*",
    r"(?<![\w:/]):[A-Za-z_]\w+:?",  # :name, :smile:
    r"(?<!\w)[@#]\w+(?:[.-]\w+)*(?:/[\w.-]*\w)?",  # of social networks, @babel/core
    r"&(?:[A-Za-z]\w{1,31}|#\d{1,7}|#[xX][0-9A-Fa-f]{1,6});",  # entities
    r"(?<!\w)[A-Za-z]\w*(?:::\w+)+(?:<[\w:, ]*>)?(?:\(\))?",  # std::vector<int>
    r"(?<![\w.])[A-Za-z]\w*(?:\.[A-Za-z]\w*)*\(\)",  # foo.bar()
    r"(?<![\w.=])[A-Za-z_][\w.]*(?:[=!<>~]=|=)[\w%+./:@-]*\w(?:&[\w.]+=[\w%+./:@-]*\w)*",  # a=1&b=2
    r"(?<!\w)__\w+?__(?!\w)|(?<![A-Za-z0-9_])_?[A-Za-z0-9]+_[A-Za-z0-9_]+|_{2,}",  # a_b, __init__
    r"(?<!\w)[A-Za-z_]\w*(?:->[A-Za-z_]\w*)+|(?<!\S)(?:[!<>=]=|[-=]>|&&)(?!\S)",  # a->b, !=
    r"(?<![\w-])[A-Z][A-Z0-9]{1,9}(?:-\d{1,9}){1,3}(?![\w-])",  # PROJ-123
    r"(?<!\w)[a-z]+(?:[A-Z][a-z0-9]+)+(?!\w)",  # camelCase
    # Signs
    rf"(?<!\w)(?:(?:[A-Z][a-z]?)+|[a-z]{{1,2}}|\d+)[{_SMALL}][A-Za-z\d{_SMALL}]*(?!\w)",  # H₂O
    rf"[{SIGNS}]+",  # ™
    "(?<!\\w)[\ufb00-\ufb06](?!\\w)",
)
