"""The files of a run against the digests that run.json has kept of them since it was finished."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

from analysis.verify.found import Difference, Looked
from loadtests import record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY: Final = "files"
"""Of run.json: SHA-256 by the name of a file."""

PRUNED: Final = "rows_pruned"
"""Of run.json: `firsttoken runs` was asked to delete the rows and keep what was judged."""

NEEDED: Final = record.REQUESTS
SEALED: Final = (record.REQUESTS, record.CLIENT, record.SERVER, record.BODIES)
"""What a run has a digest of, where it has the file."""

SHOWN: Final = 12
"""Digits of a digest that are shown."""


def check(folder: Path, about: dict[str, Any]) -> Iterator[Looked]:
    """
    Each file that run.json has a digest of.

    Args:
        folder: A run directory.
        about: Its run.json.
    """
    kept = about.get(KEY)
    if not isinstance(kept, dict) or not kept:
        yield Looked("digests", note="run.json keeps none (an earlier firsttoken made it): recomputed only")
        return
    for name, digest in kept.items():
        path = folder / name
        if not path.is_file() and PRUNED in about:
            yield Looked(f"digest of {name}", note="the file was pruned", missing=name == NEEDED)
        elif not path.is_file():
            gone = Difference(name, "", record.MANIFEST, f"sha256 {str(digest)[:SHOWN]}", "the file is gone")
            yield Looked(f"digest of {name}", (gone,), missing=name == NEEDED)
        elif (found := sha256(path)) != digest:
            told = Difference(name, f"sha256 {found[:SHOWN]}", record.MANIFEST, f"{str(digest)[:SHOWN]}", "changed")
            yield Looked(f"digest of {name}", (told,))
        else:
            yield Looked(f"digest of {name}")
    for name in SEALED:
        if name not in kept and (folder / name).is_file():
            told = Difference(record.MANIFEST, "", name, f"sha256 {sha256(folder / name)[:SHOWN]}", f"{KEY}.{name}")
            yield Looked(f"digest of {name}", (told,))


def sha256(path: Path) -> str:
    """Of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
