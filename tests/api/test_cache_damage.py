"""Packed weights that are damaged, that others could have written, or that many use at once."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pyengine
from pyengine import Translator, _core, cache, packed_file, weights
from pyengine.loading import Settings
from pyengine.models import read_folder
from pyengine.pack import pack_model
from pyengine.packed_file import SECTION

from .conftest import SOURCES, elsewhere, results

TYPES = ("float32", "bfloat16", "int8")


@pytest.mark.parametrize("size", [0, 1, 8, 47, 48, 64, 1000, 4096, -64, -1])
def test_a_file_cut_short_is_replaced(ids_model: Path, cache_dir: Path, size: int) -> None:
    expected = results(Translator(ids_model, "int8", cache_dir=cache_dir))
    (file,) = cache_dir.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[:size])
    translator = Translator(ids_model, "int8", cache_dir=cache_dir)
    assert not translator.from_cache
    assert results(translator) == expected
    assert file.read_bytes() == whole


@pytest.mark.parametrize("compute_type", TYPES)
def test_weights_outside_the_file_are_refused(
    ids_model: Path, cache_dir: Path, compute_type: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Offsets that no writer of ours gives, under a checksum that fits."""
    header_for = weights.header_for
    for change in (
        lambda offsets: offsets[:-1],
        lambda offsets: [*offsets, 0],
        lambda offsets: [offsets[0] + 4, *offsets[1:]],
        lambda offsets: [2**64 - 64, *offsets[1:]],
        lambda offsets: [2**70, *offsets[1:]],
        lambda offsets: [-64, *offsets[1:]],
        lambda offsets: [max(offsets)] * len(offsets),
    ):

        def changed(*arguments: Any, change: Any = change) -> Any:
            header = header_for(*arguments)
            object.__setattr__(header, "offsets", change(header.offsets))
            return header

        with monkeypatch.context() as patch:
            patch.setattr(weights, "header_for", changed)
            Translator(ids_model, compute_type, cache_dir=cache_dir)
        assert not Translator(ids_model, compute_type, cache_dir=cache_dir).from_cache
        shutil.rmtree(cache_dir)


@pytest.mark.parametrize(
    "sizes",
    [
        {"encoder_num_heads": 1 << 16, "encoder_head_dim": 1 << 16},
        {"decoder_num_heads": 1 << 16, "decoder_head_dim": 1 << 16},
        {"decoder_num_heads": 1 << 24, "decoder_head_dim": 1 << 24},
        {"hidden_size": 1 << 24, "vocab_size": 1 << 24, "source_vocab_size": 1 << 24},
        {"max_positions": 1 << 24, "token_types": 1 << 24},
        {"max_positions": 1 << 24, "position_offset": 2**31 - 1},
        {"encoder_layers": 1 << 24},
        {"decoder_layers": 2**31 - 1},
        {"encoder_ffn_dim": 2**31 - 1, "decoder_ffn_dim": 2**31 - 1},
        {"num_labels": 2**31 - 1},
    ],
)
@pytest.mark.parametrize("compute_type", TYPES)
def test_a_configuration_whose_sizes_overflow(
    ids_model: Path, compute_type: str, sizes: dict[str, Any]
) -> None:
    """As a forged packed file beside a forged config.json asks for it."""
    packed, _ = weights.pack_weights(read_folder(ids_model), compute_type)
    arrays = packed.packed.arrays()
    header = packed_file.header_for(arrays, {}, {}, {}, 1)
    data = memoryview(b"".join(bytes(part) for part in packed_file._parts(arrays)))
    aligned = np.zeros(len(data) + 64, np.uint8)
    start = -aligned.ctypes.data % 64
    aligned[start : start + len(data)] = data
    buffer = memoryview(aligned)[start : start + len(data)]
    config = read_folder(ids_model).config
    _core.Weights.map(cache.core_config(config), buffer, header.offsets, compute_type)
    forged = cache.core_config(dataclasses.replace(config, **sizes))
    with pytest.raises(ValueError, match=r"expected|ends beyond"):
        _core.Weights.map(forged, buffer, header.offsets, compute_type)


def test_only_bytes_one_after_another_are_mapped(ids_model: Path) -> None:
    config = cache.core_config(read_folder(ids_model).config)
    data = memoryview(bytes(1 << 20))
    for buffer in (data[::-1], data[::2], data.cast("i")):
        with pytest.raises(ValueError, match="not bytes one after another"):
            _core.Weights.map(config, buffer, [0], "float32")


def flip(file: Path, place: int) -> None:
    data = bytearray(file.read_bytes())
    data[place] ^= 0x10
    file.write_bytes(data)


def zero(file: Path, place: int) -> None:
    data = file.read_bytes()
    file.write_bytes(data[:place] + bytes(len(data) - place))


@pytest.mark.parametrize("compute_type", TYPES)
@pytest.mark.parametrize("damage", [flip, zero])
def test_damaged_weights_are_never_used_and_are_replaced(
    ids_model: Path, cache_dir: Path, compute_type: str, damage: Callable[[Path, int], None]
) -> None:
    expected = results(Translator(ids_model, compute_type, cache_dir=cache_dir))
    (file,) = cache_dir.iterdir()
    whole = file.read_bytes()
    for share in (0.4, 0.7, 0.999):
        damage(file, int(share * len(whole)))
        with Translator(ids_model, compute_type, cache_dir=cache_dir) as translator:
            assert results(translator) == expected
            assert not translator.from_cache
        assert file.read_bytes()[-SECTION:] == whole[-SECTION:]
        assert Translator(ids_model, compute_type, cache_dir=cache_dir).from_cache
    assert list(cache_dir.iterdir()) == [file]


def test_threads_that_meet_damaged_weights_at_once(ids_model: Path, cache_dir: Path) -> None:
    expected = results(Translator(ids_model, cache_dir=cache_dir))
    (file,) = cache_dir.iterdir()
    flip(file, file.stat().st_size // 2)
    translator = Translator(ids_model, cache_dir=cache_dir)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: results(translator), range(4))) == [expected] * 4


def test_a_damaged_file_of_a_closed_translator(ids_model: Path, cache_dir: Path) -> None:
    Translator(ids_model, cache_dir=cache_dir)
    translator = Translator(ids_model, cache_dir=cache_dir)
    translator.close()
    assert translator.from_cache
    with pytest.raises(pyengine.ClosedError):
        translator.generate(SOURCES)


# --- other users ---------------------------------------------------------------------------------


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_a_file_of_another_user_is_not_used(model: Path, cache_dir: Path) -> None:
    Translator(model, cache_dir=cache_dir)
    (file,) = cache_dir.iterdir()
    os.chown(file, 12345, -1)
    assert not Translator(model, cache_dir=cache_dir).from_cache
    assert Translator(model, cache_dir=cache_dir).from_cache  # it was replaced
    os.chown(file, 12345, -1)
    os.chown(model, 12345, -1)  # who owns the model may pack it
    assert Translator(model, cache_dir=cache_dir).from_cache
    os.chown(model, os.geteuid(), -1)
    os.chown(file, os.geteuid(), -1)
    os.chown(cache_dir, 12345, -1)
    assert not Translator(model, cache_dir=cache_dir).from_cache


def test_what_others_can_write_is_not_used(ids_model: Path, cache_dir: Path) -> None:
    Translator(ids_model, cache_dir=cache_dir)
    (file,) = cache_dir.iterdir()
    for mode in (0o660, 0o606):
        file.chmod(mode)
        assert not Translator(ids_model, cache_dir=cache_dir).from_cache
        assert Translator(ids_model, cache_dir=cache_dir).from_cache
    cache_dir.chmod(0o777)
    translator = Translator(ids_model, cache_dir=cache_dir)
    assert (translator.from_cache, translator.cache_file) == (False, None)
    cache_dir.chmod(0o1777)  # as /tmp is
    assert Translator(ids_model, cache_dir=cache_dir).from_cache


# --- several at once -----------------------------------------------------------------------------


def test_processes_that_load_at_once(ids_model: Path, cache_dir: Path) -> None:
    script = (
        "import pyengine\n"
        "for i in range(4):\n"
        f"    t = pyengine.Translator({str(ids_model)!r}, 'int8', cache_dir={str(cache_dir)!r})\n"
        f"    print(t.generate({SOURCES}, num_beams=2))\n"
        "    t.cache_file.unlink(missing_ok=True)\n"
    )
    command = [sys.executable, "-c", script]
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **elsewhere())
        for _ in range(4)
    ]
    outputs = [process.communicate()[0] for process in running]
    assert [process.returncode for process in running] == [0] * 4
    lines = {line for output in outputs for line in output.splitlines()}
    assert len(lines) == 1
    assert [path.name for path in cache_dir.iterdir() if path.suffix == ".tmp"] == []


def test_a_file_that_is_written_again_and_again_while_it_is_loaded(
    model: Path, cache_dir: Path
) -> None:
    expected = results(Translator(model, "int8", cache_dir=cache_dir))
    settings = Settings.checked("int8", cache_dir=cache_dir)

    def load(_: int) -> bool:
        translator = Translator(model, "int8", cache_dir=cache_dir)
        return results(translator) == expected and translator.from_cache

    with ThreadPoolExecutor(4) as pool:
        writers = [pool.submit(pack_model, model, settings, False) for _ in range(6)]
        assert all(pool.map(load, range(12)))
        for writer in writers:
            writer.result()
    assert len(list(cache_dir.iterdir())) == 1


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs /proc")
def test_closing_unmaps_the_file(ids_model: Path, cache_dir: Path) -> None:
    Translator(ids_model, cache_dir=cache_dir)
    translator = Translator(ids_model, cache_dir=cache_dir)
    name = str(translator.cache_file)
    assert name in Path("/proc/self/maps").read_text()
    translator.generate(SOURCES)
    translator.close()
    assert name not in Path("/proc/self/maps").read_text()
