"""The Python API: sequences of calls of one model."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

from pyengine import CancelToken
from pyengine.errors import Error

from .area import Area, Files
from .random_calls import MODELS, Models, arguments_of, random_call

_CALLS = 4  # in a sequence, at most


class Calls(Area):
    """Each input is a sequence of calls of a class, as JSON that says how its values are made."""

    def __init__(self) -> None:
        self._folders = Models()
        self._models = self._folders.on(threads=1)

    def make(self, rng: random.Random) -> Files:
        model = rng.choice(MODELS)
        calls = [random_call(rng, model) for _ in range(rng.randrange(1, _CALLS + 1))]
        return {"calls.json": json.dumps({"model": model, "calls": calls}).encode()}

    def run(self, files: Files) -> bool:
        content = json.loads(files["calls.json"])
        model = self._models[content["model"]]
        refused: Error | None = None
        for call in content["calls"]:
            arguments = arguments_of(call)
            keywords = dict(call["keywords"])
            if call["cancelled"]:
                keywords["cancel"] = CancelToken()
                keywords["cancel"].cancel()
            method: Callable[..., Any] = getattr(model, call["method"])
            try:
                result = method(*arguments, **keywords)
                if hasattr(result, "__next__"):
                    for _ in zip(range(call["read"]), result, strict=False):
                        pass
                    result.close()
            except Error as error:
                assert str(error)
                refused = error
        if refused is not None:
            raise refused
        return True
