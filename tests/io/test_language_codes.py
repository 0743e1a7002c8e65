"""One mapping of the language codes of every family, and which language's rules a text gets."""

from __future__ import annotations

import json
import shutil
import string
from itertools import product
from pathlib import Path

import langcodes
import pytest

from pyengine import translator
from pyengine.errors import InputTypeError, OptionError
from pyengine.models import language_codes
from pyengine.models.firefox_files import FirefoxFiles
from pyengine.models.language_codes import checked_language, language_tag, nearest_tag
from pyengine.models.languages import languages_of, source_language_of, told_language
from pyengine.text import load_tokenizer

FIXTURES = Path(__file__).parents[1] / "fixtures"
TOKENIZERS = FIXTURES / "tokenizers"

ALPHA_2 = {  # of NLLB's codes, those whose ISO 639-1 code is not that of their own ISO 639-3 code
    "als": "sq", "arb": "ar", "ayr": "ay", "azj": "az", "gaz": "om", "khk": "mn", "kmr": "ku",
    "knc": "kr", "lvs": "lv", "npi": "ne", "ory": "or", "pes": "fa", "plt": "mg", "prs": "fa",
    "swh": "sw", "twi": "ak", "uzn": "uz", "ydd": "yi", "zho": "zh", "zsm": "ms",
}  # fmt: skip


def codes_of(name: str) -> tuple[str, ...]:
    """The languages of a tokenizer of the fixtures, all of the family's."""
    config = TOKENIZERS / name / "config.json"
    tokenizer = load_tokenizer(TOKENIZERS / name, json.loads(config.read_text("utf-8")))
    assert tokenizer.languages is not None
    return tokenizer.languages.codes


def test_every_code_of_nllb() -> None:
    codes = codes_of("nllb")
    assert len(codes) == 202
    tags = {code: language_tag(code) for code in codes}
    assert None not in tags.values()
    for code, tag in tags.items():
        language = code.split("_")[0]
        alpha_2 = ALPHA_2.get(language) or langcodes.Language.get(language).language
        if len(alpha_2) == 2:
            assert tag and tag.split("-")[0] == alpha_2, code
    assert len({tag for tag in tags.values() if tag}) >= 200  # fa has two, twi is ak


@pytest.mark.parametrize(("name", "count"), [("mbart50", 52), ("mbart", 25), ("m2m", 100)])
def test_every_code_of_mbart_and_m2m_100(name: str, count: int) -> None:
    codes = codes_of(name)
    assert len(codes) == count
    for code in codes:
        expected = {"ns": "nso", "tl": "fil", "tl_XX": "fil"}.get(code, code.split("_")[0])
        assert (language_tag(code) or "").split("-")[0] == expected, code
        assert language_tag(f"__{code}__") == language_tag(f"<2{code}>") == language_tag(code)


@pytest.mark.parametrize(
    ("codes", "tag"),
    [
        ("de DE deu deu_Latn >>deu<< <2de> __de__", "de"),
        ("de_DE de-DE de_de", "de-DE"),
        ("zh_hant zho_Hant >>cmn_Hant<< zht <2zh_Hant>", "zh-Hant"),
        ("zh cmn zho", "zh"),
        ("pt_br pt-BR >>pt_br<< pob", "pt-BR"),
        ("en_XX eng", "en"),
        ("jap jpn_Jpan ja_XX", "ja"),
        ("sla >>sla<<", "sla"),  # a group, as of opus-mt-en-sla
        ("tlh", "tlh"),  # Klingon is a language, "klingon" is no code
    ],
)
def test_forms(codes: str, tag: str) -> None:
    for code in codes.split():
        assert language_tag(code) == tag, code
        assert checked_language("language", f" {code} ") == tag


@pytest.mark.parametrize(
    "code", ["klingon", "german", "xx", "", "en-", "e", "ROMANCE", "\ud800", "d\u00e9", "en de"]
)
def test_what_is_no_code(code: str) -> None:
    assert language_tag(code) is None
    with pytest.raises(OptionError, match=r"language: found .*, expected the code of a language"):
        checked_language("language", code)
    with pytest.raises(InputTypeError, match="expected the code of a language, found bytes"):
        checked_language("language", code.encode(errors="replace"))


def test_codes_that_need_no_library_are_those_that_it_leaves_alone() -> None:
    pairs = map("".join, product(string.ascii_lowercase, repeat=2))
    plain = {c for c in pairs if langcodes.tag_is_valid(c)}
    plain = {c for c in plain if langcodes.standardize_tag(c, macro=True) == c}
    assert plain == language_codes._PLAIN


@pytest.mark.parametrize(
    ("name", "code", "own"),
    [
        ("nllb", "de", "deu_Latn"),
        ("nllb", "zh", "zho_Hans"),
        ("nllb", "zh_TW", "zho_Hant"),
        ("nllb", "ar", "arb_Arab"),
        ("nllb", "fa", "pes_Arab"),
        ("nllb", "no", "nob_Latn"),
        ("nllb", "klingon", "[a-z]{3}_[A-Z][a-z]{3}"),
        ("mbart50", "fra_Latn", "fr_XX"),
        ("m2m", "por_Latn", "pt"),
        ("m2m", "nso", "ns"),
    ],
)
def test_an_error_says_what_the_model_calls_a_language(name: str, code: str, own: str) -> None:
    config = json.loads((TOKENIZERS / name / "config.json").read_text("utf-8"))
    tokenizer = load_tokenizer(TOKENIZERS / name, config)
    with pytest.raises(OptionError, match=f"source: found '{code}', .* such as {own}"):
        tokenizer.check_languages(code, None)


def test_nearest() -> None:
    assert nearest_tag("pt", ["en", "pt-BR"]) == "pt-BR"
    assert nearest_tag("pt-PT", ["pt-BR", "pt"]) == "pt"
    assert nearest_tag("zh-TW", ["zh", "zh-Hant"]) == "zh-Hant"
    assert nearest_tag("zh-Hant", ["zh"]) == "zh"
    assert nearest_tag("zh", ["zh-Hant"]) is None
    assert nearest_tag("nb", ["no"]) == "no"
    assert nearest_tag("hr", ["sr-Latn", "bs"]) is None
    assert nearest_tag("de", []) is None


@pytest.mark.parametrize(
    ("name", "pair"),
    [
        ("opus-mt-en-de", ("en", "de")),
        ("marian_en_de", ("en", "de")),
        ("opus_mt_en_de", ("en", "de")),
        ("opus-mt-en-zh_hant", ("en", "zh-Hant")),
        ("opus-mt-jap-en", ("ja", "en")),
        ("opus-mt-tc-big-gmq-en", ("gmq", "en")),
        ("opus-mt-ROMANCE-en", None),
        ("quick-qxz-fox", None),
    ],
)
def test_names_of_folders(tmp_path: Path, name: str, pair: tuple[str, str] | None) -> None:
    assert languages_of(tmp_path / name) == pair


@pytest.mark.parametrize(
    ("path", "pair"),
    [
        ("x/model.enpt.intgemm.alphas.bin", ("en", "pt")),
        ("x/model.enzh_hant.intgemm.alphas.bin", ("en", "zh-Hant")),
        ("x/model.zh_hanten.intgemm8.bin.gz", ("zh-Hant", "en")),
        ("x/model.enpt_BR.bin", ("en", "pt-BR")),
        ("x/model.sqien.bin", ("sq", "en")),
        ("x/model.encat.bin", ("en", "ca")),
        ("x/model.defr.npz", ("de", "fr")),
        ("x/model.intgemm.alphas.bin", None),
        ("enzh_hant/model.npz", ("en", "zh-Hant")),
    ],
)
def test_names_of_firefox_files(path: str, pair: tuple[str, str] | None) -> None:
    model = Path("/models") / path
    assert FirefoxFiles(model, model, model, None).languages == pair


def test_the_language_of_the_rules(tmp_path: Path) -> None:
    folder = tmp_path / "opus-mt-fr-en"
    folder.mkdir()

    def told(settings: dict[str, object]) -> str:
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))
        return source_language_of(folder)

    assert told({}) == "fr"
    assert told({"src_lang": "deu_Latn"}) == "de"
    assert told({"source_lang": "pt_br", "target_lang": "ROMANCE"}) == "pt"
    assert told({"source_lang": "ROMANCE", "target_lang": "en"}) == "fr"
    assert source_language_of(tmp_path) == "en"


def test_the_language_that_a_call_tells() -> None:
    assert told_language("zho_Hant", "rus_Cyrl") == "zh"
    assert told_language(None, "rus_Cyrl") == "ru"
    assert told_language(None, None) is told_language(None, "romance") is None
    with pytest.raises(OptionError, match="language: found 'klingon'"):
        told_language("klingon", "rus_Cyrl")


def test_the_folder_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []
    monkeypatch.setattr(
        translator, "source_language_of", lambda folder: asked.append(folder) or "de"
    )
    shutil.copytree(FIXTURES / "multi30k-en-de", tmp_path / "model")
    with translator.Translator(tmp_path / "model", cache_dir=False, threads=1) as model:
        texts = ["Am 3. Mai. Ja.", "Der 2. Zug. Ja."]
        found = model.translate(texts)
        assert found == [model.translate(text) for text in texts]
        assert found == [
            " ".join(model.translate([first, "Ja."], split=False))
            for first in ("Am 3. Mai.", "Der 2. Zug.")
        ]
    assert asked == [tmp_path / "model"]
