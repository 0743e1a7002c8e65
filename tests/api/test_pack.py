"""``pyengine pack``, and what the other commands do with the cache."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from pyengine import Translator, cache, cli, weights
from pyengine.loading import Settings
from pyengine.models import read_model
from pyengine.pack import CacheError, check_packed, pack_model

from .conftest import Cli


def run(*arguments: object) -> int:
    return cli.main([str(argument) for argument in arguments])


@pytest.mark.parametrize("compute_type", ["default", "int8"])
def test_pack_then_load(
    model: Path, tmp_path: Path, compute_type: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "packed"
    assert run("pack", model, "--compute-type", compute_type, "--output", folder) == 0
    (file,) = folder.iterdir()
    kind = compute_type.replace("default", "float32")
    printed = capsys.readouterr().out
    assert printed == f"packed: {file} ({kind}, {file.stat().st_size / 2**20:.1f} MiB)\n"
    assert Translator(model, compute_type, cache_dir=folder).from_cache
    assert run("pack", model, "--compute-type", compute_type, "--output", folder, "--check") == 0
    assert capsys.readouterr().out.startswith(f"sound: {file} ({kind}, ")


def test_a_packed_folder_may_be_read_by_all_and_the_users_own_not(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    assert run("pack", model) == 0
    assert run("pack", model, "-o", tmp_path / "shipped") == 0
    for folder, modes in (("home/pyengine", (0o700, 0o600)), ("shipped", (0o755, 0o644))):
        (file,) = (tmp_path / folder).iterdir()
        found = tuple(stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / folder, file))
        assert found == modes


def test_check_finds_what_is_wrong(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "packed"
    check = ("pack", model, "-o", folder, "--check")

    def fails(reason: str) -> None:
        assert run(*check) == 1
        error = capsys.readouterr().err
        assert error.startswith("pyengine: error: ")
        assert error.endswith(f": {reason}\n")

    fails("does not exist")
    assert not folder.exists()
    run("pack", model, "-o", folder)
    (file,) = folder.iterdir()
    whole = file.read_bytes()
    capsys.readouterr()

    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    fails("damaged")
    file.write_bytes(whole[:-1])
    fails("not of these files or this version, or open to other users")
    file.write_bytes(whole)
    assert run(*check) == 0

    encoder = model / "encoder_model.onnx"
    encoder.touch()
    capsys.readouterr()
    fails("not of these files or this version, or open to other users")


def test_check_finds_another_model_behind_the_same_size_and_time(
    model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "packed"
    run("pack", model, "-o", folder)
    decoder = model / "decoder_model.onnx"
    before = decoder.stat()
    data = bytearray(decoder.read_bytes())
    weight = read_model(model).tensors["decoder.layers.0.fc1.weight"]
    data[data.index(weight.tobytes()) + 2] ^= 0x10
    decoder.write_bytes(data)
    os.utime(decoder, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert run("pack", model, "-o", folder, "--check") == 1
    assert "not of these files" in capsys.readouterr().err
    monkeypatch.setattr(weights, "is_current", lambda *arguments: True)  # as a forged file says
    assert run("pack", model, "-o", folder, "--check") == 1
    assert "not the weights of the ONNX files" in capsys.readouterr().err


def test_pack_says_why_it_cannot(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("x")
    assert run("pack", model, "-o", tmp_path / "file") == 1
    assert "cannot be written" in capsys.readouterr().err
    assert run("pack", tmp_path / "none", "-o", tmp_path / "packed") == 1
    assert "does not exist" in capsys.readouterr().err
    assert run("pack", model, "-o", "") == 2
    assert "cache_dir: found ''" in capsys.readouterr().err


def test_pack_without_a_home(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "default_cache_dir", lambda: None)
    for function in (lambda s: pack_model(model, s, False), lambda s: check_packed(model, s)):
        with pytest.raises(CacheError, match="no cache folder"):
            function(Settings.checked())


def test_info_tells_about_the_cache(model: Path, tmp_path: Path, cli: Cli) -> None:
    folder = tmp_path / "cache"
    for expected in ("cache         written to ", "cache         mapped from "):
        assert expected + str(folder) in cli("info", model, "--cache-dir", folder).stdout
    assert "cache         none" in cli("info", model, "--no-cache").stdout
    facts = json.loads(cli("info", model, "--cache-dir", folder, "--json").stdout)
    assert facts["cache"] == {"file": str(next(folder.iterdir())), "used": True}


def test_translate_takes_the_options(text_model: Path, tmp_path: Path, cli: Cli) -> None:
    folder = tmp_path / "cache"
    command = ("translate", "-m", text_model, "A dog runs.")
    plain = cli(*command, "--no-cache")
    first = cli(*command, "--cache-dir", folder)
    second = cli(*command, "--cache-dir", folder)
    assert plain.stdout == first.stdout == second.stdout != ""
    assert plain.stderr == first.stderr == second.stderr == ""
    both = cli(*command, "--cache-dir", folder, "--no-cache")
    assert both.returncode == 2
    assert "not allowed with" in both.stderr
