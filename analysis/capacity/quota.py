"""
A provider's quota, recognised in a run: answers throttled for how much was asked, not for how busy the server was.

What the limit is, the provider's own words say where they do; what really got through, the rows say.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from analysis.rundir import flagged, numbers, seconds, where
from analysis.units import digits

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]

SHARE: Final = 0.01
"""Of the answers, throttled ones: beyond that the limiter is measured. Check 23 has the same limit."""
LEAST: Final = 3
"""Fewer may be a moment's."""
MINUTE_S: Final = 60.0

_BUSY: Final = re.compile(
    r"overload|\bbusy\b|high (?:traffic|demand|load)|queue|capacity|temporarily unable|no deployments", re.IGNORECASE
)
_LIMITED: Final = re.compile(r"rate.?limit|quota|\bper (?:second|min|hour|day)|\b[RT]P[SMHD]\b", re.IGNORECASE)
_PER: Final = re.compile(
    r"(request|token)s?(?: used)?(?: ?/ ?| per | a )(seconds?|sec|minutes?|min|hours?|days?|[smhd])\b"
    r"|\b([RT])P([SMHD])\b",
    re.IGNORECASE,
)
_OF: Final = re.compile(r"\((request|token)s\b", re.IGNORECASE)
_AT_ONCE: Final = re.compile(r"concurren|simultaneous|in parallel|at once", re.IGNORECASE)
_COUNT: Final = r"(\d[\d,_]*(?:\.\d+)?)"
_LIMIT: Final = re.compile(
    rf"\blimit(?: is| of|:| =|=)? ?:? ?{_COUNT}|{_COUNT} (?:request|token)s? ?(?:/|per|a) ?", re.IGNORECASE
)
_PER_MIN: Final = {"s": 60.0, "m": 1.0}
"""An hour's or a day's limit is no rate that a load could keep to."""


@dataclass(frozen=True, slots=True)
class Quota:
    """
    What a run met of a quota.

    Attributes:
        throttled, answers: How many of how many answers.
        of: "requests", "tokens", or "requests at once"; "" where nobody says which.
        told_per_min: The limit in the provider's own words, per minute; requests at once are no rate. None: not told.
        through_per_min: What got through, of the same; the most in any minute of a run that is longer than one.
        wait_s: The longest wait that it asked for; None where it asked for none.
    """

    throttled: int
    answers: int
    of: str
    told_per_min: float | None
    through_per_min: float | None
    wait_s: float | None

    @property
    def per_min(self) -> float | None:
        """What the limit is, as far as it is known."""
        return self.through_per_min if self.told_per_min is None else self.told_per_min

    @property
    def words(self) -> str:
        """As a clause."""
        what = self.of if self.of in {"requests", "tokens"} else "requests"
        parts = [f"{self.throttled:,} of {self.answers:,} answers were throttled (429)"]
        if self.of == "requests at once":
            parts.append("the limit is one of requests at once")
        if self.told_per_min is not None:
            parts.append(f"the provider allows about {self.told_per_min:,.10g} {what}/min")
        if self.through_per_min is not None:
            about = "about " if self.told_per_min is None else ""
            parts.append(f"{about}{digits(self.through_per_min)} {what}/min got through")
        if self.wait_s is not None:
            parts.append(f"it asked to wait up to {digits(self.wait_s)} s")
        return "your quota, not the model: " + "; ".join(parts)


def is_busy(text: str) -> bool:
    """Whether what is said with a 429 is that the server has too much to do, as TGI says it, and names no limit."""
    return bool(_BUSY.search(text)) and not _LIMITED.search(text)


def of_run(frame: pd.DataFrame, *, stopped: bool) -> Quota | None:
    """
    The quota that a run met.

    Args:
        frame: Every row of it.
        stopped: Throttling has ended it.

    Returns:
        None where it met none, or where the server said that it was too busy.
    """
    hit = _throttled(frame)
    answers = where(frame, "outcome", "ok", "error")
    touched = int(hit.sum()) + int((where(frame, "outcome", "unsent") & flagged(frame, "paused")).sum())
    if not hit.any() or not (stopped or (touched >= LEAST and touched > SHARE * int(answers.sum()))):
        return None
    texts = _texts(frame, hit)
    of = _dimension(texts)
    waits = numbers(frame, "retry_after_s")[hit] if "retry_after_s" in frame else np.array([])
    waits = waits[~np.isnan(waits)]
    return Quota(
        int(hit.sum()), int(answers.sum()), of, None if of == "requests at once" else _told(texts),
        _through(frame, answers & ~hit, of), float(waits.max()) if waits.size else None,
    )  # fmt: skip


def busy(frame: pd.DataFrame) -> int:
    """How many answers were 429 or the like since the server was too busy."""
    return int((_refused(frame) & ~_throttled(frame)).sum())


def _refused(frame: pd.DataFrame) -> Mask:
    said = where(frame, "error_kind", "throttled") | (numbers(frame, "status") == 429)
    return np.asarray(said & ~where(frame, "error_kind", "credit"))


def _throttled(frame: pd.DataFrame) -> Mask:
    """Where a limit was said to be the cause, or nothing."""
    found = _refused(frame)
    busy = where(frame, "error", *(text for text in _texts(frame, found) if is_busy(text)))
    return np.asarray(found & ~busy)


def _texts(frame: pd.DataFrame, which: Mask) -> list[str]:
    """What was said, each once."""
    return [str(text) for text in frame["error"][which].dropna().unique()]


def _dimension(texts: list[str]) -> str:
    """What is limited: what most texts name."""
    named = [name for text in texts if (name := _named(text))]
    return max(named, key=named.count) if named else ""


def _named(text: str) -> str:
    if found := _PER.search(text):
        word = found[1] or {"r": "request", "t": "token"}[found[3].lower()]
        return f"{word.lower()}s"
    if _AT_ONCE.search(text):
        return "requests at once"
    found = _OF.search(text)
    return f"{found[1].lower()}s" if found else ""


def _told(texts: list[str]) -> float | None:
    """The least of the limits that the texts name, per minute; a minute's where they do not say of how long."""
    found = []
    for text in texts:
        if (limit := _LIMIT.search(text)) and (
            count := float((limit[1] or limit[2]).replace(",", "").replace("_", ""))
        ):
            per = _PER.search(text)
            unit = (per[2] or per[4]).lower()[0] if per else "m"
            found += [count * _PER_MIN[unit]] if unit in _PER_MIN else []
    return min(found) if found else None


def _through(frame: pd.DataFrame, accepted: Mask, of: str) -> float | None:
    """What got through in the best minute, or per minute of a run that is shorter; None of fewer than two."""
    sent = seconds(frame, "sent_ns")
    known = sent[where(frame, "outcome", "ok", "error") & ~np.isnan(sent)]
    order = np.argsort(sent[accepted], kind="stable")
    at = sent[accepted][order]
    if at.size < 2 or np.ptp(known) <= 0:
        return None
    worth = np.ones(at.size)
    if of == "tokens":
        worth = np.nan_to_num(numbers(frame, "input_tokens")) + np.nan_to_num(numbers(frame, "output_tokens"))
        worth = worth[accepted][order]
    span = float(np.ptp(known))
    if span < MINUTE_S:
        return float(worth.sum()) * MINUTE_S / span
    so_far = np.concatenate([[0.0], np.cumsum(worth)])
    return float((so_far[np.searchsorted(at, at + MINUTE_S, side="left")] - so_far[:-1]).max())
