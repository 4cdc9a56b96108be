"""The summary as text: what is seen first in a terminal. Within 100 columns; colours only on one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from analysis import stats
from analysis.summary import SHOWN
from analysis.units import NONE, digits, shown, span

if TYPE_CHECKING:
    from rich.console import Console

    from analysis.failures import Failure
    from analysis.objectives import Outcome
    from analysis.rows import Cell, Rate, Row
    from analysis.summary import Summary

CELL = 17
WIDE = 98
"""Columns of a terminal from which on intervals are shown; `--json` and the report always have them."""

COLOURS = {
    "valid": "bold green", "doubtful": "bold yellow", "invalid": "bold red", "ok": "", "not_judged": "dim",
    "met": "bold green", "missed": "bold red", "undecided": "bold yellow",
}  # fmt: skip
RAISED = "¹²³⁴⁵⁶⁷⁸⁹"


def render(summary: Summary, console: Console, *, whole: bool = False) -> None:
    """
    Print a summary: verdict, counts, rates, the table, and what is to be known about it.

    Args:
        summary: Of one run.
        console: Where to.
        whole: With the metrics that are usually left out.
    """
    notes: list[str] = []
    for line in header(summary, notes, whole=whole):
        console.print(line, soft_wrap=False)
    console.print()
    rows = [row for row in summary.rows if whole or not row.aside]
    console.print(_table(summary, rows, notes, intervals=console.width >= WIDE))
    for told in means(summary):
        console.print(Text(told, style="dim"))
    for note in _footnotes(summary, notes):
        console.print(Text(note, style="dim"))


def header(summary: Summary, notes: list[str], *, whole: bool = False) -> list[Text]:
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
    told = [rate for rate in summary.rates if _is_told(rate, summary, whole=whole)]
    lines += [Text(line) for line in _lines([_told(rate, summary, notes) for rate in told])]
    if f.spent:
        lines.append(Text(f"used {f.spent}", style="dim"))
    lines.append(Text(f.client, style="dim"))
    w = summary.window
    lines.append(Text(f"window {w.start_s:.1f} to {w.end_s:.1f} s ({span(w.length_s)}): {w.reason}", style="dim"))
    lines += _server(summary)
    lines += [_outcome(one) for one in summary.objectives]
    return lines + [_failure(one) for one in summary.failures]


def _lines(parts: list[str]) -> list[str]:
    """Parts as lines of `WIDE` columns at the most, broken between parts only."""
    lines = [""]
    for part in parts:
        joined = f"{lines[-1]} · {part}" if lines[-1] else part
        if len(joined) <= WIDE:
            lines[-1] = joined
        else:
            lines.append(part)
    return lines


ALWAYS = {"arrivals_per_s", "requests_per_s", "tokens_per_s", "error_rate"}
PROMISED = {"goodput_per_s", "attainment"}


def _is_told(rate: Rate, summary: Summary, *, whole: bool) -> bool:
    """What is always told, what somebody promised, and else what there is and is not 0."""
    if rate.metric in ALWAYS or whole:
        return True
    if rate.metric in PROMISED:
        return bool(summary.objectives)
    return bool(rate.value) and not rate.aside


def _told(rate: Rate, summary: Summary, notes: list[str]) -> str:
    """A figure of the run with its interval: `7.98 [7.1-8.9] requests/s`."""
    mark = footnote(summary.source_of(rate), notes)
    if rate.value is None:
        return f"{NONE} {rate.label}{mark or footnote(rate.reason or '', notes)}"
    unit = {"1/s": "", "share": " %", "tokens": " tokens", "USD": " USD", "s": " ms"}[rate.unit]
    around = ""
    if rate.lo is not None and rate.hi is not None and (rate.value or rate.metric == "error_rate"):
        around = f" [{shown(rate.lo, rate.unit)}{NONE}{shown(rate.hi, rate.unit)}]"
    label = "failed" if rate.metric == "error_rate" else rate.label
    return f"{shown(rate.value, rate.unit)}{around}{unit} {label}{mark}"


def _server(summary: Summary) -> list[Text]:
    """What the server said of itself."""
    told = summary.server
    if told is None:
        return []
    first, *others = told.figures or ["reported nothing known here"]
    figures = _lines([f"{told.who}: {first}", *others])
    return [Text(line, style="dim") for line in figures] + [Text(f"  {line}") for line in told.says]


def _outcome(one: Outcome) -> Text:
    """What became of a promise."""
    told = f"  {one.text}: {one.reason}" if one.reason else f"  {one.text}"
    return Text.assemble((one.verdict.upper(), COLOURS[one.verdict]), told)


def _failure(one: Failure) -> Text:
    """A kind of failure: whose doing, how often, and what was said."""
    status = f" {one.status}" if one.status else ""
    share = f"{shown(one.share, 'share')} % [{shown(one.lo, 'share')}{NONE}{shown(one.hi, 'share')}]"
    said = f": {one.said}" if one.said else ""
    text = f"  {one.kind}{status} ({one.family}) {one.n:,}, {share}{said}"
    return Text(text if len(text) <= WIDE else f"{text[: WIDE - 1]}…", style="dim")


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


def _table(summary: Summary, rows: list[Row], notes: list[str], *, intervals: bool) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("ms unless said", no_wrap=True)
    table.add_column(
        "n", justify="right", no_wrap=True, min_width=max(len(f"{row.n:,}") for row in rows) if rows else 1
    )
    for p in SHOWN:
        name = f"p{100 * p:g}"
        table.add_column(f"{name} [95 %]" if intervals else name, no_wrap=True, min_width=CELL if intervals else 0)
    for row in rows:
        label = _label(row) + footnote(summary.source_of(row), notes)
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
        return Text(NONE + footnote(few if row.n else cell.reason or "", notes), style="dim")
    if not interval:
        return Text(_show(row, cell.value) + cell.mark)
    low = "0" if cell.lo is None else _show(row, cell.lo)
    high = "∞" if cell.hi is None else _show(row, cell.hi)
    bounded = cell.lo is not None or cell.hi is not None
    if cell.reason:
        return Text(_show(row, cell.value) + cell.mark + footnote(cell.reason, notes))
    around = f" {low}{NONE}{high}" if bounded else " no interval"
    return Text.assemble(_show(row, cell.value) + cell.mark, (around, "dim"))


def footnote(reason: str, notes: list[str]) -> str:
    """The raised number of a footnote, the same for the same reason; none for none."""
    if not reason:
        return ""
    if reason not in notes:
        notes.append(reason)
    place = notes.index(reason)
    return RAISED[place] if place < len(RAISED) else f"^{place + 1}"


def _footnotes(summary: Summary, notes: list[str]) -> list[str]:
    lines = [f"{footnote(reason, notes)} {reason}" for reason in list(notes)]
    marked = sorted({cell.p for row in summary.rows for cell in row.cells if cell.mark})
    if marked:
        least = ", ".join(f"{stats.firm_count(p)} for p{100 * p:g}" for p in marked)
        lines.append(f"~ rests on a few extreme values; requests needed: {least}")
    if any(row.unit == "1/s" for row in summary.rows):
        lines.append("tokens/s: percentiles count from the fast end; 95 % of the requests reach p95")
    return lines
