"""Does memory stay where it was under traffic of many threads? Fails where it does not.

    python -m tools.soak                              # an hour, 24 threads
    python -m tools.soak --seconds 600 --threads 8 --seed 3

Threads call the models of tests/fixtures at random: translations by greedy and beam search, samples
of the whole vocabulary, continuations, scores, embeddings, streams, of one to many texts. Prints
the resident memory, and at the end whether it stayed within the bars.
"""

from __future__ import annotations

import argparse
import gc
import random
import sys
import threading
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

import pyengine

MB = 1e6
FIXTURES = Path(__file__).resolve().parent.parent / "tests" / "fixtures"
WORDS = (
    "a the man woman dog brown old runs is riding over bicycle red in front of house and".split()
)

WARM_SHARE = 1 / 12
"""Of the time, after which memory shall not grow any more: five minutes of an hour."""

MAX_GROWTH = 1.3
"""Resident memory at any time after it, times that at its end."""

MAX_LEFT = 30.0
"""MB at the end above those at the start."""

NUM_LINES = 20
"""Times that memory is looked at."""

Call = Callable[[random.Random], object]


def resident_mb() -> float:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / MB


class Models:
    """The models, and the calls that a thread may make.

    Args:
        threads: of each model's engine.
    """

    def __init__(self, threads: int) -> None:
        self._translator = pyengine.Translator(FIXTURES / "multi30k-en-de", threads=threads)
        self._quantised = pyengine.Translator(
            FIXTURES / "multi30k-en-de", compute_type="int8", threads=threads
        )
        self._generator = pyengine.Generator(FIXTURES / "gpt2", threads=threads)
        self._encoder = pyengine.Encoder(FIXTURES / "bert-cls", threads=threads)
        self.calls: tuple[Call, ...] = (
            self._greedy,
            self._beams,
            self._samples,
            self._samples_of_the_likely,
            self._continuations,
            self._scores,
            self._embeddings,
            self._stream,
            self._long_text,
        )

    def _greedy(self, rng: random.Random) -> object:
        return self._quantised.translate(texts(rng), num_beams=1)

    def _beams(self, rng: random.Random) -> object:
        beams = rng.choice((2, 4, 8, 16))
        return self._translator.translate(
            texts(rng), num_beams=beams, num_return_sequences=rng.randint(1, beams)
        )

    def _samples(self, rng: random.Random) -> object:
        top_p = rng.choice((0.9, 1.0))
        count = rng.choice((1, 4, 16))
        return self._translator.translate(
            texts(rng),
            num_beams=1,
            do_sample=True,
            top_k=0,
            top_p=top_p,
            num_return_sequences=count,
        )

    def _samples_of_the_likely(self, rng: random.Random) -> object:
        return self._quantised.translate(
            texts(rng), num_beams=1, do_sample=True, top_k=50, repetition_penalty=1.2
        )

    def _continuations(self, rng: random.Random) -> object:
        prompts = [[rng.randrange(3, 131) for _ in range(rng.randint(1, 20))] for _ in range(20)]
        return self._generator.generate(prompts, num_beams=rng.choice((1, 4)))

    def _scores(self, rng: random.Random) -> object:
        ids = self._translator.encode_batch(texts(rng))
        return self._translator.score(ids, ids)

    def _embeddings(self, rng: random.Random) -> object:
        return self._encoder.encode([" ".join(text.split()[:20]) for text in texts(rng)])

    def _stream(self, rng: random.Random) -> object:
        tokens = self._generator.stream([rng.randrange(3, 131)])
        return list(islice(tokens, rng.randint(1, 20)))

    def _long_text(self, rng: random.Random) -> object:
        return self._quantised.translate_text(" ".join(t.capitalize() + "." for t in texts(rng)))


def texts(rng: random.Random) -> list[str]:
    """One to many sentences."""
    count = rng.choice((1, 1, 2, 8, 40))
    return [" ".join(rng.choices(WORDS, k=rng.randint(2, 40))) for _ in range(count)]


class Traffic:
    """Threads that call at random until they are stopped."""

    def __init__(self, calls: Sequence[Call], num_threads: int, seed: int) -> None:
        self._calls = calls
        self._stop = threading.Event()
        self.errors: list[Exception] = []
        self.num_calls = 0
        seeds = [f"{seed}/{number}" for number in range(num_threads)]
        self._threads = [threading.Thread(target=self._work, args=(s,)) for s in seeds]
        for thread in self._threads:
            thread.start()

    def _work(self, seed: str) -> None:
        rng = random.Random(seed)
        while not self._stop.is_set():
            try:
                rng.choice(self._calls)(rng)
            except Exception as error:
                self.errors.append(error)
                return
            self.num_calls += 1

    def end(self) -> None:
        """Let the calls that run end."""
        self._stop.set()
        for thread in self._threads:
            thread.join()


class Memory:
    """The resident memory over time, printed now and then."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._began = time.monotonic()
        self._next_line = 0.0
        self.start = resident_mb()
        self.warm = self.largest = 0.0
        print(f"{self.start:8.1f} MB at the start", flush=True)

    def look(self, num_calls: int) -> bool:
        """Note what there is; whether time is left."""
        elapsed, now = time.monotonic() - self._began, resident_mb()
        if elapsed <= self._seconds * WARM_SHARE:
            self.warm = max(self.warm, now)
        self.largest = max(self.largest, now)
        if elapsed >= self._next_line:
            print(f"{now:8.1f} MB after {elapsed:5.0f} s, {num_calls} calls", flush=True)
            self._next_line += self._seconds / NUM_LINES
        return elapsed < self._seconds

    def end(self) -> list[str]:
        """What is wrong."""
        end = resident_mb()
        print(
            f"{end:8.1f} MB at the end, {self.largest:.1f} at most, {self.warm:.1f} in the first "
            f"{self._seconds * WARM_SHARE:.0f} s"
        )
        wrong = []
        if self.largest > MAX_GROWTH * self.warm:
            wrong.append(
                f"memory grew to {self.largest / self.warm:.2f} times, {MAX_GROWTH} allowed"
            )
        if end > self.start + MAX_LEFT:
            wrong.append(f"{end - self.start:.1f} MB are left at the end, {MAX_LEFT} allowed")
        return wrong


def soak(seconds: float, num_threads: int, seed: int) -> list[str]:
    """Run it; returns what is wrong, nothing if all is well."""
    models = Models(threads=2)
    for call in models.calls:  # what is loaded at the first call belongs to the start
        call(random.Random(seed))
    gc.collect()
    memory = Memory(seconds)
    traffic = Traffic(models.calls, num_threads, seed)
    while memory.look(traffic.num_calls) and not traffic.errors:
        time.sleep(min(1.0, seconds / NUM_LINES / 4))
    traffic.end()
    gc.collect()
    return [*(f"a call failed: {error!r}" for error in traffic.errors), *memory.end()]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--threads", type=int, default=24, help="that call at once")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    wrong = soak(arguments.seconds, arguments.threads, arguments.seed)
    print("\n".join(wrong) or "within the bars")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
