"""Digests of many runs made by hand, and run directories of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow.parquet as pq
import synthetic

from analysis import quantiles
from analysis.digest import Digest, Number
from analysis.facts import Facts
from analysis.places import RUN, Place

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

START_NS: Final = 1_795_355_220_000_000_000
HOUR_NS: Final = 3_600 * 10**9

TTFT: Final = Place("ttft_s", None, "stream", None, "p50")
TTFT95: Final = TTFT._replace(what="p95")
LATENCY: Final = Place("latency_s", None, "stream", None, "p95")
GOODPUT: Final = Place("goodput_per_s", None, RUN, None, "")
ERRORS: Final = Place("error_rate", None, RUN, None, "")
ARRIVALS: Final = Place("arrivals_per_s", None, RUN, None, "")

SETTINGS: Final = {"profile.name": "mock", "model": "tiny-1", "plan.rate": 8.0, "host.cpu": "x", "seed": 1}


def run(at: int, numbers: Mapping[Place, float | Number], **more: Any) -> Digest:
    """A valid run that began so many hours after the first."""
    settings = SETTINGS | {"seed": at} | more.pop("settings", {})
    facts: dict[str, Any] = {
        "name": f"run-{at}", "run_id": f"id-{at}", "path": f"results/run-{at}", "started": "", "profile": "mock",
        "base_url": "", "model": settings["model"], "load": "open loop, poisson 8/s", "clock": "kernel",
        "seed": settings["seed"], "argv": (), "settings": settings,
    }  # fmt: skip
    facts |= {key: more.pop(key) for key in ("name", "arm", "labels", "model") if key in more}
    told = {place: one if isinstance(one, Number) else Number(one, 160) for place, one in numbers.items()}
    return Digest(
        Facts(**facts), START_NS + at * HOUR_NS, facts["run_id"], more.pop("round", None),
        more.pop("verdict", "valid"), (), more.pop("objectives", ()), told, {},
    )  # fmt: skip


def series(values: Iterable[float], place: Place = TTFT) -> list[Digest]:
    """One run an hour, with this number each."""
    return [run(at, {place: float(value)}) for at, value in enumerate(values)]


def noisy(count: int, mean: float = 0.2, sd: float = 0.02, seed: int = 1) -> list[float]:
    """Values that differ by so much on the log scale."""
    drawn: list[float] = (mean * np.exp(np.random.default_rng(seed).normal(0, sd, count))).tolist()
    return drawn


def keep(folder: Path, digests: Iterable[Digest]) -> Path:
    """A folder of quantiles.parquet files, one a run, as a repository keeps them."""
    folder.mkdir(parents=True, exist_ok=True)
    for one in digests:
        pq.write_table(quantiles.to_table([one]), folder / f"{one.facts.name}.parquet")
    return folder


def write(folder: Path, ttfts_s: Sequence[float], n: int = 100, **labels: Sequence[str]) -> Path:
    """A folder of run directories, an hour apart, with these medians and labels."""
    for at, ttft_s in enumerate(ttfts_s):
        told = {key: values[at] for key, values in labels.items()}
        manifest = {"run_id": f"id-{at}", "started_unix_ns": START_NS + at * HOUR_NS, "labels": told}
        recipe = synthetic.Recipe(n=n, seed=at + 1, ttft_s=ttft_s, manifest=manifest)
        synthetic.write(folder / f"run-{at:02}", recipe)
    return folder
