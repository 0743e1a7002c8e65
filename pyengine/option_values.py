"""One value of a generation option: its type and range, and the error that says what is wrong."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pyengine.errors import OptionError, excerpt

FILE_NAME = "generation_config.json or config.json"
MAX_BEAMS = 1024
"""More than any use we know of; the search's memory and time grow with its square."""

INT_MAX = 2**31 - 1
"""The largest number that the engine takes."""


@dataclass(frozen=True)
class ModelLimits:
    """What a model allows: ids in ``[0, vocab_size)``, at most ``max_positions`` tokens.

    A model that is ``prompted`` continues the caller's ids, and has no decoder start token.
    """

    vocab_size: int
    max_positions: int
    prompted: bool = False


class _BadValue(Exception):
    def __init__(self, expected: str) -> None:
        super().__init__(expected)
        self.expected = expected


Check = Callable[[Any, ModelLimits], Any]
"""The value of an option as it is used; raises ``_BadValue``."""


@dataclass(frozen=True)
class Given:
    """The raw values in force, and which of them come from the call."""

    values: dict[str, Any]
    from_call: frozenset[str]

    def holds(self, name: str) -> bool:
        """Whether there is a value, or the call switches it off."""
        return self.values.get(name) is not None or name in self.from_call

    def value(self, name: str, check: Check, limits: ModelLimits) -> Any:
        """The value as it is used.

        Raises:
            OptionError: names the option, what was found and what was expected.
        """
        try:
            return check(self.values.get(name), limits)
        except _BadValue as bad:
            raise self.error(name, bad.expected) from None

    def error(self, name: str, expected: str) -> OptionError:
        """What to raise for a value, which says if it is the model folder's."""
        origin = "" if name in self.from_call else f" (in the model's {FILE_NAME})"
        return OptionError(
            f"{name}: found {excerpt(self.values.get(name))}, expected {expected}{origin}"
        )


def _integer(value: Any, expected: str) -> int:
    if isinstance(value, bool):
        raise _BadValue(expected)
    try:
        return operator.index(value)
    except TypeError:
        raise _BadValue(expected) from None


def between(minimum: int, maximum: int) -> Check:
    """An integer, both ends included."""
    expected = f"an integer from {minimum} to {maximum}"
    if maximum == INT_MAX:
        expected = f"an integer of at least {minimum}"

    def check(value: Any, limits: ModelLimits) -> int:
        number = _integer(value, expected)
        if not minimum <= number <= maximum:
            raise _BadValue(expected)
        return number

    return check


def at_least(minimum: int) -> Check:
    """An integer from ``minimum``."""
    return between(minimum, INT_MAX)


def optional(check: Check, without: Any = None) -> Check:
    """``check``, and ``without`` in the place of ``None``."""
    return lambda value, limits: without if value is None else check(value, limits)


def real(value: Any, limits: ModelLimits) -> float:
    """A finite number."""
    expected = "a finite number"
    if isinstance(value, (bool, str, bytes)):
        raise _BadValue(expected)
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise _BadValue(expected) from None
    if not math.isfinite(number):
        raise _BadValue(expected)
    return number


def positive(value: Any, limits: ModelLimits) -> float:
    """A number above 0 with which float32 can compute."""
    number = real(value, limits)
    if number < 1e-6 or number > 1e6:
        raise _BadValue("a number from 1e-6 to 1e6")
    return number


def factor(value: Any, limits: ModelLimits) -> float:
    """A number of tokens for each other one; 0 for none."""
    number = real(value, limits)
    if not 0 <= number <= 1e6:
        raise _BadValue("a number from 0 to 1e6")
    return number


def share(value: Any, limits: ModelLimits) -> float:
    """A number from 0 to 1."""
    number = real(value, limits)
    if not 0 <= number <= 1:
        raise _BadValue("a number from 0 to 1")
    return number


def boolean(value: Any, limits: ModelLimits) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise _BadValue("True or False")
    return value


def stopping(value: Any, limits: ModelLimits) -> bool | str:
    """``early_stopping``."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value == "never":
        return value
    raise _BadValue("True, False or 'never'")


def token(value: Any, limits: ModelLimits) -> int:
    """A token id."""
    expected = f"a token id from 0 to {limits.vocab_size - 1}"
    number = _integer(value, expected)
    if not 0 <= number < limits.vocab_size:
        raise _BadValue(expected)
    return number


def tokens(value: Any, limits: ModelLimits) -> tuple[int, ...]:
    """Token ids."""
    if not _is_list(value):
        raise _BadValue(f"a list of token ids from 0 to {limits.vocab_size - 1}")
    return tuple(token(item, limits) for item in value)


def token_or_tokens(value: Any, limits: ModelLimits) -> tuple[int, ...]:
    """One token id or several, each once."""
    ids = tokens(value, limits) if _is_list(value) else (token(value, limits),)
    return tuple(dict.fromkeys(ids))


def words(value: Any, limits: ModelLimits) -> tuple[tuple[int, ...], ...]:
    """Sequences of token ids."""
    expected = f"a list of non-empty lists of token ids from 0 to {limits.vocab_size - 1}"
    if not _is_list(value) or not all(_is_list(word) and len(word) > 0 for word in value):
        raise _BadValue(expected)
    return tuple(tokens(word, limits) for word in value)


def _is_list(value: Any) -> bool:
    if isinstance(value, (list, tuple)):  # at once what costs 1 us by way of Sequence
        return True
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))
