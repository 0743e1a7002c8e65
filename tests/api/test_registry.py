"""Installed models: found by language, used directly or by way of English."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import pyengine
from pyengine import ModelNotFoundError, OptionError, Translator, registry
from pyengine.errors import InputTypeError, UnknownOptionError
from pyengine.models.languages import languages_of
from pyengine.registry import find_route, installed_models

from .conftest import Cli

TEXT = "A man is riding a bicycle. Two dogs run."


@pytest.fixture
def models(tmp_path: Path, text_model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folders named after languages; the committed model stands in for all of them."""
    root = tmp_path / "models"
    root.mkdir()
    for name in ("opus-mt-en-de", "second_en-de", "fr-en", "without-a-language"):
        (root / name).symlink_to(text_model, target_is_directory=True)
    (root / "notes-en-pt").mkdir()  # no model
    (root / "marian-en-cs").mkdir()
    (root / "marian-en-cs" / "model.npz").touch()
    (root / "README-en-it").write_text("")
    monkeypatch.setenv("PYENGINE_MODELS", str(root))
    monkeypatch.setattr(registry, "PACKAGES", {})
    return root


def test_models_of_the_folder(models: Path) -> None:
    found = [(model.source, model.target, model.path.name) for model in installed_models()]
    assert found == [
        ("fr", "en", "fr-en"),
        ("en", "cs", "marian-en-cs"),
        ("en", "de", "opus-mt-en-de"),
        ("en", "de", "second_en-de"),
    ]


def test_routes(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [model.path.name for model in find_route("en", "de")] == ["opus-mt-en-de"]
    assert [model.path.name for model in find_route("EN_gb", "de-AT")] == ["opus-mt-en-de"]
    assert [model.path.name for model in find_route("fr", "de")] == ["fr-en", "opus-mt-en-de"]
    with monkeypatch.context() as patch:
        patch.setattr(registry, "nearest_tag", None)  # not called, and langcodes not imported
        assert [model.path.name for model in find_route("en", "de")] == ["opus-mt-en-de"]
    with pytest.raises(ModelNotFoundError, match=r"'de' to 'fr'.*installed: fr-en, en-cs, en-de"):
        find_route("de", "fr")
    (models / "second_en-fr").symlink_to(models / "fr-en")
    with pytest.raises(ModelNotFoundError, match=r"'fr' to 'FR'"):
        find_route("fr", "FR")
    with pytest.raises(InputTypeError, match="target: expected the code"):
        find_route("de", 3)  # type: ignore[arg-type]


def test_scripts_and_regions(models: Path, text_model: Path, cli: Cli) -> None:
    for name in ("model.enzh_hant.intgemm.alphas.bin", "model.zh_hanten.intgemm8.bin"):
        folder = models / name.split(".")[1]
        folder.mkdir()
        for file in (name, "vocab.spm"):
            (folder / file).touch()
    (models / "opus-mt-en-pt_br").symlink_to(text_model, target_is_directory=True)

    def names(source: str, target: str) -> list[str]:
        return [model.path.name for model in find_route(source, target)]

    for code in ("zh_hant", "zh-Hant", "zh-TW", "zho_Hant", "ZH_HANT", ">>cmn_Hant<<"):
        assert names("en", code) == ["enzh_hant"], code
        assert names(code, "eng_Latn") == ["zh_hanten"], code
    assert names("zh-Hant", "de") == ["zh_hanten", "opus-mt-en-de"]
    for code in ("pt", "pt-PT", "por_Latn", "pt_XX"):
        assert names("en", code) == ["opus-mt-en-pt_br"], code
    with pytest.raises(ModelNotFoundError, match=r"'en' to 'zh'.*installed: .*en-zh-Hant"):
        find_route("en", "zh")  # Simplified: another script
    assert "en-zh-Hant" in [line.split("\t")[0] for line in cli("models").stdout.splitlines()]


def test_translate_by_language(models: Path, text_translator: Translator) -> None:
    german = text_translator.translate_text(TEXT)
    assert pyengine.translate(TEXT, source="en", target="de") == german
    assert pyengine.translate([TEXT, ""], source="en", target="de") == [german, ""]
    pivoted = text_translator.translate_text(german, language="en")
    assert pyengine.translate(TEXT, source="fr", target="de", threads=1) == pivoted


def test_options_of_a_route(models: Path) -> None:
    spoken = pyengine.translate(TEXT, source="en", target="de", language="en")
    assert spoken == pyengine.translate(TEXT, source="en", target="de")
    with pytest.raises(UnknownOptionError, match="did you mean num_beams"):
        pyengine.translate(TEXT, source="fr", target="de", num_beam=2)
    with pytest.raises(OptionError, match="expected 1 by way of English"):
        pyengine.translate(TEXT, source="fr", target="de", num_beams=2, num_return_sequences=2)


@pytest.mark.parametrize(
    ("keywords", "found"),
    [
        ({}, "found no model"),
        ({"source": "en"}, "found source"),
    ],
)
def test_model_or_languages(keywords: dict[str, str], found: str) -> None:
    with pytest.raises(OptionError, match=f"{found}, expected model, or source and target"):
        pyengine.translate(TEXT, **keywords)  # type: ignore[call-overload]


def test_languages_by_the_names_of_other_tools() -> None:
    with pytest.raises(UnknownOptionError, match="from_code: no such option; did you mean source"):
        pyengine.translate(TEXT, from_code="en", to_code="pt")  # type: ignore[call-overload]


def test_no_models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PYENGINE_MODELS", str(tmp_path / "none"))
    with pytest.raises(ModelNotFoundError, match=r"PYENGINE_MODELS: .* is not a folder"):
        installed_models()
    monkeypatch.delenv("PYENGINE_MODELS")
    monkeypatch.setattr(registry, "PACKAGES", {})
    with pytest.raises(ModelNotFoundError, match="set PYENGINE_MODELS"):
        find_route("cy", "eu")


def test_languages_of_a_folder(tmp_path: Path, ids_model: Path) -> None:
    folder = tmp_path / "named-en-de"
    shutil.copytree(ids_model, folder)
    assert languages_of(folder) == ("en", "de")
    config = folder / "tokenizer_config.json"
    config.write_text(json.dumps({"source_lang": "pt_BR", "target_lang": "en"}))
    assert languages_of(folder) == ("pt-BR", "en")
    config.write_text(json.dumps({"source_lang": "eng", "target_lang": "deu"}))
    assert languages_of(folder) == ("en", "de")
    config.write_text(json.dumps({"source_lang": 3, "target_lang": "en"}))
    assert languages_of(folder) == ("en", "de")
    config.write_text("{")
    assert languages_of(folder) == ("en", "de")
    assert languages_of(ids_model) is None


def test_command_line(cli: Cli, models: Path, text_translator: Translator) -> None:
    german = text_translator.translate_text(TEXT)
    done = cli("models")
    assert done.returncode == 0
    assert done.stdout.splitlines()[0].split("\t") == [
        "fr-en",
        str(models / "fr-en"),
        "PYENGINE_MODELS",
    ]
    done = cli("translate", "--from", "en", "--to", "de", TEXT)
    assert (done.returncode, done.stdout) == (0, f"{german}\n")
    unsplit = text_translator.translate(TEXT, split=False)
    done = cli("translate", "--from", "en", "--to", "de", "--no-split", TEXT)
    assert (done.returncode, done.stdout) == (0, f"{unsplit}\n")
    done = cli("translate", "--from", "fr", "--to", "de", "--num-beams", 2, TEXT)
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 1
    twice = ("--num-beams", 2, "--num-return-sequences", 2)
    done = cli("translate", "--from", "fr", "--to", "de", "--no-split", *twice, TEXT)
    assert done.returncode == 2 and "expected 1 by way of English" in done.stderr
    done = cli("translate", "--from", "en", TEXT)
    assert done.returncode == 2 and "expected --model MODEL, or --from CODE" in done.stderr
    done = cli("translate", "--from", "cy", "--to", "de", TEXT)
    assert done.returncode == 1 and "no installed model translates 'cy'" in done.stderr
    done = cli("translate", "--from", "klingon", "--to", "de", TEXT)
    assert done.returncode == 2
    assert "source: found 'klingon', expected the code of a language" in done.stderr
