"""What the JSON files of ONNX folders and the YAML files of Firefox folders say."""

from __future__ import annotations

import functools
import random
import tempfile
from pathlib import Path

import tiny_marian

from pyengine import Encoder, Generator, Translator
from pyengine.errors import Error
from pyengine.loading import CLASS_NAMES
from pyengine.models import read_folder
from pyengine.option_values import ModelLimits
from pyengine.options import resolve_options

from .area import FIXTURES, Area, Files, Workplace, files_of, smallest_model
from .mutations import TEXTS, changed_bytes, changed_json, odd_integer, odd_value

_FOLDERS = (
    *("bart", "bert", "distilbert", "gpt2", "llama", "m2m_100", "marian", "mbart", "mistral"),
    *("mt5", "pegasus", "qwen2", "roberta", "t5", "transformer", "firefox", "sentence"),
)
_JSON = ("config.json", "generation_config.json")
_GENERATION = b'{"num_beams": 2, "max_length": 9, "eos_token_id": [0, 2], "do_sample": false}'
_YAML = """beam-size: 2
normalize: 1.0
word-penalty: 0
max-length-factor: 2.0
max-length-break: 128
mini-batch-words: 1024
gemm-precision: int8shiftAlphaAll
models:
  - model.bin
alignment: soft
"""
_SENTENCE = {
    "modules.json": b"""[{"idx": 0, "name": "0", "path": "", "type": "a.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "a.models.Pooling"},
        {"idx": 2, "name": "2", "path": "2_Normalize", "type": "a.models.Normalize"}]""",
    "1_Pooling/config.json": b'{"word_embedding_dimension": 48, "pooling_mode": ["cls", "mean"]}',
    "2_Normalize/config.json": b'{"module_input_name": "sentence_embedding"}',
    "sentence_bert_config.json": b'{"max_seq_length": 12, "do_lower_case": true}',
    "config_sentence_transformers.json": b'{"prompts": {"q": "q: "}, "default_prompt_name": "q"}',
}
"""What sentence-transformers writes beside an encoder."""

_CLASSES = {"Translator": Translator, "Encoder": Encoder, "Generator": Generator}
_LOAD = "load"
"""A file, which no folder has, of inputs that are loaded and run."""

_LOADED = 0.04
"""The share of these, which take far longer than to read a folder."""


class Configurations(Area):
    """Each input is one or two files of a folder, which its first name tells."""

    def make(self, rng: random.Random) -> Files:
        files = self._changed(rng, rng.choice(_FOLDERS))
        return {**files, _LOAD: b""} if rng.random() < _LOADED else files

    def _changed(self, rng: random.Random, folder: str) -> Files:
        if folder == "firefox":
            return {"firefox/config.yml": _changed_yaml(rng)}
        sound = _place(folder).files
        if folder == "sentence":
            name = rng.choice((*_SENTENCE, *_SENTENCE, "config.json", "tokenizer_config.json"))
            return {f"{folder}/{name}": changed_json(rng, sound.get(name, b'{"a": 9}'))}
        names = [name for name in _JSON if name in sound]
        name = rng.choice((*names, "config.json"))
        files = {f"{folder}/{name}": changed_json(rng, sound[name])}
        if "generation_config.json" not in sound and rng.random() < 0.3:
            files[f"{folder}/generation_config.json"] = changed_json(rng, _GENERATION)
        return files

    def run(self, files: Files) -> bool:
        [folder] = {name.partition("/")[0] for name in files if name != _LOAD}
        own = {name.partition("/")[2]: files[name] for name in files if name != _LOAD}
        with _place(folder).holding(own) as path:
            model = read_folder(path)
            config = model.config
            limits = ModelLimits(config.vocab_size, config.max_positions)
            if tuple(model.graph_paths) != ("encoder",):
                resolve_options(model.generation_config, {}, limits)
            if _LOAD in files:
                _load_and_run(path, CLASS_NAMES[tuple(model.graph_paths)])
        return True


@functools.cache
def _place(name: str) -> Workplace:
    if name == "transformer":
        return Workplace(files_of(FIXTURES / "transformer-ssru"))
    if name == "sentence":
        return Workplace({**files_of(FIXTURES / "roberta"), **_SENTENCE})
    if name != "firefox":
        return Workplace(smallest_model(name))
    with tempfile.TemporaryDirectory() as folder:
        tiny_marian.write_folder(Path(folder), 0, 30)
        return Workplace(files_of(Path(folder)))


def _load_and_run(path: Path, class_name: str) -> None:
    with _CLASSES[class_name](path, threads=1, cache_dir=False) as model:
        if isinstance(model, Encoder):
            model.forward([[1, 2, 3]])
            if model.path == _place("sentence").path:
                model.encode(["a dog runs .", "a " * 40])
            return
        try:
            model.generate([[1, 2, 3]], max_new_tokens=2)
        except Error:  # of the folder's own options
            model.score([[1, 2, 3]], *([[[4, 5]]] if isinstance(model, Translator) else []))


def _changed_yaml(rng: random.Random) -> bytes:
    lines = _YAML.splitlines()
    for _ in range(rng.choice((1, 1, 2, 4))):
        i = rng.randrange(len(lines))
        key = lines[i].partition(":")[0]
        value = rng.choice((str(odd_integer(rng)), str(odd_value(rng)), rng.choice(TEXTS)))
        lines[i] = rng.choice((f"{key}: {value}", "", value, lines[i] + value, f"  - {value}"))
    content = "\n".join(lines).encode("utf-8", "surrogatepass")
    return changed_bytes(rng, content) if rng.random() < 0.2 else content
