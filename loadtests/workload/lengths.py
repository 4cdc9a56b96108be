"""Numbers of a file's column, for an empirical law: CSV with a header, JSON lines, parquet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loadtests.draws import LawError, Unit, law_of
from loadtests.units import not_one_of

if TYPE_CHECKING:
    from pathlib import Path


def with_values(law: Any, unit: Unit, folder: Path) -> Any:
    """
    A law's table with the file that it names replaced by the file's numbers; anything else as it is.

    Args:
        law: What a workload's file says; {law="empirical", file="lengths.csv", column="tokens"} names a file.
        unit: What it is a law of.
        folder: What the name is relative to.

    Raises:
        LawError: The file or its column cannot be read.
    """
    if not isinstance(law, dict) or "file" not in law or law.get("law") != "empirical":
        return law
    for key in law:
        if key not in {"law", "file", "column"}:
            raise LawError(not_one_of(key, ["file", "column"]), key)
    for key in ("file", "column"):
        if not isinstance(law.get(key), str):
            raise LawError("isn't a text; an empirical law of a file needs file and column", key)
    return {"law": "empirical", "values": _numbers(folder / law["file"], law["column"], unit)}


def _numbers(path: Path, column: str, unit: Unit) -> list[float]:
    from loadtests.workload.datasets import DatasetError  # noqa: PLC0415 - most workloads name no file
    from loadtests.workload.datasets.source import source_of  # noqa: PLC0415

    numbers = []
    try:
        source = source_of(path, None)
        place, first = source.first()
        if column not in first:
            raise LawError(f"{place}: column {column} {not_one_of(column, first)}", "column")
        for number, row in source.rows((column,)):
            numbers.append(_number(row.get(column), unit, f"{source.at(number)}: column {column}"))
    except DatasetError as error:
        raise LawError(str(error), "file") from None
    if not numbers:
        raise LawError(f"{path} has no rows", "file")
    return numbers


def _number(cell: Any, unit: Unit, place: str) -> float:
    try:
        return float(law_of({"law": "fixed", "value": cell}, unit).figures["value"])
    except LawError as error:
        raise LawError(f"{place}: {error}", "file") from None
