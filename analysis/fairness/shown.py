"""The fairness sheet as a table: a line for each circumstance, a cell for each side."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from analysis.units import NONE, digits

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from analysis.fairness.sheet import Sheet

FEW = 3
"""Words of a kind that are listed; of more their number is told."""


class Entry(NamedTuple):
    """One circumstance: what it is, and what each side says, in the order of the sides."""

    label: str
    cells: tuple[str, ...]


def entries(sheets: Mapping[str, Sheet]) -> list[Entry]:
    """Every circumstance that at least one side tells."""
    told = [Entry(label, tuple(say(one) for one in sheets.values())) for label, say in _LINES.items()]
    return [entry for entry in told if any(cell != NONE for cell in entry.cells)]


def _endpoint(one: Sheet) -> str:
    names = dict.fromkeys(host.rpartition(":")[0] or host for host in one.hosts if host)
    if len(one.hosts) > 1 and len(names) == 1:
        return f"{next(iter(names))}, {len(one.hosts)} ports"
    return ", ".join(host for host in one.hosts if host) or NONE


def _round_trip(one: Sheet) -> str:
    x = 1000 * one.connect_s
    if not x.size:
        return NONE
    return f"{digits(float(np.median(x)))} ms, min {digits(float(x[0]))} (n {one.connects:,})"


def _tls(one: Sheet) -> str:
    if not one.tls_s.size:
        return _spoken(one)
    return f"{_spoken(one)}, handshake p50 {digits(1000 * float(np.median(one.tls_s)))} ms (n {one.handshakes:,})"


def _spoken(one: Sheet) -> str:
    """The versions of TLS; without any whether there was TLS, where the URLs are known."""
    if one.tls:
        return _mix(one.tls)
    if not any(one.schemes):
        return NONE
    return "yes" if one.over_tls else "some runs" if "https" in one.schemes else "no"


def _reused(one: Sheet) -> str:
    return _percent(one.share(one.reused, one.placed))


def _cached(one: Sheet) -> str:
    return _percent(one.share(one.cached_tokens, one.input_tokens))


def _ended(one: Sheet) -> str:
    return _mix(one.ended)


def _lengths(one: Sheet) -> str:
    mean = one.mean_made
    return NONE if mean is None else f"p50 {digits(float(np.median(one.made)))}, mean {digits(mean)}"


def _cut(one: Sheet) -> str:
    return _percent(one.cut_share)


def _fresh(one: Sheet) -> str:
    return _middle(one.fresh, "p50 {}")


def _throttled(one: Sheet) -> str:
    if not one.throttled:
        return "none"
    waits = one.retry_after_s
    asked = f"; asked to wait {digits(float(waits[0]))} to {digits(float(waits[-1]))} s" if waits.size else ""
    return f"{one.throttled:,} of {one.sent:,}{asked}"


def _failed(one: Sheet) -> str:
    return f"{_percent(one.share(one.failed, one.ok + one.failed))} ({one.failed:,} of {one.ok + one.failed:,})"


def _reasoning(one: Sheet) -> str:
    return _percent(one.share(one.reasoning_tokens, one.output_tokens))


def _speed(one: Sheet) -> str:
    return _middle(one.speeds, "p50 {}")


def _models(one: Sheet) -> str:
    return ", ".join(one.asked)


def _answered(one: Sheet) -> str:
    return _mix(one.answered)


def _cold(one: Sheet) -> str:
    return f"{one.cold:,}" if one.cold else "none"


def _when(one: Sheet) -> str:
    known = sorted(at for at in one.started_unix_ns if at)
    if not known:
        return NONE
    first, last = (datetime.fromtimestamp(at / 1e9, UTC) for at in (known[0], known[-1]))
    end = (
        "" if len(known) == 1 else f" to {last:%H:%M}" if first.date() == last.date() else f" to {last:%Y-%m-%d %H:%M}"
    )
    return f"{first:%Y-%m-%d %H:%M}{end} UTC"


def _prices(one: Sheet) -> str:
    return "; ".join(price or "none" for price in one.prices)


_LINES: dict[str, Callable[[Sheet], str]] = {
    "endpoint": _endpoint,
    "round trip (TCP connect), p50": _round_trip,
    "TLS": _tls,
    "HTTP version": lambda one: _mix(one.http),
    "requests on reused connections": _reused,
    "model requested": _models,
    "model in answers": _answered,
    "input tokens per prompt, as counted": _fresh,
    "cached prompt tokens": _cached,
    "output tokens per answer": _lengths,
    "answers cut at the cap": _cut,
    "finish reasons": _ended,
    "reasoning tokens": _reasoning,
    "source of token counts": lambda one: _mix(one.counted),
    "characters/s of a stream (independent of tokenizers)": _speed,
    "failed": _failed,
    "throttled (429)": _throttled,
    "cold sessions": _cold,
    "clock": lambda one: _mix(one.clocks),
    "run": _when,
    "prices": _prices,
}


def _percent(share: float | None) -> str:
    return NONE if share is None else f"{digits(100 * share)} %"


def _middle(values: NDArray[np.float64], words: str) -> str:
    return words.format(digits(float(np.median(values)))) if values.size else NONE


def _mix(counts: Counter[str]) -> str:
    """Words with their shares, the most frequent first; one alone without."""
    if not counts:
        return NONE
    total, common = counts.total(), counts.most_common()
    if len(common) == 1:
        return common[0][0]
    told = ", ".join(f"{word} {digits(100 * n / total)} %" for word, n in common[:FEW])
    return told + (f" and {len(common) - FEW} more" if len(common) > FEW else "")
