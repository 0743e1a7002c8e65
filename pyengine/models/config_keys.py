"""Keys of config.json that are no sizes: second names, and what pyengine runs one value of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyengine.errors import UnsupportedModelError

Supported = Mapping[str, tuple[Any, ...]]
"""Key -> the values that pyengine runs. A key that is missing or null has the first of them."""

_ALL: Supported = {"pruned_heads": ({},), "per_layer_config": ({},)}
_DECODERS: Supported = {"is_causal": (True,)}


def with_main_names(raw: dict[str, Any], aliases: Mapping[str, str]) -> dict[str, Any]:
    """The same with the values of second names under the first, which they replace.

    Args:
        raw: the parsed config.json.
        aliases: second name -> first, the `attribute_map` of a configuration class.
    """
    present = given(raw)
    return {**raw, **{name: present[alias] for alias, name in aliases.items() if alias in present}}


def given(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that are not null, which counts as absent."""
    return {name: value for name, value in fields.items() if value is not None}


def supported_by_all(stacks: tuple[str, ...]) -> Supported:
    """What transformers reads for every model that consists of these stacks."""
    both = {"is_encoder_decoder": (len(stacks) == 2,)}
    return {**_ALL, **both, **(_DECODERS if "decoder" in stacks else {})}


def check_supported(raw: dict[str, Any], supported: Supported) -> None:
    """Raises UnsupportedModelError for a key with a value that pyengine does not run."""
    for name, values in supported.items():
        found = raw.get(name)
        if found is not None and found not in values:
            shown = ", ".join(str(value).lower() for value in values)
            raise UnsupportedModelError(
                f"config.json: {name} is {found!r:.60}, supported is {shown}"
            )
