"""What a ranking leaves out, and why: sides, pairs, orders and numbers, each said once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from analysis.compare.standing import named

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analysis.compare.comparison import Line
    from analysis.compare.standing import Ranking

LOAD: Final = "describes the load"
MOST: Final = 12
"""Pairs that may not stand beside each other and are told one by one."""


class Left(NamedTuple):
    """Something that was not compared: what, and why."""

    what: str
    why: str


def left_out(ranking: Ranking) -> list[Left]:
    """Whatever was not compared, each once with the reason: sides, pairs, orders, numbers."""
    found = [Left(name, f"not ranked: {why}") for name, why in ranking.unranked.items()]
    refused = [Left(f"{a} and {b}", why) for (a, b), why in ranking.refused.items()]
    if len(refused) > MOST:
        refused[MOST:] = [Left(f"{len(refused) - MOST:,} more pairs", "for similar reasons")]
    found += refused
    return [*found, *_orders(ranking), *_numbers(ranking)]


def _orders(ranking: Ranking) -> Iterator[Left]:
    """Pairs that stand in no order by some metrics; those with the same reason together."""
    found: dict[tuple[str, str], list[str]] = {}
    for order in ranking.orders:
        if order.reason and not order.pairs:
            found.setdefault(("", order.reason), []).append(order.label)
        barred = [pair for pair in order.pairs if pair.relation == "none"]
        alike = len(barred) > 1 and len({pair.reason for pair in barred}) == 1 and bool(order.reason)
        for pair in barred[:1] if alike else barred:
            of = "" if alike or len(ranking.names) == 2 else f" of {pair.a} and {pair.b}"
            labels = found.setdefault((of, f"{pair.reason}. {pair.advice}".removesuffix(". ")), [])
            labels.append(order.label)
    for (of, why), labels in found.items():
        yield Left(f"{', '.join(labels)}{of}", why)


def _numbers(ranking: Ranking) -> Iterator[Left]:
    """Numbers that one side has not, or counts otherwise: those with the same reason together."""
    found: dict[str, list[str]] = {}
    ranked = {(pair.line.place, pair.line.reason) for order in ranking.orders for pair in order.pairs}
    for (a, b), comparison in ranking.comparisons.items():
        known = {line.place._replace(tokens=None) for line in comparison.lines if line.effect is not None}
        for line in comparison.lines:
            told = line.reason == LOAD or line.place._replace(tokens=None) in known
            if line.effect is None and line.reason and not told and (line.place, line.reason) not in ranked:
                found.setdefault(named(line.reason, a, b), []).append(_called(line))
    for why, names in found.items():
        yield Left(", ".join(dict.fromkeys(names)), why)


def _called(line: Line) -> str:
    """A number with its group, where that is not what everybody has of it: `latency, whole p95`."""
    group = f", {line.place.group}" if line.place.by or line.place.group == "whole" else ""
    return f"{line.label}{group} {line.place.what}".strip()
