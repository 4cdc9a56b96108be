"""`firsttoken calibrate`: this machine's own limit and error, measured against the embedded mock."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from loadtests.calibrate.ladder import Done, Rung
    from loadtests.calibration import Calibration, Limit
    from loadtests.watch import Interrupts

EXAMPLES: Final = """\b
Examples:
  firsttoken calibrate                    once per machine, while nothing else runs on it: about 90 s
  firsttoken calibrate --quick            fewer rungs: about 30 s
  firsttoken calibrate --json > limits.json
  firsttoken run --profile vllm --base-url http://127.0.0.1:8000/v1 --model m --concurrency 16
      from now on says how much of its limit the client used

\b
Columns, microseconds unless said:
  offered, read    token events/s (whole answers: answers/s) that the mock sends if nobody is late; reads/s
  stamp error      first and last token (whole answers: the answer) against the mock's own log
  gap              error of the gaps between tokens, p99
  user clock       the same run's stamp errors without the kernel's stamps: stamp error + wake lag
  merged           token events that shared a read with a later one
  CPU              of the client per event
  wake             from the kernel's stamp to the reader, p99

\b
Exit codes:
  0 a limit was found   2 usage, or the load cannot be started   3 not even the lowest rung was clean   130 Ctrl-C"""

COLUMNS: Final = (
    ("users", 5), ("offered", 7), ("read", 6), ("p50", 5), ("p99", 5), ("max", 6), ("gap", 5), ("p50", 5), ("p99", 6),
    ("max", 6), ("merged", 6), ("CPU", 5), ("wake", 6),
)  # fmt: skip
ENDS: Final = {"provider": "the provider reached its limit", "ladder": "the ladder ended there"}
TITLES: Final = {"stream": "Streams of 100 chunks/s", "whole": "Whole answers after 50 ms"}


@click.command(epilog=EXAMPLES)
@click.option("--quick", is_flag=True, help="Fewer rungs: a coarser limit, sooner.")
@click.option("--json", "as_json", is_flag=True, help="Print the calibration as JSON; messages go to stderr.")
def calibrate(*, quick: bool, as_json: bool) -> int:
    """Measure how much load this machine can make before its own numbers suffer.

    Offers the embedded mock more and more streams, then more and more whole answers, with the same code as `firsttoken
    run`, and compares every stamp with the mock's own log. The highest clean rung is the client's limit. It is kept in
    ~/.cache/firsttoken, and every later run says how much of it was used: above 60 % a run is doubtful, beyond the
    limit invalid. "≥" means that the mock gave out or the ladder ended before the client did; two figures mean that
    the next rung was far higher, and the limit is somewhere between them.
    """
    if sys.platform != "linux":
        raise click.UsageError("calibrate needs Linux: it measures the kernel's receive stamps")
    from loadtests import calibration
    from loadtests.calibrate.climb import calibration_of, ladders
    from loadtests.calibrate.figures import FiguresError
    from loadtests.rundir import NoRoomError
    from loadtests.watch import Interrupts, StoppedError

    if (why := _unkept(calibration.check_place)) and not as_json:
        return _fail(f"{why}; point XDG_CACHE_HOME to where you may write, or take the limits from --json", 2)
    if why:
        click.echo(f"firsttoken: {why}; the limits will only be printed", err=True)
    done: dict[str, list[Done]] = {"stream": [], "whole": []}
    with Interrupts() as interrupts:
        try:
            for rungs in ladders(quick=quick):
                _climb(rungs, done, interrupts, to_stderr=as_json)
        except StoppedError:
            return _fail("stopped; nothing was kept", 130)
        except (FiguresError, NoRoomError) as error:
            return _fail(f"{error}; nothing was kept", 3)
    found = calibration_of(done["stream"], done["whole"])
    return _conclude(found, lambda: calibration.keep(found), as_json=as_json)


def _climb(rungs: Sequence[Rung], done: dict[str, list[Done]], interrupts: Interrupts, *, to_stderr: bool) -> None:
    """One ladder, a line per rung as it is done."""
    from loadtests.calibrate.climb import climb
    from loadtests.calibrate.measure import measure

    kind = rungs[0].kind
    for line in _head(kind):
        click.echo(line, err=to_stderr)

    def one(rung: Rung) -> Any:
        with _telling(f"{rung.users} users, {rung.offered_per_s:,.0f}/s"):
            return measure(rung, interrupts)

    for each in climb(rungs, one):
        done[kind].append(each)
        click.echo(_line(each), err=to_stderr)
    click.echo(err=to_stderr)


@contextmanager
def _telling(text: str) -> Iterator[None]:
    """Say what is going on, on a terminal, and nothing anywhere else: the rung must not pay for it."""
    from rich.console import Console

    console = Console(stderr=True)
    if console.is_terminal and not console.is_dumb_terminal:
        console.print(f"  {text} …", end="\r", style="dim", highlight=False)
    yield
    if console.is_terminal and not console.is_dumb_terminal:
        console.print(" " * (len(text) + 4), end="\r")


def _conclude(found: Calibration, keep: Callable[[], object], *, as_json: bool) -> int:
    """Say the limits and keep them."""
    from loadtests.calibration import place
    from loadtests.cli.output import dump

    if as_json:
        dump(found.to_json())
    click.echo(f"limit of a load-making process: {_said(found.events, 'events')}, {_said(found.requests, 'requests')}",
               err=as_json)  # fmt: skip
    if found.events is None and found.requests is None:
        return _fail("not even the lowest rung was clean: is the machine busy? Nothing was kept", 3)
    if why := _unkept(keep):
        return _fail(f"{why}; the limits were not kept", 3)
    click.echo(f"kept in {place()}", err=as_json)
    return 0


def _unkept(write: Callable[[], object]) -> str:
    """Why the cache could not be written; empty: it was."""
    try:
        write()
    except OSError as error:
        return f"{error.filename or 'the cache'}: {error.strerror or error}"
    return ""


def _said(limit: Limit | None, what: str) -> str:
    if limit is None:
        return f"no clean rung for {what}/s"
    if not limit.at_least:
        return f"{limit.per_s:,.0f} {what}/s"
    if limit.below is not None:
        return f"between {limit.per_s:,.0f} (clean) and {limit.below:,.0f} (not clean) {what}/s"
    return f"≥ {limit.per_s:,.0f} {what}/s ({ENDS[limit.ended_by]})"


def _fail(text: str, code: int) -> int:
    click.echo(f"firsttoken: {text}", err=True)
    return code


# The table: lines of fixed width, so that each can be printed when it is known.


def _head(kind: str) -> list[str]:
    groups = f"{'':21}{'stamp error, us':>18}{'':7}{'user clock, us':>19}"
    return [TITLES[kind], groups.rstrip(), _fixed([name for name, _ in COLUMNS]) + "  verdict"]


def _line(done: Done) -> str:
    seen = done.seen
    cells = [
        f"{done.rung.users}", f"{done.rung.offered_per_s:,.0f}", f"{seen.events_per_s:,.0f}",
        *(_us(value) for value in seen.stamp), "-" if seen.gap_p99 is None else _us(seen.gap_p99),
        *(_us(value) for value in seen.user), f"{100 * seen.merged:.3g} %", f"{seen.cpu_per_event_us:.1f}",
        _us(seen.wake_lag_p99),
    ]  # fmt: skip
    why = f"\n{'':5} {done.why}" if done.why else ""
    return f"{_fixed(cells)}  {done.verdict}{why}"


def _fixed(cells: Sequence[str]) -> str:
    return " ".join(f"{cell:>{width}}" for cell, (_, width) in zip(cells, COLUMNS, strict=True))


def _us(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 99.5 else f"{value:.1f}"
