"""Which of a folder's ONNX files are read, where one model stands there in several variants."""

from pathlib import Path

import pytest
import tiny_onnx

from pyengine.errors import ModelNotFoundError, OptionError
from pyengine.models import read_folder, read_model
from pyengine.models.onnx_files import (
    VARIANTS,
    checked_variant,
    find_model_file,
    find_onnx_files,
)

WITH_PAST = "decoder_with_past_model"


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / f"{name}.onnx"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def found(folder: Path, variant: str | None = None) -> list[str | None]:
    """Encoder, decoder, merged decoder and decoder with a cache, as seen from the folder."""
    files = find_onnx_files(folder, variant)
    paths = (files.encoder, files.decoder, files.merged, files.decoder_with_past)
    return [None if path is None else str(path.relative_to(folder)) for path in paths]


@pytest.mark.parametrize("variant", VARIANTS[1:])
@pytest.mark.parametrize("place", ["", "onnx/"])
def test_every_suffix_on_every_file(tmp_path: Path, place: str, variant: str) -> None:
    stems = ("encoder_model", "decoder_model", "decoder_model_merged", WITH_PAST)
    names = [f"{place}{stem}_{variant}" for stem in stems]
    touch(tmp_path, *names)
    expected = [f"{name}.onnx" for name in names]
    assert found(tmp_path) == expected
    assert found(tmp_path, variant) == expected
    touch(tmp_path, f"{place}model_{variant}")
    assert find_model_file(tmp_path) == tmp_path / f"{place}model_{variant}.onnx"


def test_the_plain_files_come_first_then_the_documented_order(tmp_path: Path) -> None:
    stems = ("encoder_model", "decoder_model_merged")
    for variant in reversed(VARIANTS):
        suffix = f"_{variant}" if variant else ""
        touch(tmp_path, *(f"{stem}{suffix}" for stem in stems), f"model{suffix}")
        assert found(tmp_path)[:2] == [f"{stem}{suffix}.onnx" for stem in stems]
        assert find_model_file(tmp_path).name == f"model{suffix}.onnx"


def test_both_stacks_in_one_variant_where_they_can(tmp_path: Path) -> None:
    touch(tmp_path, "encoder_model", "encoder_model_int8", "decoder_model_merged_int8")
    assert found(tmp_path)[:2] == ["encoder_model_int8.onnx", "decoder_model_merged_int8.onnx"]
    touch(tmp_path, "decoder_model_fp16")
    (tmp_path / "encoder_model_int8.onnx").unlink()
    assert found(tmp_path)[:2] == ["encoder_model.onnx", "decoder_model_fp16.onnx"]


def test_a_variant_of_another_name(tmp_path: Path) -> None:
    touch(tmp_path, "encoder_model_O3", "decoder_model_O3")
    assert found(tmp_path, "O3")[:2] == ["encoder_model_O3.onnx", "decoder_model_O3.onnx"]
    with pytest.raises(ModelNotFoundError, match=r"lacks encoder_model\.onnx; .* in it: 'O3'"):
        find_onnx_files(tmp_path)


def test_a_variant_that_is_not_there(tmp_path: Path) -> None:
    touch(
        tmp_path, "encoder_model", "encoder_model_fp16", "decoder_model_merged_q4", "decoder_model"
    )
    message = r"lacks encoder_model_q4\.onnx; the variants in it: the plain one, 'fp16'"
    with pytest.raises(ModelNotFoundError, match=message):
        find_onnx_files(tmp_path, "q4")
    message = r"lacks decoder_model_fp16\.onnx or decoder_model_merged_fp16\.onnx; .*one, 'q4'"
    with pytest.raises(ModelNotFoundError, match=message):
        find_onnx_files(tmp_path, "fp16")
    touch(tmp_path, "model_int8")
    with pytest.raises(ModelNotFoundError, match=r"lacks model_q4\.onnx; .*: 'int8'"):
        find_model_file(tmp_path, "q4")


@pytest.mark.parametrize("suffix", ["", "_fp16"])
def test_the_decoder_with_past_alone_is_no_model(tmp_path: Path, suffix: str) -> None:
    touch(tmp_path, f"{WITH_PAST}{suffix}")
    with pytest.raises(ModelNotFoundError, match=r"lacks encoder_model\.onnx"):
        find_onnx_files(tmp_path)
    touch(tmp_path, f"encoder_model{suffix}")
    with pytest.raises(ModelNotFoundError, match=f"{WITH_PAST}.onnx alone is no model: it lacks"):
        find_onnx_files(tmp_path)


@pytest.mark.parametrize("variant", ["", "../fp16", "a/b", "fp 16", 16, ["fp16"], "x" * 65])
def test_a_setting_that_is_no_variant(variant: object) -> None:
    with pytest.raises(OptionError, match=r"variant: found .*'fp16'"):
        checked_variant(variant)


def test_the_folder_remembers_it(tmp_path: Path) -> None:
    folder = tiny_onnx.write(tmp_path)
    for stem in ("encoder_model", "decoder_model"):
        (folder / f"{stem}.onnx").rename(folder / f"{stem}_fp16.onnx")
    model = read_folder(folder, "fp16")
    assert model.variant == "fp16" and read_folder(folder).variant is None
    assert (
        model.encoder_path == read_folder(folder).encoder_path == folder / "encoder_model_fp16.onnx"
    )
    assert len(read_model(folder, "fp16").tensors) > 40
