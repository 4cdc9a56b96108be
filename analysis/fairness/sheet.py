"""One side's circumstances, from the rows and the manifests of its runs: sums, counts and thinned samples, added up."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import numpy as np
import pyarrow.parquet as pq

from analysis.derived import is_cut, is_explained, is_ok, output_chars_per_s
from analysis.rundir import flagged, numbers, where

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from analysis.rundir import Run

    Array = NDArray[np.float64]

MOST: Final = 2000
"""Values of a run that are kept of a sample: of more so many, evenly spaced by rank."""
TOO_MANY: Final = 429
PRICES: Final = {
    "input_per_million": "in", "cached_input_per_million": "cached in", "output_per_million": "out",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sheet:
    """
    One side, all its requests, those before the window included.

    Attributes:
        hosts: Whom was asked, host and port; `schemes` over what.
        asked, answered: Models, by how many runs and how many answers.
        started_unix_ns: When its runs began; 0 where nobody knows.
        sent: Requests that went out; `ok` of them were answered in full, `failed` failed.
        throttled: Answered 429; `retry_after_s` are the waits that were asked for.
        connect_s, tls_s: Of each new connection, seconds, ascending, thinned: TCP connect is one round trip; of
            `connects` and `handshakes` in all.
        reused, placed: Requests on a connection that had served before, of those of which it is known.
        made: Output tokens of each full answer, `fresh` the input tokens, as the provider or `counted` tells them;
            ascending, thinned. `answers` tell how many they made, `tokens` in all.
        cached_tokens, input_tokens: Sums over the answers that tell both.
        reasoning_tokens, output_tokens: Sums over the answers that tell how much was reasoning.
        speeds: Characters per second of each streamed answer once it flows, ascending.
        ended: Finish reasons of full answers; of the `explained` answers `cut` ended at the cap.
        cold: Requests that met a session which had to start first.
        prompts: The prompt sets that were sent, by their hash, seed and number; empty names where nobody knows.
        prices: Each price list: `input / output USD per M tokens of DATE`; empty where there is none.
        currencies: Of these price lists.
    """

    runs: int
    hosts: Counter[str]
    schemes: Counter[str]
    asked: Counter[str]
    answered: Counter[str]
    clocks: Counter[str]
    http: Counter[str]
    tls: Counter[str]
    ended: Counter[str]
    counted: Counter[str]
    prices: Counter[str]
    currencies: Counter[str]
    prompts: Counter[str]
    started_unix_ns: tuple[int, ...]
    sent: int
    ok: int
    failed: int
    throttled: int
    reused: int
    placed: int
    cold: int
    cut: int
    explained: int
    connects: int
    handshakes: int
    answers: int
    tokens: float
    cached_tokens: float
    input_tokens: float
    reasoning_tokens: float
    output_tokens: float
    connect_s: Array
    tls_s: Array
    retry_after_s: Array
    made: Array
    fresh: Array
    speeds: Array

    @property
    def over_tls(self) -> bool:
        """Every run spoke https."""
        return set(self.schemes) == {"https"}

    @property
    def cut_share(self) -> float | None:
        """Of the answers that say why they ended, or were ended at the cap by the client; None where none does."""
        return self.share(self.cut, self.explained)

    @property
    def mean_made(self) -> float | None:
        """Output tokens of an answer; None where no answer tells."""
        return self.share(self.tokens, self.answers)

    def share(self, part: float, whole: float) -> float | None:
        """A share; None of nothing."""
        return part / whole if whole else None


def of(run: Run) -> Sheet:
    """What one run of one arm says."""
    rows = run.requests
    ok, sent = is_ok(rows), ~np.isnan(numbers(rows, "sent_ns"))
    full = rows[ok]
    reused = numbers(rows, "conn_reused")
    cached, fresh = numbers(full, "cached_tokens"), numbers(full, "input_tokens")
    thought, made = numbers(full, "reasoning_tokens"), numbers(full, "output_tokens")
    tells, reasons = ~np.isnan(cached) & ~np.isnan(fresh), ~np.isnan(thought) & ~np.isnan(made)
    connect_s, tls_s = numbers(rows, "connect_s"), numbers(rows, "tls_s")
    return Sheet(
        runs=1, **_named(run, full),
        started_unix_ns=(int(run.manifest.get("started_unix_ns") or 0),),
        sent=int(sent.sum()), ok=int(ok.sum()), failed=int(where(rows, "outcome", "error", "lost").sum()),
        throttled=int((numbers(rows, "status") == TOO_MANY).sum()),
        reused=int(np.nansum(reused)), placed=int((~np.isnan(reused)).sum()),
        cold=int(flagged(rows, "cold_session").sum()),
        cut=int(is_cut(full).sum()), explained=int(is_explained(full).sum()),
        connects=_known(connect_s), handshakes=_known(tls_s), answers=_known(made), tokens=float(np.nansum(made)),
        cached_tokens=float(cached[tells].sum()), input_tokens=float(fresh[tells].sum()),
        reasoning_tokens=float(thought[reasons].sum()), output_tokens=float(made[reasons].sum()),
        connect_s=_thin(connect_s), tls_s=_thin(tls_s),
        retry_after_s=_thin(numbers(rows, "retry_after_s")), made=_thin(made), fresh=_thin(fresh),
        speeds=_thin(output_chars_per_s(full)),
    )  # fmt: skip


def _named(run: Run, full: pd.DataFrame) -> dict[str, Counter[str]]:
    """What is told in words."""
    profile = run.manifest.get("profile") or {}
    prices, url = profile.get("prices") or {}, urlsplit(str(profile.get("base_url") or ""))
    rows = run.requests
    return {
        "hosts": Counter([url.netloc.rpartition("@")[2]]), "schemes": Counter([url.scheme]),
        "asked": Counter([str(run.manifest.get("model") or "unknown")]), "answered": _words(full, "model_answered"),
        "clocks": _words(rows, "clock"), "http": _unread(run, "http_version"),
        "tls": _unread(run, "tls_version"), "ended": _words(full, "finish_reason"),
        "counted": _words(full, "tokens_from"), "prices": Counter([_prices(prices)]),
        "currencies": Counter([str(prices.get("currency", "USD"))] if _prices(prices) else []),
        "prompts": Counter([_prompts(run)]),
    }  # fmt: skip


def _words(rows: pd.DataFrame, column: str) -> Counter[str]:
    counts = rows[column].value_counts()
    return Counter({str(word): int(n) for word, n in counts.items() if n})


def _unread(run: Run, column: str) -> Counter[str]:
    """Words of a column that no judgement reads: from the file, the rows of this arm."""
    if column in run.requests:
        return _words(run.requests, column)
    with pq.ParquetFile(run.file) as file:
        if column not in file.schema_arrow.names:
            return Counter()
        found = file.read([column]).column(0).to_pandas()
    mine = found.iloc[run.requests["row"].to_numpy()]
    return Counter({str(word): int(n) for word, n in mine.value_counts().items() if n})


def _prompts(run: Run) -> str:
    """The hash is that of the first prompts, however many there are: of longer runs the first ones are the same."""
    known = (run.manifest.get("hashes") or {}).get("prompts")
    sent = int((~np.isnan(numbers(run.requests, "sent_ns"))).sum())
    return "" if known is None else f"{known} {run.manifest.get('seed')} {sent}"


def _prices(told: dict[str, Any]) -> str:
    """A price list in words; empty where there is none."""
    if told.get("output_per_million") is None:
        return ""
    parts = [f"{told[key]:g} {word}" for key, word in PRICES.items() if told.get(key) is not None]
    day = f", read {told['date']}" if told.get("date") else ""
    return f"{' / '.join(parts)} {told.get('currency', 'USD')} per M tokens{day}"


def _known(values: Array) -> int:
    return int((~np.isnan(values)).sum())


def _thin(values: Array) -> Array:
    known = np.sort(values[~np.isnan(values)])
    if known.size <= MOST:
        return known
    return known[np.linspace(0, known.size - 1, MOST).round().astype(np.int64)]


def add(a: Sheet, b: Sheet) -> Sheet:
    """Two runs of one side as one."""
    return Sheet(**{one.name: _sum(getattr(a, one.name), getattr(b, one.name)) for one in fields(Sheet)})


def _sum(a: Any, b: Any) -> Any:
    return np.sort(np.concatenate([a, b])) if isinstance(a, np.ndarray) else a + b
