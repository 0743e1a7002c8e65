"""Writes tests/fixtures/config_keys.json: every key of config.json that transformers reads.

Run it once for each version of transformers, whose part of the file it replaces::

    python -m tools.make_config_keys

For each family these are the keys that its configuration class declares, takes from its arguments
or writes, second names, and what the family's own code asks of a configuration. "generation" are
those that GenerationConfig takes, with their defaults.
"""

import contextlib
import dataclasses
import importlib
import inspect
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import transformers
from transformers import GenerationConfig, PretrainedConfig
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

OUT = Path(__file__).parents[1] / "tests" / "fixtures" / "config_keys.json"
FAMILIES = (
    *("bart", "m2m_100", "marian", "mbart", "pegasus", "t5", "mt5"),
    *("bert", "distilbert", "roberta", "xlm-roberta", "gpt2", "llama", "mistral", "qwen2"),
)
_READERS = ("__init__", "__post_init__", "convert_rope_params_to_dict")
_TAKEN = re.compile(r"""kwargs\.(?:pop|get)\(\s*["'](\w+)["']""")
_ASKED = re.compile(r"""config\.([a-z]\w*)|getattr\((?:self\.)?config, ["']([a-z]\w*)["']""")


def keys_of(config_class: type[PretrainedConfig]) -> set[str]:
    """Every key that a configuration class reads."""
    config = config_class()
    keys = {*config.to_dict(), *config_class.attribute_map}
    for base in config_class.__mro__[:-1]:
        for function in (vars(base)[name] for name in _READERS if name in vars(base)):
            keys.update(inspect.signature(function).parameters)
            with contextlib.suppress(OSError):  # a dataclass's __init__ has no source
                keys.update(_TAKEN.findall(inspect.getsource(inspect.unwrap(function))))
    if dataclasses.is_dataclass(config_class):
        keys.update(field.name for field in dataclasses.fields(config_class))
    name = config_class.__module__.replace("configuration_", "modeling_")
    for module in (importlib.import_module(name), transformers.masking_utils):
        keys.update(key for key in _asked(module) if _is_value(config, key))
    return {key for key in keys if not key.startswith("_")} - {"self", "args", "kwargs"}


def generation_defaults(config: PretrainedConfig) -> dict[str, Any]:
    """The generation options that a family's configuration class sets by itself."""
    plain, own = GenerationConfig().to_dict(), GenerationConfig.from_model_config(config).to_dict()
    return {
        name: value
        for name, value in own.items()
        if value != plain.get(name) and not name.startswith("_")
    }


def _asked(module: ModuleType) -> set[str]:
    found = _ASKED.findall(inspect.getsource(module))
    return {first or second for first, second in found}


def _is_value(config: PretrainedConfig, key: str) -> bool:
    is_property = isinstance(getattr(type(config), key, None), property)
    return not is_property and not callable(getattr(config, key, None))


def main() -> None:
    """Replace what the file says of the installed version."""
    generation: dict[str, Any] = GenerationConfig().to_dict()
    for name in ("transformers_version", "generation_kwargs", "_from_model_config"):
        generation.pop(name, None)
    families = {name: keys_of(CONFIG_MAPPING[name]) for name in FAMILIES}
    every = set.intersection(*families.values())
    own = {name: sorted(keys - every) for name, keys in families.items()}
    table = json.loads(OUT.read_text()) if OUT.exists() else {}
    defaults = {name: generation_defaults(CONFIG_MAPPING[name]()) for name in FAMILIES}
    table[transformers.__version__] = {
        "generation": generation,
        "generation_defaults": defaults,
        "every": sorted(every - set(generation)),
        **{name: [key for key in keys if key not in generation] for name, keys in own.items()},
    }
    OUT.write_text(json.dumps(dict(sorted(table.items())), indent=1) + "\n")


if __name__ == "__main__":
    main()
