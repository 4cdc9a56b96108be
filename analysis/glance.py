"""
A judged run at a glance: verdict and time to first token out of the small files that are kept, nothing judged again.

For lists of many runs, in a millisecond a run: what is not there, or is of another version, is told as nothing.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from loadtests import record

if TYPE_CHECKING:
    from pathlib import Path

VERDICTS: Final = ("valid", "doubtful", "invalid")
"""From the best to the worst."""

PERCENTILES: Final = {0.5: "p50", 0.95: "p95"}
COLUMNS: Final = ("arm", "metric", "by", "group", "quantile", "value", "supported", "block")


def verdict(folder: Path) -> str:
    """What validity.json says of a run directory, the worst of its arms; empty where nobody has judged it."""
    try:
        told: Any = json.loads((folder / record.VALIDITY).read_bytes())
    except (OSError, ValueError):
        return ""
    found = told.get("verdict") if isinstance(told, dict) else None
    return found if found in VERDICTS else ""


def ttft_s(folder: Path) -> dict[str, dict[str, float]]:
    """
    The time to first token of the streams of a run directory, seconds.

    Returns:
        By arm, under `p50` and `p95`, what the requests are enough for.
    """
    try:
        with pq.ParquetFile(folder / record.QUANTILES) as file:
            if not set(COLUMNS) <= set(file.schema_arrow.names):
                return {}
            table = file.read(list(COLUMNS), use_threads=False)
    except (pa.ArrowException, OSError):
        return {}
    streams = pc.and_(pc.equal(table["metric"], "ttft_s"), pc.equal(table["group"], "stream"))
    found: dict[str, dict[str, float]] = {}
    for row in table.filter(streams).to_pylist():
        name = PERCENTILES.get(row["quantile"])
        if name and row["supported"] and row["by"] is None and row["block"] is None:
            found.setdefault(row["arm"], {})[name] = row["value"]
    return found
