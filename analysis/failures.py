"""The failures of a run, by kind and by whose doing they are: what people look for where answers are missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from analysis import stats
from analysis.rundir import some, where

if TYPE_CHECKING:
    import pandas as pd

FAMILIES: Final = {
    "network": ("dns", "connect", "tls", "timeout_connect", "reset", "protocol"),
    "too slow": ("timeout_first_byte", "timeout_silence", "timeout_total"),
    "cut short": ("truncated", "no_finish"),
    "no proper answer": ("empty", "bad_body", "stream_error"),
    "refused": ("auth", "credit", "bad_request"),
    "rate limit": ("throttled",),
    "server": ("overloaded", "upstream", "other_status"),
}
"""What a kind of failure says of who is to look into it; every kind of the record is in one of them."""

FAMILY_OF: Final = {kind: family for family, kinds in FAMILIES.items() for kind in kinds}


@dataclass(frozen=True, slots=True)
class Failure:
    """
    One kind of failure among the arrivals of the window.

    Attributes:
        share: Of all that went out, with its 95 % interval.
        status: The HTTP status that most of them came with; None where nothing was answered.
        said: What the first of them said, redacted; empty where nothing was said.
    """

    kind: str
    family: str
    n: int
    share: float
    lo: float
    hi: float
    status: int | None = None
    said: str = ""


def of(rows: pd.DataFrame) -> tuple[Failure, ...]:
    """The kinds of failure, the most frequent first."""
    went = where(rows, "outcome", "ok", "error", "lost")
    total = int(went.sum())
    failed = some(rows, where(rows, "outcome", "error"), "error_kind", "status", "error")
    counts = failed["error_kind"].value_counts()
    return tuple(_failure(failed, str(kind), int(n), total) for kind, n in counts.items() if n)


def _failure(failed: pd.DataFrame, kind: str, n: int, total: int) -> Failure:
    mine = failed[where(failed, "error_kind", kind)]
    lo, hi = stats.wilson(n, total)
    status, told = mine["status"].dropna(), mine["error"].dropna()
    usual = int(status.mode().iloc[0]) if len(status) else None
    said = str(told.iloc[0]) if len(told) else ""
    return Failure(kind, FAMILY_OF.get(kind, "other"), n, n / total, lo, hi, usual, said)
