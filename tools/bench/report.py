"""The results as one Markdown page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tools.bench import families
from tools.bench.bars import BARS, Bar
from tools.bench.peers import OURS
from tools.bench.results import Load, Rate, Results, ordered

TITLES = {
    "opus-base": "opus-base: OPUS-MT base, random weights",
    "transformer-big": "transformer-big: the paper's big model, random weights",
    "multi30k-tiny": "multi30k-tiny: the committed model, real text",
    "varied-lengths": "varied-lengths: sources of 5 to 80 tokens, real translations",
    "firefox-tiny": "firefox-tiny: Firefox's English-Portuguese model, from text to text",
}


def markdown(results: Results, plots: Sequence[str] = ()) -> str:
    """The whole page; ``plots`` are the names of pictures beside it."""
    parts = [_head(results), "## The bars\n\n" + bars_table(results)]
    for suite in results.units:
        if not families.is_family(suite):
            parts.append(_suite(results, suite, [p for p in plots if p.startswith(suite)]))
    if families.family_suites(results):
        parts.append(_families(results))
    for name, section in (("memory", _memory), ("kernels", _kernels)):
        if name in results.extras:
            parts.append(section(results) + _pictures(p for p in plots if p.startswith(name)))
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def bars_table(results: Results) -> str:
    """Every bar with its measured value, its target and whether it is met."""
    rows = [["bar", "measured", "target", "", "from"]]
    for bar in BARS:
        measured = bar.measure(results)
        target = f"{'<=' if bar.at_most else '>='} {_value(bar, bar.target)}"
        if measured is None:
            rows.append([bar.text, "not measured", target, "", ""])
            continue
        verdict = "met" if bar.met(measured) else "**missed**"
        rows.append([bar.text, _value(bar, measured.value), target, verdict, measured.detail])
    return table(rows)


def _value(bar: Bar, value: float) -> str:
    return f"{value:.2f} x" if bar.unit == "x" else f"{value:,.0f} {bar.unit}"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells, the first one being the heading."""
    head, *body = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([head, "| --- " * len(rows[0]) + "|", *body])


def _head(results: Results) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in results.versions.items())
    machine = machine_line(results.machine)
    commands: dict[tuple[str, str, str], list[str]] = {}
    for name, run in results.runs.items():
        short = families.FAMILIES if families.is_family(name) else name
        names = commands.setdefault((run["date"], run["command"], run.get("machine", machine)), [])
        names += [] if short in names else [short]
    runs = [[", ".join(names), date, f"`{x}`", on] for (date, x, on), names in commands.items()]
    return "\n\n".join(
        [
            "# Benchmarks",
            "Written by `python -m tools.bench`; [results.json](results.json) holds every round. "
            "Each engine runs in processes of its own, in turns with the others; figures are "
            "medians of the rounds, with the smallest and the largest in brackets.",
            f"Versions: {versions}.",
            table([["measured", "date", "command", "machine"], *runs]),
        ]
    )


def machine_line(machine: dict[str, str | int]) -> str:
    """A machine in one line."""
    return ", ".join(f"{key} {value}" for key, value in machine.items())


# --- engines -------------------------------------------------------------------------------------


def _suite(results: Results, suite: str, plots: Sequence[str]) -> str:
    parts = [f"## {TITLES.get(suite, suite)}", f"In {results.units[suite]}.{_pictures(plots)}"]
    counts = {rate.threads for rate in results.rates if rate.suite == suite}
    for threads in sorted(counts, reverse=True):
        parts.append(f"### {threads} thread{'s' * (threads > 1)}")
        parts.append(_rates_table(results, suite, threads))
        parts.append(_settings(results, suite, threads))
    parts.append(_skipped(results, suite))
    return "\n\n".join(part for part in parts if part)


def _rates_table(results: Results, suite: str, threads: int) -> str:
    rates = [r for r in results.rates if (r.suite, r.threads) == (suite, threads)]
    cases = ordered(rate.case for rate in rates)
    reference = results.reference.get(suite, "the reference")
    rows = [["", *cases, f"equal to {reference}", "peak MB", "load s"]]
    for engine in ordered(rate.engine for rate in rates):
        own = {rate.case: rate for rate in rates if rate.engine == engine}
        rows.append(
            [
                f"**{engine}**" if engine.startswith(OURS) else engine,
                *(spread(own.get(case)) for case in cases),
                _equal(own.values()),
                f"{max(rate.peak_mb for rate in own.values()):,.0f}",
                _load(results.loads, suite, threads, engine),
            ]
        )
    return table(rows)


def spread(rate: Rate | None) -> str:
    """The median, and the smallest and largest round if there are several."""
    if rate is None:
        return "-"
    if len(rate.rounds) == 1:
        return number(rate.median)
    low, high = number(min(rate.rounds)), number(max(rate.rounds))
    return f"{number(rate.median)} ({low}-{high})"


def number(value: float) -> str:
    """Three digits or a few more."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _equal(rates: Iterable[Rate]) -> str:
    shares = [rate.equal_outputs for rate in rates if rate.equal_outputs is not None]
    if not shares:
        return "-"
    low, high = (f"{100 * share:.0f}" for share in (min(shares), max(shares)))
    return f"{low} %" if low == high else f"{low}-{high} %"


def _load(loads: list[Load], suite: str, threads: int, engine: str) -> str:
    for load in loads:
        if (load.suite, load.threads, load.engine) == (suite, threads, engine):
            return f"{sorted(load.seconds)[len(load.seconds) // 2]:.2f}"
    return "-"


def _settings(results: Results, suite: str, threads: int) -> str:
    chosen = [
        f"{rate.engine}, {rate.case}: {rate.setting}"
        for rate in results.rates
        if (rate.suite, rate.threads) == (suite, threads) and rate.setting
    ]
    return "Best settings: " + "; ".join(chosen) + "." if chosen else ""


def _skipped(results: Results, suite: str) -> str:
    lines = [
        f"- {skip.engine}, {skip.threads} threads: {skip.reason}"
        for skip in results.skipped
        if skip.suite == suite
    ]
    return "Not measured:\n" + "\n".join(lines) if lines else ""


def _pictures(names: Iterable[str]) -> str:
    return "".join(f"\n\n![{name.removesuffix('.png')}]({name})" for name in names)


# --- the rest ------------------------------------------------------------------------------------


def _families(results: Results) -> str:
    skipped = [_skipped(results, suite) for suite in families.family_suites(results)]
    return "\n\n".join(
        [
            "## families: one model of each, random weights",
            "Hidden size 512, 6 layers a stack, a vocabulary of 32,000, float32. Translations and "
            "continuations of 8 to 45 tokens, greedy, 32 tokens forced; an encoder's last hidden "
            "states of 64 texts of 8 to 128 tokens. pyengine first, then onnxruntime on the same "
            "files: in its loop with a key-value cache; a list of texts is encoded at the best of "
            "one by one and batches of 8 and 32, sorted by length and padded. Equal: share of the "
            "sentences with the same ids, or texts whose hidden states have the same largest "
            "entries.",
            table(families.rows(results)),
            *(text for text in skipped if text),
        ]
    )


def _memory(results: Results) -> str:
    memory = results.extras["memory"]
    load, growth = memory["load"], memory["growth"]
    warm = sorted(load["warm_seconds"])
    return "\n\n".join(
        [
            "## Loading and memory",
            "opus-base in int8. Cold: from the ONNX files, with an empty cache. Warm: a later "
            "process.",
            table(
                [
                    ["", "cold", "warm"],
                    ["load, ms", f"{1e3 * load['cold_seconds']:,.0f}",
                     f"{1e3 * warm[len(warm) // 2]:,.0f}"],
                    ["private memory after it, MB (before it)", "",
                     f"{load['warm_private_mb']:.0f} ({load['private_mb_before_load']:.0f})"],
                    ["peak memory of loading, MB", f"{load['cold_peak_mb']:,.0f}", ""],
                ]
            ),
            f"multi30k-tiny in int8, beam 4: {growth['resident_mb'][0]:.0f} MB resident after "
            f"{growth['sentences'][0]:,} sentences, {growth['resident_mb'][-1]:.0f} MB after "
            f"{growth['sentences'][-1]:,}.",
        ]
    )  # fmt: skip


def _kernels(results: Results) -> str:
    kernels = results.extras["kernels"]
    rows = [["kernel", "measured", "peak", "share"]]
    for row in kernels["rows"]:
        share = f"{100 * row['value'] / row['peak']:.0f} %"
        unit = row["unit"]
        rows.append([row["name"], f"{row['value']:,.0f} {unit}", f"{row['peak']:,.0f}", share])
    scaling = ", ".join(f"{name} {x:.2f} x" for name, x in kernels["scaling"].items())
    return f"## Kernels\n\n{table(rows)}\n\nAll threads over one: {scaling}."
