"""``pyengine info``: what a model folder holds and how it runs here."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from pyengine import _core
from pyengine.errors import Error
from pyengine.system import cpu_name, peak_memory_bytes

if TYPE_CHECKING:
    from pyengine.translator import Translator

MIB = 1 << 20


def describe(translator: Translator) -> dict[str, Any]:
    """Facts about a loaded model, ready for JSON.

    Sizes are in bytes, lengths in tokens. ``decoding`` is ``{"error": ...}`` where the folder's own
    options are ones that pyengine refuses.

    Example::

        describe(translator)["parameters"]
    """
    return {
        "model": str(translator.path),
        "model_type": translator.model_type,
        "parameters": translator.parameters,
        "architecture": dataclasses.asdict(translator.config),
        "tokenizer": translator.tokenizer_name,
        "decoding": _decoding(translator),
        "files": {
            str(path.relative_to(translator.path)): path.stat().st_size
            for path in sorted(translator.path.rglob("*"))
            if path.is_file()
        },
        "memory": {
            "weights": translator.engine.weight_bytes,
            "peak_of_process": peak_memory_bytes(),
        },
        "shortlist": None if translator.shortlist is None else translator.shortlist.name,
        "cache": {
            "file": None if translator.cache_file is None else str(translator.cache_file),
            "used": translator.from_cache,
        },
        "engine": {
            "compute_type": translator.compute_type,
            "isa": translator.isa,
            "isas_of_this_cpu": _core.available_isas(),
            "cpu": cpu_name(),
            "threads": translator.threads,
            "batch_size": translator.batch_size,
        },
    }


def format_info(facts: dict[str, Any]) -> str:
    """The facts as text for a terminal."""
    config, engine = facts["architecture"], facts["engine"]
    rows = [
        ("model", facts["model"]),
        ("architecture", f"{facts['model_type']}, {_norm(config)}, {_activation(config)}"),
        ("layers", f"{config['encoder_layers']} encoder + {config['decoder_layers']} decoder"),
        ("hidden size", f"{config['hidden_size']}, {_both(config, '_num_heads')} heads, "
         f"feed-forward {_both(config, '_ffn_dim')}"),
        ("vocabulary", _vocabulary(config)),
        ("positions", f"{config['max_positions']}"),
        ("parameters", f"{facts['parameters']:,}"),
        ("tokenizer", facts["tokenizer"] or "none: token ids only"),
        ("decoding", _decoding_text(facts["decoding"])),
        ("shortlist", facts["shortlist"] or "none: chosen from the whole vocabulary"),
        ("files", _files_text(facts["files"])),
        ("memory", f"{facts['memory']['weights'] / MIB:.1f} MiB of weights; "
         f"{facts['memory']['peak_of_process'] / MIB:.0f} MiB peak of this process while loading"),
        ("cache", _cache_text(facts["cache"])),
        ("runs as", f"{engine['compute_type']}, {engine['isa']} of "
         f"{', '.join(engine['isas_of_this_cpu'])}, {_plural(engine['threads'], 'thread')}"),
        ("cpu", engine["cpu"]),
    ]  # fmt: skip
    return "\n".join(f"{name:<14}{text}" for name, text in rows)


def _decoding(translator: Translator) -> dict[str, Any]:
    try:
        return dataclasses.asdict(translator.generation_options())
    except Error as error:
        return {"error": str(error)}


def _decoding_text(decoding: dict[str, Any]) -> str:
    shown = {name: value for name, value in decoding.items() if not _is_off(value)}
    return ", ".join(f"{name} {_plain(value)}" for name, value in shown.items())


def _is_off(value: Any) -> bool:
    return value is None or value is False or value == ()  # 0 is a value


def _plain(value: Any) -> str:
    """Tuples as JSON shows them, one element without brackets."""
    if isinstance(value, tuple):
        texts = [_plain(item) for item in value]
        return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _files_text(files: dict[str, int]) -> str:
    width = max(map(len, files), default=0)
    lines = [f"{name:<{width}}  {_size(size):>11}" for name, size in files.items()]
    return f"\n{'':<14}".join(lines)


def _cache_text(cache: dict[str, Any]) -> str:
    if cache["file"] is None:
        return "none: the weights were read from ONNX"
    return f"{'mapped from' if cache['used'] else 'written to'} {cache['file']}"


def _size(size: int) -> str:
    return f"{size / MIB:.1f} MiB" if size >= MIB // 10 else f"{size / 1024:.1f} KiB"


def _norm(config: dict[str, Any]) -> str:
    order = "pre-norm" if config["normalize_before"] else "post-norm"
    return f"RMS {order}" if config["norm_kind"] == "rms_norm" else order


def _activation(config: dict[str, Any]) -> str:
    return f"gated {config['activation']}" if config["gated_ffn"] else str(config["activation"])


def _both(config: dict[str, Any], name: str) -> str:
    encoder, decoder = config["encoder" + name], config["decoder" + name]
    return str(encoder) if encoder == decoder else f"{encoder} and {decoder}"


def _vocabulary(config: dict[str, Any]) -> str:
    source, target = config["source_vocab_size"], config["vocab_size"]
    return f"{target:,}" if source == target else f"{source:,} source, {target:,} target"


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
