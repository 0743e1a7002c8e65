"""The command line: in this process, where nothing but a process of its own would tell more."""

from __future__ import annotations

import argparse
import gzip
import io
import itertools
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import BinaryIO

import pytest

import pyengine
from pyengine import Translator, cli_input, cli_translate
from pyengine.cli_input import LineReader, Pace
from pyengine.info import _decoding_text
from pyengine.text_decoder import TextDecoder, read_text

from .conftest import FIXTURES, SENTENCES, Cli, elsewhere


def test_version(cli_process: Cli) -> None:
    done = cli_process("--version")
    assert (done.returncode, done.stdout) == (0, f"pyengine {pyengine.__version__}\n")


def test_text_arguments(cli: Cli, text_model: Path, text_translator: Translator) -> None:
    done = cli("translate", "--model", text_model, *SENTENCES[:2], "", "--num-beams", 2)
    expected = text_translator.translate([*SENTENCES[:2], ""], num_beams=2)
    assert done.stdout.split("\n") == [*expected, ""]
    assert (done.returncode, done.stderr) == (0, "")


def test_standard_input(cli_process: Cli, text_model: Path, text_translator: Translator) -> None:
    lines = [*SENTENCES, "", "  ", *SENTENCES[::-1]]
    done = cli_process(
        "translate", "-m", text_model, text="\n".join(lines)
    )  # no newline at the end
    assert done.stdout.split("\n") == [*text_translator.translate(lines), ""]
    assert (done.returncode, done.stderr) == (0, "")


def test_files_and_output(
    cli: Cli, text_model: Path, text_translator: Translator, tmp_path: Path
) -> None:
    one, two, out = (tmp_path / name for name in ("one.txt", "two.txt", "out.txt"))
    one.write_bytes("\ufeffA dog runs.\r\nZwei \u2028 Hunde\r\n".encode())
    two.write_text("A woman.\n\n")
    arguments = ("translate", "-m", text_model, "-i", one, "-i", "-", "-i", two, "-o", out)
    done = cli(*arguments, "--batch-size", 2, "--threads", 1, "--isa", "scalar", text="A cat.\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    lines = ["A dog runs.", "Zwei \u2028 Hunde", "A cat.", "A woman.", ""]
    expected = text_translator.translate(lines)
    assert out.read_text(encoding="utf-8").split("\n") == [*expected, ""]


def test_scores(cli: Cli, text_model: Path, text_translator: Translator) -> None:
    options = ("--num-beams", 3, "--num-return-sequences", 2, "--length-penalty", 0.5)
    words = ("translate", "-m", text_model, "--no-split", "--scores", *options)
    done = cli(*words, SENTENCES[0], " ", SENTENCES[1])
    sources = [text_translator.encode(text) for text in SENTENCES[:2]]
    rows = text_translator.generate(
        sources, num_beams=3, num_return_sequences=2, length_penalty=0.5
    )
    first, second = (
        [f"{found.score:.6f}\t{text_translator.decode(found.ids)}" for found in row] for row in rows
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split("\n") == [*first, "", "", *second, ""]


def test_scores_of_a_language(cli: Cli, tmp_path: Path) -> None:
    for source in ("tokenizers/m2m", "m2m"):
        shutil.copytree(FIXTURES / source, tmp_path / "m2m", dirs_exist_ok=True)
    words = ("-m", tmp_path / "m2m", "--from", "fr", "--to", "de", "--no-split")
    plain = cli("translate", *words, "the dog runs").stdout
    done = cli("translate", *words, "--scores", "the dog runs")
    score, text = done.stdout.split("\t")
    assert text == plain and float(score) < 0


def test_scores_of_a_route(
    cli: Cli, text_model: Path, tmp_path: Path, text_translator: Translator
) -> None:
    for name in ("en-de", "fr-en"):
        (tmp_path / name).symlink_to(text_model, target_is_directory=True)
    words = ("translate", "--no-split", "--scores", SENTENCES[0], "--to", "de")
    done = cli(*words, "--from", "en", PYENGINE_MODELS=str(tmp_path))
    assert done.stdout.split("\t")[1] == f"{text_translator.translate(SENTENCES[0])}\n"
    done = cli(*words, "--from", "fr", PYENGINE_MODELS=str(tmp_path))
    assert done.returncode == 2 and "expected a model that translates directly" in done.stderr


def test_a_pipe_as_file(
    cli: Cli, text_model: Path, text_translator: Translator, tmp_path: Path
) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_text, args=("A dog.\nA cat.\n",), daemon=True)
    writer.start()
    done = cli("translate", "-m", text_model, "-i", path)
    assert done.stdout.split("\n") == [*text_translator.translate(["A dog.", "A cat."]), ""]


def test_lines_are_counted_in_ordinary_files_only(tmp_path: Path) -> None:
    path, pipe = tmp_path / "file", tmp_path / "pipe"
    path.write_text("A dog.\nA cat.")
    os.mkfifo(pipe)
    for text, names, expected in (
        ([], [path, path], 4), ([], [path, pipe], None), ([], ["-"], None), (["a"], [], 1),
    ):  # fmt: skip
        arguments = argparse.Namespace(text=text, input=[str(name) for name in names])
        assert cli_input.count_inputs(arguments) == expected


def test_n_best_and_decoding_options(
    cli: Cli, text_model: Path, text_translator: Translator
) -> None:
    done = cli(
        "translate", "-m", text_model, "--num-beams", 4, "--num-return-sequences", 2,
        "--length-penalty", 0.6, "--early-stopping", "never", "--max-length", 9, SENTENCES[0], "",
    )  # fmt: skip
    expected = text_translator.translate(
        SENTENCES[0], num_beams=4, num_return_sequences=2, length_penalty=0.6,
        early_stopping="never", max_length=9,
    )  # fmt: skip
    assert done.stdout.split("\n") == [*expected, "", "", ""]


def test_a_bad_line_is_named_and_what_came_before_is_kept(
    cli: Cli, text_model: Path, text_translator: Translator, tmp_path: Path
) -> None:
    path = tmp_path / "in.txt"
    path.write_text("\n".join(["A dog.", "A cat.", "dog " * 2000, "A woman."]))
    done = cli("translate", "-m", text_model, "--no-split", "-i", path)
    assert done.returncode == 1
    assert done.stdout.split("\n") == [*text_translator.translate(["A dog.", "A cat."]), ""]
    assert done.stderr.startswith(f"pyengine: error: {path}:3: ")
    assert "or pass --truncate" in done.stderr
    assert done.stderr.count("\n") == 1

    cut = ("--no-split", "--truncate", "--max-new-tokens", 5)
    done = cli("translate", "-m", text_model, "-i", path, *cut)
    assert (done.returncode, done.stdout.count("\n")) == (0, 4)
    assert done.stderr.startswith(f"pyengine: warning: {path}:3: ")
    assert done.stderr.count("\n") == 1


def test_an_input_is_not_written_over(cli: Cli, text_model: Path, tmp_path: Path) -> None:
    path = tmp_path / "in.txt"
    path.write_text("A dog.\n")
    done = cli("translate", "-m", text_model, "-i", path, "-o", tmp_path / "." / "in.txt")
    assert done.returncode == 2
    assert "which is also an input" in done.stderr
    assert path.read_text() == "A dog.\n"


def test_info(cli: Cli, ids_model: Path) -> None:
    done = cli("info", ids_model)
    assert done.returncode == 0
    for fact in ("marian", "52,275", "encoder_model.onnx", "num_beams 4", "token ids only"):
        assert fact in done.stdout
    facts = json.loads(cli("info", ids_model, "--json", "--isa", "scalar").stdout)
    assert facts["parameters"] == 52_275
    assert facts["architecture"]["hidden_size"] == 32
    assert facts["engine"]["isa"] == "scalar"
    assert facts["files"]["config.json"] > 0
    assert facts["memory"]["weights"] > 4 * 52_275
    assert facts["tokenizer"] is None
    assert facts["decoding"]["bad_words_ids"] == [[210]]


def test_a_text_that_is_the_name_of_a_file(cli: Cli, text_model: Path, tmp_path: Path) -> None:
    file = tmp_path / "letter.txt"
    file.write_text("A dog runs.")
    done = cli("translate", "-m", text_model, str(file))
    assert (done.returncode, done.stdout) == (0, f"{file}\n")
    assert f"warning: {str(file)!r} is a file; --input {file} translates" in done.stderr
    assert not cli("translate", "-m", text_model, "A dog runs.").stderr


def test_info_shows_zeros() -> None:
    decoding = {"a": 0, "b": 0.0, "c": False, "d": (), "e": None, "f": True}
    assert _decoding_text(decoding) == "a 0, b 0, f True"
    sampling = {"do_sample": True, "top_k": 50, "top_p": 1.0, "seed": None}
    assert _decoding_text({**sampling, "repetition_penalty": 1.0}) == "do_sample True, top_k 50"


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ((), 2, "the following arguments are required: command"),
        (("translte",), 2, "invalid choice: 'translte'"),
        (("translate", "x"), 2, "expected --model MODEL, or --from"),
        (
            ("translate", "-m", "MODEL", "--num-baems=4", "a"),
            2,
            "--num-baems: no such option; "
            "did you mean --num-beams? (see pyengine translate --help)",
        ),
        (("translate", "-m", "MODEL", "--num-beam", "4"), 2, "did you mean --num-beams?"),
        (("translate", "-m", "MODEL", "--beam-size=4"), 2, "did you mean --num-beams?"),
        (("translate", "-m", "MODEL", "--tgt-lang", "de"), 2, "did you mean --to?"),
        (
            ("translate", "--src", "en", "--tgt", "pt", "a"),
            2,
            "--src: no such option; did you mean --from?",
        ),
        (("translate", "-m", "MODEL", "--to_code", "de"), 2, "did you mean --to?"),
        (("translate", "-m", "", "a"), 2, "-m/--model: found an empty string, expected a folder"),
        (("cache", "clear", "nowhere"), 1, "MODEL: found 'nowhere', expected a model folder"),
        (("cache", "trim", "MODEL"), 2, "MODEL: expected with clear, found trim"),
        (("cache", "--max-size", "1G"), 2, "--max-size: expected with trim, found list"),
        (("bench", "MODEL", "--max-batch-size", "4"), 2, "did you mean --batch-size?"),
        (
            ("translate", "-m", "MODEL", "--scores", "a"),
            2,
            "expected with --no-split: a score",
        ),
        (("info", "MODEL", "--jsn"), 2, "did you mean --json? (see pyengine info --help)"),
        (("info", "MODEL", "--zzzz"), 2, "--zzzz: no such option (see"),
        (("translate", "-m", "MODEL", "--quiet", "a"), 2, "--quiet: no such option (see"),
        (("translate", "-m", "MODEL", "--device=cuda", "a"), 2, "pyengine computes on the CPU"),
        (("info", "MODEL", "b"), 2, "found 'b', expected no more arguments"),
        (("--versoin",), 2, "the following arguments are required: command"),
        (("--versoin", "info", "MODEL"), 2, "did you mean --version? (see pyengine --help)"),
        (("translate", "-m", "MODEL", "--threads", "x", "a"), 2, "invalid int value: 'x'"),
        (("translate", "-m", "MODEL", "--threads", "0", "a"), 2, "threads: found 0"),
        (("translate", "-m", "MODEL", "--batch-size", "0", "a"), 2, "batch_size: found 0"),
        (("translate", "-m", "MODEL", "--num-beams", "0", "a"), 2, "num_beams: found 0"),
        (("translate", "-m", "MODEL", "--isa", "avx9", "a"), 2, "avx9"),
        (("translate", "-m", "MODEL", "--early-stopping", "x", "a"), 2, "true, false or never"),
        (("translate", "-m", "MODEL", "a", "-i", "b"), 2, "found both TEXT and --input"),
        (("translate", "-m", "MODEL", "-i", "nowhere.txt"), 1, "nowhere.txt"),
        (("translate", "-m", "MODEL", "-i", "/"), 1, "irectory"),
        (("translate", "-m", "nowhere", "a"), 1, "'nowhere' does not exist"),
        (("info", "nowhere"), 1, "'nowhere' does not exist"),
        (("info", "nowhere\nin two lines"), 1, "nowhere"),
        (("verify", "nowhere"), 1, "'nowhere' does not exist"),
        (("bench", "nowhere"), 1, "'nowhere' does not exist"),
        (("bench", "MODEL", "--rounds", "0"), 2, "rounds: found 0"),
    ],
)
def test_errors_are_one_line(
    cli: Cli, text_model: Path, arguments: tuple[str, ...], status: int, message: str
) -> None:
    done = cli(*(str(text_model) if word == "MODEL" else word for word in arguments))
    assert done.returncode == status
    assert done.stdout == ""
    assert done.stderr.startswith("pyengine: error: ")
    assert done.stderr.count("\n") == 1
    assert message in done.stderr


def test_closed_streams(text_model: Path) -> None:
    def run(arguments: str, text: str = "") -> tuple[int, str, str]:
        command = [sys.executable, "-m", "pyengine", "translate", "-m", str(text_model)]
        line = f"{shlex.join(command)} {arguments}"
        options = {"capture_output": True, "text": True, **elsewhere()}
        done = subprocess.run(line, shell=True, input=text, **options)
        return done.returncode, done.stdout, done.stderr

    message = "pyengine: error: found no standard input, expected TEXT or --input\n"
    assert run("<&-") == (2, "", message)
    assert run("-i nowhere 2>&-") == (1, "", "")
    assert run("'A dog.' >&-") == (0, "", "")
    assert run(">&- 2>&-", "A dog.") == (0, "", "")


def test_a_folder_without_tokenizer(cli: Cli, ids_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.txt"
    out.write_text("precious")
    done = cli("translate", "-m", ids_model, "-o", out, "A dog.")
    assert done.returncode == 1
    assert "no tokenizer files" in done.stderr
    assert out.read_text() == "precious"


def test_a_broken_model_folder(cli: Cli, ids_model: Path, tmp_path: Path) -> None:
    for name in ("config.json", "decoder_model.onnx"):
        (tmp_path / name).write_bytes((ids_model / name).read_bytes())
    (tmp_path / "encoder_model.onnx").write_bytes(b"not a model")
    done = cli("translate", "-m", tmp_path, "A dog.")
    assert done.returncode == 1
    assert done.stderr.startswith("pyengine: error: ")
    assert "encoder_model.onnx" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_model_with_options_that_are_not_supported(
    cli: Cli, text_model: Path, tmp_path: Path
) -> None:
    for path in text_model.iterdir():
        (tmp_path / path.name).symlink_to(path.resolve())
    file = tmp_path / "generation_config.json"
    facts = json.loads(file.read_text())
    file.unlink()
    penalties = {"no_repeat_ngram_size": 1, "repetition_penalty": 9.0}
    file.write_text(json.dumps({**facts, **penalties, "do_sample": True}))
    done = cli("translate", "-m", tmp_path, "A dog.")
    assert (done.returncode, done.stdout) == (1, "")
    assert "do_sample: found True" in done.stderr
    pytest.importorskip("onnxruntime")
    assert cli("verify", tmp_path, "--max-new-tokens", 3).returncode == 0  # greedy in any case
    done = cli("bench", tmp_path, "--rounds", 1, "--batch-size", 64, "--target-length", 2)
    assert (done.returncode, done.stderr) == (0, "")


def test_generate(cli: Cli, prompted_model: Path) -> None:
    with pyengine.Generator(prompted_model, cache_dir=False) as generator:
        ids = [generator.encode("A)")]
        options = {"max_new_tokens": 12, "num_beams": 2, "num_return_sequences": 2}
        beams = [generator.decode(h.ids) for h in generator.generate(ids, **options)[0]]
        greedy = "".join(generator.stream("A)", repetition_penalty=1.5))
        sampled = "".join(generator.stream("A)", do_sample=True, seed=4, temperature=1.5))
    command = ("generate", "-m", prompted_model, "A)")
    found = cli(*command, "--max-new-tokens", 12, "--num-beams", 2, "--num-return-sequences", 2)
    assert (found.returncode, found.stdout, found.stderr) == (0, "\n".join([*beams, ""]), "")
    for mode in ((), ("--stream",)):
        found = cli(*command, "--repetition-penalty", 1.5, *mode)
        assert (found.returncode, found.stdout) == (0, f"{greedy}\n")
        found = cli(*command, "--do-sample", "--seed", 4, "--temperature", 1.5, *mode)
        assert (found.returncode, found.stdout) == (0, f"{sampled}\n")
    piped = cli(*command[:-1], "--repetition-penalty", 1.5, text="A)\n")
    assert piped.stdout == f"{greedy}\n"


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--stream", "--num-beams", 2], 2, "num_beams: found 2, expected 1"),
        (["--top-p", "2", "--do-sample"], 2, "top_p: found 2.0, expected a number from 0 to 1"),
        (["--max-new-tokens", 0], 2, "max_new_tokens: found 0"),
        (["--sed", 3], 2, "did you mean --seed?"),
        (["extra"], 2, "found 'extra', expected no more arguments"),
    ],
)
def test_generate_errors(
    cli: Cli, prompted_model: Path, arguments: list[object], status: int, message: str
) -> None:
    done = cli("generate", "-m", prompted_model, "A)", *arguments)
    assert (done.returncode, done.stdout) == (status, "")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_generate_needs_a_decoder_only_model(cli: Cli, text_model: Path) -> None:
    done = cli("generate", "-m", text_model, "A dog.")
    assert done.returncode == 1
    assert "pyengine.Translator" in done.stderr


def test_sampled_translations(cli: Cli, text_model: Path, text_translator: Translator) -> None:
    options = ("--do-sample", "--num-beams", 1, "--seed", 5, "--top-k", 8)
    done = cli("translate", "-m", text_model, *SENTENCES[:3], *options)
    sampled = {"do_sample": True, "num_beams": 1, "seed": 5, "top_k": 8}
    expected = text_translator.translate(list(SENTENCES[:3]), **sampled)
    assert done.stdout.split("\n") == [*expected, ""]


def start(*arguments: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "pyengine", *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # A background job, as a CI may be, hands down that SIGINT is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        **elsewhere(),
    )


def test_a_line_is_answered_at_once(text_model: Path) -> None:
    with start("translate", "-m", text_model, "--threads", 1) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for text in ("A dog runs.\n", "A cat.\n"):
            process.stdin.write(text.encode())
            process.stdin.flush()
            assert process.stdout.readline().strip()  # would wait for ever
        process.stdin.close()
        assert process.wait() == 0


def test_ctrl_c(text_model: Path, tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    path.write_text("A man is riding a bicycle in front of a house.\n" * 50_000)
    with start("translate", "-m", text_model, "--threads", 1, "-i", path) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.stdout.read().count(b"\n") < 40_000
        assert process.wait() == 130
        assert process.stderr.read() == b""


def test_a_reader_that_goes_away(text_model: Path, tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    path.write_text("A man is riding a bicycle in front of a house.\n" * 50_000)
    with start("translate", "-m", text_model, "--threads", 1, "-i", path) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.wait() == 141
        assert process.stderr.read() == b""


def test_the_installed_command_and_the_module_are_the_same() -> None:
    from pyengine.cli import main

    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0


def reader(file: BinaryIO, pace: Pace | None = None) -> LineReader:
    return LineReader(file, pace or Pace(), TextDecoder("name", None))


def test_line_reader_cuts_lines_at_newlines_only(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    lines = ["one", "", "x" * 300_000, "a\x85b\x0cc\rd", "last"]
    path.write_bytes("\n".join(lines).encode())
    with path.open("rb") as file:
        assert [line for chunk in reader(file) for line in chunk] == lines
    path.write_bytes(b"a\n" * 1000)
    with path.open("rb") as file:
        pace = Pace()
        pace.lines = 300
        assert [len(chunk) for chunk in reader(file, pace)] == [300, 300, 300, 100]
    path.write_bytes(b"")
    with path.open("rb") as file:
        assert list(reader(file)) == []


def test_a_byte_order_mark_is_no_text() -> None:
    content = b"\xef\xbb\xbfA dog.\r\n\xef\xbb\xbfA cat.\r\n"
    for stripped, kept in (("\r", ""), ("", "\r")):
        (lines,) = cli_input._chunks([reader(io.BytesIO(content))], stripped)
        assert [line.text for line in lines] == [f"A dog.{kept}", f"\ufeffA cat.{kept}"]
        assert [line.where for line in lines] == ["name:1", "name:2"]


def test_lines_before_a_fault_are_translated(
    cli: Cli, text_model: Path, text_translator: Translator, tmp_path: Path
) -> None:
    path, out = tmp_path / "latin.txt", tmp_path / "out"
    path.write_bytes("A dog.\nA caf\u00e9.\nA cat.\n".encode("latin-1"))
    done = cli("translate", "-m", text_model, "-i", path, "-o", out)
    assert (done.returncode, out.read_text()) == (1, f"{text_translator.translate('A dog.')}\n")
    found = f"{path}:2: found the byte 0xe9 at offset 12, which is not utf-8"
    assert found in done.stderr and "--encoding" in done.stderr
    done = cli("translate", "-m", text_model, "-i", path, "--encoding", "latin-1")
    lines = ["A dog.", "A caf\u00e9.", "A cat."]
    assert (done.returncode, done.stdout.splitlines()) == (0, text_translator.translate(lines))
    done = cli("translate", "-m", text_model, "--encoding", "klingon", "-i", path)
    assert done.returncode == 2 and "--encoding: found 'klingon', expected" in done.stderr


def test_an_argument_that_is_no_text(
    cli_process: Cli, text_model: Path, text_translator: Translator
) -> None:
    # A byte, as a terminal in Latin-1 sends.
    words = ("translate", "-m", text_model, "A caf\udce9.")
    done = cli_process(*words)
    assert (done.returncode, done.stdout) == (1, "")
    assert "TEXT:1: found the byte 0xe9 at offset 5, which is not utf-8" in done.stderr
    done = cli_process(*words, "--encoding", "latin-1")
    assert done.stdout.splitlines() == text_translator.translate(["A caf\u00e9."])


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
def test_byte_order_marks_are_obeyed(
    cli: Cli, text_model: Path, text_translator: Translator, tmp_path: Path, encoding: str
) -> None:
    path = tmp_path / "text"
    mark = "\ufeff" if encoding[-2:] in ("le", "be") else ""
    path.write_bytes(f"{mark}A \u0a0a dog.\r\nA cat.".encode(encoding))
    done = cli("translate", "-m", text_model, "-i", path)
    expected = text_translator.translate(["A \u0a0a dog.", "A cat."])
    assert (done.returncode, done.stdout.splitlines()) == (0, expected)


def test_a_device_without_an_end_is_not_read_to_its_end() -> None:
    class Endless(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            assert size is not None
            assert size > 0
            return bytes(size)

    with pytest.raises(pyengine.InputError, match=r"/dev/zero:1: found a NUL character"):
        read_text(Endless(), "/dev/zero")


def test_files_that_are_no_text(cli: Cli, text_model: Path, tmp_path: Path) -> None:
    good, program, nul = tmp_path / "good", tmp_path / "program", tmp_path / "nul"
    good.write_text("A dog.\n")
    program.write_bytes(b"\x7fELF\x02\x01\x01")
    nul.write_bytes(b"A dog.\nA\0cat.\n")
    done = cli("translate", "-m", text_model, "-i", good, "-i", program)
    assert (done.returncode, done.stdout) == (1, "")  # before anything is translated
    assert f"{program}: found what seems to be a program (ELF), expected text" in done.stderr
    done = cli("translate", "-m", text_model, "-i", nul)
    assert (done.returncode, len(done.stdout.splitlines())) == (1, 1)
    assert f"{nul}:2: found a NUL character, expected text" in done.stderr
    done = cli("translate", "-m", text_model, text=gzip.compress(b"A dog.\n"))
    assert (done.returncode, done.stdout) == (1, "")
    assert "<stdin>: found what seems to be a gzip file, expected text; gzip -dc" in done.stderr


def test_the_pace_grows_with_speed() -> None:
    pace = Pace()
    for _ in range(20):
        pace.learn(pace.lines, 0.1)
    assert pace.lines == 4096
    pace.learn(100, 0.1)  # the end of a file says nothing
    pace.learn(4096, 2.0)
    assert pace.lines == 4096
    pace.learn(4096, 10.0)
    assert pace.lines == 2048


def test_line_reader_gives_what_has_arrived() -> None:
    receiver, sender = os.pipe()
    with os.fdopen(receiver, "rb") as file:
        chunks = iter(reader(file))
        os.write(sender, b"one\ntwo\nthr")
        assert next(chunks) == ["one", "two"]
        os.write(sender, b"ee\n")
        assert next(chunks) == ["three"]
        os.close(sender)
        assert list(chunks) == []


def test_line_reader_waits_for_an_input_that_does_not_block() -> None:
    receiver, sender = os.pipe()
    os.set_blocking(receiver, False)
    with os.fdopen(receiver, "rb") as file:
        threading.Timer(0.1, lambda: (os.write(sender, b"one\n"), os.close(sender))).start()
        assert list(reader(file)) == [["one"]]


class Terminal(io.StringIO):
    """Standard error that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("delay", "shows"), [(0.0, True), (60.0, False)])
def test_a_bar_only_for_long_work_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, delay: float, shows: bool
) -> None:
    tqdm = pytest.importorskip("tqdm")
    ticks = itertools.count()  # a second each: it draws ten times a second at most
    monkeypatch.setattr(tqdm.std, "time", lambda: next(ticks))
    monkeypatch.setattr(cli_translate, "BAR_DELAY", delay)
    for stream, output, expected in (
        (Terminal(), io.StringIO(), shows),
        (Terminal(), Terminal(), False),
        (io.StringIO(), io.StringIO(), False),
    ):
        monkeypatch.setattr(sys, "stderr", stream)
        with cli_translate._Bar(lambda: 10, output) as bar:
            bar.update(5)
        assert ("5/10" in stream.getvalue()) is expected
        assert "line/s" not in stream.getvalue()
