"""The small files that later judgements read instead of the rows, and how any file gets into a run directory: whole."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from analysis.summary import quantile_table
from loadtests import record

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from analysis.runs import Run
    from analysis.summary import Summary


def write_judgement(run: Run, summary: Summary) -> None:
    """Write validity.json and quantiles.parquet alone: what a gate needs, no drawing."""
    text = json.dumps(summary.validity.to_json(), indent=1, ensure_ascii=False)
    place_text(run.path / record.VALIDITY, text + "\n")
    quantiles = quantile_table(run, summary)
    place(run.path / record.QUANTILES, lambda path: pq.write_table(quantiles, path, compression="zstd"))


def place_text(path: Path, text: str) -> Path:
    """Write a text file whole or not at all."""
    return place(path, lambda partial: partial.write_text(text, encoding="utf-8"))


def place(path: Path, write_to: Callable[[Path], Any]) -> Path:
    """Have a file written beside its final name, then rename it, so that a reader never meets half of it."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        write_to(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path
