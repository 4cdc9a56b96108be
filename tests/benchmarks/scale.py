"""Judging large runs with the installed commands: how long it takes, and how much memory at the most."""

from __future__ import annotations

import os
import subprocess
from functools import partial
from typing import TYPE_CHECKING, Final

from benchmarks import large
from benchmarks.figures import Goal
from benchmarks.large import Large
from benchmarks.processes import BenchmarkError
from benchmarks.runs import scratch
from loadtests import child, clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.figures import Seen

FINE: Final = (0, 3)
"""Exit codes of a verb that has judged; 3: not valid, which is no matter here."""
CHUNKS: Final = 50
ACROSS: Final = ("--across", "seed,load,output,host,workload")


def measures(requests: int) -> Iterator[tuple[str, Callable[[], Seen], dict[str, Goal]]]:
    """What to judge, how to measure it once, and what to reach: of so many requests, and of a tenth with chunks."""
    most = Goal("<", 4)
    tables = {"summary and compare, s": Goal("<", 60), "summary peak memory, GB": most, "compare peak memory, GB": most}
    yield f"{_short(requests)} requests", partial(_tables, requests), tables
    fewer = max(requests // 10, 1)
    load = f"{_short(fewer)} requests, {CHUNKS} chunks each"
    yield load, partial(_report, fewer), {"report, s": Goal("<", 20), "report peak memory, GB": most}


def _short(count: int) -> str:
    return f"{count / 1e6:g} M" if count >= 100_000 else f"{count:,}"


def _tables(requests: int) -> Seen:
    """The summary of all of them in one run, and two runs of half as many beside each other."""
    with scratch() as folder:
        whole = large.write(folder / "whole", Large(requests))
        half = requests // 2
        sides = [large.write(folder / name, Large(half, seed=seed)) for seed, name in enumerate("ab", start=2)]
        summary_s, summary_gb = _command("summary", str(whole))
        compare_s, compare_gb = _command("compare", *map(str, sides), *ACROSS)
    return {
        "summary, s": summary_s, "summary peak memory, GB": summary_gb,
        "compare, s": compare_s, "compare peak memory, GB": compare_gb,
        "summary and compare, s": summary_s + compare_s,
    }  # fmt: skip


def _report(requests: int) -> Seen:
    with scratch() as folder:
        path = large.write(folder / "run", Large(requests, CHUNKS))
        took_s, peak_gb = _command("report", str(path))
        charts = [file.stat().st_size for file in (path / "charts").iterdir()]
        size = (path / "report.html").stat().st_size
    return {
        "report, s": took_s, "report peak memory, GB": peak_gb, "largest chart, KB": max(charts) / 1e3,
        "report.html, KB": size / 1e3,
    }  # fmt: skip


def _command(*words: str) -> tuple[float, float]:
    """
    Run a verb; its seconds, start and imports included, and its peak resident memory in GB.

    Raises:
        BenchmarkError: It did not judge.
    """
    began_ns = clock.realtime_ns()
    process = subprocess.Popen(
        child.command("loadtests.cli", *words), env=child.environment(), stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    took_s = (clock.realtime_ns() - began_ns) / 1e9
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in FINE:
        last = said.decode(errors="replace").strip()[-500:]
        raise BenchmarkError(f"firsttoken {words[0]} ended with {process.returncode}: {last}")
    return took_s, usage.ru_maxrss / 1e6
