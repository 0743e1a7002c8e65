"""Calls of one model from several threads at once: each gives what it gives alone, bit by bit."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pyengine import CancelledError, CancelToken, DeadlineError
from pyengine.errors import Error

from .area import Area, Files
from .random_calls import MODELS, Call, Model, Models, arguments_of, can_be_ended, random_call

_THREADS = (2, 3, 6)
_CALLS = 3  # of a thread, at most
_TIMEOUTS = (None, None, None, 60.0, 1e-2, 1e-3, 1e-4)
_BATCH_SIZES = (1, 2, 3, 7, 32)


@dataclass
class Outcome:
    """What came of a call.

    Attributes:
        parts: of a stream what was read, else the result, in a form that compares bit by bit.
        error: what was raised, in words.
        has_ended: whether there is no more to come.
    """

    parts: Any
    error: str = ""
    has_ended: bool = True

    def begins(self, whole: Outcome) -> bool:
        """Whether it is the beginning, or all, of what another call gave."""
        if self.has_ended:
            return self.parts == whole.parts and self.error == whole.error
        return bool(self.parts == whole.parts[: len(self.parts)])


class Threads(Area):
    """Each input is a list of calls for each thread, as JSON."""

    def __init__(self) -> None:
        self._folders = Models()
        self._alone, self._shared = self._folders.on(threads=1), self._folders.on(threads=3)

    def make(self, rng: random.Random) -> Files:
        model = rng.choice(MODELS)
        lists = [
            [_sound_call(rng, model) for _ in range(rng.randrange(1, _CALLS + 1))]
            for _ in range(rng.choice(_THREADS))
        ]
        return {"threads.json": json.dumps({"model": model, "threads": lists}).encode()}

    def run(self, files: Files) -> bool:
        content = json.loads(files["threads.json"])
        name, lists = content["model"], content["threads"]
        alone, shared = self._alone[name], self._shared[name]
        expected = [[_outcome(alone, call, is_hurried=False) for call in calls] for calls in lists]
        found = _at_once(shared, lists)
        for number, calls in enumerate(lists):
            for call, one, other in zip(calls, found[number], expected[number], strict=True):
                assert one is None or one.begins(other), f"{call}: {one}, alone {other}"
        return any(outcome.parts for outcomes in expected for outcome in outcomes)


def _sound_call(rng: random.Random, model: str) -> Call:
    """A call whose time and token, and how many sentences are decoded together, are its own."""
    call = random_call(rng, model)
    keywords = call["keywords"]
    keywords.pop("timeout", None)
    if "max_new_tokens" in keywords and keywords.get("seed") is None:
        keywords["seed"] = 7  # rather than another one each time
    can_be = can_be_ended(model, call["method"])
    call["timeout"] = rng.choice(_TIMEOUTS) if can_be else None
    call["cancelled"] = can_be and rng.random() < 0.1
    call["batch_size"] = rng.choice(_BATCH_SIZES)
    return call


def _at_once(model: Model, lists: list[list[Call]]) -> list[list[Outcome | None]]:
    """The outcomes of the calls of each thread; ``None`` of one that its time or token ended."""
    results: list[list[Outcome | None]] = [[] for _ in lists]
    failures: list[BaseException] = []
    start = threading.Barrier(len(lists))

    def work(calls: list[Call], outcomes: list[Outcome | None]) -> None:
        try:
            start.wait()
            for call in calls:
                model.batch_size = call["batch_size"]
                outcomes.append(_hurried(model, call))
        except BaseException as failure:
            failures.append(failure)

    threads = [
        threading.Thread(target=work, args=pair) for pair in zip(lists, results, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return results


def _hurried(model: Model, call: Call) -> Outcome | None:
    try:
        return _outcome(model, call, is_hurried=True)
    except (DeadlineError, CancelledError):
        return None


def _outcome(model: Model, call: Call, is_hurried: bool) -> Outcome:
    """What comes of a call, with all that a stream gives or, in a hurry, as much as is wanted.

    In a hurry it may raise what a call raises whose time is up, or that was cancelled.
    """
    keywords, read = dict(call["keywords"]), call["read"] if is_hurried else None
    canceller: threading.Thread | None = None
    if is_hurried and call["timeout"] is not None:
        keywords["timeout"] = call["timeout"]
    if is_hurried and call["cancelled"]:
        keywords["cancel"] = CancelToken()
        canceller = threading.Thread(target=keywords["cancel"].cancel)
        canceller.start()
    method: Callable[..., Any] = getattr(model, call["method"])
    try:
        result = method(*arguments_of(call), **keywords)
        if not hasattr(result, "__next__"):
            return Outcome(_exact(result))
        outcome = _read(result, read)
        if call["method"] == "translate_stream":  # whose pieces may be of any length
            outcome.parts = "".join(outcome.parts)
        return outcome
    except (DeadlineError, CancelledError):
        raise
    except Error as error:
        return Outcome(None, f"{type(error).__name__}: {error}")
    finally:
        if canceller is not None:
            canceller.join()


def _read(stream: Any, most: int | None) -> Outcome:
    """What comes of a stream, as far as it is read."""
    parts: list[Any] = []
    error = ""
    has_ended = False
    try:
        while most is None or len(parts) < most:
            parts.append(_exact(next(stream)))
    except StopIteration:
        has_ended = True
    except (DeadlineError, CancelledError):
        raise
    except Error as found:
        has_ended, error = True, f"{type(found).__name__}: {found}"
    stream.close()
    return Outcome(parts, error, has_ended)


def _exact(value: Any) -> Any:
    """The value in a form that compares bit by bit."""
    if isinstance(value, np.ndarray):
        return str(value.dtype), value.shape, value.tobytes()
    if isinstance(value, float):
        return value.hex()
    if isinstance(value, dict):
        return [(key, _exact(one)) for key, one in value.items()]
    if isinstance(value, (list, tuple)):
        return [_exact(one) for one in value]
    return value
