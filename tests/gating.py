"""Comparisons, digests and outcomes made by hand, as the gate gets them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from analysis import stats
from analysis.checks.rule import Check
from analysis.compare.comparison import Comparison, Difference, Line, Side
from analysis.digest import Digest
from analysis.facts import Facts
from analysis.gate.verdict import Evidence, Verdict, decide
from analysis.objectives import Outcome
from analysis.places import RUN, Place

if TYPE_CHECKING:
    from collections.abc import Sequence

START_NS: Final = 1_795_355_220_000_000_000
"""2026-11-22T13:47:00Z."""

FAULT: Final = Check(12, "Little's law", "9 %", "≤ 5 %", "invalid", "requests are missing from the rows")


def digest(name: str, at: int = 0, verdict: Any = "valid", **facts: Any) -> Digest:
    """A run that began so many minutes after the first."""
    about = Facts(
        name=name, run_id=f"id-{name}", path=f"results/{name}", started="", profile="mock", base_url="", model="m",
        load="", clock="kernel", seed=1, argv=(), **facts,
    )  # fmt: skip
    faults = () if verdict == "valid" else (replace(FAULT, status=verdict),)
    return Digest(about, START_NS + at * 60 * 10**9, name, None, verdict, faults, (), {}, {})


def line(verdict: str = "pass", metric: str = "ttft_s", what: str = "p95", **more: Any) -> Line:
    """A line of the primary family: TTFT p95, 200 ms against 225 ms, unless said."""
    place = Place(metric, more.pop("by", None), more.pop("group", "stream"), None, what)
    told: dict[str, Any] = {
        "label": "TTFT", "unit": "s", "primary": True, "scale": "ratio", "a": 0.2, "b": 0.225, "runs_a": 5,
        "runs_b": 5, "n_a": 800, "n_b": 810, "effect": 1.125, "lo": 1.045, "hi": 1.201, "p": 0.0004,
        "p_adjusted": 0.0024, "p_exact": 0.008, "shift": 1.12, "superiority": 1.0, "margin": 0.1, "detectable": 1.06,
        "runs_needed": 12, "worse": verdict == "regression",
    }  # fmt: skip
    return Line(place=place, verdict=verdict, **(told | more))  # type: ignore[arg-type]


def errors(verdict: str = "pass", **more: Any) -> Line:
    """The error rate's line: from 0.2 % to 0.5 %, 0.3 points."""
    told: dict[str, Any] = {
        "label": "error rate", "unit": "share", "scale": "difference", "a": 0.002, "b": 0.005, "effect": 0.003,
        "lo": -0.001, "hi": 0.007, "margin": 0.01, "p_adjusted": 0.4,
    }  # fmt: skip
    return line(verdict, "error_rate", "", group=RUN, **(told | more))


def comparison(verdict: str, lines: Sequence[Line], **more: Any) -> Comparison:
    """Two sides of five runs, `old` and `new`."""
    sides = [Side(name, tuple(f"{name}/{n}" for n in range(1, 6)), "valid") for name in ("old", "new")]
    told: dict[str, Any] = {
        "design": "runs", "alpha": 0.05, "settings": (Difference("versions.firsttoken", "0.1.0", "0.2.0"),),
        "across": (), "checks": (Check(27, "runs a side", "5 and 5", "≥ 5", "ok"),), "notes": (),
    }  # fmt: skip
    return Comparison(a=sides[0], b=sides[1], verdict=verdict, lines=tuple(lines), **(told | more))  # type: ignore[arg-type]


def outcome(
    verdict: Any,
    text: str = "ttft_p95<2s",
    reason: str = "",
    share: float | None = None,
    of: tuple[int, float] = (400, 0.95),
) -> Outcome:
    """What became of an objective in one run: of how many requests what share kept it, of what share needed."""
    n, needed = of
    kept = share if share is not None else needed if verdict == "undecided" else 0.97
    return Outcome(text, "ttft_s", kept, needed, 1.4, *stats.wilson(kept * n, n), n, verdict, reason)


OLD: Final = tuple(digest(f"old/{n}", n) for n in range(1, 6))
NEW: Final = tuple(digest(f"new/{n}", 10 + n, labels={"commit": "c0ffee"}) for n in range(1, 6))


def evidence(verdict: str) -> Evidence:
    """A comparison of each kind."""
    lines: dict[str, list[Line]] = {
        "regression": [line("regression"), errors()],
        "pass": [line(lo=0.99, hi=1.02, effect=1.0), errors()],
        "inconclusive": [line("inconclusive", lo=0.98, hi=1.2, reason="the interval reaches beyond the margin")],
        "invalid": [line("regression")],
    }
    exploratory = line("regression", "latency_s", "p99", label="latency", primary=False, by="workload", group="rag")
    checks = (FAULT,) if verdict == "invalid" else (Check(27, "runs a side", "5 and 5", "≥ 5", "ok"),)
    return Evidence(OLD, NEW, comparison(verdict, [*lines[verdict], exploratory], checks=checks))


def gate(verdict: str, **more: Any) -> Verdict:
    """The gate's word on that."""
    return decide(evidence(verdict), **more)
