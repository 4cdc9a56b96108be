"""Each column of requests.parquet that follows from others of its row, computed once more from these and the prices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from analysis.verify.found import Difference
from loadtests import record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from analysis.verify.batch import Array, Batch

    Prices = Mapping[str | None, Mapping[str, Any] | None]
    Told = tuple[Array, Array]

STAMPS: Final = "its stamps"
CHUNKS: Final = "its chunks"
ANY: Final = None
"""The name of the only arm of a run from before arms had names."""

EXACT: Final = 1e-12
"""Relative: the same arithmetic on another machine."""

ROUNDED_US: Final = 0.5
"""Gaps are stored in whole microseconds."""

LONGEST_US: Final = 2**31 - 1
"""A gap that is longer was cut to this."""


@dataclass(frozen=True, slots=True)
class Rule:
    """
    What a column has to be.

    Attributes:
        by: What it follows from.
        told: The column as it stands, and as it follows; shapes (n,), NaN for null.
        within: How far apart they may be, in the column's unit; shape (n,) or one for all.
        lists: It needs the lists of chunks.
    """

    column: str
    by: str
    told: Callable[[Batch], Told]
    within: Callable[[Batch], Array | float] = lambda _: 0.0
    lists: bool = False


class Tally:
    """How many rows break a rule, and the first of them."""

    def __init__(self, rule: Rule) -> None:
        self.rule, self.values, self.wrong = rule, 0, 0
        self._row, self._kept, self._found = 0, 0.0, 0.0

    def add(self, batch: Batch) -> None:
        """Hold some more rows against it."""
        kept, found = self.rule.told(batch)
        apart = np.maximum(np.abs(found) * EXACT, self.rule.within(batch))
        with np.errstate(invalid="ignore"):
            wrong = np.flatnonzero((np.isnan(kept) != np.isnan(found)) | (np.abs(kept - found) > apart))
        if len(wrong) and not self.wrong:
            first = int(wrong[0])
            self._row, self._kept, self._found = batch.first + first, float(kept[first]), float(found[first])
        self.values += int(np.isfinite(kept).sum())
        self.wrong += len(wrong)

    def difference(self) -> Difference | None:
        """In a line; None where all rows keep it."""
        if not self.wrong:
            return None
        many = f"; {self.wrong:,} rows differ" if self.wrong > 1 else ""
        place = f"{self.rule.column}, row {self._row}{many}"
        kept, found = _both(self._kept, self._found)
        return Difference(record.REQUESTS, kept, self.rule.by, found, place)


def _both(kept: float, found: float) -> tuple[str, str]:
    """With as many digits as tell them apart."""
    for digits in (6, 9, 17):
        told = tuple("null" if np.isnan(value) else f"{value:.{digits}g}" for value in (kept, found))
        if told[0] != told[1]:
            break
    return told[0], told[1]


# From the stamps.


def _between(late: str, early: str, *, streams: bool = False) -> Callable[[Batch], Array]:
    """Seconds from one stamp to another; of streamed answers alone, or of all."""

    def seconds(rows: Batch) -> Array:
        took = (rows.numbers(late) - rows.numbers(early)) / 1e9
        return np.where(rows.is_streamed, took, np.nan) if streams else took

    return seconds


def _over_ns(rows: Batch) -> Array:
    """Last token of a streamed answer, end of any other; NaN where nothing was answered."""
    answered = np.where(np.isnan(rows.numbers("headers_ns")), np.nan, rows.numbers("end_ns"))
    return np.where(rows.is_streamed, rows.numbers("last_token_ns"), answered)


def _latency(since: str) -> Callable[[Batch], Array]:
    return lambda rows: (_over_ns(rows) - rows.numbers(since)) / 1e9


def _tpot(rows: Batch) -> Array:
    later = rows.numbers("output_tokens") - rows.numbers("first_chunk_tokens")
    took_ns = rows.numbers("last_token_ns") - rows.numbers("first_token_ns")
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where((rows.numbers("chunks") >= 2) & (later > 0), took_ns / later / 1e9, np.nan)


def _speed(rows: Batch) -> Array:
    took_s = (_over_ns(rows) - rows.numbers("sent_ns")) / 1e9
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(took_s > 0, rows.numbers("output_tokens") / took_s, np.nan)


# From the chunks.


def _longest_s(rows: Batch) -> Array:
    gaps = rows.lists("chunk_gap_us")
    return np.where(gaps.count >= 2, np.maximum(gaps.largest_later(), 0.0) / 1e6, np.nan)


def _about_a_gap_s(rows: Batch) -> Array:
    cut = rows.lists("chunk_gap_us").largest_later() >= LONGEST_US
    return np.where(cut, np.inf, (ROUNDED_US + 0.01) / 1e6)


def _first_chunk(rows: Batch) -> Array:
    chars = rows.lists("chunk_chars")
    with np.errstate(invalid="ignore", divide="ignore"):
        share = chars.first / chars.sums()
        return np.where(share > 0, np.maximum(1.0, np.rint(share * rows.numbers("output_tokens"))), np.nan)


def _chars(rows: Batch) -> Array:
    """Of an answer in one piece there are no chunks to add up."""
    added = rows.lists("chunk_chars").sums()
    return np.where(np.isnan(added), rows.numbers("output_chars"), added)


def _first_gap(rows: Batch) -> Told:
    """In microseconds; where nobody knows when it was sent, the gap says nothing."""
    kept = rows.lists("chunk_gap_us").first
    found = np.rint((rows.numbers("first_token_ns") - rows.numbers("sent_ns")) / 1e3)
    return kept, np.where(np.isnan(rows.numbers("sent_ns")), kept, np.where(np.isnan(kept), np.nan, found))


def _all_gaps(rows: Batch) -> Told:
    """Their sum, in microseconds."""
    gaps = rows.lists("chunk_gap_us")
    kept = gaps.sums() - gaps.first
    found = (rows.numbers("last_token_ns") - rows.numbers("first_token_ns")) / 1e3
    return kept, np.where(np.isnan(kept), np.nan, found)


def _about_all_us(rows: Batch) -> Array:
    gaps = rows.lists("chunk_gap_us")
    return np.where(gaps.largest_later() >= LONGEST_US, np.inf, (ROUNDED_US + 0.01) * np.nan_to_num(gaps.count))


def _as_many(column: str) -> Callable[[Batch], Told]:
    """How many entries a list has, and how many chunks there were."""
    return lambda rows: (rows.lists(column).count, rows.numbers("chunks"))


# From the prices.


def _cost(prices: Prices) -> Callable[[Batch], Array]:
    """USD, by the prices of each arm per million tokens; cached input at its own price where there is one."""

    def usd(rows: Batch) -> Array:
        tokens_in, tokens_out = rows.numbers("input_tokens"), rows.numbers("output_tokens")
        cached, arms, found = np.nan_to_num(rows.numbers("cached_tokens")), rows.words("arm"), np.full(rows.n, np.nan)
        for arm, told in prices.items():
            if not told or told.get("currency", "USD") != "USD":
                continue
            fresh, made = _price(told, "input_per_million"), _price(told, "output_per_million")
            again = fresh if told.get("cached_input_per_million") is None else _price(told, "cached_input_per_million")
            whole = ((tokens_in - cached) * fresh + cached * again + tokens_out * made) / 1e6
            found = np.where((arms == arm) | (arm is ANY), whole, found)
        return found

    return usd


def _price(told: Mapping[str, Any], name: str) -> float:
    """NaN where run.json has none any more, or no number: whoever takes a price out of it has changed it too."""
    value = told.get(name)
    return float(value) if isinstance(value, int | float) else np.nan


def prices_of(about: dict[str, Any]) -> Prices:
    """By arm, the prices that run.json has; of a run from before arms had names, those of all its rows."""
    arms = about.get("arms") or [about | {"name": ANY}]
    return {one.get("name"): (one.get("profile") or {}).get("prices") for one in arms}


def rules(prices: Prices) -> list[Rule]:
    """Every column that follows from others."""
    plain: list[tuple[str, str, Callable[[Batch], Array]]] = [
        ("ttft_s", STAMPS, _between("first_token_ns", "scheduled_ns", streams=True)),
        ("ttft_from_send_s", STAMPS, _between("first_token_ns", "sent_ns", streams=True)),
        ("latency_s", STAMPS, _latency("scheduled_ns")),
        ("latency_from_send_s", STAMPS, _latency("sent_ns")),
        ("send_lag_s", STAMPS, _between("sent_ns", "scheduled_ns")),
        ("tpot_s", "its stamps and tokens", _tpot),
        ("output_tokens_per_s", "its stamps and tokens", _speed),
        ("cost_usd", "run.json's prices", _cost(prices)),
    ]
    return [*(Rule(name, by, _beside(name, formula)) for name, by, formula in plain), *_of_chunks()]


def _of_chunks() -> Iterator[Rule]:
    yield Rule("first_chunk_tokens", "its chunks and tokens", _beside("first_chunk_tokens", _first_chunk), lists=True)
    yield Rule("output_chars", CHUNKS, _beside("output_chars", _chars), lists=True)
    yield Rule("max_gap_s", CHUNKS, _beside("max_gap_s", _longest_s), _about_a_gap_s, lists=True)
    yield Rule("first of chunk_gap_us", STAMPS, _first_gap, lambda _: ROUNDED_US + 0.01, lists=True)
    yield Rule("sum of chunk_gap_us", STAMPS, _all_gaps, _about_all_us, lists=True)
    for name in ("chunk_gap_us", "chunk_kind", "chunk_chars"):
        yield Rule(f"length of {name}", "chunks", _as_many(name), lists=True)


def _beside(name: str, formula: Callable[[Batch], Array]) -> Callable[[Batch], Told]:
    return lambda rows: (rows.numbers(name), formula(rows))
