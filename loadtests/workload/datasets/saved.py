"""A sample kept beside a run as JSON lines, so that who comes later needs neither the dataset nor the draw."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import orjson

from loadtests.workload.datasets.model import Example, Sample

if TYPE_CHECKING:
    from pathlib import Path


def save(sample: Sample, path: Path) -> None:
    """Write a sample: what it was drawn from, then a line for each example; nobody else may read it."""
    facts = {"file": sample.file, "rows": sample.rows, "left_out": sample.left_out}
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        os.fchmod(file.fileno(), 0o600)  # a file that was there keeps its mode
        file.writelines(orjson.dumps(part, option=orjson.OPT_APPEND_NEWLINE) for part in (facts, *sample.examples))


def load(path: Path) -> Sample:
    """Read what `save` wrote."""
    with path.open("rb") as file:
        facts = orjson.loads(file.readline())
        return Sample(examples=tuple(_example(line) for line in file), **facts)


def _example(line: bytes) -> Example:
    found = orjson.loads(line)
    return Example(**{**found, "messages": tuple(found["messages"]), "turns": tuple(found["turns"])})
