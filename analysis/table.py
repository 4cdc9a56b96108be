"""The summary and the comparison as text: what is seen first in a terminal. Within 100 columns; colours only on one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from analysis import stats
from analysis.summary import SHOWN
from analysis.units import NONE, digits, shown, span

if TYPE_CHECKING:
    from rich.console import Console

    from analysis.compare.beside import Comparison, Line
    from analysis.metrics import Unit
    from analysis.summary import Cell, Row, Summary

CELL = 17
WIDE = 98
"""Columns of a terminal from which on intervals are shown; `--json` and the report always have them."""

COLOURS = {"valid": "bold green", "doubtful": "bold yellow", "invalid": "bold red", "ok": "", "not_judged": "dim"}
RAISED = "¹²³⁴⁵⁶⁷⁸⁹"


def render(summary: Summary, console: Console) -> None:
    """Print a summary: verdict, counts, rates, the table, and what is to be known about it."""
    notes: list[str] = []
    for line in header(summary, notes):
        console.print(line, soft_wrap=False)
    console.print()
    console.print(_table(summary, notes, intervals=console.width >= WIDE))
    for told in means(summary):
        console.print(Text(told, style="dim"))
    for note in _footnotes(summary, notes):
        console.print(Text(note, style="dim"))


def header(summary: Summary, notes: list[str]) -> list[Text]:
    """The lines above the table; what they need a footnote for is added to the notes."""
    f, verdict = summary.facts, summary.validity.verdict
    lines = [Text.assemble((verdict.upper(), COLOURS[verdict]), f"  {f.name}")]
    if f.unfinished:
        lines.append(Text.assemble(("  unfinished", COLOURS["doubtful"]), f": {f.unfinished}"))
    lines += [
        Text.assemble(("  " + check.name, COLOURS[check.status]), f" {check.value}: {check.why}")
        for check in summary.validity.faults
    ]
    asked = f" · {f.workload}" if f.workload not in {"", "chat"} else ""
    lines.append(Text(f"{f.profile} · model {f.model} · {f.load}{asked} · {f.clock} clock", style="dim"))
    lines.append(Text(f"{counts(summary)}"))
    rates = [
        f"{_rate(rate.unit, rate.value)} {rate.label}{_mark(summary.source_of(rate), notes)}"
        for rate in summary.rates
        if rate.unit == "1/s"
    ]
    failed = summary.rate("error_rate")
    lines.append(Text(" · ".join([*rates, f"{_rate('share', failed)} % failed"])))
    if f.spent:
        lines.append(Text(f"took {f.spent}", style="dim"))
    lines.append(Text(f.client, style="dim"))
    w = summary.window
    lines.append(Text(f"window {w.start_s:.1f} to {w.end_s:.1f} s ({span(w.length_s)}): {w.reason}", style="dim"))
    return lines


def counts(summary: Summary) -> str:
    """What became of the arrivals, in a line; kinds that did not happen are left out."""
    c = summary.counts
    planned = "" if c.planned is None else f"{c.planned:,} planned · "
    kinds = ", ".join(f"{kind} {count:,}" for kind, count in c.errors.items())
    failed = f"{c.error:,} failed" + (f" ({kinds})" if kinds else "")
    rest = {"gave up": c.gave_up, "cancelled": c.cancelled - c.gave_up, "unsent": c.unsent, "lost": c.lost}
    others = "".join(f" · {count:,} {word}" for word, count in rest.items() if count)
    holding = f" ({c.drain:,} to hold the load)" if c.drain else ""
    return f"{planned}{c.recorded:,} recorded{holding} · {c.ok:,} ok · {failed}{others}"


def means(summary: Summary) -> list[str]:
    """Mean and maximum of TTFT and latency, a line for each group: what percentiles of few requests don't tell."""
    rows = {(row.metric, row.label): row for row in summary.rows if row.by is None and row.mean is not None}
    lines = []
    for (metric, label), row in rows.items():
        if metric not in ("ttft_s", "latency_s"):
            continue
        behind = next(
            (r for (name, _), r in rows.items() if name == f"{metric[:-2]}_from_send_s" and r.group == row.group), None
        )
        told = [f"{_show(row, one)}" for one in (row.mean, row.worst) if one is not None]
        sent = [f"{_show(row, one)}" for one in (behind.mean, behind.worst) if one is not None] if behind else []
        unit = "s" if _in_seconds(row) else "ms"
        since = f", from send {' and '.join(sent)}" if sent else ""
        lines.append(f"{label}: mean and maximum {' and '.join(told)} {unit}{since}")
    return lines


def _rate(unit: Unit, value: float | None) -> str:
    return NONE if value is None else shown(value, unit)


def _table(summary: Summary, notes: list[str], *, intervals: bool) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("ms unless said", no_wrap=True)
    table.add_column("n", justify="right", no_wrap=True)
    for p in SHOWN:
        name = f"p{100 * p:g}"
        table.add_column(f"{name} [95 %]" if intervals else name, no_wrap=True, min_width=CELL if intervals else 0)
    for row in summary.rows:
        label = _label(row) + _mark(summary.source_of(row), notes)
        cells = [_cell(row, cell, notes, interval=intervals) for cell in row.cells]
        table.add_row(label, f"{row.n:,}", *cells)
    return table


def _in_seconds(row: Row) -> bool:
    """Ten seconds and more are shown in seconds: five digits of milliseconds say nothing more."""
    return row.unit == "s" and max((cell.value or 0.0 for cell in row.cells), default=0.0) >= 10.0


def _show(row: Row, value: float) -> str:
    return digits(value) if _in_seconds(row) else shown(value, row.unit)


def _label(row: Row) -> str:
    label = "  from send" if row.metric.endswith("_from_send_s") else row.label
    return f"{label} (s)" if _in_seconds(row) else label


def _cell(row: Row, cell: Cell, notes: list[str], *, interval: bool) -> Text:
    if cell.value is None:
        few = f"p{100 * cell.p:g} needs {stats.least_count(cell.p):,} requests"
        return Text(NONE + _mark(few if row.n else cell.reason or "", notes), style="dim")
    if not interval:
        return Text(_show(row, cell.value) + cell.mark)
    low = "0" if cell.lo is None else _show(row, cell.lo)
    high = "∞" if cell.hi is None else _show(row, cell.hi)
    bounded = cell.lo is not None or cell.hi is not None
    around = f" {low}{NONE}{high}" if bounded else " no interval"
    return Text.assemble(_show(row, cell.value) + cell.mark, (around, "dim"))


def _mark(reason: str, notes: list[str]) -> str:
    """The raised number of a footnote, the same for the same reason; none for none."""
    if not reason:
        return ""
    if reason not in notes:
        notes.append(reason)
    place = notes.index(reason)
    return RAISED[place] if place < len(RAISED) else f"^{place + 1}"


def _footnotes(summary: Summary, notes: list[str]) -> list[str]:
    lines = [f"{_mark(reason, notes)} {reason}" for reason in list(notes)]
    marked = sorted({cell.p for row in summary.rows for cell in row.cells if cell.mark})
    if marked:
        least = ", ".join(f"{stats.firm_count(p)} for p{100 * p:g}" for p in marked)
        lines.append(f"~ rests on a few extreme values; requests needed: {least}")
    if any(row.unit == "1/s" for row in summary.rows):
        lines.append("tokens/s: the slow end, p95 is what 95 % of the requests reach")
    return lines


# Two sides beside each other.


def render_comparison(comparison: Comparison, console: Console) -> None:
    """Print a comparison: what differs in the settings, the table, and what it cannot say."""
    a, b = comparison.a, comparison.b
    for side, of in (("A", a), ("B", b)):
        console.print(Text.assemble((f"{side}  ", "bold"), f"{of.name}  ", (of.verdict, COLOURS[of.verdict])))
        if of.unfinished:
            console.print(Text.assemble(("   unfinished", COLOURS["doubtful"]), f": {of.unfinished}"))
    for difference in comparison.settings:
        console.print(Text(f"   {difference.name}: {difference.a} → {difference.b}", style="dim"))
    console.print()
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for title in ("ms unless said", "", "A", "B", "B / A", "n A", "n B"):
        table.add_column(title, justify="left" if title in {"ms unless said", ""} else "right", no_wrap=True)
    before, notes = "", list[str]()
    for line in comparison.lines:
        named = f"{line.label} (%)" if line.unit == "share" else line.label + _mark(line.source, notes)
        label, before = ("" if named == before else named), named
        values = (_rate(line.unit, line.a), _rate(line.unit, line.b))
        table.add_row(label, line.what, *values, _ratio(line, comparison, notes), f"{line.n_a:,}", f"{line.n_b:,}")
    console.print(table)
    for note in notes:
        console.print(Text(f"{_mark(note, notes)} {note}", style="dim"))
    console.print(Text(comparison.note, style="dim"))


def _ratio(line: Line, comparison: Comparison, notes: list[str]) -> Text:
    """B / A, with the interval where it is paired; what is paired over fewer replicates than most says so."""
    if line.ratio is None:
        return Text(NONE + _mark(line.reason or "", notes))
    if line.paired is None:
        return Text(f"{line.ratio:.3f}{_mark(line.reason or '', notes)}")
    most = max(other.paired.n for other in comparison.lines if other.paired)
    fewer = "" if line.paired.n == most else f"paired over {line.paired.n} {comparison.replicates}"
    around = f" {line.paired.lo:.3f}{NONE}{line.paired.hi:.3f}"
    return Text.assemble(f"{line.ratio:.3f}{_mark(fewer, notes)}", (around, "dim"))
