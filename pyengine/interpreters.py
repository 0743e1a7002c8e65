"""Refuses, when it is imported, an interpreter that the extension cannot be loaded into."""

from importlib import import_module


def check_main_interpreter() -> None:
    """Refuse a subinterpreter, where loading the extension would wait for ever.

    Raises:
        ImportError: this is none of the process's main interpreter.
    """
    for name in ("_interpreters", "_xxsubinterpreters"):  # from Python 3.13 on, and before
        try:
            interpreters = import_module(name)
        except ImportError:
            continue
        break
    else:  # a Python without subinterpreters
        return
    if interpreters.get_current() != interpreters.get_main():
        raise ImportError(
            "pyengine: found a subinterpreter, expected the main interpreter of the process, as "
            "NumPy and pybind11 do (with mod_wsgi: WSGIApplicationGroup %{GLOBAL})"
        )


check_main_interpreter()
