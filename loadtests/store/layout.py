"""What of a run directory lies where in a store, and where it is no run any more but leftovers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import orjson

from loadtests.record import MANIFEST, PARTS, REQUESTS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

CAMPAIGN: Final = "campaign.json"
LATEST: Final = "latest"
UNSENT: Final = ("lock", "reserve-", "budget")
"""Of the parts, what they say only to processes of one machine."""

BATCH: Final = re.compile(
    r"(?P<part>(?:requests|client|server|bodies)-\d+)/(?P<number>\d+)(?P<suffix>\.arrows|\.jsonl)$"
)


def batch(part: Path, number: int) -> str:
    """The name of an object of a part that grows, below the run's parts."""
    return f"{part.stem}/{number:06d}{part.suffix}"


def grows(path: Path) -> bool:
    """Whether a file of the parts is appended to while the run is on."""
    return BATCH.match(batch(path, 1)) is not None


def runs_of(folder: Path) -> list[Path]:
    """The run directories that a folder stands for: itself, or those in a campaign's."""
    return [run for run in (folder, *folders_in(folder)) if (run / MANIFEST).is_file()]


def folders_in(folder: Path) -> list[Path]:
    """The real folders in a folder, which `latest` is not."""
    return [path for path in sorted(folder.iterdir()) if path.is_dir() and not path.is_symlink()]


def has_begun(run: Path) -> bool:
    """Whether its first request may have been sent; before that a run directory may vanish again."""
    return orjson.loads((run / MANIFEST).read_bytes()).get("started_unix_ns") is not None


def is_finished(about: bytes, names: Iterable[str]) -> bool:
    """Whether a run of this run.json and these files needs no parts: what is left of them waits to be deleted."""
    return "rows" in orjson.loads(about) and REQUESTS in names


def workers_of(about: bytes) -> int:
    """How many workers a run of this run.json has."""
    return int(orjson.loads(about)["plan"].get("workers", 1))


def files_of(run: Path) -> list[Path]:
    """The files of a run that is over, its manifest last: who finds that one finds the others."""
    found = [path for path in run.rglob("*") if path.is_file() and PARTS not in path.relative_to(run).parts[:1]]
    return sorted((p for p in found if p.suffix != ".tmp"), key=lambda path: (path.name == MANIFEST, str(path)))
