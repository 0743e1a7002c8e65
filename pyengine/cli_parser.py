"""The parser of the command line ``pyengine``."""

from __future__ import annotations

import argparse
import difflib
from pathlib import Path
from typing import Any, NoReturn

from pyengine._version import __version__
from pyengine.loading import COMPUTE_TYPES

EXIT_USAGE = 2

_DECODING: dict[str, tuple[type, str]] = {
    "num_beams": (int, "beams followed; 1 is greedy search"),
    "num_return_sequences": (int, "results of each input, one a line, best first"),
    "max_length": (int, "tokens of a result at most, start and end token or prompt included"),
    "max_new_tokens": (int, "the same without start token or prompt"),
    "max_length_factor": (float, "the same for each token of the input, as Marian has it"),
    "min_length": (int, "tokens of a result at least, counted as for --max-length"),
    "length_penalty": (float, "a score is divided by (tokens ** this)"),
    "no_repeat_ngram_size": (int, "sequences of so many tokens occur once at most"),
    "repetition_penalty": (float, "above 1, tokens that are there already become less likely"),
    "temperature": (float, "of sampling: below 1, likely tokens become likelier"),
    "top_k": (int, "of sampling: draw from so many most probable tokens; 0 is all (50)"),
    "top_p": (float, "of sampling: draw from the fewest that have this probability together"),
    "min_p": (float, "of sampling: draw from those of this share of the largest probability"),
    "typical_p": (
        float,
        "of sampling: draw from the most typical tokens of this total probability",
    ),
    "seed": (int, "of sampling: the same gives the same samples (another for each call)"),
}
DECODING_NAMES = (*_DECODING, "early_stopping", "do_sample")
"""The options of decoding."""


_OTHER_FLAGS = {  # of CTranslate2, Marian, fairseq, Argos, DeepL and transformers
    "--beam-size": "--num-beams",
    "--beam": "--num-beams",
    "--beams": "--num-beams",
    "--num-hypotheses": "--num-return-sequences",
    "--n-best": "--num-return-sequences",
    "--nbest": "--num-return-sequences",
    "--max-decoding-length": "--max-new-tokens",
    "--mini-batch": "--batch-size",
    "--max-batch-size": "--batch-size",
    "--cpu-threads": "--threads",
    "--intra-threads": "--threads",
    "--inter-threads": "--threads",
    "--quantization": "--compute-type",
    **dict.fromkeys(("--source", "--src", "--source-lang", "--src-lang"), "--from"),
    **dict.fromkeys(("--source-language", "--from-lang", "--from-code", "-f", "-s"), "--from"),
    **dict.fromkeys(("--target", "--tgt", "--target-lang", "--tgt-lang", "--dest"), "--to"),
    **dict.fromkeys(("--target-language", "--to-lang", "--to-code", "-t"), "--to"),
    **dict.fromkeys(("--file", "--files", "--input-file", "--src-file"), "--input"),
    **dict.fromkeys(("--output-file", "--out"), "--output"),
    **dict.fromkeys(("--model-path", "--model-dir", "--models", "--model-name"), "--model"),
    **dict.fromkeys(("--return-scores", "--with-scores", "--with-score"), "--scores"),
    **dict.fromkeys(("--workers", "--num-workers", "--num-threads"), "--threads"),
    "--max-tokens": "--max-new-tokens",
    "--sampling-topk": "--top-k",
    "--sampling-temperature": "--temperature",
    "--alternatives": "--num-return-sequences",
    "--split-sentences": "--split",
    "--int8": "--compute-type",
    "--dtype": "--compute-type",
}
"""What other tools call an option, and what it is called here."""
_DEVICES = ("--device", "--device-index", "--devices", "--cuda", "--gpu", "--gpus")


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
        name = word.split("=")[0].replace("_", "-")
        other = _OTHER_FLAGS.get(name)
        if other is not None and other in self._option_string_actions:
            return f"{name}: no such option; did you mean {other}?"
        if name in _DEVICES:
            return f"{name}: no such option; pyengine computes on the CPU"
        flags = self._option_string_actions
        known = [flag.removeprefix("--") for flag in flags if flag.startswith("--")]
        close = difflib.get_close_matches(name.lstrip("-"), known, n=1)
        return f"{name}: no such option" + (f"; did you mean --{close[0]}?" if close else "")

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
    _add_generate(commands)
    _add_models(commands)
    _add_convert(commands)
    _add_info(commands)
    _add_verify(commands)
    _add_pack(commands)
    _add_cache(commands)
    _add_bench(commands)
    return parser


def _add_translate(commands: Any) -> None:
    parser = commands.add_parser(
        "translate",
        help="translate text, files or standard input",
        description="Translate text given here, in files, or on standard input. Lines come out in "
        "input order, with their white space. An empty line stays empty. Without --model, the "
        "installed model for --from and --to is used: pyengine models lists them.",
    )
    parser.add_argument("text", nargs="*", metavar="TEXT", help="a text to translate")
    parser.add_argument("-m", "--model", type=_folder, help="model folder")
    language = "language of the text, such as en, or as the model calls it"
    parser.add_argument("--from", dest="source", metavar="CODE", help=language)
    parser.add_argument("--to", dest="target", metavar="CODE", help="that of the translation")
    parser.add_argument("--prefix", default="", help="what the model wants before each text")
    _add_scores(parser, "; with --no-split")
    parser.add_argument(
        "-i",
        "--input",
        action="append",
        default=[],
        metavar="FILE",
        help="a file of text in UTF-8; '-' is standard input; may be repeated",
    )
    _add_encoding(parser)
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="instead of stdout")
    parser.add_argument(
        "--split",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="translate each sentence of a line by itself, as models want it; with --no-split a "
        "line is put to the model as it is",
    )
    parser.add_argument(
        "--keep-spans",
        action=argparse.BooleanOptionalAction,
        help="whether placeholders, tags, addresses, and signs that the model does not know stay "
        "as they are (yes, unless --no-split)",
    )
    parser.add_argument(
        "--truncate",
        action="store_true",
        help="with --no-split, cut a line longer than the model's positions and warn, instead of "
        "stopping",
    )
    _add_decoding_options(parser)
    engine = _add_engine_options(parser)
    engine.add_argument(
        "--batch-size", type=int, metavar="N", help="sentences decoded together at most (32)"
    )


def _add_generate(commands: Any) -> None:
    parser = commands.add_parser(
        "generate",
        help="continue a text",
        description="Continue a text given here, or standard input as a whole, with a decoder-only "
        "model (GPT-2, Llama). What follows the text is written, and a line break.",
    )
    parser.add_argument("text", nargs="?", metavar="TEXT", help="the text to continue")
    parser.add_argument("-m", "--model", type=_folder, required=True, help="model folder")
    _add_encoding(parser)
    parser.add_argument("--stream", action="store_true", help="write each token as it is made")
    _add_scores(parser, "")
    _add_decoding_options(parser)
    _add_engine_options(parser)


def _add_models(commands: Any) -> None:
    commands.add_parser(
        "models",
        help="list the installed models",
        description="List the models that --from and --to choose from: languages, folder, and "
        "where it was found. They lie in the folder that PYENGINE_MODELS names, or in installed "
        "packages.",
    )


def _add_convert(commands: Any) -> None:
    parser = commands.add_parser(
        "convert",
        help="write a Firefox Translations model as ONNX",
        description="Write a Firefox Translations (Bergamot, Marian) model as the ONNX folder that "
        "pyengine and onnxruntime read; int8 weights stay int8. pyengine runs both.",
    )
    parser.add_argument("model", type=Path, metavar="FOLDER", help="with model*.bin or model*.npz")
    parser.add_argument("out", type=Path, metavar="OUT", help="a new folder")


def _add_info(commands: Any) -> None:
    parser = commands.add_parser(
        "info",
        help="show what a model folder holds",
        description="Show a model's architecture, size, tokenizer and decoding defaults.",
    )
    _add_model(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    _add_engine_options(parser)


def _add_verify(commands: Any) -> None:
    parser = commands.add_parser(
        "verify",
        help="compare the engine with onnxruntime on the same files",
        description="Run the folder's ONNX files through onnxruntime (greedy) and the engine on "
        "the same tokens, and compare their logits; of an encoder alone, the last hidden states or "
        "the logits of its classes. Exit status 1 when they differ.",
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


def _add_pack(commands: Any) -> None:
    parser = commands.add_parser(
        "pack",
        help="pack a model's weights ahead of its first load",
        description="Pack a model's weights as the first load would, so that every load is a fast "
        "one. They are found by the folder's path, and are used for the very ONNX files that were "
        "packed.",
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


def _add_cache(commands: Any) -> None:
    parser = commands.add_parser(
        "cache",
        help="list or remove packed weights",
        description="List the packed weights in a cache folder, those used last at the end, or "
        "remove them all (clear), those of one model, or those used longest ago (trim). A load "
        "that adds some trims by itself: to 5 GiB, or the size in PYENGINE_CACHE_SIZE.",
    )
    parser.add_argument(
        "action", nargs="?", choices=("list", "clear", "trim"), default="list", help="(list)"
    )
    parser.add_argument("model", nargs="?", metavar="MODEL", help="folder of the model to clear")
    parser.add_argument("--cache-dir", metavar="DIR", help="the folder (the user's own cache)")
    parser.add_argument(
        "--max-size", metavar="SIZE", help="what trim leaves, such as 500M or 2G (as loads do)"
    )


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


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=_folder, metavar="MODEL", help="model folder")


def _add_scores(parser: argparse.ArgumentParser, condition: str) -> None:
    parser.add_argument(
        "--scores",
        action="store_true",
        help=f"write the score of each result and a tab before it{condition}",
    )


def _add_encoding(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--encoding",
        metavar="NAME",
        help="of the input: what its byte-order mark says, or UTF-8; output is always UTF-8",
    )


def _add_decoding_options(parser: argparse.ArgumentParser) -> None:
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
    decoding.add_argument(
        "--do-sample",
        action=argparse.BooleanOptionalAction,
        help="draw each token by its probability, with --num-beams 1",
    )


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


def _folder(text: str) -> Path:
    if not text:  # as an unset variable of a shell, which Path takes for the current folder
        raise argparse.ArgumentTypeError("found an empty string, expected a folder")
    return Path(text)


def _early_stopping(text: str) -> bool | str:
    values: dict[str, bool | str] = {"true": True, "false": False, "never": "never"}
    if text.lower() not in values:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected true, false or never")
    return values[text.lower()]
