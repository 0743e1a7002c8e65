"""Translate with Transformer models exported to ONNX, on the CPU, without converting them.

    import pyengine

    translator = pyengine.Translator("path/to/model")
    translator.translate("A man is riding a bicycle.")

``Translator`` loads a folder once; ``translate`` is the same in one call, with the translator
cached. ``Encoder`` runs encoder-only models, ``Generator`` decoder-only ones. Every error derives
from ``Error``. Nothing here imports onnx before a model is read.
"""

from pyengine import interpreters as interpreters  # refuses one that the extension cannot be in

try:
    from pyengine import _core as _core
except ImportError as error:
    raise ImportError(
        f"pyengine's extension cannot be imported ({error}). In a source tree, install with "
        "'pip install .' and leave the folder, or build in place with "
        "'python setup.py build_ext --inplace'."
    ) from error

from pyengine._version import __version__
from pyengine.cancel import CancelToken
from pyengine.decoder_model import Hypothesis
from pyengine.encoder import Encoder
from pyengine.errors import (
    CancelledError,
    ClosedError,
    DeadlineError,
    Error,
    ForkedError,
    InputError,
    InputTypeError,
    ModelFormatError,
    ModelNotFoundError,
    OptionError,
    TokenizerMissingError,
    TruncationWarning,
    UnknownOptionError,
    UnsupportedModelError,
)
from pyengine.generation_options import GenerationOptions
from pyengine.generator import Generator
from pyengine.oneshot import translate
from pyengine.translator import Translator

__all__ = [
    "CancelToken",
    "CancelledError",
    "ClosedError",
    "DeadlineError",
    "Encoder",
    "Error",
    "ForkedError",
    "GenerationOptions",
    "Generator",
    "Hypothesis",
    "InputError",
    "InputTypeError",
    "ModelFormatError",
    "ModelNotFoundError",
    "OptionError",
    "TokenizerMissingError",
    "Translator",
    "TruncationWarning",
    "UnknownOptionError",
    "UnsupportedModelError",
    "__version__",
    "translate",
]


def __dir__() -> list[str]:
    """The public names: what completion offers."""
    return __all__
