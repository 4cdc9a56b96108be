"""`firsttoken worker`: make a part of the load of a run that is on another machine."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from loadtests.cli.params import Address, Seconds

if TYPE_CHECKING:
    import subprocess
    from types import FrameType

    from loadtests.agent import End

WORST_LAST = (0, 130, 2, 3)
EXAMPLES = """\b
Examples:
  firsttoken worker --master 10.0.0.5
      join the run that is on there, or wait for one
  firsttoken worker --master 10.0.0.5 --processes 4
      as four workers, a process for each core
  OPENAI_API_KEY=... firsttoken worker --master loadmaster:5558 --out /var/tmp/parts
      keys are this machine's own; the master sends none

\b
Exit codes:
  0 the master has all rows   2 no master, another version, a missing key, a provider that is not reached
  3 the master lacks rows: they are kept here, and the last line says where   130 Ctrl-C before a run began"""


@click.command(epilog=EXAMPLES)
@click.option("--master", required=True, type=Address(), metavar="HOST[:PORT]", help="The machine of the run.")
@click.option(
    "--processes", type=click.IntRange(1, 256), default=1, show_default=True, help="Workers to start, a process each."
)
@click.option("--wait", type=Seconds(), default="5m", show_default=True, help="How long to wait for a master.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("results"),
    show_default=True,
    help="Where rows are kept until the master has them.",
)
def worker(master: tuple[str, int], processes: int, wait: float, out: Path) -> int:
    """Join a `firsttoken run --expect-workers N` and make part of its load.

    The master says what to ask, when and of whom; keys come from this machine's environment. Rows go to the master
    while the run is on. If the master is lost, what is in flight finishes and the rows stay here. Ctrl-C leaves the
    run: the others take over.
    """
    if sys.platform != "linux":
        raise click.UsageError("worker needs Linux: its times come from the kernel's receive stamps, epoll and timerfd")
    if master[0] == "*":
        raise click.UsageError("--master *: name the master's host, such as 10.0.0.5")
    if "://" in str(out) or ":/" in str(out):
        raise click.UsageError(
            f"--out {out}: a worker keeps its rows in a directory; a URL goes to the master's run --out"
        )
    if processes > 1:
        return _several(sys.argv[1:], processes)
    return _serve(master, wait, out)


def _serve(master: tuple[str, int], wait_s: float, out: Path) -> int:
    """One worker, for as many runs as the master has for it."""
    from loadtests.agent import Agent, Child

    stops, code, served = _Stops(), 0, False
    while True:
        end: End = Agent(master, out, Child, lambda: stops.count, _line).run(wait_s, returning=served)
        if end.text:
            _line(f"firsttoken: {end.text}")
        code = max(code, end.code, key=WORST_LAST.index)
        if not end.again_s or stops.count:
            return code
        wait_s, served = max(wait_s, end.again_s), True


def _several(words: list[str], processes: int) -> int:
    """As many workers as asked for, each a process of its own; the worst of their exit codes."""
    import subprocess

    from loadtests import child

    own = child.command("loadtests.cli", *_without(words, "--processes"))
    found = [
        subprocess.Popen(own, env=child.environment(), start_new_session=True)  # noqa: S603 - our own module
        for _ in range(processes)
    ]
    stops = _Stops(found)
    ends = [one.wait() for one in found]
    codes = [code if code in WORST_LAST else 3 for code in ends]  # one that was killed did not deliver
    return 130 if stops.count and not any(codes) else max(codes, key=WORST_LAST.index)


def _without(words: list[str], option: str) -> list[str]:
    """The command line without an option and its value."""
    kept, skip = [], False
    for word in words:
        if not skip and word != option and not word.startswith(f"{option}="):
            kept.append(word)
        skip = word == option
    return kept


class _Stops:
    """Counts Ctrl-C and TERM; passes them on to processes that do not hear the terminal's."""

    def __init__(self, processes: list[subprocess.Popen[bytes]] | None = None) -> None:
        self.count = 0
        self._processes = processes or []
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._take)

    def _take(self, number: int, _frame: FrameType | None) -> None:
        self.count += 1
        for one in self._processes:
            one.send_signal(number)


def _line(text: str) -> None:
    click.echo(text, err=True)
