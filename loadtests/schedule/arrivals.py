"""An open loop as data: when each arrival comes, how large a trace says it is, how many turns it brings."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeAlias, TypeVar

import numpy as np
import pyarrow as pa

from loadtests.schedule.bounds import check_worker

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Offsets: TypeAlias = NDArray[np.int64]
    Counts: TypeAlias = NDArray[np.int32]
    AnyArray = TypeVar("AnyArray", bound=NDArray[Any])


class Size(NamedTuple):
    """
    What a trace says of one arrival; a number that it doesn't tell is None.

    Attributes:
        blocks: Ids of the prompt's blocks of 512 tokens, equal ids are equal text; empty where the trace has none.
    """

    input_tokens: int | None
    output_tokens: int | None
    blocks: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Sizes:
    """
    Sizes of n arrivals, read-only.

    Attributes:
        input_tokens, output_tokens: Shape (n,), -1 where unknown.
        block_ids: All arrivals' block ids, flat; None where the trace has none.
        block_starts: Shape (n + 1,): arrival a's ids are block_ids[block_starts[a] : block_starts[a + 1]].
    """

    input_tokens: Counts
    output_tokens: Counts
    block_ids: Offsets | None = None
    block_starts: Offsets | None = None

    def take(self, places: Offsets) -> Sizes:
        """The sizes of these arrivals, in this order."""
        tokens = frozen(self.input_tokens[places]), frozen(self.output_tokens[places])
        if self.block_ids is None or self.block_starts is None:
            return Sizes(*tokens)
        first = self.block_starts[places]
        lengths = self.block_starts[places + 1] - first
        starts = np.concatenate([[0], np.cumsum(lengths)])
        flat = np.arange(starts[-1]) - np.repeat(starts[:-1] - first, lengths)
        return Sizes(*tokens, frozen(self.block_ids[flat]), frozen(starts))

    def of(self, a: int) -> Size:
        """The size of one arrival."""
        blocks: list[int] = []
        if self.block_ids is not None and self.block_starts is not None:
            blocks = self.block_ids[self.block_starts[a] : self.block_starts[a + 1]].tolist()
        given, made = int(self.input_tokens[a]), int(self.output_tokens[a])
        return Size(None if given < 0 else given, None if made < 0 else made, tuple(blocks))

    def medians(self, n: int) -> Size:
        """The medians of the first n arrivals, of those whose numbers are known."""
        told = (column[:n][column[:n] >= 0] for column in (self.input_tokens, self.output_tokens))
        given, made = (int(np.median(known)) if known.size else None for known in told)
        return Size(given, made, ())


@dataclass(frozen=True, eq=False)
class Schedule:
    """
    An open loop: n arrivals, numbered from 0 in order of time; all arrays are read-only.

    An arrival brings one request, or a conversation of several turns. A request's seq counts them arrival by arrival:
    without turns it is the arrival's number.

    Attributes:
        offsets_ns: Shape (n,), ascending, nanoseconds since the start.
        planned: Arrivals before the tail that `--hold` adds.
        length_s: Length of the planned part: the duration asked for, or the time of the last arrival.
        sizes: What a trace says of the arrivals; None without a trace.
        turns: Shape (n,), at least 1 each; None: one request each.
    """

    offsets_ns: Offsets
    planned: int
    length_s: float
    sizes: Sizes | None = None
    turns: Counts | None = None

    def __len__(self) -> int:
        return len(self.offsets_ns)

    @property
    def requests(self) -> int:
        """Planned requests: every turn of the planned arrivals."""
        return self.planned if self.turns is None else int(self.first_seq[self.planned])

    @cached_property
    def first_seq(self) -> Offsets:
        """Shape (n + 1,): the seq of each arrival's first request, and the number of all."""
        turns = np.ones(len(self), dtype=np.int64) if self.turns is None else self.turns
        return frozen(np.concatenate([[0], np.cumsum(turns, dtype=np.int64)]))

    def with_turns(self, turns: Counts) -> Schedule:
        """The same arrivals as conversations of so many turns each; shape (n,), at least 1 each."""
        assert turns.shape == self.offsets_ns.shape, f"{len(turns)} turns for {len(self)} arrivals"
        assert np.all(turns >= 1), "a conversation without a turn"
        return replace(self, turns=frozen(turns.astype(np.int32)))

    def turns_of(self, a: int) -> int:
        """How many requests an arrival brings."""
        return 1 if self.turns is None else int(self.turns[a])

    def seq(self, a: int, t: int = 0) -> int:
        """The seq of an arrival's t-th request, both from 0."""
        return a + t if self.turns is None else int(self.first_seq[a]) + t

    def place(self, seq: int) -> tuple[int, int]:
        """The arrival and the turn of a seq."""
        if self.turns is None:
            return seq, 0
        a = int(np.searchsorted(self.first_seq, seq, side="right")) - 1
        return a, seq - int(self.first_seq[a])

    def size_of(self, a: int) -> Size | None:
        """What the trace says of an arrival; None without a trace."""
        return None if self.sizes is None else self.sizes.of(a)

    def shard(self, worker: int, workers: int) -> Offsets:
        """The arrivals of one worker, ascending, those of the tail included: those with a % workers == worker."""
        check_worker(worker, workers)
        return np.arange(worker, len(self), workers, dtype=np.int64)

    def digest(self) -> str:
        """
        The sha256, in hex, of what is planned, little-endian.

        First the offsets as int64; then, where there are any, input and output tokens as int32, block ids and starts
        as int64, and turns as int32. The tail is no part of it.
        """
        n = self.planned
        digest = hashlib.sha256(self.offsets_ns[:n].astype("<i8").tobytes())
        if self.sizes is not None:
            sizes = self.sizes.take(np.arange(n))
            digest.update(sizes.input_tokens.astype("<i4").tobytes() + sizes.output_tokens.astype("<i4").tobytes())
            if sizes.block_ids is not None and sizes.block_starts is not None:
                digest.update(sizes.block_ids.astype("<i8").tobytes() + sizes.block_starts.astype("<i8").tobytes())
        if self.turns is not None:
            digest.update(self.turns[:n].astype("<i4").tobytes())
        return digest.hexdigest()

    # On disk: for workers, and for whoever finishes a run whose trace file has moved on.

    def save(self, path: Path) -> None:
        """Write an Arrow IPC file: a row per arrival, the rest in the schema's metadata."""
        columns: dict[str, pa.Array] = {"offset_ns": pa.array(self.offsets_ns)}
        if self.sizes is not None:
            columns |= {name: pa.array(getattr(self.sizes, name)) for name in ("input_tokens", "output_tokens")}
            if self.sizes.block_ids is not None:
                columns["blocks"] = pa.LargeListArray.from_arrays(self.sizes.block_starts, self.sizes.block_ids)
        if self.turns is not None:
            columns["turns"] = pa.array(self.turns)
        told = {"planned": str(self.planned), "length_s": repr(self.length_s)}
        table = pa.table(columns).replace_schema_metadata(told)
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)

    @classmethod
    def load(cls, path: Path) -> Self:
        """The schedule that `save` wrote."""
        with pa.OSFile(str(path), "rb") as file:
            table = pa.ipc.open_file(file).read_all().combine_chunks()
        told = table.schema.metadata
        arrays = {name: frozen(_flat(table[name]).to_numpy()) for name in table.column_names if name != "blocks"}
        blocks: list[Offsets] = []
        if "blocks" in table.column_names:
            lists = _flat(table["blocks"])
            blocks = [frozen(part.to_numpy()) for part in (lists.values, lists.offsets)]
        sizes = Sizes(arrays["input_tokens"], arrays["output_tokens"], *blocks) if "input_tokens" in arrays else None
        return cls(
            arrays["offset_ns"], int(told[b"planned"]), float(told[b"length_s"]), sizes, arrays.get("turns")
        )  # fmt: skip


def frozen(array: AnyArray) -> AnyArray:
    """An array that cannot be written to from here on."""
    array.setflags(write=False)
    return array


def _flat(column: pa.ChunkedArray) -> pa.Array:
    chunks = column.combine_chunks()
    return chunks.chunk(0) if isinstance(chunks, pa.ChunkedArray) else chunks
