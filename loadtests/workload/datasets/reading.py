"""A file sampled: every row read, checked and counted, a number of them kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from loadtests.units import not_one_of
from loadtests.workload.datasets.layout import ROLES, Columns, columns_of, example, is_batch
from loadtests.workload.datasets.model import DatasetError, Example, RowError, Sample, sendable, shown
from loadtests.workload.datasets.source import FORMATS, Source, source_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SAMPLE: Final = 10_000
"""Examples kept unless the workload says another number."""

_DRAWS: Final = 4096
"""Random numbers drawn at once; one at a time costs twenty times as much."""


def read(spec: Mapping[str, Any], seed: int) -> Sample:
    """
    The examples of a dataset, in the file's order.

    Args:
        spec: `file`; `format`, one of `FORMATS`, by the file's ending and first row unless said; `sample`, how many
            to keep; `columns`, from prompt, system, messages and output_tokens to the file's own names.
        seed: At least 0; draws the rows where there are more than `sample`, each set of rows as likely as any other.

    Raises:
        DatasetError: The file or a row of it cannot be used, or there is no prompt in it.
    """
    path, form, size = Path(spec["file"]), spec.get("format"), spec.get("sample", SAMPLE)
    named = {role: column for role, column in (spec.get("columns") or {}).items() if column is not None}
    _check(path, form, size, named)
    source = source_of(path, form)
    columns = _columns(source, form, named)
    kept = Reservoir(size, seed)
    counted = 0
    for found in _examples(source, columns):
        counted += 1
        if found is not None:
            kept.offer(found)
    if not kept.offered:
        raise DatasetError(f"{path}: {f'has no prompt in any of its {counted:,} rows' if counted else 'has no rows'}")
    return Sample(path.name, kept.examples(), counted, counted - kept.offered)


class Reservoir:
    """
    So many of the examples offered, each set of them as likely as any other, without knowing how many will come.

    Example i (from 0) takes a place with probability size / (i + 1): one drawn from 0 to i, where that is a place.

    Source: Vitter, Random sampling with a reservoir, ACM TOMS 11 (1985), algorithm R.
    """

    def __init__(self, size: int, seed: int) -> None:
        self._size, self._rng = size, np.random.Generator(np.random.PCG64(seed))
        self._draws: list[float] = []
        self._kept: list[tuple[int, Example]] = []
        self.offered = 0

    def offer(self, found: Example) -> None:
        """Keep it or not."""
        i, self.offered = self.offered, self.offered + 1
        if i < self._size:
            self._kept.append((i, found))
            return
        self._draws = self._draws or self._rng.random(_DRAWS).tolist()
        place = int(self._draws.pop() * (i + 1))
        if place < self._size:
            self._kept[place] = (i, found)

    def examples(self) -> tuple[Example, ...]:
        """Those kept, in the order they came in."""
        return tuple(found for _, found in sorted(self._kept, key=lambda kept: kept[0]))


def _check(path: Path, form: str | None, size: int, named: Mapping[str, str]) -> None:
    if form is not None and form not in FORMATS:
        raise DatasetError(f"{path}: format {shown(form)} {not_one_of(form, FORMATS)}")
    if size < 1:
        raise DatasetError(f"{path}: sample {size} isn't a whole number of at least 1")
    for role in named:
        if role not in ROLES:
            raise DatasetError(f"{path}: columns.{role} {not_one_of(role, ROLES)}")
    if "prompt" in named and "messages" in named:
        raise DatasetError(f"{path}: columns.prompt and columns.messages say the same twice; leave one out")
    if form == "openai-batch" and named:
        raise DatasetError(f"{path}: columns have no meaning with openai-batch; leave them out, or say format jsonl")


def _columns(source: Source, form: str | None, named: Mapping[str, str]) -> Columns | None:
    """Which columns hold what; None for OpenAI batch input."""
    place, first = source.first()
    if form == "openai-batch" or (form is None and not named and is_batch(first)):
        return None
    try:
        return columns_of(named, first, header=source.has_header, talks=form == "sharegpt")
    except RowError as error:
        raise DatasetError(f"{place}: {error}") from None


def _examples(source: Source, columns: Columns | None) -> Iterator[Example | None]:
    """Every row as an example; None for one without any text of a user."""
    unseen = set(columns.optional) if columns else set()
    row: dict[str, Any] = {}
    for number, row in source.rows(columns.heads if columns else ()):
        try:
            found = example(columns, row)
            yield found and sendable(found)
        except RowError as error:
            raise DatasetError(f"{source.at(number)}: {error}") from None
        if columns and unseen:
            unseen = {column for column in unseen if columns.missing(column, row)}
    for column in unseen:
        raise DatasetError(f"{source.path}: column {column}: {not_one_of(column, row)}")
