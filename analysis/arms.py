"""
A run of several arms as one run per arm, as if each arm's blocks had been played in one go.

Stands between `runs` and all that judges: window, metrics and checks see plain runs of one arm. Blocks of different
arms alternate on the run's own axis; each is moved to its stretch of the schedule's axis, so that what was left over of
one block lies beside the beginning of the arm's next.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from analysis.rundir import numbers, where
from loadtests import record

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from analysis.rundir import Run

    Slot = dict[str, Any]

STAMPS: Final = tuple(column.name for column in record.REQUEST_COLUMNS if column.name.endswith("_ns"))
SAMPLE_NS: Final = 1_000_000_000
SLOT: Final = "slot"
"""Column of a folded client table: samples of different slots were not taken one right after another."""


def arms(run: Run) -> list[Run]:
    """
    Each arm of a run by itself, in the order they were named; a run of one arm as it is.

    Manifest and plan are those of the arm, rows and client samples those of its slots on the schedule's axis. Arms
    played together share slot, axis and samples.
    """
    told = run.manifest.get("arms") or ()
    return [run] if len(told) < 2 else [_arm(run, about) for about in told]


def _arm(run: Run, about: dict[str, Any]) -> Run:
    name = about["name"]
    slots = [slot for slot in run.manifest.get("slots") or () if name in slot["arms"]]
    rows = run.requests[where(run.requests, "arm", name)]
    client = None if run.client is None else _client(run.client, slots, run.manifest.get("slots") or ())
    return replace(
        run, manifest=_manifest(run.manifest, about, slots), requests=_rows(rows, slots), client=client,
        label=f"{run.name} · {name}",
    )  # fmt: skip


def _manifest(manifest: dict[str, Any], about: dict[str, Any], slots: list[Slot]) -> dict[str, Any]:
    own = {"profile": about.get("profile") or {}, "model": about.get("model")}
    return manifest | own | {"arms": [about], "slots": slots}


def shift_ns(slot: Slot) -> int:
    """
    How far a slot's stamps lie behind the schedule's axis.

    0 where it never began: its arrivals are on the schedule's axis as they are.
    """
    return 0 if slot.get("start_ns") is None else int(slot["start_ns"]) - int(slot.get("first_ns") or 0)


def _rows(rows: pd.DataFrame, slots: list[Slot]) -> pd.DataFrame:
    block = numbers(rows, "block")
    shift = np.zeros(len(rows), dtype=np.int64)
    for slot in slots:
        mine = np.isnan(block) if slot.get("block") is None else block == slot["block"]
        shift[mine] = shift_ns(slot)
    folded = _moved(rows, shift, STAMPS)
    order = np.argsort(folded["scheduled_ns"].to_numpy(dtype="int64"), kind="stable")
    return folded.iloc[order].reset_index(drop=True)


def _moved(frame: pd.DataFrame, shift: NDArray[np.int64], columns: tuple[str, ...]) -> pd.DataFrame:
    """The stamps that were read earlier by the shift; null stays null."""
    return frame.assign(**{name: frame[name] - shift for name in columns if name in frame}) if shift.any() else frame


def _client(samples: pd.DataFrame, mine: Sequence[Slot], slots: Sequence[Slot]) -> pd.DataFrame:
    """
    The samples of these slots.

    A slot lasts until the next one of any arm begins; a sampled second belongs to the slot that its middle lies in.
    """
    begun = sorted((slot for slot in slots if slot.get("start_ns") is not None), key=lambda slot: slot["start_ns"])
    if len(slots) < 2 or not begun:
        return samples
    starts = np.array([slot["start_ns"] for slot in begun], dtype=np.int64)
    middle = samples["t_ns"].to_numpy(dtype="int64") - SAMPLE_NS // 2
    place = np.maximum(np.searchsorted(starts, middle, side="right") - 1, 0)
    kept = np.array([slot in mine for slot in begun])[place]
    shift = np.array([shift_ns(slot) for slot in begun], dtype=np.int64)[place]
    return _moved(samples[kept], shift[kept], ("t_ns",)).assign(**{SLOT: place[kept]})


def blocks(run: Run) -> dict[int, tuple[Run, float, float]]:
    """Of one arm each block that began, with its stretch of the schedule's axis, from and to, seconds."""
    block = numbers(run.requests, "block")
    found = {}
    for slot in run.manifest.get("slots") or ():
        if slot.get("block") is None or slot.get("start_ns") is None:
            continue
        rows = run.requests[block == slot["block"]]
        first = int(slot.get("first_ns") or 0)
        last = first + int(slot.get("length_ns") or 0)
        found[int(slot["block"])] = replace(run, requests=rows), first / 1e9, last / 1e9
    return found
