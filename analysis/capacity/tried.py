"""The probes of a search as a table: what was tried, what it decided, and whether its figures hold together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from analysis.capacity.sweep import latency, load
from analysis.units import NONE, digits

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from analysis.capacity.answer import Answer
    from analysis.capacity.point import Point
    from analysis.capacity.probe import Probe, Term

HEADINGS: Final = (
    "#", "kind", "load", "runs", "n", "kept", "n_eff", "decision", "state", "TTFT p95", "in flight", "rate x time",
    "gap",
)  # fmt: skip


class Tried(NamedTuple):
    """
    One probe over all its runs.

    Attributes:
        term: Of the promise that the table is about; None for a probe without it.
        ttft_p95_s: Geometric mean over its steady runs; of one that is not steady it says nothing and is None.
        in_flight: L, mean over time.
        flow: lambda W: arrivals a second times the mean time each stayed.
        gap: |L - lambda W| / L, the greatest of its runs.
    """

    probe: Probe
    term: Term | None
    n: int
    ttft_p95_s: float | None
    in_flight: float | None
    flow: float | None
    gap: float | None


def limiting(answer: Answer) -> str | None:
    """
    The promise of requests that an answer is about.

    The one that breaks first; where something else ended the search, the one with the least to spare at the highest
    load that has any.

    Returns:
        None where it had no objective of requests.
    """
    shared = [(probe.load, term) for probe in answer.probes for term in probe.terms if _slack(term) is not None]
    if any(term.text == answer.limited_by for _, term in shared):
        return answer.limited_by
    return max(shared, key=lambda pair: (pair[0], -(_slack(pair[1]) or 0.0)))[1].text if shared else None


def tried(answer: Answer) -> tuple[Tried, ...]:
    """Every probe of a search, in its order."""
    text = limiting(answer)
    return tuple(of(probe, text) for probe in answer.probes)


def of(probe: Probe, text: str | None) -> Tried:
    """One probe, told by one of its promises."""
    steady = [point for point in probe.points if point.state == "steady"]
    p95s = [point.ttft_s[1] for point in steady]
    gaps = [point.little for point in probe.points if point.little is not None]
    return Tried(
        probe,
        next((term for term in probe.terms if term.text == text), None),
        sum(point.requests for point in probe.points),
        _geometric([value for value in p95s if value is not None and value > 0]) if steady else None,
        _over_time(probe.points, lambda point: point.in_flight),
        _over_time(probe.points, lambda point: point.flow),
        max(gaps, default=None),
    )


def cells(one: Tried) -> list[str]:
    """A row of `HEADINGS`."""
    probe = one.probe
    return [
        str(probe.step.number), probe.step.kind, at(probe),
        str(len(probe.points)), f"{one.n:,}", share(one.term), n_eff(one.term), probe.decision, probe.state,
        NONE if one.ttft_p95_s is None else latency(one.ttft_p95_s), _number(one.in_flight), _number(one.flow),
        NONE if one.gap is None else f"{100 * one.gap:.1f} %",
    ]  # fmt: skip


def share(term: Term | None) -> str:
    """Of the requests, those that kept it."""
    if term is None:
        return NONE
    return term.verdict if term.share is None else percent(term.share)


def percent(value: float) -> str:
    """One digit behind the point; two from 99 % on, and all of them only where it is all."""
    if value == 1:
        return "100 %"
    return f"{min(100 * value, 99.99):.2f} %" if value >= 0.99 else f"{100 * value:.1f} %"


def n_eff(term: Term | None) -> str:
    """Independent requests that it rests on."""
    return NONE if term is None or not term.n_eff else f"{term.n_eff:,.0f}"


# A line for each as it goes.


def line(probe: Probe) -> str:
    """`probe 7 bisect 5.66/s: undecided: ttft_p95<2s kept by 94.8 % of 1,200 (95 % needed) · n_eff 240 · ...`."""
    told = f"probe {probe.step.number} {probe.step.kind} {at(probe)}"
    word = probe.decision if probe.state == "steady" else probe.state
    worst = [] if probe.state != "steady" else deciding(probe)
    said = "; ".join(map(kept, worst)) or probe.why or "it had no objective"
    parts = [f"{told}: {word}: {said}"]
    parts += [f"n_eff {n_eff(worst[0])}"] if worst and worst[0].n_eff else []
    one = of(probe, None)
    parts += [f"TTFT p95 {latency(one.ttft_p95_s)}"] if one.ttft_p95_s is not None else []
    parts += [f"{len(probe.points)} runs"] if len(probe.points) > 1 else []
    return " · ".join(parts)


def deciding(probe: Probe) -> list[Term]:
    """The promises that make a probe what it is: broken ones, else undecided ones, else the one with least to spare."""
    for verdict in ("missed", "undecided"):
        if some := [term for term in probe.terms if term.verdict == verdict]:
            return some
    slack = [(found, term) for term in probe.terms if (found := _slack(term)) is not None]
    return [min(slack, key=lambda pair: pair[0])[1]] if slack else list(probe.terms[:1])


def kept(term: Term) -> str:
    """What became of one promise, as a clause."""
    if term.share is None or term.needed is None:
        return f"{term.text} {term.verdict}"
    return f"{term.text} kept by {percent(term.share)} of {term.n:,} ({100 * term.needed:g} % needed)"


def at(probe: Probe) -> str:
    """A probe's load with its unit."""
    return load(probe.load, probe.step.mode)


# Figures.


def _slack(term: Term) -> float | None:
    return None if term.share is None or term.needed is None else term.share - term.needed


def _over_time(points: Sequence[Point], of_point: Callable[[Point], float | None]) -> float | None:
    """The mean over runs, each by its length."""
    known = [(value, point.length_s) for point in points if (value := of_point(point)) is not None]
    whole = sum(length for _, length in known)
    return sum(value * length for value, length in known) / whole if whole else None


def _geometric(values: Sequence[float]) -> float | None:
    product = 1.0
    for value in values:
        product *= value ** (1 / len(values))
    return product if values else None


def _number(value: float | None) -> str:
    return NONE if value is None else digits(value)
