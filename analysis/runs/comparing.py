"""Two sides beside each other, as `firsttoken compare` puts them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from analysis.compare import sides
from analysis.gate.asked import rules
from analysis.runs import frames
from analysis.runs.loaded import LoadedRun

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd

    from analysis.digest import Digest

    Side: TypeAlias = "LoadedRun | str | Path | Sequence[LoadedRun | str | Path]"


def compare(
    a: Side, b: Side, *, across: Iterable[str] = (), margins: Mapping[str, str] | None = None, alpha: float = 0.05
) -> pd.DataFrame:
    """
    Each number of B against that of A, the baseline: ratio or difference, interval, p, verdict.

    Args:
        a: A run, several of them, or the path of a run, a campaign or a folder of runs.
        b: Likewise.
        across: In what they may differ: `host`, `seed`, `load`, `workload`, `objectives`, `output`, `cache`.
        margins: What change is no matter: {"ttft_p95": "15%"}.
        alpha: How often, at the most, the same thing against itself is called different.

    Returns:
        A row a number, the primary ones first, index `number` (`ttft_p95`): group, unit, primary, verdict
        (regression, pass, inconclusive, not_compared), a, b, effect with lo and hi (B / A where `scale` is ratio, B - A
        of shares), p, p_adjusted, margin, runs and requests of each side, reason. Base units. `.attrs` holds `verdict`,
        `design` and `notes`: a list of each, one a pair of arms.

    Raises:
        RunError: The sides differ in what was to be held constant, or have not the same arms.
    """
    texts = [f"{name}={amount}" for name, amount in (margins or {}).items()]
    left, right = _digests(a), _digests(b)
    found = sides.between(left, right, rules(texts, (), alpha, across), (_name(a), _name(b)))
    frame = frames.lines(found)
    frame.attrs = {name: [getattr(one, name) for one in found] for name in ("verdict", "design", "notes")}
    return frame


def _digests(side: Side) -> list[Digest]:
    every = [side] if isinstance(side, LoadedRun | str | Path) else list(side)
    runs = [one for one in every if isinstance(one, LoadedRun)]
    paths = [Path(one) for one in every if not isinstance(one, LoadedRun)]
    loaded = [arm.digest for run in runs for arm in run.arms.values()]
    return sorted([*loaded, *(sides.read(paths) if paths else ())], key=lambda one: one.started_unix_ns)


def _name(side: Side) -> str:
    if isinstance(side, LoadedRun):
        return side.name
    return str(side) if isinstance(side, str | Path) else f"{len(side)} runs"
