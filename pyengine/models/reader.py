"""read_folder: what a model folder holds, but for its tensors."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pyengine import exits
from pyengine.errors import ModelNotFoundError, UnsupportedModelError
from pyengine.models.config import ConfigFields, ModelConfig
from pyengine.models.config_keys import check_supported, supported_by_all, with_main_names
from pyengine.models.families import DECODER_ONLY, ENCODER_ONLY, FAMILIES, Family
from pyengine.models.firefox_files import FirefoxFiles, find_firefox_files, find_shortlist
from pyengine.models.forms import Form, find_forms
from pyengine.models.generation_config import read_generation_config
from pyengine.models.json_file import read_required_json_object
from pyengine.models.labels import read_labels
from pyengine.models.onnx_files import check_folder, find_model_file, find_onnx_files
from pyengine.models.sentence_modules import SentenceModules, read_sentence_modules
from pyengine.models.storage import output_names

STORED_TYPES = ("float32", "int8")


@dataclass(frozen=True)
class ModelFolder:
    """What a model folder holds.

    Attributes:
        path: the folder.
        model_type: as in config.json.
        config: the architecture.
        raw_config: config.json, with the family's first names of keys.
        generation_config: defaults of the generation options, in transformers' names.
        encoder_path, decoder_path: the files that hold the weights; None for a stack that the model
            does not have.
        decoder_with_past_path: decoder_with_past_model.onnx, not read; None if there is none.
        tensors: canonical name -> float32 array, as the table in pyengine/models/tensors.py lists
            them, each read when it is asked for. Linear weights are [in, out]. Arrays are read-only
            and may be views of each other or of any strides: a tied output projection is the token
            table transposed. A weight "x.weight" may be int8: it then comes with "x.weight_scale",
            float32 [out], of a token table [rows], and unless all are 0 with as many zero points
            "x.weight_zero_point", and means (int8 - zero point) * scale.
        stored_type: of the weights in the files, "float32" or "int8".
        forms: of the ONNX files, none of a plain export; with the operators that told them.
        firefox: the files of a Firefox Translations model; None for an ONNX folder.
        shortlist: the file of a lexical shortlist, not read; None without one.
        variant: which variant of the ONNX files was asked for; None: the plain one, or the first.
        sentence: how an encoder makes a vector of a text.
    """

    path: Path
    model_type: str
    config: ModelConfig
    raw_config: dict[str, Any]
    generation_config: dict[str, Any]
    encoder_path: Path | None
    decoder_path: Path | None
    decoder_with_past_path: Path | None
    tensors: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    stored_type: str = "float32"
    forms: tuple[Form, ...] = ()
    firefox: FirefoxFiles | None = None
    shortlist: Path | None = None
    variant: str | None = None
    sentence: SentenceModules = dataclasses.field(default_factory=SentenceModules)

    @property
    def graph_paths(self) -> dict[str, Path]:
        """The file of each stack that the model has, "encoder" first."""
        paths = {"encoder": self.encoder_path, "decoder": self.decoder_path}
        return {stack: path for stack, path in paths.items() if path is not None}


def read_folder(folder: str | Path, variant: str | None = None) -> ModelFolder:
    """`read_model` without tensors: no weight is read, and few errors of ONNX files are found."""
    path = Path(folder)
    if firefox := find_firefox_files(path):
        if variant is not None:
            raise ModelNotFoundError(
                f"{str(path)!r} is a Firefox model, which has no variants: found {variant!r}"
            )
        return _firefox_folder(path, firefox)
    check_folder(path)
    raw_config = read_required_json_object(path / "config.json")
    model_type = raw_config.get("model_type")
    family = FAMILIES.get(model_type) if isinstance(model_type, str) else None
    if family is None:
        raise UnsupportedModelError(
            f"config.json: model_type is {model_type!r:.60}, supported are {', '.join(FAMILIES)}"
        )
    raw_config = with_main_names(raw_config, family.aliases)
    generation_config = read_generation_config(path, raw_config, family.model_type)
    check_supported(raw_config, {**supported_by_all(family.stacks), **family.supported})
    model = ModelFolder(
        path=path,
        model_type=family.model_type,
        config=family.read_config(raw_config),
        raw_config=raw_config,
        generation_config=_with_length(generation_config, family),
        encoder_path=None,
        decoder_path=None,
        decoder_with_past_path=None,
        stored_type=ConfigFields(raw_config).choice("stored_type", STORED_TYPES),
        variant=variant,
    )
    return _with_forms(_with_files(model, family))


def _with_length(generation_config: dict[str, Any], family: Family) -> dict[str, Any]:
    """The same with the family's length if it gives none."""
    if not family.max_length or {"max_length", "max_new_tokens"} & set(generation_config):
        return generation_config
    return {**generation_config, "max_length": family.max_length}


def _with_files(model: ModelFolder, family: Family) -> ModelFolder:
    """The same with the files of the family's stacks."""
    if family.stacks == ENCODER_ONLY:
        file = find_model_file(model.path, model.variant)
        outputs = output_names(file)
        return dataclasses.replace(
            model,
            encoder_path=file,
            config=_with_head(model.config, model.raw_config, outputs),
            sentence=read_sentence_modules(model.path, outputs, model.raw_config),
        )
    if family.stacks == DECODER_ONLY:
        return dataclasses.replace(model, decoder_path=find_model_file(model.path, model.variant))
    files = find_onnx_files(model.path, model.variant)
    return dataclasses.replace(
        model,
        encoder_path=files.encoder,
        decoder_path=files.decoder,
        decoder_with_past_path=files.decoder_with_past,
        shortlist=find_shortlist(model.path),
    )


def _with_forms(model: ModelFolder) -> ModelFolder:
    """The same with the forms of the files; those of integer products hold int8."""
    forms = find_forms(model.graph_paths.values())
    stored_type = "int8" if any(form.is_int8 for form in forms) else model.stored_type
    config = model.config
    if config.activation == "gelu" and any("FastGelu" in form.operators for form in forms):
        # onnxruntime's optimiser approximates (O3), and the file says what is computed.
        config = dataclasses.replace(config, activation="gelu_tanh")
    return dataclasses.replace(model, forms=forms, stored_type=stored_type, config=config)


def _with_head(config: ModelConfig, raw_config: dict[str, Any], outputs: list[str]) -> ModelConfig:
    """The same with the classes of the head, where the export has one."""
    if "logits" not in outputs:
        return config
    return dataclasses.replace(config, num_labels=len(read_labels(raw_config)))


def _firefox_folder(path: Path, files: FirefoxFiles) -> ModelFolder:
    with exits.guarded_imports:
        from pyengine.models.firefox import read_firefox  # which other folders do not need
        from pyengine.models.quantized import holds_int8

    model = read_firefox(files)
    return ModelFolder(
        path=path,
        model_type=model.raw_config["model_type"],
        config=model.config,
        raw_config=model.raw_config,
        generation_config=model.generation_config,
        encoder_path=files.model,
        decoder_path=files.model,
        decoder_with_past_path=None,
        stored_type="int8" if holds_int8(model.tensors) else "float32",
        firefox=files,
        shortlist=files.shortlist,
    )
