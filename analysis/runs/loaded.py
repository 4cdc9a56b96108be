"""A run as a notebook holds it."""

from __future__ import annotations

import warnings
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from analysis import arms, digest, groups, objectives, rundir
from analysis.campaign import is_campaign, members, runs_of
from analysis.compare.sides import run_folders
from analysis.facts import labels_of
from analysis.rows import rows_of
from analysis.rundir import RunError
from analysis.runs import frames
from analysis.summary import SHOWN, judge
from analysis.units import NONE
from loadtests import record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from analysis.digest import Digest
    from analysis.objectives import Objectives
    from analysis.rundir import Run
    from analysis.runs.drawing import Drawing
    from analysis.summary import Judged, Summary
    from analysis.validity import Validity
    from analysis.window import Window

MARKS: Final = {"valid": "#009E73", "doubtful": "#E69F00", "invalid": "#D55E00"}


class LoadedRun:
    """
    A run, or one arm of a run of several; `load` makes it.

    What there is of it: `requests`, `client`, `manifest`, `labels`, `columns_meaning` (what was recorded); `summary`,
    `validity`, `window`, `table()`, `rates` (what it says); `chart()`, `charts`, `report()` (to be looked at); `arms`.
    Of a run of several arms what was recorded is of all of them; numbers and charts are of one: `run.arms["name"]`.
    """

    def __init__(self, runs: Sequence[Run], promised: Objectives | None, *, chunks: bool = False) -> None:
        self._runs, self._promised, self._chunks = tuple(runs), promised, chunks

    # What it is.

    @property
    def path(self) -> Path:
        """Its directory, links resolved."""
        return self._runs[0].path

    @property
    def name(self) -> str:
        """That of its directory, with campaign and arm where they are needed to tell it from others."""
        return self._runs[0].name if len(self._runs) == 1 else self.path.name

    @property
    def arm(self) -> str:
        """The name of its arm; empty where there are several, or nobody named one."""
        return self._runs[0].arm if len(self._runs) == 1 else ""

    @cached_property
    def arms(self) -> Mapping[str, LoadedRun]:
        """By name each arm by itself, in the order they were named; of one arm itself."""
        if len(self._runs) == 1:
            return {self.arm: self}
        return {run.arm: LoadedRun([run], self._promised, chunks=self._chunks) for run in self._runs}

    # What was recorded.

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """run.json: what was asked of whom, from which machine, with what; of an arm with its own settings on top."""
        return self._runs[0].manifest if len(self._runs) == 1 else rundir.load(self.path, columns=()).manifest

    @property
    def labels(self) -> dict[str, str]:
        """What it was labelled with: `run --label KEY=VALUE`, `runs label`."""
        return labels_of(self.manifest)

    @cached_property
    def requests(self) -> pd.DataFrame:
        """
        One row per scheduled arrival, whatever became of it, in the order of the file; null where there is no value.

        Columns that end in `_s` are seconds, in `_us` microseconds, in `_ns` nanoseconds since the run's start
        (monotonic clock), in `_usd` US dollars; `columns_meaning` explains each. Types are nullable: words are
        categories, the others Arrow's. `flags` is one text, the flags parted by spaces. The lists of the chunks are
        there after `load(..., chunks=True)`. The stamps of an arm are on the axis of its own schedule, as if its
        blocks had been played in one go.
        """
        whole = rundir.load(self.path, self._chunks)
        mine = [one for one in arms.arms(whole) if one.arm == self.arm] if len(self._runs) == 1 else []
        return (mine[0] if mine else whole).requests.drop(columns="row")

    @property
    def client(self) -> pd.DataFrame | None:
        """The load generator's own health, one row per process and second; None where it was not recorded."""
        if len(self._runs) == 1:
            return self._runs[0].client
        return rundir.load(self.path, columns=()).client

    @property
    def columns_meaning(self) -> pd.DataFrame:
        """By the name of each column of `requests` its type, unit and meaning."""
        return frames.meanings()

    # What it says.

    @cached_property
    def judged(self) -> Judged:
        """What the other modules of analysis take: the run, its summary, and what was measured of it."""
        if len(self._runs) > 1:
            names = ", ".join(self.arms)
            raise RunError(
                f'{self.name}: a run of several arms ({names}); take one: run.arms["{next(iter(self.arms))}"]'
            )
        return judge(self._runs[0], self._promised)

    @cached_property
    def digest(self) -> Digest:
        """The few numbers that comparisons take of it."""
        return digest.of(self.judged)

    @property
    def summary(self) -> Summary:
        """Everything that `firsttoken summary` prints, as values."""
        return self.judged.summary

    @property
    def validity(self) -> Validity:
        """Whether it may be believed: `.verdict`, and the `.faults` that say why not."""
        return self.summary.validity

    @property
    def window(self) -> Window:
        """The steady part, which numbers are of: `.start_s`, `.end_s`, and the `.reason`."""
        return self.summary.window

    def table(self, *metrics: str, by: str | None = None) -> pd.DataFrame:
        """
        Percentiles with their 95 % intervals, a row a metric and group of requests.

        Args:
            metrics: `ttft`, `latency`, `tpot`, ...; none: those of the first table that `summary` prints.
            by: Told by `workload`, `turn`, `prompt` (length) or `time` too.

        Returns:
            Index metric and group (`stream`, `whole`: not streamed, `all`); columns unit, n, mean, p50, p50_lo, p50_hi
            to p99_hi, worst, tokens (whose counts it rests on), reason (why a value is null). Base units: seconds.

        Raises:
            RunError: No such metric, or nothing to part by.
        """
        if by is not None and by not in groups.BY:
            raise RunError(f"by={by!r}: rows are parted by {', '.join(groups.BY)}")
        if by is None:
            return frames.percentiles(self.summary.rows, frames.names(metrics))
        every = rows_of(self.judged.measured, SHOWN, (by,))
        return frames.percentiles(every, frames.names(metrics))

    @property
    def rates(self) -> pd.DataFrame:
        """By metric the figures of the whole run (requests/s, goodput, error rate): unit, value, lo, hi, n, reason."""
        return frames.rates(self.summary.rates)

    # To be looked at.

    @property
    def charts(self) -> tuple[str, ...]:
        """The names that `chart` takes."""
        from analysis.charts import ALL  # noqa: PLC0415 - matplotlib, which most notebooks' cells never need

        return tuple(ALL)

    def chart(self, name: str) -> Drawing:
        """
        A chart of the run, as the report has it.

        Args:
            name: One of `charts`.

        Raises:
            RunError: No such chart.
        """
        from analysis.charts import ALL  # noqa: PLC0415
        from analysis.charts.frame import draw_one  # noqa: PLC0415
        from analysis.runs.drawing import Drawing  # noqa: PLC0415

        if name not in ALL:
            raise RunError(f"{name!r}: no such chart; there are {', '.join(ALL)}")
        return Drawing(draw_one(name, ALL[name], self.judged.run, self.summary))

    def report(self) -> Path:
        """Write report.html and its charts into the run directory, as `firsttoken report` does; the page's path."""
        from analysis.report import write  # noqa: PLC0415

        return write([one.judged for one in self.arms.values()])

    def __repr__(self) -> str:
        told = f"{len(self.arms)} arms: {', '.join(self.arms)}" if len(self._runs) > 1 else self.validity.verdict
        return f"<run {self.name}: {told}>"

    def _repr_html_(self) -> str:
        """Verdict and numbers, of each arm."""
        return "".join(_shown(one.summary) for one in self.arms.values())


def _shown(summary: Summary) -> str:
    verdict, facts = summary.validity.verdict, summary.facts
    faults = "".join(f"<li>{escape(f'{one.name} {one.value}: {one.why}')}</li>" for one in summary.validity.faults)
    table = frames.percentiles(summary.rows)
    kept = table[[name for name in ("unit", "n", "p50", "p90", "p95", "p99") if name in table]]
    return (
        f'<p><b style="color:{MARKS[verdict]}">{verdict.upper()}</b> <b>{escape(facts.name)}</b><br>'
        f"{escape(f'{facts.profile} · {facts.model} · {facts.load}')}<br>{escape(summary.footer())}</p>"
        f"{f'<ul>{faults}</ul>' if faults else ''}{kept.to_html(na_rep=NONE, float_format=lambda x: f'{x:.4g}')}"
    )


# Reading.


def load(
    path: str | Path, objectives: str | Sequence[str] = (), *, arm: str | None = None, chunks: bool = False
) -> LoadedRun:
    """
    Read a run for a notebook.

    Args:
        path: A run directory, or a link to one such as `results/latest`.
        objectives: What goodput and attainment count by, like `ttft_p95<2s`; none: what the run was planned with.
        arm: Of a run of several arms only this one.
        chunks: Read the lists of the chunks too: gaps, kinds and characters of each token event.

    Raises:
        RunError: No run there, a campaign, a run that is on or was killed, no such arm, or rows that were pruned.
        ObjectiveError: An objective is none.
    """
    if is_campaign(path):
        raise RunError(f"{path}: a campaign of {len(members(path))} runs; load_all({str(path)!r}) reads them")
    found = LoadedRun(runs_of(path), _promised(objectives), chunks=chunks)
    if arm is None:
        return found
    if arm not in found.arms:
        raise RunError(f"{path}: no arm {arm!r}; there are {', '.join(found.arms)}")
    return found.arms[arm]


def _promised(texts: str | Sequence[str]) -> Objectives | None:
    return objectives.read([texts] if isinstance(texts, str) else list(texts)) if texts else None


def load_all(path: str | Path, objectives: str | Sequence[str] = ()) -> list[LoadedRun]:
    """
    Read all runs of a campaign or of a folder, in the order of their names.

    Those that are on, were killed or have no rows any more are left out, with a warning for each.

    Args:
        path: A campaign, a folder of runs and campaigns, or a run.
        objectives: As of `load`.

    Raises:
        RunError: None is there.
    """
    if not (folders := run_folders(Path(path))):
        raise RunError(f"{path}: no run or campaign in it")
    found = []
    for folder in folders:
        if rundir.is_unfinished(folder) or not (folder / record.REQUESTS).is_file():
            warnings.warn(f"{folder}: left out, it is on, was killed, or has no rows any more", stacklevel=2)
        else:
            found.append(load(folder, objectives))
    return found
