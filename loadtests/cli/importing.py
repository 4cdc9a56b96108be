"""`firsttoken import`: result files of other tools as runs, so that old results stand next to new ones."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from loadtests.cli.before import argv, labels_of, stem
from loadtests.cli.output import dump

if TYPE_CHECKING:
    from loadtests.imports import Told

EXAMPLES = """\b
Examples:
  firsttoken import artifacts/profile_export.jsonl
  firsttoken import old/*.json --name before --label build=41
  firsttoken compare results/20260101-120000-before results/latest --across load,seed,host
  firsttoken report results/20260101-120000-before results/latest --across load,seed,host

\b
What writes such files:
  aiperf profile ... --export-level records                      profile_export.jsonl
  vllm bench serve ... --save-result --save-detailed             a .json file

\b
Such a run cannot say whether its client was in the way (it is doubtful at best), which prompts were asked, or what its
file does not hold. `summary` names what is missing; run.json has all of it under "imported"."""


@click.command("import", epilog=EXAMPLES)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@click.option(
    "--from", "tool", type=click.Choice(("auto", "aiperf", "vllm")), default="auto", show_default=True,
    help="The tool that wrote them.",
)  # fmt: skip
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("results"), show_default=True,
    metavar="DIR", help="Where the run directories go.",
)  # fmt: skip
@click.option("--name", metavar="NAME", help="Name of the runs.  [default: the tool's]")
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="A label, kept in run.json; repeatable.")
@click.option("--json", "as_json", is_flag=True, help="Print what was made as JSON, a list of runs.")
def import_(
    files: tuple[Path, ...], *, tool: str, out: Path, name: str | None, labels: tuple[str, ...], as_json: bool
) -> int:
    """Turn result files of AIPerf and of `vllm bench serve` into runs, one for each file.

    From a directory that AIPerf wrote, its profile_export.jsonl is read, and what lies beside it. Each request becomes
    one row with what the file says about it; the rest is null. Times are the other client's own (clock: user). Latency
    counts from the moment at which its file says that a request was released, else from its send. All files are read
    before anything is written.
    """
    from loadtests.imports import RECORDS, keep, read
    from loadtests.sink import DiskFullError

    kept = labels_of(labels)
    named = [file / RECORDS if file.is_dir() else file for file in files]
    found = [(file, told) for file in named for told in read(file, tool)]
    try:
        made = [(keep(told, file, out, stem(name or told.tool.lower()), kept, argv()), told) for file, told in found]
    except DiskFullError as error:
        click.echo(f"firsttoken: {error.strerror}; what was imported before it is kept", err=True)
        return 3
    if as_json:
        dump([_plain(path, told) for path, told in made])
        return 0
    for path, told in made:
        click.echo(_line(path, told))
    return 0


def _line(path: Path, told: Told) -> str:
    whose = f"{told.tool} {told.version}".strip()
    broken = f", {told.broken:,} lines that could not be read are left out" if told.broken else ""
    notes = "".join(f"\nnote: {note}" for note in told.notes)
    return f"{os.path.relpath(path)}: {len(told.records):,} requests of {whose}{broken}{notes}"


def _plain(path: Path, told: Told) -> dict[str, Any]:
    return {
        "path": str(path.resolve()), "rows": len(told.records), "tool": told.tool, "version": told.version,
        "broken_lines": told.broken, "notes": list(told.notes),
    }  # fmt: skip
