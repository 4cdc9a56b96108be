"""What holds in any rows of requests.parquet: words of closed lists, stamps in order, what the manifest says of all."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analysis.verify.found import Difference
from loadtests import record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from analysis.verify.batch import Batch

    Which = NDArray[np.bool_]

WORDS: Final[dict[str, Sequence[str]]] = {
    "phase": ("measure", "warmup", "drain"),
    "outcome": record.OUTCOMES,
    "error_kind": record.ERROR_KINDS,
    "tokens_from": ("usage", "usage_alt", "tokenizer", "estimate"),
    "clock": ("kernel", "user"),
}
"""Closed lists, by column."""

IN_ORDER: Final = ("sent_ns", "headers_ns", "first_event_ns", "first_token_ns", "first_answer_ns", "last_token_ns")
"""Stamps of the answer's way in: each no earlier than the one before, where both are there."""

ORDER: Final = ("scheduled_ns", "arm", "seq")
EVERY_KIND: Final = record.CONTENT | record.REASONING | record.TOOL | record.REFUSAL


@dataclass(frozen=True, slots=True)
class Law:
    """
    What each row keeps.

    Attributes:
        says: What it is, after `which says`.
        broken: Where it isn't, shape (n,).
    """

    column: str
    by: str
    says: str
    broken: Callable[[Batch], Which]


def laws(about: dict[str, Any], *, lists: bool = True) -> list[Law]:
    """All of them, for a run with this run.json; with those of the lists of chunks, where there are lists."""
    return [*_of_words(), *_of_stamps(), *(_of_chunks() if lists else ()), *_of_run(about)]


def broken(law: Law, batch: Batch) -> Iterator[Difference]:
    """The first row of some that breaks it, with how many do."""
    wrong = np.flatnonzero(law.broken(batch))
    if len(wrong):
        first = int(wrong[0])
        kept = batch.column(law.column)[first].as_py()
        many = f"; {len(wrong):,} rows differ" if len(wrong) > 1 else ""
        told = "null" if kept is None else f'"{kept}"' if isinstance(kept, str) else str(kept)
        yield Difference(record.REQUESTS, told, law.by, law.says, f"{law.column}, row {batch.first + first}{many}")


def _of_words() -> Iterator[Law]:
    for column, words in WORDS.items():
        yield Law(column, "the column", f"one of {', '.join(words)}", _strange(column, words))
    yield Law("flags", "the column", "flags that there are", _strange_flags)
    yield Law("error_kind", "its outcome", "a kind for errors alone", _kind_without_error)


def _strange(column: str, words: Sequence[str]) -> Callable[[Batch], Which]:
    def which(rows: Batch) -> Which:
        known = pc.is_in(rows.column(column).cast(pa.string()), value_set=pa.array(words, pa.string()))
        return np.asarray(~np.asarray(known, dtype=np.bool_) & ~rows.is_null(column))

    return which


def _strange_flags(rows: Batch) -> Which:
    lists = rows.column("flags")
    known = np.asarray(pc.is_in(pc.list_flatten(lists), value_set=pa.array(record.FLAGS, pa.string())), dtype=np.bool_)
    found = np.zeros(rows.n, dtype=np.bool_)
    found[np.asarray(pc.list_parent_indices(lists))[~known]] = True
    return found


def _kind_without_error(rows: Batch) -> Which:
    return np.asarray((rows.words("outcome") == "error") == rows.is_null("error_kind"))


def _of_stamps() -> Iterator[Law]:
    for early, late in pairwise(IN_ORDER):
        yield Law(late, early, "no earlier than that", _earlier(late, early))
    yield Law("last_token_ns", "first_token_ns", "no earlier than that", _earlier("last_token_ns", "first_token_ns"))


def _earlier(late: str, early: str) -> Callable[[Batch], Which]:
    return lambda rows: rows.numbers(late) < rows.numbers(early)


def _of_chunks() -> Iterator[Law]:
    yield Law("shared_reads", "its chunks", "at most the gaps of 0", _more_shared)
    yield Law("chunk_kind", "the column", "bits of what a chunk may hold", _strange_kinds)


def _more_shared(rows: Batch) -> Which:
    return np.asarray(rows.numbers("shared_reads") > np.nan_to_num(rows.lists("chunk_gap_us").zeros_later()))


def _strange_kinds(rows: Batch) -> Which:
    lists = rows.column("chunk_kind")
    kinds = np.asarray(pc.list_flatten(lists).to_numpy(zero_copy_only=False))
    found = np.zeros(rows.n, dtype=np.bool_)
    found[np.asarray(pc.list_parent_indices(lists))[(kinds < 1) | (kinds > EVERY_KIND)]] = True
    return found


def _of_run(about: dict[str, Any]) -> Iterator[Law]:
    """What is the same in all rows of a run, or of an arm."""
    run_id = str(about.get("run_id"))
    yield Law("run_id", record.MANIFEST, run_id, lambda rows: rows.words("run_id") != run_id)
    arms = {str(one.get("name")): one for one in about.get("arms") or ()}
    if not arms:
        return
    names = ", ".join(arms)
    yield Law("arm", record.MANIFEST, names, lambda rows: ~np.isin(rows.words("arm").astype(str), list(arms)))
    for name, one in arms.items():
        yield _wide("model", name, str(one.get("model")))
        yield _wide("profile", name, str((one.get("profile") or {}).get("name")))


def _wide(column: str, arm: str, value: str) -> Law:
    def which(rows: Batch) -> Which:
        return np.asarray((rows.words("arm") == arm) & (rows.words(column) != value))

    return Law(column, record.MANIFEST, value, which)


class InOrder:
    """Whether rows come by scheduled_ns, arm and seq, across groups of them too."""

    def __init__(self) -> None:
        self._last: tuple[Any, ...] | None = None
        self.row: int | None = None

    def add(self, batch: Batch) -> None:
        """Look at some more rows."""
        if not batch.n or self.row is not None:
            return
        keys = [np.asarray(batch.numbers(ORDER[0])), batch.words(ORDER[1]).astype(str), batch.numbers(ORDER[2])]
        sorted_places = np.lexsort(keys[::-1])
        moved = np.flatnonzero(sorted_places != np.arange(batch.n))
        first = tuple(key[0] for key in keys)
        if self._last is not None and first < self._last:
            self.row = batch.first
        elif len(moved):
            self.row = batch.first + int(moved[0])
        self._last = tuple(key[-1] for key in keys)

    def difference(self) -> Difference | None:
        """Where they don't."""
        if self.row is None:
            return None
        return Difference(record.REQUESTS, "another order", "the schedule", "by time, arm and seq", f"row {self.row}")
