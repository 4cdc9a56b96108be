"""validity.json and quantiles.parquet against the same judgement made once more from the rows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from analysis import digest
from analysis.files import validity_of
from analysis.quantiles import ABOUT, to_table
from analysis.verify.found import Difference, Looked, compare, leaves
from loadtests import record

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from analysis.summary import Judged

ROWS: Final = "the rows"
OF_THE_PLACE: Final = ("path", "labels")
"""Facts of a run that may change without it: where it lies, and what people call it."""

KEYS: Final = ("arm", "metric", "by", "group", "tokens", "quantile", "block")
NUMBERS: Final = ("value", "lo", "hi", "n", "supported")


def told(folder: Path) -> list[dict[str, Any]]:
    """What the arms of a run were called and held against when they were judged last; empty where nobody did."""
    try:
        words = pq.read_schema(folder / record.QUANTILES).metadata or {}
        kept = json.loads(words.get(ABOUT, b"[]"))
    except (OSError, ValueError, pa.ArrowException):
        return []
    return [one for one in kept if isinstance(one, dict)] if isinstance(kept, list) else []


def check(judged: Sequence[Judged]) -> list[Looked]:
    """
    Both files of a run directory.

    Args:
        judged: Its arms, held against the objectives that they were judged by.
    """
    folder = judged[0].run.path
    return [_validity(folder, judged), _quantiles(folder, judged)]


def _validity(folder: Path, judged: Sequence[Judged]) -> Looked:
    found = json.loads(json.dumps(validity_of(judged)))
    try:
        kept = json.loads((folder / record.VALIDITY).read_bytes())
    except FileNotFoundError:
        return _absent(record.VALIDITY)
    except ValueError as error:
        return Looked(record.VALIDITY, (Difference(record.VALIDITY, "no JSON", ROWS, "checks", str(error)),))
    what = f"{record.VALIDITY}: {sum(1 for _ in leaves(found)):,} values"
    return Looked(what, compare(record.VALIDITY, kept, found, ROWS))


def _absent(name: str) -> Looked:
    return Looked(name, note="it is not there; `firsttoken report RUN` writes it")


def _quantiles(folder: Path, judged: Sequence[Judged]) -> Looked:
    path = folder / record.QUANTILES
    if not path.is_file():
        return _absent(record.QUANTILES)
    try:
        kept = pq.read_table(path)
        mine, theirs = _flat(kept), _flat(to_table([digest.of(one) for one in judged]))
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        return Looked(path.name, (Difference(path.name, "no quantiles", ROWS, "quantiles", reason),))
    what = f"{path.name}: {sum(1 for _ in leaves(theirs)):,} values"
    return Looked(what, compare(path.name, mine, theirs, ROWS))


def _flat(table: pa.Table) -> dict[str, Any]:
    """Its numbers by what they are of, and the circumstances that its footer tells."""
    numbers = {}
    for row in table.to_pylist():
        name = " ".join(str(row[key]) for key in KEYS if row[key] is not None)
        numbers[name] = {key: row[key] for key in NUMBERS}
    about = json.loads((table.schema.metadata or {})[ABOUT])
    for one in about:
        facts = {key: value for key, value in one["facts"].items() if key not in OF_THE_PLACE}
        settings = {key: value for key, value in facts["settings"].items() if not key.startswith("labels.")}
        one["facts"] = facts | {"settings": settings}
    return {"numbers": numbers, "about": about}
