"""The classes of a model that classifies, as config.json names them."""

from typing import Any

from pyengine.errors import ModelFormatError

# What transformers' PretrainedConfig takes for a file without id2label.
_DEFAULT = {"0": "LABEL_0", "1": "LABEL_1"}


def read_labels(raw: dict[str, Any]) -> tuple[str, ...]:
    """The names of the classes in the order of their ids.

    Raises:
        ModelFormatError: the ids do not run from 0, or two classes have one name.
    """
    names = raw.get("id2label")
    names = _DEFAULT if names is None else names
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
