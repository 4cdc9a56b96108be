"""A worker's own run directory: what the master sent, what the load process writes, and whether it is still needed."""

from __future__ import annotations

import os
import platform
import re
import shutil
from typing import TYPE_CHECKING, Any, Final

from loadtests import manifest, record

if TYPE_CHECKING:
    from pathlib import Path


INPUT: Final = re.compile(r"trace\.arrow|sample-[^/]+\.jsonl")


class PlaceError(ValueError):
    """No directory can be made: one line."""


class Place:
    """
    `<out>/<run>-worker-<number>[-<n>]/` with run.json and parts/.

    Args:
        out: Where it is made.
        about: The run's manifest, with `worker` in it.
        inputs: By name, what the workload and the schedule were read from.

    Raises:
        PlaceError: The directory cannot be made.
    """

    def __init__(self, out: Path, about: dict[str, Any], inputs: dict[str, bytes]) -> None:
        self.number: int = about["worker"]
        self.run_dir: str = about.get("run_dir", about["run_id"])
        stem = f"{about['run_id'].replace('/', '-')}-worker-{self.number}"
        try:
            self.path = _made(out, stem)
            self.parts = self.path / record.PARTS
            self.parts.mkdir()
            for name, data in inputs.items():
                (self.parts / _plain(name)).write_bytes(data)
            manifest.write(self.path, about)
        except OSError as error:
            raise PlaceError(f"--out {out}: {error.strerror or error}; name a directory that can be written") from None

    def remove(self) -> None:
        """All of it is with the master."""
        shutil.rmtree(self.path, ignore_errors=True)


def _made(out: Path, stem: str) -> Path:
    out.mkdir(parents=True, exist_ok=True)
    for name in (stem, *(f"{stem}-{n}" for n in range(2, 1000))):
        path = out / name
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:
            continue
        return path
    raise FileExistsError(17, f"there are a thousand directories like {stem} already")


def _plain(name: str) -> str:
    """An input's file name as the master says it; nothing that leads out of the directory, or is a part of the run."""
    if INPUT.fullmatch(name) is None:
        raise PlaceError(f"the master sent a file called {name!r:.80}; it is no master of firsttoken")
    return name


def here() -> dict[str, Any]:
    """Of which machine this is."""
    return {
        "host": platform.node(), "pid": os.getpid(), "cpus": os.cpu_count(), "kernel": platform.release(),
        "limits": manifest.limits(),
    }  # fmt: skip
