"""The setting ``variant``: which ONNX files of a folder a translator runs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pyengine import OptionError, Translator
from pyengine.errors import ModelNotFoundError
from pyengine.info import open_model
from pyengine.verify import verify_model

from .conftest import FIXTURES, Cli

FILES = ("encoder_model", "decoder_model")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """marian-dynamo, with every file there a second time as a variant."""
    folder = tmp_path / "model"
    shutil.copytree(FIXTURES / "marian-dynamo", folder)
    for stem in FILES:
        shutil.copy(folder / f"{stem}.onnx", folder / f"{stem}_other.onnx")
    return folder


def test_the_files_that_were_asked_for_are_read(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    with Translator(folder, cache_dir=cache) as plain:
        expected = plain.generate([[5, 6, 0]])
        assert plain.variant is None
    for stem in FILES:
        (folder / f"{stem}.onnx").unlink()
    with pytest.raises(ModelNotFoundError, match=r"the variants in it: 'other'"):
        Translator(folder, cache_dir=cache)
    with Translator(folder, variant="other", cache_dir=cache) as other:
        assert other.variant == "other" and not other.from_cache
        assert other.generate([[5, 6, 0]]) == expected
        assert verify_model(other, max_new_tokens=5).faithful
    with open_model(folder, variant="other", cache_dir=cache) as again:
        assert again.from_cache
    assert len(list(cache.iterdir())) == 2  # the plain one's is not replaced


def test_wrong_variants(folder: Path) -> None:
    with pytest.raises(OptionError, match=r"variant: found '\.\./x'"):
        Translator(folder, variant="../x")
    with pytest.raises(ModelNotFoundError, match=r"lacks encoder_model_q4\.onnx"):
        Translator(folder, variant="q4")


def test_on_the_command_line(folder: Path, cli: Cli, tmp_path: Path) -> None:
    done = cli("info", folder, "--variant", "q4", "--no-cache")
    assert done.returncode == 1 and "encoder_model_q4.onnx" in done.stderr
    assert cli("info", folder, "--variant", "other", "--no-cache").returncode == 0
    packed = cli("pack", folder, "--variant", "other", "-o", tmp_path / "packed")
    assert packed.returncode == 0 and "other-float32" in packed.stdout
