"""
Layouts of published traces, told by their columns.

Sources: Mooncake, FAST'25 (github.com/kvcache-ai/Mooncake, FAST25-release); Azure LLM inference traces 2023 and 2024
(github.com/Azure/AzurePublicDataset); BurstGPT, arXiv 2401.17644 (github.com/HPMLL/BurstGPT).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from loadtests.schedule.bounds import NS, ScheduleError, shown
from loadtests.schedule.cells import MAX_NS

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Layout:
    """
    The columns of a published trace.

    Attributes:
        needs: Columns by which it is known.
        time: Its column of times.
        unit_ns: Of the times; None: dates.
        input_tokens, output_tokens, blocks: Columns that may be missing unless they are among `needs`.
        unlike: Columns of another layout, which it hasn't.
        zero_failed: A row without output tokens is a request that failed.
    """

    name: str
    needs: tuple[str, ...]
    time: str
    unit_ns: int | None
    input_tokens: str
    output_tokens: str
    blocks: str | None = None
    unlike: tuple[str, ...] = ()
    zero_failed: bool = False

    def fits(self, columns: Sequence[str]) -> bool:
        """Whether a file with these columns is of this layout."""
        return {*self.needs} <= {*columns} and not {*self.unlike} & {*columns}

    def columns(self, found: Sequence[str]) -> list[str]:
        """Those of its columns that a file has."""
        mine = (self.time, self.input_tokens, self.output_tokens, self.blocks)
        return [name for name in mine if name is not None and name in found]


_AZURE: Final = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
_BURSTGPT: Final = ("Timestamp", "Request tokens", "Response tokens")
_MOONCAKE: Final = ("timestamp", "input_length", "output_length")
_PLAIN: Final = ("input_tokens", "output_tokens")

LAYOUTS: Final = (
    Layout("Mooncake", _MOONCAKE, _MOONCAKE[0], 1_000_000, *_MOONCAKE[1:], blocks="hash_ids"),
    Layout("Azure", _AZURE, _AZURE[0], None, *_AZURE[1:]),
    Layout("BurstGPT", _BURSTGPT, _BURSTGPT[0], NS, *_BURSTGPT[1:], zero_failed=True),
    Layout("plain", ("time",), "time", NS, *_PLAIN, unlike=_MOONCAKE),
    Layout("plain", ("timestamp",), "timestamp", NS, *_PLAIN, unlike=_MOONCAKE[1:]),
)
KNOWN: Final = (
    "Mooncake (timestamp in ms, input_length, output_length, hash_ids), Azure (TIMESTAMP, ContextTokens, "
    "GeneratedTokens), BurstGPT (Timestamp in s, Request tokens, Response tokens), or time or timestamp in s with "
    "input_tokens and output_tokens; as CSV, JSON lines or parquet"
)
MEANT: Final = {
    None: "a date and time",
    1_000_000: f"a number of milliseconds in [0, {MAX_NS / 1_000_000:.2g}]",
    NS: f"a number of seconds in [0, {MAX_NS / NS:.2g}]",
}
"""What a cell of times has to be, by its unit."""


def layout_of(label: str, columns: Sequence[str]) -> Layout:
    """
    The layout of a file with these columns.

    Raises:
        ScheduleError: None, or a column stands there twice.
    """
    for layout in LAYOUTS:
        if layout.fits(columns):
            twice = next((name for name in layout.columns(columns) if columns.count(name) > 1), None)
            if twice:
                raise ScheduleError(f"{label}:1: column {twice}: stands there {columns.count(twice)} times")
            return layout
    raise ScheduleError(f"{label}: columns {shown(columns, 80)} aren't one of {KNOWN}")
