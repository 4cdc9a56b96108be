"""
What shows that a finished run was changed: a digest of each of its files in run.json, and run.json in requests.parquet.

Each of the two is kept by the other, so that a change of one of them alone is found; `firsttoken verify` looks.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import orjson

from loadtests import record

if TYPE_CHECKING:
    from pathlib import Path

FILES: Final = (record.REQUESTS, record.CLIENT, record.SERVER, record.BODIES)
"""What a finished run holds that nothing writes again."""

OPEN: Final = frozenset({"files", "labels", "stop"})
"""Of run.json, what may still change: labels are people's, Locust says last why a run stopped."""


def files(run_dir: Path) -> dict[str, str]:
    """SHA-256 of each file of a finished run that is there, in hexadecimal digits."""
    return {name: _sha256(run_dir / name) for name in FILES if (run_dir / name).is_file()}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def settings(about: dict[str, Any]) -> bytes:
    """A manifest as requests.parquet keeps it, under `record.SETTINGS` of its footer: JSON, without what may change."""
    return orjson.dumps({key: value for key, value in about.items() if key not in OPEN})
