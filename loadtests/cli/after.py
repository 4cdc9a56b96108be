"""After a run: the summary and the report, the line that says why it ended early, and the exit code."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from loadtests.cli.judged import is_invalid, judged_of, show, write_all
from loadtests.cli.output import dump, fail, plain
from loadtests.cli.stored import url_of

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from analysis.summary import Judged, Summary
    from loadtests.profiles import Profile
    from loadtests.run import Result
    from loadtests.rundir import Setup
    from loadtests.stop import Stop

GONE = ["connect", "reset", "timeout_connect", "dns", "tls"]
GONE_AFTER = 5


def judge(setup: Setup, result: Result, *, report: bool, as_json: bool, quiet: bool = False) -> int:
    """Summary (a line of it where `quiet`), report and the exit code; a run with nothing in it is said in one line."""
    return judged_and_told(setup, result, report=report, as_json=as_json, quiet=quiet)[1]


def judged_and_told(
    setup: Setup, result: Result, *, report: bool, as_json: bool = False, quiet: bool = True, terse: bool = False
) -> tuple[list[Judged], int]:
    """
    The same, with what was judged: a run of each arm, or none where there is nothing to judge.

    Where it is to be `terse`, only what went wrong is told: what the run says is then for others to tell.
    """
    stop = result.stop
    if result.finished is None:
        return [], fail(stop.text if stop else "the run was not finished", 3)
    if stop is not None and stop.word == "refused" and not _any_ok(result, stop.arm):
        return [], fail(f"{_refusal(setup, stop)}; {_kept(result)}", 2)
    if result.issued and result.answered == 0 and (stop is None or stop.word == "failing"):
        places = [profile.proxy or profile.base_url or "the embedded provider" for profile in setup.profiles]
        where = " and ".join(dict.fromkeys(places))
        return [], fail(f"nothing reached at {where}: {_first_error(result.path)}; {_kept(result)}", 2)
    judged, code = _show(result.path, report=report, as_json=as_json, quiet=quiet, terse=terse)
    gone = gone_since(result.path) if stop is None or stop.word == "failing" else ""
    if text := gone or (stop.text if stop else ""):
        click.echo(f"firsttoken: {text}", err=True)
        code = code if stop is not None and stop.word == "decided" else 3
    return judged, 130 if stop is not None and stop.word == "interrupt" else code


def _any_ok(result: Result, arm: str) -> bool:
    """Whether a request ended well; of one arm where it is named."""
    import pyarrow.compute as pc

    if not arm:
        return result.ok > 0
    table = _rows(result.path, ["arm", "outcome"])
    return bool(pc.any(pc.and_(pc.equal(table["arm"], arm), pc.equal(table["outcome"], "ok"))).as_py())


def _refusal(setup: Setup, stop: Stop) -> str:
    """Who refused its first request, and with what."""
    whose = f"arm {stop.arm}: " if stop.arm else ""
    names = [arm.name for arm in setup.plan.arms]
    profile = setup.profiles[names.index(stop.arm)] if stop.arm else setup.profile
    text = stop.text.removeprefix(whose)
    hint = key_hint(profile) if text.startswith(("HTTP 401", "HTTP 403")) else ""
    return f"{whose}{profile.name} refused the first request: {text}{hint}"


def gone_since(path: Path) -> str:
    """Since when providers have been gone; "" where none is: the last requests did not even get a connection."""
    import pyarrow as pa
    import pyarrow.compute as pc

    table = _rows(path, ["arm", "scheduled_ns", "outcome", "error_kind", "headers_ns"]).sort_by("scheduled_ns")
    table = table.filter(pc.is_in(table["outcome"], pa.array(["ok", "error"])))
    arms = pc.unique(table["arm"]).to_pylist()
    found = {arm: _silence(table.filter(pc.equal(table["arm"], arm))) for arm in arms}
    return "; ".join(f"arm {arm}: {text}" if len(arms) > 1 else text for arm, text in found.items() if text)


def _silence(table: pa.Table) -> str:
    """Since when the provider of these rows, in order of time, has been gone; "" where it hasn't."""
    import pyarrow as pa
    import pyarrow.compute as pc

    lost = pc.fill_null(pc.is_in(table["error_kind"], pa.array(GONE)), False)
    answered = pc.or_(pc.is_valid(table["headers_ns"]), pc.invert(lost)).to_numpy()
    silent = len(answered) if not answered.any() else int(answered[::-1].argmax())
    if silent < GONE_AFTER:
        return ""
    since_s = table["scheduled_ns"][len(answered) - silent].as_py() / 1e9
    return f"provider gone since {since_s:.1f} s: the last {silent} requests got no answer at all"


def _rows(path: Path, columns: list[str]) -> pa.Table:
    """These columns of a run's rows, words as plain strings."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from loadtests.record import REQUESTS

    table = pq.read_table(path / REQUESTS, columns=columns)
    words = [pa.types.is_dictionary(field.type) for field in table.schema]
    return table.cast(pa.schema([
        pa.field(field.name, pa.string() if is_word else field.type)
        for field, is_word in zip(table.schema, words, strict=True)
    ]))  # fmt: skip


def key_hint(profile: Profile) -> str:
    """Where the key comes from, where the key was refused."""
    env = profile.auth.env
    return "" if env is None else f" (key from ${env}{'' if os.environ.get(env) else ', which is not set'})"


def _kept(result: Result) -> str:
    return f"the rows are in {url_of(result.path) or result.path}"


def _first_error(path: Path) -> str:
    import pyarrow.compute as pc

    table = _rows(path, ["error_kind", "error"])
    told = table.filter(pc.is_valid(table["error"])).slice(0, 1).to_pylist()
    return f"{told[0]['error_kind']}: {told[0]['error']}" if told else "no request was answered"


def _show(path: Path, *, report: bool, as_json: bool, quiet: bool, terse: bool) -> tuple[list[Judged], int]:
    """Print the summary, or a line of it, and write what analysis writes; 3 not valid, 1 an objective missed."""
    judged = judged_of(path)
    try:
        written = write_all(judged, report=report)
    except OSError as error:
        safe = f"the rows are safe, write the report later: `firsttoken report {path}`"
        return judged, fail(f"{path}: {error.strerror or error}; {safe}", 3)
    if quiet:
        for one in judged if not terse else ():
            click.echo(_line(one.summary), err=True)
    elif as_json:
        dump(plain([one.summary.to_json() for one in judged]))
    else:
        show(judged)
    for place in written if not terse else ():
        click.echo(f"{'report' if report else 'run'}: {url_of(place) or os.path.relpath(place)}", err=as_json or quiet)
    if is_invalid(judged):
        return judged, 3
    return judged, 0 if terse else _kept_promises([one.summary for one in judged])


def _kept_promises(arms: list[Summary]) -> int:
    """1 where an arm missed an objective, and in a line each what was missed or is undecided."""
    for arm in arms:
        whose = f"arm {arm.facts.arm}: " if len(arms) > 1 else ""
        for one in arm.objectives:
            if one.verdict != "met":
                click.echo(f"firsttoken: {whose}objective {one.text} {one.verdict}: {one.reason}", err=True)
    return 1 if any(one.verdict == "missed" for arm in arms for one in arm.objectives) else 0


def _line(summary: Summary) -> str:
    """A run in one line."""
    counts, row = summary.counts, summary.row("ttft_s") or summary.row("latency_s")
    cell = None if row is None else row.cell(0.5)
    told = f", {row.label} p50 {1000 * cell.value:,.1f} ms" if row and cell and cell.value is not None else ""
    worst = next((f" ({one.name} {one.value})" for one in summary.validity.faults if one.status == "invalid"), "")
    return f"  {summary.validity.verdict}{worst}: {counts.ok:,} of {counts.recorded:,} ok{told}"
