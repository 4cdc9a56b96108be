"""
A run directory as tables: the manifest, one row per arrival, one row per second of the client's health.

Reads what `loadtests.record` describes and nothing else. Null stays null: columns are nullable, and the readers at the
end turn one of them into a plain array where arithmetic begins.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from analysis import memory
from loadtests import record

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from numpy.typing import NDArray

ADDED: Final = frozenset({"counted_tokens", "tls_version"})
"""Columns that schema 1 got later: runs written before have none of their values."""

OF_ARM: Final = ("model", "params", "new_connections")
"""What an arm has of its own beside its name and its profile."""

CHUNK_LISTS = ("chunk_gap_us", "chunk_kind", "chunk_chars")
NOT_JUDGED: Final = frozenset({
    "run_id", "profile", "model", "seq", "user", "first_event_ns", "http_version", "tls_version", "output_cap",
    "input_chars", "bytes_sent", "bytes_received", "response_id", "request_id", "server_time_s",
})  # fmt: skip
"""Columns that no figure and no check rests on."""
JUDGED: Final = frozenset(c.name for c in record.REQUEST_COLUMNS) - NOT_JUDGED - set(CHUNK_LISTS)
"""What judging a run reads."""
AT_ONCE: Final = 4
LARGE: Final = 1_000_000
"""Rows from which on memory is kept from one array to the next."""
FEW: Final = 8
UNFINISHED: Final = "unfinished"
"""Why a run stopped, in the manifest of a draft: it did not, or nobody has finished it yet."""


class RunError(ValueError):
    """A run that cannot be read; the message is one line and names the fix."""


@dataclass(frozen=True, slots=True)
class Run:
    """
    One run as it lies on disk.

    Attributes:
        path: The run directory, links resolved.
        manifest: run.json.
        requests: One row per scheduled arrival; `flags` is one string, the flags parted by spaces; `row` is its place
            in the file; the lists of `CHUNK_LISTS` are there only if asked for.
        client: One row per process and second; None where the run has no client.parquet.
        file: The requests.parquet that it was read from.
        label: What it is called where the directory's name alone does not tell: its arm or its campaign beside it.
    """

    path: Path
    manifest: dict[str, Any]
    requests: pd.DataFrame
    client: pd.DataFrame | None
    file: Path
    label: str = ""

    @property
    def unfinished(self) -> str:
        """Where it is on or was killed and not yet repaired: how far it is, in words; else empty."""
        stop = self.manifest.get("stop")
        if not isinstance(stop, dict) or stop.get("reason") != UNFINISHED:
            return ""
        return str(stop.get("text") or UNFINISHED)

    @property
    def name(self) -> str:
        """The directory's own name, which is what people type, or the label."""
        return self.label or self.path.name

    @property
    def plan(self) -> dict[str, Any]:
        """The load that was asked for, as the manifest has it; an only arm's own keys stand among the others."""
        plan = dict(self.manifest.get("plan") or {})
        arms = self.manifest.get("arms") or []
        if len(arms) != 1:
            return plan
        own = {key: arms[0][key] for key in OF_ARM if arms[0].get(key) is not None}
        return plan | own | {"arm": arms[0].get("name")}

    @property
    def arm(self) -> str:
        """The name of its arm, the first of several; empty in a run from before arms had names."""
        arms = self.manifest.get("arms") or [{"name": self.plan.get("arm")}]
        return str(arms[0].get("name") or "")

    @property
    def is_open(self) -> bool:
        """Arrivals came by a schedule, not by users waiting for answers."""
        return bool(self.plan.get("mode", "open") == "open")


def load(
    path: str | Path, chunks: bool = False, draft: Path | None = None, columns: Collection[str] | None = None
) -> Run:
    """
    Read a run.

    Args:
        path: A run directory, or a link to one such as `results/latest`.
        chunks: Read the per-chunk lists too.
        draft: Where the files of an unfinished run's state so far are.
        columns: Of the requests only these, in numpy's own types where there are such, NaN for null: half the memory
            and ten times the speed. Unless given, all of them in nullable types.

    Raises:
        RunError: No run there, a run that was killed and not repaired, a file cut short, or a newer schema.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise RunError(f"{path}: no such run directory; `firsttoken runs` lists what is in results")
    folder = folder.resolve()
    if (folder / "campaign.json").is_file():
        raise RunError(f"{path}: a campaign, not a run; one of its runs is {path}/01")
    files = folder if draft is None else draft
    _check_files(files, path)
    manifest = _manifest(files / record.MANIFEST)
    requests = _requests(files / record.REQUESTS, chunks, columns)
    client = _client(files / record.CLIENT) if (files / record.CLIENT).is_file() else None
    return Run(folder, manifest, requests, client, files / record.REQUESTS)


def is_unfinished(folder: Path) -> bool:
    """Whether a run has parts and no rows made of them: it is on, or was killed and not repaired."""
    return (folder / record.PARTS).is_dir() and not (folder / record.REQUESTS).is_file()


def _check_files(folder: Path, path: str | Path) -> None:
    if is_unfinished(folder):
        raise RunError(f"{path}: the run is still on or was killed; `firsttoken repair {path}` finishes it")
    if not (folder / record.REQUESTS).is_file():
        raise RunError(f"{path}: no {record.REQUESTS} in it: not a run directory, or its rows were pruned")
    if not (folder / record.MANIFEST).is_file():
        raise RunError(f"{path}: {record.MANIFEST} is missing; without it nobody knows what was run")


def _manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(path.read_bytes())
    except ValueError as error:
        raise RunError(f"{path}: not JSON ({error})") from None
    if not isinstance(manifest, dict):
        raise RunError(f"{path}: not a JSON object")
    _check_version(path, manifest.get("schema_version", record.SCHEMA_VERSION))
    return manifest


def _check_version(path: Path, version: Any) -> None:
    if not str(version).isdigit() or int(version) > record.SCHEMA_VERSION:
        known = record.SCHEMA_VERSION
        raise RunError(f"{path}: schema {version}, this firsttoken knows up to {known}; read it with a newer one")


def _requests(path: Path, chunks: bool, columns: Collection[str] | None) -> pd.DataFrame:
    skipped = () if chunks else CHUNK_LISTS
    names = [c.name for c in record.REQUEST_COLUMNS if c.name not in skipped]
    with _opened(path) as file:
        missing = sorted(set(names) - set(file.schema_arrow.names), key=names.index)
        if strange := [name for name in missing if name not in ADDED]:
            raise RunError(f"{path}: column {strange[0]} is missing, so it is not a file of firsttoken")
        if columns is not None:
            return _plain(file, [name for name in names if name in columns])
        table = _words(file.read([name for name in names if name not in missing]))
    for name in missing:
        table = table.append_column(name, pa.nulls(table.num_rows, record.requests_schema().field(name).type))
    return _frame(table).assign(row=np.arange(table.num_rows))


def _client(path: Path) -> pd.DataFrame:
    with _opened(path) as file:
        return _frame(file.read())


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    """A file of a run; what is wrong with it, also while it is being read, in one line."""
    try:
        with pq.ParquetFile(path) as file:
            _check_version(path, (file.schema_arrow.metadata or {}).get(b"schema_version", b"1").decode())
            yield file
    except (pa.ArrowInvalid, OSError) as error:
        reason = str(error).splitlines()[0]
        fix = f"if {record.PARTS}/ is still there, `firsttoken repair {path.parent}` writes it anew"
        raise RunError(f"{path}: cut short or not parquet ({reason}); {fix}") from None


def _words(table: pa.Table) -> pa.Table:
    """The flags of each row as one string, one of few."""
    place = table.schema.get_field_index("flags")
    if place < 0:
        return table
    return table.set_column(place, "flags", pc.binary_join(table.column(place), " ").dictionary_encode())


def _plain(file: pq.ParquetFile, names: list[str]) -> pd.DataFrame:
    """
    Columns as numpy has them, NaN for null, words and texts as categories.

    A few columns are read at once, since all of them twice, here and in Arrow, might not fit into memory.
    """
    n = file.metadata.num_rows
    if n > LARGE:
        memory.keep()
    nothing = np.full(n, np.nan)
    columns: dict[str, Any] = dict.fromkeys(names, nothing)
    there = sorted(set(names) & set(file.schema_arrow.names), key=names.index)
    for first in range(0, len(there), AT_ONCE):
        table = _words(file.read(there[first : first + AT_ONCE]))
        for place in range(table.num_columns):
            column = table.column(place)
            if column.null_count < n or pa.types.is_dictionary(column.type):
                columns[table.column_names[place]] = _values(column)
    return pd.DataFrame(columns | {"row": np.arange(n)}, copy=False)


def _values(column: pa.ChunkedArray) -> Any:
    if pa.types.is_string(column.type):
        column = column.dictionary_encode()
    elif pa.types.is_boolean(column.type) and column.null_count:
        column = column.cast(pa.float32())
    return column.to_pandas().array if pa.types.is_dictionary(column.type) else column.to_numpy()


def _frame(table: pa.Table) -> pd.DataFrame:
    """Arrow-backed columns; words become categories, which compare by code."""
    kept = table.to_pandas(types_mapper=lambda t: None if pa.types.is_dictionary(t) else pd.ArrowDtype(t))
    assert isinstance(kept, pd.DataFrame)
    return kept


# Where arithmetic begins.


def some(frame: pd.DataFrame, which: NDArray[np.bool_], *columns: str) -> pd.DataFrame:
    """These rows, with these columns alone: of a large run a copy of all of them takes seconds and gigabytes."""
    kept = frame[list(columns)]
    return kept if which.all() else kept[which]


def numbers(frame: pd.DataFrame, column: str) -> NDArray[np.float64]:
    """A numeric column, shape (n,), NaN for null; not to be written to."""
    return np.asarray(frame[column].to_numpy(dtype="float64", na_value=np.nan), dtype=np.float64)


def seconds(frame: pd.DataFrame, column: str) -> NDArray[np.float64]:
    """A stamp in seconds since the run's start, shape (n,), NaN for null."""
    return numbers(frame, column) / 1e9


def truths(frame: pd.DataFrame, column: str) -> NDArray[np.bool_]:
    """Where a boolean column is true, shape (n,); null is not true."""
    return np.asarray(frame[column].to_numpy(dtype="bool", na_value=False), dtype=np.bool_)


def where(frame: pd.DataFrame, column: str, *words: str) -> NDArray[np.bool_]:
    """Where a column of words holds one of these, shape (n,); null is none of them."""
    return _by_word(frame[column], lambda word: word in words)


def flagged(frame: pd.DataFrame, *flags: str) -> NDArray[np.bool_]:
    """Where one of these flags is set, shape (n,)."""
    return _by_word(frame["flags"], lambda word: not set(flags).isdisjoint(str(word).split(" ")))


def _by_word(column: pd.Series[Any], is_one: Callable[[Any], bool]) -> NDArray[np.bool_]:
    """Where a column's value is one of those asked for, each different value being asked once; null is none."""
    values = column if isinstance(column.dtype, pd.CategoricalDtype) else column.astype("category")
    codes = values.cat.codes.to_numpy()
    chosen = [code for code, value in enumerate(values.cat.categories) if is_one(value)]
    if len(chosen) > FEW:
        return np.asarray(np.isin(codes, chosen))
    found = np.zeros(codes.size, dtype=np.bool_)
    for code in chosen:
        found |= codes == code
    return found


def is_later_turn(frame: pd.DataFrame) -> NDArray[np.bool_]:
    """Where a request is no arrival, but followed an answer of its conversation, shape (n,)."""
    return np.asarray(numbers(frame, "turn") > 0)
