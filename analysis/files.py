"""The small files that later judgements read instead of the rows, and how any file gets into a run directory: whole."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from analysis import digest, quantiles
from analysis.validity import worst
from loadtests import record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from analysis.summary import Judged


def write_judgement(judged: Sequence[Judged]) -> None:
    """
    Write validity.json and quantiles.parquet alone: what a gate needs, no drawing.

    Args:
        judged: The arms of one run directory; of several, validity.json holds each one's checks under `arms`.
    """
    folder = judged[0].run.path
    text = json.dumps(validity_of(judged), indent=1, ensure_ascii=False)
    place_text(folder / record.VALIDITY, text + "\n")
    numbers = quantiles.to_table([digest.of(one) for one in judged])
    place(folder / record.QUANTILES, lambda path: pq.write_table(numbers, path, compression="zstd"))


def validity_of(judged: Sequence[Judged]) -> dict[str, Any]:
    """What validity.json holds."""
    found = {one.run.arm: one.summary.validity.to_json() for one in judged}
    first = judged[0].summary.validity.to_json()
    if len(judged) == 1:
        return first
    verdict = worst(one.summary.validity for one in judged).verdict
    return {"schema_version": first["schema_version"], "verdict": verdict, "arms": found}


def relabel(path: Path, labels: Mapping[str, str]) -> None:
    """
    Tell the labels that a run has now in its quantiles.parquet; one that cannot be read is left as it is.

    Args:
        path: The file.
        labels: All of them.
    """
    try:
        table = pq.read_table(path)
        told = quantiles.relabelled(table, labels)
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError):
        return  # whoever wants its numbers makes it anew from the rows
    place(path, lambda partial: pq.write_table(told, partial, compression="zstd"))


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
