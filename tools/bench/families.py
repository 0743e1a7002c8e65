"""The suites of the families as one table: a row for each, pyengine against onnxruntime."""

from __future__ import annotations

from tools.bench import suites
from tools.bench.peers import FAMILY_ENGINES
from tools.bench.results import Rate, Results
from tools.bench.suites import FAMILIES

_OURS, _PEER = (engine.name for engine in FAMILY_ENGINES)

_ONE, _MANY = (suites.ONE_GREEDY, suites.ONE_TEXT), (suites.MANY_GREEDY, suites.MANY_TEXTS)
"""Names of the cases of a model that generates and of an encoder."""


def family_suites(results: Results) -> list[str]:
    """Names of the families' suites that were measured, in the order of the table."""
    return [name for name in suites.SUITES if name in results.units and is_family(name)]


def is_family(suite: str) -> bool:
    """Whether a suite is a family's."""
    return suite.startswith(f"{FAMILIES}/")


def peer_rate(results: Results, suite: str, case: str) -> Rate | None:
    """onnxruntime's rate at its best: a list of texts may be encoded faster one by one, without
    padding, or in smaller batches with less of it."""
    threads = results.most_threads(suite)
    smaller = (suites.ONE_TEXT, suites.FEW_TEXTS) if case == suites.MANY_TEXTS else ()
    cases = (case, *smaller)
    rates = [results.rate(suite, threads, _PEER, name) for name in cases]
    return max((rate for rate in rates if rate), key=lambda rate: rate.median, default=None)


def own_rate(results: Results, suite: str, case: str) -> Rate | None:
    """pyengine's rate."""
    return results.rate(suite, results.most_threads(suite), _OURS, case)


def ratio(results: Results, suite: str, case: str) -> float | None:
    """pyengine's median over onnxruntime's; ``None`` if either was not measured."""
    ours, theirs = own_rate(results, suite, case), peer_rate(results, suite, case)
    return ours.median / theirs.median if ours and theirs else None


def slowest(results: Results) -> tuple[float, str] | None:
    """The smallest ratio of all families and cases, and which that is."""
    found = [
        (value, f"{suite.removeprefix(FAMILIES + '/')}, {case}")
        for suite in family_suites(results)
        for case in (*_ONE, *_MANY)
        if (value := ratio(results, suite, case)) is not None
    ]
    return min(found, default=None)


def rows(results: Results) -> list[list[str]]:
    """The table's cells, its heading first."""
    from tools.bench.report import number, spread

    table = [["", "in", "batch 1", "onnxruntime", "", "batch 32", "onnxruntime", "", "equal"]]
    for suite in family_suites(results):
        cells = [suite.removeprefix(f"{FAMILIES}/"), results.units[suite]]
        share = []
        for names in (_ONE, _MANY):
            case = next((name for name in names if own_rate(results, suite, name)), names[0])
            ours, theirs = own_rate(results, suite, case), peer_rate(results, suite, case)
            value = ratio(results, suite, case)
            cells += [spread(ours), spread(theirs), f"{value:.2f} x" if value else "-"]
            if theirs is not None and theirs.equal_outputs is not None:
                share.append(theirs.equal_outputs)
        cells.append(f"{number(100 * min(share))} %" if share else "-")
        table.append(cells)
    return table
