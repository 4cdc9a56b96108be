"""The table of `firsttoken runs`: a line for each run and each campaign, and what is wrong with some."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from loadtests.cli.kept import Kept

HEAD: Final = (
    "NAME", "STARTED (UTC)", "PROFILE", "MODEL", "LOAD", "REQUESTS", "VERDICT", "TTFT P50 MS", "P95 MS", "SIZE",
    "REPORT", "LABELS",
)  # fmt: skip
RIGHT: Final = frozenset({"REQUESTS", "TTFT P50 MS", "P95 MS", "SIZE"})
SPARED: Final = ("STARTED (UTC)", "REPORT", "MODEL", "LOAD", "SIZE")
"""Left out of a terminal that is too narrow, one after the other: the name tells when it was, `--json` the rest."""

COLOURS: Final = {
    "valid": "green", "doubtful": "yellow", "invalid": "red", "on": "cyan", "unfinished": "yellow", "broken": "red",
}  # fmt: skip
NONE: Final = "\N{EN DASH}"
WIDE: Final = 40
"""Characters of a cell at the most; labels, which come last, have what they need."""


def show(found: Sequence[Kept], console: Console | None = None) -> None:
    """Print them on stdout, and below them what to know of those that are not as they should be."""
    from rich.console import Console
    from rich.text import Text

    console = console or Console(highlight=False, markup=False, emoji=False)
    lines = (tuple(map(plain, _line(kept))) for kept in found)
    rows = _fitting([HEAD, *lines], console.width if sys.stdout.isatty() else None)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (_padded(text, width, head) for text, width, head in zip(row, widths, rows[0], strict=True))
        text = Text("  ".join(cells).rstrip(), "bold" if row is rows[0] else "")
        for word, colour in COLOURS.items():
            text.highlight_regex(rf"(?<=  ){word}(?=  )", colour)
        console.print(text, soft_wrap=True)
    for kept in found:
        if kept.state in {"unfinished", "broken"}:
            console.print(Text(plain(f"{kept.name}: {kept.state}; {kept.why}"), "dim"), soft_wrap=True)
    console.print(Text(total(found), "dim"), soft_wrap=True)


def _fitting(rows: list[tuple[str, ...]], width: int | None) -> list[tuple[str, ...]]:
    """Rows without the columns for which there is no room."""
    for name in SPARED:
        if width is None or sum(2 + max(map(len, column)) for column in zip(*rows, strict=True)) - 2 <= width:
            break
        at = rows[0].index(name)
        rows = [(*row[:at], *row[at + 1 :]) for row in rows]
    return rows


def plain(text: str) -> str:
    """On one line, and nothing in it that a terminal would obey: names and labels may come from anywhere."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _padded(text: str, width: int, head: str) -> str:
    return f"{text:>{width}}" if head in RIGHT else f"{text:<{width}}"


def _line(kept: Kept) -> tuple[str, ...]:
    """The cells of a line."""
    names = ", ".join(kept.arms) or ", ".join(kept.profiles)
    load = kept.load.replace("open loop, ", "").replace("closed loop, ", "")
    return (
        kept.name, started(kept), _cut(names), _cut(", ".join(kept.models)),
        _cut(f"{kept.kind} of {load}" if kept.is_campaign else load),
        NONE if kept.requests is None else f"{kept.requests:,}",
        (kept.verdict or NONE) if kept.state == "finished" else kept.state,
        _ttft(kept, "p50"), _ttft(kept, "p95"), sized(kept.size), "yes" if kept.report else NONE,
        " ".join(f"{key}={value}" for key, value in sorted(kept.labels.items())),
    )  # fmt: skip


def _cut(text: str) -> str:
    text = text or NONE
    return text if len(text) <= WIDE else text[: WIDE - 1] + "…"


def started(kept: Kept) -> str:
    """When it began."""
    return datetime.fromtimestamp(kept.started_unix_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M")


def _ttft(kept: Kept, name: str) -> str:
    """Of each arm, in the order in which they were named."""
    from analysis.units import shown

    told = [kept.ttft_s.get(arm, {}) for arm in kept.arms or kept.ttft_s]
    return ", ".join(shown(one[name], "s") if name in one else NONE for one in told) or NONE


def sized(size: int) -> str:
    """Bytes as people read them: 812 B, 3.4 MB."""
    amount = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 999.5:
            return f"{amount:.3g} {unit}"
        amount /= 1000
    return f"{amount:,.3g} TB"


def total(found: Sequence[Kept]) -> str:
    """How many they are and what they take: `3 runs and 1 campaign, 1.2 GB`."""
    return f"{counted(found)}, {sized(sum(kept.size for kept in found))}"


def counted(found: Sequence[Kept]) -> str:
    """How many they are: `3 runs and 1 campaign`."""
    campaigns = sum(kept.is_campaign for kept in found)
    numbers = ((len(found) - campaigns, "run"), (campaigns, "campaign"))
    return " and ".join(f"{n} {word}{'s' * (n != 1)}" for n, word in numbers if n) or "nothing"
