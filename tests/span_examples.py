r"""Spans of the kinds that people's texts hold, each of which a translation has as it was."""

PROGRAMS = (
    *("{name}", "{0}", "{}", "{0:.2f}", "{user.name!r:>10}", "{{x}}", "{{ item.price }}", "${x}"),
    *("{{#if x}}", "{{> partial}}", "{{{raw}}}", "{% if user %}", "{# note #}", "{!!$x!!}"),
    *("{n, plural, one {# file} other {# files}}", "{d, date, short}", '{"a": 1}', "@{name}"),
    *("%{count}", "#{name}", "$t(key)", "[[x]]", "[% x %]", "$(name)", "$name", "${HOME}"),
    *("%s", "%d", "%1$s", "%(name)s", "%-5.2f", "%-10.2f", "%05d", "%lld", "%zu", "%@", "%1"),
    *("%%", "%NAME%", "%%name%%", ":name", ":smile:", "@anna", "@user.name", "@babel/core"),
    *("#news", "#Olá", "__NAME__", "__init__", "snake_case_name", "MAX_VALUE", "_x_y", "camelCase"),
    *(
        "PROJ-123",
        "CVE-2024-1234",
        "a->b",
        "foo()",
        "foo.bar()",
        "std::vector<int>",
        "`pip install`",
        "@lang('x')",
        "--help",
    ),
    *("--input=file", "key=value", "a=1&b=2", "numpy==1.26.4", "x>=2", "[FIRST_NAME]", "[NAME]"),
    *(
        "[first_name]",
        r"\cite{knuth84}",
        r"\includegraphics[width=1]{a}",
        r"\(x+y\)",
        "$x^2 + y^2$",
    ),
    *("$$E=mc^2$$", r"\n", r"\t", r"\u00e9", r"\x41", "&amp;", "&nbsp;", "&#39;", "&#x27;"),
)
TAGS = (
    *("<b>", "</b>", "<br/>", '<a href="x. Y">', "<1>", "</1>", '<x id="1"/>', "</g>"),
    *("<!-- note. Two -->", "<%= name %>", "<?php echo $x; ?>", r"{\an8}", r"{\pos(400,570)}"),
    *(r"\N", "[b]", "[/b]", "[url=x]"),
)
ADDRESSES = (
    *("https://example.com/a?b=c&d=1#e", "http://x.org/{id}", "http://localhost:8080/x"),
    *("s3://bucket/key", "www.example.com/a", "example.com", "git@example.com:a/b.git"),
    *("a.b+c@example.co.uk", "mailto:a@b.org", "tel:+1555", "urn:isbn:0451450523"),
    *("data:image/png;base64,AAAA", "10.0.0.1", "10.0.0.0/8", "192.168.0.1:8080", "2001:db8::1"),
    *("::1", "fe80::1ff:fe23:4567:890a", "00:1b:44:11:3a:b7", "v1.2.3", "v2.0.1-beta"),
    *("550e8400-e29b-41d4-a716-446655440000", "d41d8cd98f00b204e9800998ecf8427e", "0xDEADBEEF"),
    *("978-3-16-148410-0", "+1 (555) 123-4567", "+49 30 123456", "555-123-4567"),
    *("2024-05-06", "2024-05-06T12:34:56Z", "12:34:56", "00:01:02,345", "01:02.345", "0:00:01.00"),
    *("00:01:02,345 --> 00:01:04,000", "00:01.000 --> 00:02.500 align:start position:10%"),
)
FILES = (
    *(r"C:\Users\me\file.txt", r"C:\Program Files\App\app.exe", r"C:\My Documents\file one.txt"),
    *(r"C:\Program Files (x86)\App", r"\\server\share", r"\\server\share\My Files\file.txt"),
    *(r"\\?\C:\x", "/usr/local/bin/python", "~/notes/today.txt", "/home/user/my file.txt"),
    *(
        "/Users/me/My Documents/x",
        "./run.sh",
        "../lib/x.so",
        "~/.bashrc",
        "D:/data/x",
        "//server/share/x",
        "file.txt",
    ),
    *("report_final-v2.pdf", "README.md", "archive.tar.gz", ".gitignore", ".NET"),
)
SIGNS = (
    *("\U0001f600", "❤\ufe0f", "1\ufe0f\u20e3", "\U0001f44d\U0001f3fd", "‼\ufe0f", "Ⓜ\ufe0f"),
    *("\U0001f469\u200d\U0001f469\u200d\U0001f467", "\U0001f1e9\U0001f1ea", "㊗\ufe0f"),
    "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    *(
        "™",
        "①",
        "\U0001d54f",
        "\U0001d4d7\U0001d4f2",
        "½",
        "⅓",
        "℃",
        "㎏",
        "№",
        "Ⅳ",
        "x²",
        "km²",
        "10²",
        "H₂O",
        "CO₂",
        "ﬁ",
    ),
)
SPANS = (*PROGRAMS, *TAGS, *ADDRESSES, *FILES, *SIGNS)

OPENERS = (
    *("<!--", "<!-- a ", "<%", "<% a", "<a ", "</", "${", "${a ", "{a", "{{", "{%", "[[", "[%a"),
    *("![", "](", "`a", "```", "~~~\n", "$t(", "%(a", "$a", "$$a", "\\ab{", "\\(a", "\\\\a\\b "),
    *("C:\\a ", "/a/b c", "/A A A", "../", "&#1", "@a-", "#a/", ":a", "a::b<", "ff:", "1:1:", "1-"),
    *(
        "a.",
        "a-",
        "a_",
        "__a",
        "aA",
        "a=b&",
        "--a=",
        "*a ",
        "[b=",
        "[A_",
        "a->",
        "A-1-",
        "+1 ",
        "1a",
        "http://{a",
    ),
    *("data:a/a,", "a@b.", "2024-01-01T11:11:11.", "\nStyle:a,", "<script>", "²a", "0", "ab12"),
)
"""Beginnings of spans that do not end, each of which may be read again from every place."""
