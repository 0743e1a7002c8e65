"""The classes of a model that classifies, as config.json names them."""

from typing import Any

from pyengine.errors import ModelFormatError
from pyengine.models.config import ConfigFields

_DEFAULT_NUM_LABELS = 2
"""Of a file without id2label and num_labels, by transformers' PretrainedConfig."""
_MOST_LABELS = 1 << 16
"""Without names; no real classifier comes near."""


def read_labels(raw: dict[str, Any]) -> tuple[str, ...]:
    """The names of the classes in the order of their ids.

    Raises:
        ModelFormatError: the ids do not run from 0, or two classes have one name.
    """
    names = raw.get("id2label")
    if names is None:
        count = ConfigFields(raw).size("num_labels", _DEFAULT_NUM_LABELS)
        if count > _MOST_LABELS:
            raise ModelFormatError(
                f"config.json: num_labels is {count}, expected at most {_MOST_LABELS}"
            )
        return tuple(f"LABEL_{i}" for i in range(count))
    if not isinstance(names, dict) or not names:
        raise ModelFormatError(f"config.json: id2label is {names!r:.60}, expected names by id")
    ids = [str(i) for i in range(len(names))]
    if set(names) != set(ids) or not all(isinstance(name, str) for name in names.values()):
        raise ModelFormatError(
            f"config.json: id2label has the ids {', '.join(map(str, names)):.60}, "
            f"expected names for 0 to {len(names) - 1}"
        )
    labels = tuple(names[i] for i in ids)
    if len(set(labels)) != len(labels):
        raise ModelFormatError("config.json: id2label has one name for two classes")
    return labels
