"""run.json against what requests.parquet has kept of it since the run was finished: profile, prices, plan, slots."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pyarrow.parquet as pq

from analysis.verify.files import KEY, PRUNED
from analysis.verify.found import Difference, Looked, compare, leaves
from loadtests import record

if TYPE_CHECKING:
    from pathlib import Path

OPEN: Final = frozenset({KEY, "labels", "stop", PRUNED})
"""What may still change: labels are people's, why it stopped Locust says last, and rows may be pruned."""


def check(folder: Path, about: dict[str, Any]) -> Looked:
    """
    Every setting.

    Args:
        folder: A run directory.
        about: Its run.json.
    """
    told = (pq.read_metadata(folder / record.REQUESTS).metadata or {}).get(record.SETTINGS.encode())
    if told is None:
        if KEY not in about:
            return Looked(record.MANIFEST, note=f"{record.REQUESTS} keeps no settings: only what prices say is checked")
        return Looked(record.MANIFEST, (Difference(record.REQUESTS, "", record.MANIFEST, "settings in its footer"),))
    mine = {key: value for key, value in about.items() if key not in OPEN}
    try:
        kept = json.loads(told)
    except ValueError as error:
        broken = Difference(record.REQUESTS, "no JSON", record.MANIFEST, "settings in its footer", str(error))
        return Looked(record.MANIFEST, (broken,))
    differences = compare(record.MANIFEST, mine, kept, record.REQUESTS)
    if not about.get(KEY):  # whoever writes settings into a footer keeps digests too
        differences += (Difference(record.MANIFEST, "", record.REQUESTS, "digests of the files", KEY),)
    return Looked(f"{record.MANIFEST}: {sum(1 for _ in leaves(kept)):,} settings", differences)
