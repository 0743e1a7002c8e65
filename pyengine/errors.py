"""The exceptions pyengine raises: one base class, and one kind per cause that a caller may handle.

Each kind also derives from the built-in exception that a Python user would expect in its place, so
``except ValueError`` and ``except FileNotFoundError`` work as they do elsewhere.
"""


class Error(Exception):
    """Base of every error that pyengine raises on purpose."""


class ModelNotFoundError(Error, FileNotFoundError):
    """A model folder, or a file that the folder must hold, does not exist."""


class ModelFormatError(Error, ValueError):
    """A model file exists, but is damaged or is not what its name or its configuration says."""


class UnsupportedModelError(ModelFormatError):
    """The file is sound, but of an architecture or with an operator that pyengine does not run."""


class TokenizerMissingError(Error, FileNotFoundError):
    """The folder holds no tokenizer files: it loads for token ids, but cannot translate text."""


class InputError(Error, ValueError):
    """A sentence or a list of token ids cannot be used (range, length, emptiness)."""


class InputTypeError(Error, TypeError):
    """An argument has the wrong type."""


class OptionError(Error, ValueError):
    """An option has a value outside its range, or is not supported."""


class UnknownOptionError(Error, TypeError):
    """An option does not exist; the message names the nearest one that does."""


class ClosedError(Error, RuntimeError):
    """The translator was used after ``close()``."""


class CancelledError(Error):
    """A call was ended by its :class:`~pyengine.CancelToken`; it has no result."""


class DeadlineError(Error, TimeoutError):
    """A call was not done within its ``timeout``; it has no result."""


class ForkedError(Error, RuntimeError):
    """The process was forked while this model was at work; the child must load it again."""


class TruncationWarning(UserWarning):
    """A sentence was cut to the model's position limit, as ``truncate=True`` asked."""


def excerpt(value: object, most: int = 60) -> str:
    """How a message shows a value that was found, in ``most`` characters at most.

    Any value: Python writes no integer of over 4,300 digits in decimal.
    """
    try:
        text = repr(value)
    except Exception as error:
        text = f"a {type(value).__name__} that cannot be shown ({error})"
    return text if len(text) <= most else text[: most - 3] + "..."
