"""
The page of a comparison: who is ahead where the difference is real, what it costs, what was not compared and why.

A function of what was gathered and of the rules alone: the same runs give the same page.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from analysis.charts import arms, forest, worth
from analysis.charts.worth import Worth
from analysis.compare.left_out import left_out
from analysis.compare.ranking import COST, rank
from analysis.compare.sentences import leaders
from analysis.objectives import parse
from analysis.report import page
from analysis.report.made import Made
from analysis.report.pairs import shown_pair
from analysis.report.run import fairness_of, method
from analysis.report.standings import PLACES, RANKED, ROUGH, shown_order
from analysis.report.told import markdown
from analysis.units import NONE, digits
from analysis.validity import worst_word

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from analysis.charts import Chart
    from analysis.checks.rule import Check
    from analysis.compare.rules import Rules
    from analysis.compare.standing import Ranking
    from analysis.report.gathered import Gathered, Side

BESIDE: Final = ", together with "
READ: Final = ", read "
OWN: Final = ("load", "workload")
"""What is told once where all sides have the same, else of each."""
FULL: Final = 7
"""Sides up to which every two are told in full; of more the first with each other one, by the primary metrics."""


def made(gathered: Gathered, rules: Rules, options: Mapping[str, Any]) -> Made:
    """
    The report of several sides, or of the runs of one.

    Args:
        gathered: What is compared.
        rules: Level, margins, primary metrics, what may differ.
        options: With which it was asked for, kept in the page; `title` stands above it.
    """
    many = len(gathered.sides) > FULL
    ranking = rank(gathered.digests, replace(rules, only_primary=many or rules.only_primary))
    footer = _footer(gathered, ranking)
    drawn = tuple(_charts(gathered, ranking, footer))
    shown_all = _shown(gathered, ranking, str(options.get("title") or "")) | {"across": sorted(rules.across)}
    if options.get("objectives"):  # as texts: a file of them may be gone tomorrow
        options = {**options, "objectives": list(gathered.sides[0].digests[0].objectives)}
    html = page.render("report/comparison.html.j2", "comparison", options, **shown_all, charts=drawn)
    return Made(html, drawn, markdown(shown_all))


def _footer(gathered: Gathered, ranking: Ranking) -> str:
    """The small print of every chart: n, runs, load, clock, validity."""
    n = sum(one.n for side in gathered.sides for one in side.seen.ttft) or None
    runs = sum(len(side.digests) for side in gathered.sides)
    clocks = sorted({one.facts.clock for side in gathered.sides for one in side.digests})
    counted = f"n = {n:,} streamed answers · " if n else ""
    told_of = f"{counted}{_count(runs, 'run')} of {_count(len(gathered.sides), 'side')} · {gathered.name}"
    load = _about(gathered, "load")
    return f"{told_of} · each run's own window · {load} · {', '.join(clocks)} clock · {_worst(gathered, ranking)}"


def _common(gathered: Gathered, name: str) -> str | None:
    """The `load` or the `workload` of all runs as a phrase; None where they differ."""
    found = [getattr(one.facts, name) for side in gathered.sides for one in side.digests]
    # Arms that were asked together differ in the name of the other one alone.
    return str(found[0]) if len({one.partition(BESIDE)[0] for one in found}) == 1 else None


def _about(gathered: Gathered, *names: str) -> str:
    """Load and workload; of sides that differ in one so much, since each tells its own."""
    told = (_common(gathered, name) for name in names)
    return " · ".join(
        f"each side's own {name}" if one is None else one for name, one in zip(names, told, strict=True) if one != ""
    )


def _worst(gathered: Gathered, ranking: Ranking) -> str:
    """The verdict of the page: the worst of all runs, and of the sides against each other."""
    runs = [one.verdict for side in gathered.sides for one in side.digests]
    return worst_word([*runs, *("invalid" for _ in _broken(ranking))])


def _broken(ranking: Ranking) -> Iterator[tuple[str, str, Check]]:
    """The failed checks of two sides against each other."""
    for (a, b), comparison in ranking.comparisons.items():
        yield from ((a, b, check) for check in comparison.checks if check.status == "invalid")


def _apart(ranking: Ranking) -> list[str]:
    """Why the sides cannot all be compared: a sentence for each check that pairs of them failed, with the first's."""
    if ranking.refused and not ranking.comparisons:
        return ["No two sides can be compared: see Not compared, and why."]
    found: dict[str, list[tuple[str, str, Check]]] = {}
    for one in _broken(ranking):
        found.setdefault(one[2].name, []).append(one)
    told = []
    for (a, b, check), *more in found.values():
        pairs = f"{a} and {b}" + (f", and {_count(len(more), 'more pair')}," if more else "")
        told.append(f"{pairs} fail the check {check.name}: {check.value}. {check.why} What it distorts is not ranked.")
    return told


def _count(n: int, word: str) -> str:
    return f"{n:,} {word}{'' if n == 1 else 's'}"


# The charts.


def _charts(gathered: Gathered, ranking: Ranking, footer: str) -> Iterator[Chart]:
    seen = [side.seen for side in gathered.sides]
    yield from arms.charts(seen, _limits(gathered), footer)
    if len(gathered.sides) > 1:
        yield forest.chart(ranking.orders, footer)
        yield _cost(gathered, ranking, footer)


def _limits(gathered: Gathered) -> list[tuple[float, float]]:
    """What TTFT was promised: of what share of the requests, and the limit in seconds."""
    texts = dict.fromkeys(text for side in gathered.sides for one in side.digests for text in one.objectives)
    terms = [parse(text) for text in texts]
    return [(term.p or 0.0, term.limit) for term in terms if term.metric == "ttft_s" and term.op in {"<", "<="}]


def _cost(gathered: Gathered, ranking: Ranking, footer: str) -> Chart:
    named = {order.metric.name + order.place.what: order for order in ranking.orders}
    wait = named.get("ttft_sp95") or named.get("latency_sp95")
    some = []
    for name in ranking.names:
        ends = [order.of(name) if order else None for order in (named.get(COST), wait, named.get("goodput_per_s"))]
        if ends[0] is not None and ends[1] is not None and ends[1].supported:
            some.append(Worth(name, ends[0], ends[1], ends[2].value if ends[2] else None))
    lists = [price for side in gathered.sides if side.sheet for price in side.sheet.prices]
    days = {price.rpartition(READ)[2] for price in lists if READ in price}
    prices = f"prices of {', '.join(sorted(days))}" if days else ""
    return worth.chart(some, ranking.names, wait.label if wait else "p95", prices, footer)


# The page.


def _shown(gathered: Gathered, ranking: Ranking, title: str) -> dict[str, Any]:
    """Everything the template and the markdown tell."""
    first = gathered.sides[0].digests[0].facts
    several = len(gathered.sides) > 1
    few, head = len(ranking.names) <= FULL, ranking.names[0]
    wanted = [(names, one) for names, one in ranking.comparisons.items() if few or names[0] == head]
    orders = [shown_order(order, gathered.sides) for order in ranking.orders]
    version = gathered.manifest.get("versions", {}).get("firsttoken") or first.settings.get("versions.firsttoken", "")
    return {
        "title": title or gathered.name,
        "name": gathered.name,
        "verdict": _worst(gathered, ranking),
        "apart": _apart(ranking),
        "several": several,
        "about": _about(gathered, *OWN),
        "sides": [_side(side, ranking, gathered) for side in gathered.sides],
        "around": _around(gathered),
        "rough": ROUGH if any("~" in cell["value"] for order in orders for cell in order["cells"].values()) else "",
        "places": PLACES,
        "ranked": RANKED,
        "leaders": leaders(ranking.orders) if several else [],
        "orders": orders,
        "left": left_out(ranking) if several else [],
        "pairs": [shown_pair(names, one) for names, one in wanted],
        "untold": len(ranking.comparisons) - len(wanted),
        "runs": list(_runs(gathered)),
        "good": _good(gathered),
        "fairness": fairness_of({side.name: side.sheet for side in gathered.sides if side.sheet is not None}),
        "commands": [shlex.join(words) for words in gathered.argv],
        "manifest": json.dumps(gathered.manifest, indent=1, ensure_ascii=False) if gathered.manifest else "",
        "version": version,
        **method(),
    }


def _around(gathered: Gathered) -> str:
    """Where the intervals of the sides' numbers come from."""
    several = [len(side.digests) > 1 for side in gathered.sides]
    of_one = "; for a side with one run, within that run" if not all(several) else ""
    return f"over the runs{of_one}" if any(several) else "within the run"


def _good(gathered: Gathered) -> str:
    """What the objectives were, of each side where they differ; empty where nobody had any."""
    told = {
        side.name: _distinct(", ".join(one.objectives) or "anything" for one in side.digests) for side in gathered.sides
    }
    texts = set(told.values())
    if texts == {"anything"}:
        return ""
    return texts.pop() if len(texts) == 1 else "; ".join(f"{name}: {text}" for name, text in told.items())


def _distinct(words: Iterable[str]) -> str:
    return " or ".join(dict.fromkeys(words))


def _side(side: Side, ranking: Ranking, gathered: Gathered) -> dict[str, Any]:
    """A side's head line: validity, runs, whom it asked, what of the load is its own, and what is wrong with it."""
    every = [one.facts for one in side.digests]
    own = [_distinct(getattr(one, name) for one in every) for name in OWN if _common(gathered, name) is None]
    faults: dict[tuple[str, str], list[str]] = {}
    for one in side.digests:
        for fault in one.faults:
            faults.setdefault((fault.status, fault.name), []).append(f"{fault.value}: {fault.why}")
    unfinished = [f"{one.facts.name}: {one.facts.unfinished}" for one in side.digests if one.facts.unfinished]
    return {
        "name": side.name,
        "verdict": worst_word(one.verdict for one in side.digests),
        "runs": _count(len(side.digests), "run"),
        "asked": " · ".join([_distinct(f"{one.profile} · model {one.model}" for one in every), *filter(None, own)]),
        "faults": [
            {"status": status, "name": name, "runs": f"{len(words)} of {len(side.digests)}", "why": words[0]}
            for (status, name), words in sorted(faults.items(), key=lambda one: one[0][0] != "invalid")
        ],
        "unfinished": unfinished,
        "unranked": ranking.unranked.get(side.name, ""),
    }


def _runs(gathered: Gathered) -> Iterator[dict[str, str]]:
    """Each run: whether it may be believed, when it was, and its first numbers."""
    every = [(one, side.name) for side in gathered.sides for one in side.digests]
    for one, name in sorted(every, key=lambda run: run[0].started_unix_ns):
        numbers = {(place.metric, place.what): n for place, n in one.numbers.items() if place.by is None}
        found = [numbers.get(key) for key in (("ttft_s", "p50"), ("ttft_s", "p95"), ("error_rate", ""))]
        p50, p95, failed = (
            NONE if n is None or not n.supported else digits(f * n.value)
            for n, f in zip(found, (1e3, 1e3, 100), strict=True)
        )
        yield {
            "name": one.facts.name, "link": gathered.links.get(one.facts.name, ""), "side": name,
            "verdict": one.verdict, "started": one.facts.started, "seed": str(one.facts.seed),
            "p50": p50, "p95": p95, "failed": failed,
            "why": "; ".join(f"{fault.name} {fault.value}" for fault in one.faults),
        }  # fmt: skip
