"""
The server's figures over time: server.parquet as one value per role and second.

Series are first made rates where they are counters, then added up or averaged over models, engines, GPUs and
endpoints. A second in which an endpoint did not answer has no value for what that endpoint tells.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from analysis import series
from analysis.arms import shift_ns
from analysis.rundir import RunError
from analysis.server.roles import NAMES, RANKS, ROLES, Role, is_likely, server_of
from loadtests import record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from analysis.rundir import Run
    from analysis.window import Window

    Array = NDArray[np.float64]

UP: Final = "up"
LEFT_OUT: Final = "scrape_series_left_out"
MOST_OTHERS: Final = 4


@dataclass(frozen=True, slots=True)
class Gauge:
    """
    One quantity over time.

    Attributes:
        role: Of `ROLES`, or a series' own name.
        at_s: When it was asked for, shape (m,), ascending, seconds since the run's start.
        values: In the role's unit, shape (m,); NaN where nobody knows.
    """

    role: str
    label: str
    unit: str
    at_s: Array
    values: Array

    @property
    def most(self) -> float:
        """The greatest value; 0 where none is known."""
        return float(np.max(self.values, where=~np.isnan(self.values), initial=0.0))

    def within(self, window: Window) -> Array:
        """What is known of a window."""
        inside = (self.at_s >= window.start_s) & (self.at_s <= window.end_s)
        return self.values[inside & ~np.isnan(self.values)]


@dataclass(frozen=True, slots=True)
class Served:
    """
    What the endpoints of a run's server said.

    Attributes:
        server: Who told it, as far as the series' names say: `vLLM, DCGM`.
        gauges: By role, those that there are.
        others: Of a server that nobody knows, what may be its queue.
        in_flight: What the client had sent and not got back at the gauges' moments, shape (m,); NaN where others did
            the same beside it.
        notes: What is missing, in sentences.
    """

    server: str
    sources: tuple[str, ...]
    gauges: dict[str, Gauge]
    others: tuple[Gauge, ...]
    in_flight: Array
    notes: tuple[str, ...] = field(default=())


def read(run: Run) -> Served | None:
    """
    What the server of a run's arm said of itself; None where nobody was asked.

    Args:
        run: Of one arm; of arms that took turns only the seconds of its own turns are there, on the schedule's axis.

    Raises:
        RunError: The file is cut short.
    """
    path = run.file.with_name(record.SERVER)
    if not path.is_file():
        return None
    told = run.manifest.get("server_metrics") or ()
    mine = [str(one["source"]) for one in told if run.arm in one["arms"] or not run.arm]
    frame = _frame(path, mine)
    sources = tuple(mine) or tuple(sorted(frame["source"].unique()))
    if frame.empty:
        return Served("", sources, {}, (), np.array([]), ("no endpoint was asked while the run was on",))
    axis = _Axis(frame, run)
    names = set(frame["name"].unique())
    by_role = {role: names_of(role) for role in ROLES}
    gauges = {role: axis.gauge(role, ROLES[role], of) for role, of in by_role.items() if names & {*of}}
    likely = [] if gauges.keys() & {"running", "waiting"} else sorted(filter(is_likely, names))
    others = [axis.gauge(name, Role(name, ""), (name,)) for name in likely]
    others = sorted((one for one in others if one.most > 0), key=lambda one: -one.most)[:MOST_OTHERS]
    return Served(server_of(names), sources, gauges, tuple(others), axis.in_flight(run), _notes(frame, sources))


def names_of(role: str) -> tuple[str, ...]:
    """The series that tell a role, the preferred ones first."""
    return tuple(name for name, (of, _) in NAMES.items() if of == role)


def _frame(path: Any, sources: Sequence[str]) -> pd.DataFrame:
    """The rows that anything is made of: of these endpoints, from the run's start on."""
    try:
        table = pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise RunError(f"{path}: cut short or not parquet ({str(error).splitlines()[0]})") from None
    every = pc.unique(table.column("name")).to_pylist()
    wanted = [name for name in every if name in NAMES or name in (UP, LEFT_OUT) or is_likely(name)]
    kept = pc.and_(_is_in(table, "name", wanted), pc.greater_equal(table.column("t_ns"), 0))
    if sources:
        kept = pc.and_(kept, _is_in(table, "source", sources))
    frame = table.filter(kept).to_pandas()
    assert isinstance(frame, pd.DataFrame)
    return frame.astype(dict.fromkeys(("source", "name", "labels"), object))


def _is_in(table: pa.Table, column: str, words: Sequence[str]) -> Any:
    return pc.is_in(table.column(column).cast(pa.string()), pa.array(words, pa.string()))


class _Axis:
    """
    The seconds of a run in which somebody was asked.

    Args:
        frame: Of server.parquet, t_ns from 0 on.
        run: Of one arm.
    """

    def __init__(self, frame: pd.DataFrame, run: Run) -> None:
        self._frame = frame.assign(second=frame["t_ns"] // 10**9)
        ups = self._frame[self._frame["name"] == UP]
        self._seconds = pd.RangeIndex(0, int(self._frame["second"].max()) + 1)
        self._up = _wide(ups, ["source"], "value").reindex(self._seconds) == 1.0
        self._t_s = _wide(ups, ["source"], "t_ns").reindex(self._seconds) / 1e9
        asked_s = self._t_s.mean(axis=1).to_numpy(dtype=np.float64)
        self.at_s, self._kept = _folded(np.where(np.isnan(asked_s), self._seconds + 0.5, asked_s), run)

    def gauge(self, role: str, about: Role, names: Sequence[str]) -> Gauge:
        """A role's values, over all that tell it."""
        rows = self._frame[self._frame["name"].isin(names)]
        parts = [self._of_source(str(source), about, part, names) for source, part in rows.groupby("source")]
        wide = pd.concat(parts, axis=1)
        whole = wide.sum(axis=1, skipna=False) if about.how == "sum" else wide.mean(axis=1, skipna=True)
        return Gauge(role, about.label, about.unit, self.at_s, whole.to_numpy(dtype=np.float64)[self._kept])

    def in_flight(self, run: Run) -> Array:
        """What the client had under way at these moments; NaN where arms played together, of which this is one."""
        if any(len(slot["arms"]) > 1 for slot in run.manifest.get("slots") or ()):
            return np.full(self.at_s.size, np.nan)
        sent, end = (np.sort(stamps) for stamps in series.lifetimes(run.requests))
        count = np.searchsorted(sent, self.at_s, "right") - np.searchsorted(end, self.at_s, "right")
        return count.astype(np.float64)

    def _of_source(self, source: str, about: Role, rows: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
        """One column per model, engine or GPU of one endpoint; by the first of the names that it has."""
        there = set(rows["name"])
        name = next(name for name in names if name in there)
        mine = rows[rows["name"] == name]
        mine = mine.assign(labels=mine["labels"].str.replace(RANKS, "", regex=True))
        wide = _wide(mine, ["labels"], "value").reindex(self._seconds) * NAMES.get(name, ("", 1.0))[1]
        up = self._up[source].to_numpy()
        if about.how == "sum":
            wide = wide.fillna(0.0)  # a series that comes to be later was 0 before
        wide[~up] = np.nan
        return wide.apply(self._rate, args=(source,)) if about.counter else wide

    def _rate(self, counts: pd.Series[float], source: str) -> pd.Series[float]:
        """Per second since the last answer; a count that falls began anew at 0."""
        values, at_s = counts.to_numpy(dtype=np.float64), self._t_s[source].to_numpy(dtype=np.float64)
        known = np.flatnonzero(~np.isnan(values) & ~np.isnan(at_s))
        grown = np.diff(values[known])
        rates = np.full(values.size, np.nan)
        rates[known[1:]] = np.where(grown < 0, values[known[1:]], grown) / np.diff(at_s[known])
        return pd.Series(rates, index=counts.index)


def _wide(rows: pd.DataFrame, by: list[str], values: str) -> pd.DataFrame:
    """Seconds as rows; of several values that a second has the greatest, of ranks that all say the same any."""
    return rows.pivot_table(index="second", columns=by, values=values, aggfunc="max", observed=True)


def _folded(at_s: Array, run: Run) -> tuple[Array, NDArray[np.bool_]]:
    """Moments on the schedule's axis, ascending, and which of the run's seconds they are: those of the arm's turns."""
    slots = [slot for slot in run.manifest.get("slots") or () if slot.get("block") is not None]
    if not slots:
        return at_s, np.ones(at_s.size, dtype=np.bool_)
    kept, moved = np.zeros(at_s.size, dtype=np.bool_), at_s.copy()
    for slot in slots:
        if slot.get("start_ns") is None:
            continue
        start_s = slot["start_ns"] / 1e9
        end_s = np.inf if slot.get("length_ns") is None else start_s + slot["length_ns"] / 1e9
        inside = (at_s >= start_s) & (at_s < end_s)
        kept |= inside
        moved[inside] = at_s[inside] - shift_ns(slot) / 1e9
    return moved[kept], kept


def _notes(frame: pd.DataFrame, sources: Sequence[str]) -> tuple[str, ...]:
    """What was not answered, and what was too much."""
    notes = []
    for source in sources:
        mine = frame[frame["source"] == source]
        ups = mine[mine["name"] == UP].sort_values("t_ns")
        failed = ups[ups["value"] == 0.0]
        if len(failed):
            first_s = float(failed["t_ns"].iloc[0]) / 1e9
            kinds = ", ".join(sorted({label[len('error="') : -1] for label in failed["labels"]}))
            what = "never answered" if len(failed) == len(ups) else f"did not answer {len(failed)} of {len(ups)} times"
            notes.append(f"{source} {what} ({kinds}), the first time at {first_s:.0f} s")
        elif not len(ups):
            notes.append(f"{source} was not asked while the run was on")
        if len(left := mine[mine["name"] == LEFT_OUT]):
            notes.append(f"{source} has {left['value'].max():,.0f} series more than are kept; they were left out")
    return tuple(notes)
