"""
The `firsttoken` command: thin verbs, imported only when called; the one place that knows both sides of the house.

`firsttoken --help` must answer at once, so this module imports click and nothing else of weight.
"""

from __future__ import annotations

import errno
import os
import sys
from importlib import import_module
from keyword import iskeyword
from typing import Any, Final

import click

from loadtests import __version__
from loadtests.cli.heard import listen

VERBS: Final[dict[str, tuple[str, str]]] = {
    "run": ("loadtests.cli.run", "Offer load, record every request, and judge the run. The main job."),
    "worker": ("loadtests.cli.worker", "Make part of the load of a `run --expect-workers N` on another machine."),
    "sweep": ("loadtests.cli.sweep", "Show how latency, goodput and errors change with the load."),
    "capacity": ("loadtests.cli.capacity", "Find the highest load that meets every objective, and what that means."),
    "summary": ("loadtests.cli.summary", "Print the numbers of one or more runs."),
    "report": ("loadtests.cli.report", "Draw a run, or several side by side, into one HTML file."),
    "compare": ("loadtests.cli.compare", "Compare runs with a baseline: ratios, intervals, a verdict."),
    "gate": ("loadtests.cli.gate", "Judge runs against a baseline and objectives: one exit code for CI."),
    "aa": ("loadtests.cli.aa", "Measure how often the gate raises a false alarm on runs of the same thing."),
    "plan": ("loadtests.cli.plan", "Say how many runs, of how many requests, would find an effect."),
    "history": ("loadtests.cli.history", "Find where a number changed for good over many runs."),
    "calibrate": ("loadtests.cli.calibrate", "Measure this machine's own limit and error, to judge later runs by."),
    "probe": ("loadtests.cli.probe", "Check a profile's claims against one request of each kind."),
    "profiles": ("loadtests.cli.profiles", "List, show and check provider profiles."),
    "mock": ("loadtests.cli.mock", "Start the embedded mock provider on its own."),
    "runs": ("loadtests.cli.runs", "List, label and prune what is in results."),
    "verify": ("loadtests.cli.verify", "Recompute every number of a report from its rows, and say what differs."),
    "export": ("loadtests.cli.export", "Write a run's rows as CSV or JSON lines."),
    "import": ("loadtests.cli.importing", "Turn result files of AIPerf and vLLM into runs."),
    "repair": ("loadtests.cli.repair", "Finish a run that was killed, from what its workers had written."),
}

_MISTAKES: Final = (
    ("loadtests.profiles", "ProfileError"),
    ("loadtests.workload", "WorkloadError"),
    ("loadtests.schedule", "ScheduleError"),
    ("loadtests.units", "UnitError"),
    ("loadtests.manifest", "ManifestError"),
    ("loadtests.contradictions", "OptionError"),
    ("loadtests.arms", "ArmError"),
    ("loadtests.draws", "LawError"),
    ("loadtests.budget", "BudgetError"),
    ("loadtests.targets", "TargetError"),
    ("loadtests.tokens", "TokensError"),
    ("loadtests.rundir", "RunError"),
    ("loadtests.scrape.address", "ScrapeError"),
    ("loadtests.agent.place", "PlaceError"),
    ("loadtests.exposed", "EndpointError"),
    ("loadtests.imports", "ImportsError"),
    ("loadtests.merge", "MergeError"),
    ("loadtests.parts", "RunIsOnError"),
    ("loadtests.mock.process", "MockError"),
    ("loadtests.store.url", "StoreError"),
    ("analysis.rundir", "RunError"),
    ("analysis.objectives", "ObjectiveError"),
    ("analysis.capacity.sizing", "SizingError"),
)
"""Errors whose text is the one line that a user gets. Named, not imported: most verbs never load most of them."""


class UnheardError(Exception):
    """What is printed cannot be kept: the disk behind standard output is full."""


class Verbs(click.Group):
    """The group of verbs, each imported when it is called."""

    def invoke(self, ctx: click.Context) -> Any:
        """
        Call the verb, and tell what goes wrong with printing from what else may.

        Raises:
            UnheardError: Click would end the process with 1 here, which is a verdict of ours.
        """
        try:
            code = super().invoke(ctx)
            sys.stdout.flush()
        except OSError as error:
            if error.errno == errno.ENOSPC and error.filename is None:
                raise UnheardError("standard output cannot be written: no space left on its device") from None
            raise
        return code

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """In the order of the table: the main job first."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import one verb."""
        if cmd_name not in VERBS:
            return None
        module, _ = VERBS[cmd_name]
        command: click.Command = getattr(import_module(module), f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The table's own sentences, so that no verb is imported for --help."""
        with formatter.section("Commands"):
            formatter.write_dl([(verb, text) for verb, (_, text) in VERBS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Name the nearest verb where there is none of that name."""
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            from loadtests.units import not_one_of

            raise click.UsageError(f'"{args[0]}" {not_one_of(args[0], VERBS)}')
        return super().resolve_command(ctx, args)


@click.command(
    cls=Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Examples:
  firsttoken run                                    the demo: embedded mock, 8 requests/s for 20 s
  firsttoken run --profile vllm --rate 4 --duration 5m
  firsttoken run --profile openai --model gpt-4o-mini --concurrency 1 --requests 10
  firsttoken summary results/latest
  firsttoken compare results/A results/B""",
)
@click.version_option(__version__, prog_name="firsttoken")
def group() -> None:
    """Load tests for LLM APIs, with numbers you can trust.

    Time to first token comes from the kernel's receive stamps and counts from the scheduled moment; one scheduled
    arrival is one row of parquet, whatever became of it.
    """


def main() -> None:
    """Entry of the console script: a user's mistake is one line and exit code 2, our own flaws raise."""
    _guard()
    listen()
    if sys.stdout is None:  # closed by whoever called
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - for as long as the process lives
    try:
        code = group.main(standalone_mode=False)
    except click.exceptions.Abort:
        sys.stderr.write("firsttoken: stopped\n")
        sys.exit(130)
    except click.exceptions.NoArgsIsHelpError as error:
        sys.stderr.write(error.format_message() + "\n")
        sys.exit(2)
    except UnheardError as error:
        # What is on disk is written before anything is printed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.stderr.write(f"firsttoken: {error}\n")
        sys.exit(3)
    except click.ClickException as error:
        _complain(error.format_message())
    except Exception as error:
        if not _is_mistake(error):
            raise
        _complain(str(error))
    sys.exit(code if isinstance(code, int) else 0)


def _guard() -> None:
    """Tracebacks of our own flaws hold no secret."""
    from loadtests.guard import guard

    guard([])


def _is_mistake(error: Exception) -> bool:
    loaded = ((sys.modules.get(module), name) for module, name in _MISTAKES)
    return any(isinstance(error, getattr(module, name, ())) for module, name in loaded if module is not None)


def _complain(text: str) -> None:
    from loadtests.guard import masked

    sys.stderr.write(f"firsttoken: {' '.join(masked(text).split())}\n")
    sys.exit(2)
