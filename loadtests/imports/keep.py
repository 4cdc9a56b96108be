"""The run directory of a run that another tool made: its rows, and a manifest that says where they are from."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from loadtests import __version__, clock, manifest, record, seal
from loadtests.imports import rows
from loadtests.imports.told import ImportsError
from loadtests.parts import write_parquet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from loadtests.imports.told import Told


def keep(told: Told, file: Path, out: Path, name: str, labels: Mapping[str, str], argv: Sequence[str]) -> Path:
    """
    Write `<out>/<UTC stamp>-<name>[-<n>]/` with run.json and requests.parquet; `latest` stays where it points.

    Args:
        told: What the file tells.
        file: Where it is from.
        out: Where runs are.
        name: Of the run.
        labels: Kept in the manifest.
        argv: The command that did it.

    Raises:
        ImportsError: No directory can be made there.
        DiskFullError: No room.
    """
    path = _made(out, f"{clock.utc_stamp()}-{name}")
    about = _manifest(told, file, path.name, name, labels, argv)
    found = rows.table(told, path.name)
    write_parquet(found, path / record.REQUESTS, about={record.SETTINGS: seal.settings(about)})
    manifest.write(path, about | {"files": seal.files(path)})
    return path


def _made(out: Path, stem: str) -> Path:
    """The first directory of this name that is not there yet."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name in [stem, *(f"{stem}-{n}" for n in range(2, 1000))]:
            try:
                (out / name).mkdir(mode=0o700)
            except FileExistsError:
                continue
            return out / name
    except OSError as error:
        raise ImportsError(f"--out {out}: {error.strerror or error}; name a directory that can be written") from None
    raise ImportsError(f"--out {out}: there is a run called {stem}-999 already")


def _manifest(
    told: Told, file: Path, run_id: str, name: str, labels: Mapping[str, str], argv: Sequence[str]
) -> dict[str, Any]:
    """As of a run of ours; what the other tool's machine, clock and prompts were is not known and not there."""
    arm = {"name": "default", "model": told.model, "params": {}, "new_connections": False, "profile": told.profile}
    return {
        "schema_version": record.SCHEMA_VERSION,
        "run_id": run_id,
        "campaign_id": None,
        "round": None,
        "name": name,
        "argv": list(argv),
        "labels": dict(labels),
        "seed": told.seed,
        "started_unix_ns": told.started_unix_ns,
        "model": told.model,
        "profile": told.profile,
        "arms": [arm],
        "plan": told.plan,
        "planned": None,
        "versions": {told.tool.lower(): told.version} if told.version else {},
        "headroom": None,
        "ended": True,
        "stop": {"reason": "imported", "text": told.stopped} if told.stopped else None,
        "rows": len(told.records),
        "imported": _imported(told, file),
    }


def _imported(told: Told, file: Path) -> dict[str, Any]:
    """Where the rows are from, and what they cannot say."""
    with file.open("rb") as data:
        digest = hashlib.file_digest(data, "sha256").hexdigest()
    return {
        "tool": told.tool,
        "version": told.version,
        "file": file.name,
        "sha256": digest,
        "by": f"firsttoken {__version__}",
        "latency_counts_from": told.since,
        "moments": told.moments,
        "broken_lines": told.broken,
        "notes": list(told.notes),
        "about": told.about,
    }
