"""Calls that do not fit a function, such as with another library's argument names, explained."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, TypeVar, cast

from pyengine.errors import Error, InputTypeError, UnknownOptionError, excerpt
from pyengine.option_names import hint

Function = TypeVar("Function", bound=Callable[..., Any])


def explained(function: Function) -> Function:
    """The function, with errors of ours in place of Python's where a call does not fit it.

    Raises:
        UnknownOptionError: an argument that it does not have; names the nearest.
        InputTypeError: too many arguments, one that is missing, or given twice.
    """

    @wraps(function)
    def call(*args: Any, **keywords: Any) -> Any:
        try:
            return function(*args, **keywords)
        except TypeError as error:
            entered = error.__traceback__ is not None and error.__traceback__.tb_next is not None
            if entered:
                raise
            raise _explanation(function, args, keywords) from None

    return cast("Function", call)


def _explanation(
    function: Callable[..., Any], args: tuple[Any, ...], keywords: Mapping[str, Any]
) -> Error:
    parameters = inspect.signature(function).parameters
    own = int("self" in parameters)
    name = _public_name(function, args[:own])
    by_name = [x.name for x in parameters.values() if x.kind in (x.KEYWORD_ONLY, _EITHER)]
    takes_any = any(x.kind is x.VAR_KEYWORD for x in parameters.values())
    for keyword in keywords:
        if keyword not in parameters and not takes_any:
            known = [x for x in by_name if x != "self"]
            return UnknownOptionError(
                f"{keyword}: no such argument of {name}(...); {hint(keyword, known)}"
            )
    positional = [x for x in parameters.values() if x.kind is _EITHER]
    if len(args) > len(positional):
        extra = args[len(positional)]
        expected = ", ".join(x.name for x in positional[own:])
        reason = f"{name}: found {len(args) - own} arguments without a name, expected {expected}"
        if "source" in parameters and all(isinstance(x, str) for x in args[1 + own :]):
            languages = f"{name}(text, source='en', target='pt')"
            return InputTypeError(f"{reason}; languages are given by name: {languages}")
        return InputTypeError(f"{reason}; give {excerpt(extra, 40)} by the name of its argument")
    given = {x.name for x in positional[: len(args)]}
    twice = [keyword for keyword in keywords if keyword in given]
    if twice:
        return InputTypeError(f"{name}: {twice[0]} was given twice")
    missing = [x for x in positional[own:] if x.default is x.empty and x.name not in given]
    lacking = next((x.name for x in missing if x.name not in keywords), "an argument")
    strangers = [keyword for keyword in keywords if keyword not in parameters]
    found = f"found {strangers[0]}, expected {lacking}" if strangers else f"{lacking} is missing"
    return InputTypeError(f"{name}: {found}")


_EITHER = inspect.Parameter.POSITIONAL_OR_KEYWORD


def _public_name(function: Callable[..., Any], owner: tuple[Any, ...]) -> str:
    """The name by which it was called, of the class that was used."""
    kind = type(owner[0]).__name__ if owner else "pyengine"
    return kind if function.__name__ == "__init__" else f"{kind}.{function.__name__}"
