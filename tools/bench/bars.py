"""The bars that the speed work is held to, as ratios within one run, and how each is measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tools.bench import families, suites
from tools.bench.peers import OURS
from tools.bench.results import Rate, Results

PERCENT = 100.0


@dataclass(frozen=True)
class Measured:
    """A value and what it came from."""

    value: float
    detail: str


@dataclass(frozen=True)
class Bar:
    """One promise.

    Attributes:
        text: what is compared.
        target: the value to reach.
        unit: printed after values: "x", "%", "ms" or "MB".
        measure: the value of a run, ``None`` if it lacks a figure.
        at_most: the target is an upper limit.
    """

    text: str
    target: float
    unit: str
    measure: Callable[[Results], Measured | None]
    at_most: bool = False

    def met(self, measured: Measured) -> bool:
        """Whether the target is reached."""
        return measured.value <= self.target if self.at_most else measured.value >= self.target


def over_fastest(
    suite: str,
    case: str,
    precision: str,
    peers: tuple[str, ...] = (),
    one_thread: bool = False,
) -> Callable[[Results], Measured | None]:
    """pyengine at a precision over the fastest peer; ``peers`` restricts whom, by their names."""

    def measure(results: Results) -> Measured | None:
        threads = 1 if one_thread else results.most_threads(suite)
        ours = results.rate(suite, threads, f"{OURS} {precision}", case)
        others = [
            rate
            for rate in results.select(suite, threads, case)
            if not rate.engine.startswith(OURS) and _is_among(rate.engine, peers)
        ]
        if ours is None or not others:
            return None
        fastest = max(others, key=lambda rate: rate.median)
        return Measured(ours.median / fastest.median, _shown(ours, fastest, results.units[suite]))

    return measure


def _is_among(engine: str, peers: tuple[str, ...]) -> bool:
    return not peers or any(peer in engine for peer in peers)


def _shown(ours: Rate, theirs: Rate, unit: str) -> str:
    return f"{ours.median:,.0f} against {theirs.median:,.0f} {unit} of {theirs.engine}"


def best_over_fastest(suite: str, case: str) -> Callable[[Results], Measured | None]:
    """pyengine at its fastest precision over the fastest peer."""

    def measure(results: Results) -> Measured | None:
        found = [over_fastest(suite, case, p)(results) for p in ("float32", "bfloat16", "int8")]
        return max((m for m in found if m is not None), key=lambda m: m.value, default=None)

    return measure


def scaling(precision: str, peak: str) -> Callable[[Results], Measured | None]:
    """Gain of the second thread at batch 32, over the gain of the bare instructions."""

    def measure(results: Results) -> Measured | None:
        threads = results.most_threads("opus-base")
        engine = f"{OURS} {precision}"
        one, all_of_them = (
            results.rate("opus-base", n, engine, suites.MANY_GREEDY) for n in (1, threads)
        )
        bare = results.extras.get("kernels", {}).get("scaling", {}).get(peak)
        if one is None or all_of_them is None or threads == 1 or bare is None:
            return None
        gain = all_of_them.median / one.median
        return Measured(gain / bare, f"{gain:.2f} x, {peak} {bare:.2f} x with {threads} threads")

    return measure


def in_flight_over(other: str) -> Callable[[Results], Measured | None]:
    """A call with all sentences over calls of 32."""

    def measure(results: Results) -> Measured | None:
        suite = "varied-lengths"
        rates = [
            results.rate(suite, results.most_threads(suite), f"{OURS} int8", case)
            for case in (suites.IN_FLIGHT, other)
        ]
        if rates[0] is None or rates[1] is None:
            return None
        a, b = rates[0].median, rates[1].median
        return Measured(a / b, f"{a:.1f} against {b:.1f} {results.units[suite]}")

    return measure


def kernel_share(name: str) -> Callable[[Results], Measured | None]:
    """The lowest share that a kernel of this bar has of the peak that was measured beside it."""

    def measure(results: Results) -> Measured | None:
        rows = results.extras.get("kernels", {}).get("rows", [])
        ours = [row for row in rows if row["bar"] == name]
        if not ours:
            return None
        row = min(ours, key=lambda row: row["value"] / row["peak"])
        shown = f"{row['value']:,.0f} of {row['peak']:,.0f} {row['unit']}, {row['name']}"
        return Measured(PERCENT * row["value"] / row["peak"], shown)

    return measure


def firefox_threads(results: Results) -> Measured | None:
    """Gain of the second thread on a list of sentences."""
    threads = results.most_threads(_FIREFOX)
    one, most = (results.rate(_FIREFOX, n, f"{OURS} int8", suites.LIST) for n in (1, threads))
    if one is None or most is None or threads == 1:
        return None
    unit = results.units[_FIREFOX]
    detail = f"{most.median:,.0f} with {threads} against {one.median:,.0f} {unit}"
    return Measured(most.median / one.median, detail)


def firefox_memory(results: Results) -> Measured | None:
    """Of int8 on one thread after a list of sentences."""
    rate = results.rate(_FIREFOX, 1, f"{OURS} int8", suites.LIST)
    return None if rate is None else Measured(rate.peak_mb, "after the list, in the last round")


def firefox_load(results: Results) -> Measured | None:
    """Loading int8, all but the first time from the packed cache."""
    for load in results.loads:
        if (load.suite, load.threads, load.engine) == (_FIREFOX, 1, f"{OURS} int8"):
            seconds = sorted(load.seconds)
            return Measured(1e3 * seconds[len(seconds) // 2], f"of {len(seconds)} loads")
    return None


def peak_memory(results: Results) -> Measured | None:
    """Of int8 in the largest case of opus-base."""
    suite = "opus-base"
    rate = results.rate(suite, results.most_threads(suite), f"{OURS} int8", suites.MANY_BEAM)
    return None if rate is None else Measured(rate.peak_mb, "largest size in the last round")


def growth(results: Results) -> Measured | None:
    """Resident memory after all sentences, over that after the first passes."""
    found = results.extras.get("memory", {}).get("growth")
    if found is None:
        return None
    first, last = found["resident_mb"][len(found["resident_mb"]) // 10], found["resident_mb"][-1]
    sentences = found["sentences"][-1]
    return Measured(last - first, f"{first:.0f} to {last:.0f} MB after {sentences:,} sentences")


def warm_load(results: Results) -> Measured | None:
    """Loading once the packed weights are kept."""
    found = results.extras.get("memory", {}).get("load")
    if found is None:
        return None
    seconds = sorted(found["warm_seconds"])
    detail = f"cold {1e3 * found['cold_seconds']:,.0f} ms"
    return Measured(1e3 * seconds[len(seconds) // 2], detail)


def private_memory(results: Results) -> Measured | None:
    """What a second process costs before its first sentence, Python and NumPy included."""
    found = results.extras.get("memory", {}).get("load")
    if found is None:
        return None
    before = found["private_mb_before_load"]
    return Measured(found["warm_private_mb"], f"of which {before:.0f} MB before the load")


def slowest_family(results: Results) -> Measured | None:
    """The family and case where pyengine is least ahead of onnxruntime."""
    found = families.slowest(results)
    return None if found is None else Measured(*found)


_BASE, _FIREFOX = "opus-base", "firefox-tiny"

BARS = (
    Bar("batch 32 greedy, int8, over the fastest peer at any precision", 2.5, "x",
        over_fastest(_BASE, suites.MANY_GREEDY, "int8")),
    Bar("batch 32 greedy, float32, over the fastest float32 peer", 1.7, "x",
        over_fastest(_BASE, suites.MANY_GREEDY, "float32", (" float32",))),
    Bar("batch 32 beam 4, int8, over CTranslate2 int8", 3.0, "x",
        over_fastest(_BASE, suites.MANY_BEAM, "int8", ("CTranslate2 int8",))),
    Bar("batch 32 beam 4, float32, over CTranslate2 float32", 1.7, "x",
        over_fastest(_BASE, suites.MANY_BEAM, "float32", ("CTranslate2 float32",))),
    Bar("batch 1 greedy, int8, over the fastest peer at any precision", 2.0, "x",
        over_fastest(_BASE, suites.ONE_GREEDY, "int8")),
    Bar("batch 1 greedy, float32, over the fastest float32 peer", 1.2, "x",
        over_fastest(_BASE, suites.ONE_GREEDY, "float32", (" float32",))),
    Bar("batch 1 beam 4, int8, over CTranslate2 int8", 7.5, "x",
        over_fastest(_BASE, suites.ONE_BEAM, "int8", ("CTranslate2 int8",))),
    Bar("multi30k-tiny, corpus of 1,000 sentences, beam 5, over the fastest peer", 3.0, "x",
        best_over_fastest("multi30k-tiny", suites.CORPUS)),
    Bar("2 threads over 1, batch 32 greedy, float32, share of FMA's own gain", 0.92, "x",
        scaling("float32", "fma")),
    Bar("2 threads over 1, batch 32 greedy, int8, share of VNNI's own gain", 0.92, "x",
        scaling("int8", "vnni")),
    Bar("in-flight over static batches of 32 in input order, int8, sources of 5-80 tokens", 1.25,
        "x", in_flight_over(suites.STATIC)),
    Bar("kernel: float32, 32 rows x 512 x 2048, share of the FMA peak", 85, "%",
        kernel_share("float32")),
    Bar("kernel: int8, 32 rows x 512 x 2048, share of the VNNI peak", 65, "%",
        kernel_share("int8")),
    Bar("kernel: 1 row over 64 MB of weights, share of the read bandwidth", 80, "%",
        kernel_share("bandwidth")),
    Bar("opus-base int8, second load", 100, "ms", warm_load, at_most=True),
    Bar("opus-base int8, private memory after the second load", 40, "MB", private_memory,
        at_most=True),
    Bar("opus-base int8, batch 32 beam 4, peak resident memory", 260, "MB", peak_memory,
        at_most=True),
    Bar("growth of resident memory over 10,000 sentences, multi30k-tiny int8", 5, "MB", growth,
        at_most=True),
    Bar("firefox-tiny, one by one, int8, over fxtranslate with shortlist, one thread each", 6.0,
        "x", over_fastest(_FIREFOX, suites.ONE_GREEDY, "int8", one_thread=True)),
    Bar("firefox-tiny, one list, int8, over fxtranslate with shortlist, one thread each", 13.0,
        "x", over_fastest(_FIREFOX, suites.LIST, "int8", one_thread=True)),
    Bar("firefox-tiny, one list, int8, 2 threads over 1", 1.7, "x", firefox_threads),
    Bar("firefox-tiny, one list, int8, 1 thread, peak resident memory", 90, "MB", firefox_memory,
        at_most=True),
    Bar("firefox-tiny, int8, load", 60, "ms", firefox_load, at_most=True),
    Bar("every family, float32, over onnxruntime, the smallest ratio", 1.0, "x", slowest_family),
)  # fmt: skip
