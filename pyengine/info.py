"""``pyengine info``: what a model folder holds and how it runs here."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pyengine
from pyengine import _core
from pyengine.errors import Error
from pyengine.generation_options import NO_PENALTIES, SAMPLING_CHECKS, GenerationOptions
from pyengine.loading import CLASS_NAMES, checked_folder
from pyengine.models import read_folder
from pyengine.models.form import file_forms
from pyengine.models.onnx_files import checked_variant
from pyengine.system import cpu_name, peak_memory_bytes

if TYPE_CHECKING:
    from pyengine.encoder import Encoder
    from pyengine.generator import Generator
    from pyengine.translator import Translator

    AnyModel = Translator | Encoder | Generator

MIB = 1 << 20


def open_model(folder: Any, **settings: Any) -> AnyModel:
    """The folder's model in the class that runs it, made with these settings.

    Raises:
        ModelNotFoundError, ModelFormatError, UnsupportedModelError, OptionError: see
            :class:`pyengine.Translator`.

    Example::

        describe(open_model("path/to/model"))
    """
    variant = checked_variant(settings.get("variant"))
    stacks = tuple(read_folder(checked_folder(folder), variant).graph_paths)
    model: AnyModel = getattr(pyengine, CLASS_NAMES[stacks])(folder, **settings)
    return model


def describe(model: AnyModel) -> dict[str, Any]:
    """Facts about a loaded model, ready for JSON.

    Sizes are in bytes, lengths in tokens. ``decoding`` is ``{"error": ...}`` where the folder's own
    options are ones that pyengine refuses, and ``None`` of an encoder.

    Example::

        describe(model)["parameters"]
    """
    return {
        "model": str(model.path),
        "model_type": model.model_type,
        "parameters": model.parameters,
        "architecture": dataclasses.asdict(model.config),
        "tokenizer": model.tokenizer_name,
        "decoding": _decoding(model),
        "labels": list(getattr(model, "labels", ())),
        "vectors": _vectors(model),
        "form": _form(model),
        "files": {
            str(path.relative_to(model.path)): path.stat().st_size
            for path in sorted(model.path.rglob("*"))
            if path.is_file()
        },
        "memory": {
            "weights": model.engine.weight_bytes,
            "peak_of_process": peak_memory_bytes(),
        },
        "shortlist": None if model.shortlist is None else model.shortlist.name,
        "cache": {
            "file": None if model.cache_file is None else str(model.cache_file),
            "used": model.from_cache,
        },
        "engine": {
            "compute_type": model.compute_type,
            "isa": model.isa,
            "isas_of_this_cpu": _core.available_isas(),
            "cpu": cpu_name(),
            "threads": model.threads,
            "batch_size": model.batch_size,
        },
    }


def format_info(facts: dict[str, Any]) -> str:
    """The facts as text for a terminal."""
    config, engine = facts["architecture"], facts["engine"]
    rows = [
        ("model", facts["model"]),
        ("architecture", f"{facts['model_type']}, {_norm(config)}, {_activation(config)}"),
        ("layers", _layers(config)),
        ("hidden size", f"{config['hidden_size']}, {_both(config, '_num_heads')} heads, "
         f"feed-forward {_both(config, '_ffn_dim')}"),
        ("vocabulary", _vocabulary(config)),
        ("positions", f"{config['max_positions']}"),
        ("parameters", f"{facts['parameters']:,}"),
        ("tokenizer", facts["tokenizer"] or "none: token ids only"),
        ("decoding", _decoding_text(facts["decoding"])),
        ("labels", ", ".join(facts["labels"])),
        ("vectors", _vectors_text(facts["vectors"])),
        ("shortlist", _shortlist_text(facts)),
        ("form", _form_text(facts["form"])),
        ("files", _files_text(facts["files"])),
        ("memory", f"{facts['memory']['weights'] / MIB:.1f} MiB of weights; "
         f"{facts['memory']['peak_of_process'] / MIB:.0f} MiB peak of this process while loading"),
        ("cache", _cache_text(facts["cache"])),
        ("runs as", f"{engine['compute_type']}, {engine['isa']} of "
         f"{', '.join(engine['isas_of_this_cpu'])}, {_plural(engine['threads'], 'thread')}"),
        ("cpu", engine["cpu"]),
    ]  # fmt: skip
    return "\n".join(f"{name:<14}{text}" for name, text in rows if text)


def _decoding(model: AnyModel) -> dict[str, Any] | None:
    if not hasattr(model, "generation_options"):
        return None
    try:
        return dataclasses.asdict(model.generation_options())
    except Error as error:
        return {"error": str(error)}


def _vectors(model: AnyModel) -> dict[str, Any] | None:
    """How an encoder makes a vector of a text where it is not told; of another model ``None``."""
    if not hasattr(model, "pooling") or model.config.classifies:
        return None
    return dataclasses.asdict(model.folder.sentence)


def _vectors_text(vectors: dict[str, Any] | None) -> str:
    if vectors is None:
        return ""
    if vectors["refused"] is not None:
        return f"none: {vectors['refused']}"
    if vectors["pooling"] is None:
        return "the graph's own; encode asks for pooling= and normalize="
    parts = [" and ".join(vectors["pooling"]) + " of the hidden states"]
    parts += ["normalised"] * vectors["normalize"]
    parts += [f"at most {vectors['max_tokens']} tokens"] * (vectors["max_tokens"] is not None)
    parts += [f"prompt {vectors['default_prompt']!r}"] * (vectors["default_prompt"] is not None)
    return ", ".join(parts)


def _form(model: AnyModel) -> list[dict[str, Any]]:
    """Of each ONNX file that is read; empty of a Firefox model."""
    return [
        {**dataclasses.asdict(form), "path": str(form.path.relative_to(model.path))}
        for form in file_forms(model.folder)
    ]


def _form_text(forms: list[dict[str, Any]]) -> str:
    if not forms:
        return "Firefox Translations"
    lines = []
    for form in forms:
        total = sum(form["numbers"].values())
        stored = ", ".join(
            name if count == total else f"{name} {count / total:.1%}"
            for name, count in form["numbers"].items()
        )
        fused = ", ".join(f"{name} x {count}" for name, count in form["fused"].items())
        parts = [
            stored,
            *form["quantised"],
            f"modules by {form['modules_by']}",
            f"fused: {fused or 'nothing'}",
        ]
        written_by = [f"written by {form['producer']}"] if form["producer"] else []
        lines.append(f"{form['path']}: {'; '.join(parts + written_by)}")
    return f"\n{'':<14}".join(lines)


def _shortlist_text(facts: dict[str, Any]) -> str:
    """Nothing of an encoder, which chooses no tokens."""
    if facts["decoding"] is None:
        return ""
    return facts["shortlist"] or "none: chosen from the whole vocabulary"


def _decoding_text(decoding: dict[str, Any] | None) -> str:
    defaults = {field.name: field.default for field in dataclasses.fields(GenerationOptions)}
    idle = {name: defaults[name] for name in (*NO_PENALTIES, *SAMPLING_CHECKS)}
    shown = {
        name: value
        for name, value in (decoding or {}).items()
        if not _is_off(value) and idle.get(name) != value
    }
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


def _layers(config: dict[str, Any]) -> str:
    counts = ((config[f"{stack}_layers"], stack) for stack in ("encoder", "decoder"))
    return " + ".join(f"{count} {stack}" for count, stack in counts if count)


def _both(config: dict[str, Any], name: str) -> str:
    """The size in each stack that is there."""
    sizes = dict.fromkeys((config["encoder" + name], config["decoder" + name]))
    return " and ".join(str(size) for size in sizes if size)


def _vocabulary(config: dict[str, Any]) -> str:
    source, target = config["source_vocab_size"], config["vocab_size"]
    if source == target or not (source and target):
        return f"{source or target:,}"
    return f"{source:,} source, {target:,} target"


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
