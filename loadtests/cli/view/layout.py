"""The panel as lines of text, for a terminal of any size: for want of room the least needed is left out first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from rich.text import Text

from loadtests import histogram
from loadtests.cli.view.figures import SPARKS
from loadtests.cli.view.words import NONE, clocked, errors_of, figure, milliseconds, per_s, spark

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadtests.cli.view.figures import Figures

BAR: Final = 60
CELL: Final = 19
"""Columns of a label with its figure, at least."""

QUANTILES: Final = (0.5, 0.95, 0.99)
TABLE: Final = 57
NAME: Final = 20
GOOD, WARN, BAD = "green", "yellow", "red"


class Block(NamedTuple):
    """Lines that belong together; of those that do not fit, the one with the greatest rank goes first."""

    rank: int
    lines: list[Text]


def drawn(figures: Figures, width: int, height: int) -> list[Text]:
    """
    All of the panel.

    Args:
        figures: Of the run.
        width: Of the terminal, in columns.
        height: Of the terminal, in lines.

    Returns:
        At most `height` - 1 lines of at most `width` columns.
    """
    blocks = [
        Block(0, _progress(figures, width)),
        Block(1, _counts(figures, width)),
        Block(2, _troubles(figures)),
        Block(3, _times(figures, width)),
        Block(4, _arms(figures, width)),
        Block(5, _sparks(figures, width)),
    ]
    lines = _fitting([block for block in blocks if block.lines], height - 1)
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return lines


def _fitting(blocks: list[Block], room: int) -> list[Text]:
    """The blocks that fit, with a blank line between them where there is room for that, too."""
    while len(blocks) > 1 and sum(len(block.lines) for block in blocks) > room:
        blocks.remove(max(blocks, key=lambda block: block.rank))
    spare = room - sum(len(block.lines) for block in blocks)
    lines: list[Text] = []
    for number, block in enumerate(blocks):
        apart = number and block.rank > 2 and spare > 0
        spare -= bool(apart)
        lines += [Text(), *block.lines] if apart else block.lines
    return lines[: max(1, room)]


# The blocks.


def _progress(figures: Figures, width: int) -> list[Text]:
    way, now, elapsed_s = figures.way, figures.now, figures.elapsed_s
    share, left_s = way.share(now, elapsed_s), way.left_s(now, elapsed_s)
    word = way.word(now, elapsed_s)
    waits = f"waiting for {now.in_flight:,}" if word == "draining" and now.in_flight else ""
    rest = waits or (f"{clocked(left_s)} left" if left_s else "")
    after = f" {share:4.0%}  {clocked(elapsed_s)}{rest and ', '}{rest}"
    room = min(BAR, max(0, width - len(word) - len(after) - 1))
    full = round(share * room)
    bar = Text.assemble(("━" * full, GOOD), ("─" * (room - full), "bright_black"))
    return [Text.assemble((word, "bold"), " ", bar, after)]


def _counts(figures: Figures, width: int) -> list[Text]:
    last, now, whole = figures.over(), figures.now, figures.whole
    asked = ("users", str(figures.users)) if figures.users is not None else ("offered", per_s(last.offered_per_s))
    behind = (per_s(last.achieved_per_s) + " behind", WARN) if last.falls_behind else (per_s(last.achieved_per_s), "")
    waiting = f" +{now.waiting:,} wait" if now.waiting else ""
    cells = [
        (*asked, ""),
        ("achieved", *behind),
        ("tokens/s", figure(last.tokens_per_s), ""),
        ("in flight", f"{now.in_flight:,}{waiting}", ""),
        ("ok", f"{whole.ok:,}", ""),
        ("errors", f"{whole.errors:,}", BAD if whole.errors else ""),
    ]
    return _grid(cells, width)


def _grid(cells: Sequence[tuple[str, str, str]], width: int) -> list[Text]:
    """Label, figure, style: in as many columns as there is room for, which divide the cells evenly."""
    columns = next((n for n in (6, 3, 2) if n * CELL <= width), 1)
    each = min(width // columns, CELL + 7)
    rows = [cells[at : at + columns] for at in range(0, len(cells), columns)]
    labels = [max(len(row[column][0]) for row in rows) for column in range(columns)]
    lines = []
    for row in rows:
        line = Text()
        for (label, value, style), wide in zip(row, labels, strict=True):
            told = Text.assemble((label.ljust(wide), "dim"), " ", (value, f"bold {style}".strip()))
            told.truncate(each - 1, overflow="ellipsis")
            told.pad_right(each - len(told))
            line.append_text(told)
        line.rstrip()
        lines.append(line)
    return lines


def _troubles(figures: Figures) -> list[Text]:
    """Errors by their kind, and how the client is."""
    kinds, busy, health = errors_of(figures.whole), figures.busy(), figures.health()
    lines = [Text.assemble(("errors ", "dim"), (kinds, BAD))] if kinds else []
    told = [f"cpu {health['cpu']:.0%}"] if "cpu" in health else []
    lags = (("send_lag_p99_us", "sends"), ("wake_lag_p99_us", "reads"))
    if late := [f"{word} {figure(health[name] / 1000)}" for name, word in lags if name in health]:
        told.append(f"late: {', '.join(late)} ms")
    if figures.now.gone:
        told.append(f"{figures.now.gone} of {figures.now.gone + figures.now.workers} workers lost")
    state = (f"busy: {busy}", f"bold {BAD}") if busy else ("fine", f"bold {GOOD}") if told else (NONE, "")
    return [*lines, Text.assemble(("client ", "dim"), state, *(f" · {one}" for one in told))]


def _times(figures: Figures, width: int) -> list[Text]:
    """Percentiles of the last ten seconds, and of the whole run."""
    last, whole = figures.over(), figures.whole
    lately = [[last.ttft_s(p) for p in QUANTILES], [last.tpot_s(p) for p in QUANTILES]]
    so_far = [[histogram.quantile_s(bins, p) for p in QUANTILES] for bins in (whole.ttft, whole.tpot)]
    both = width >= TABLE
    heads = "".join(f"{f'p{100 * p:g}':>8}" for p in QUANTILES)
    lines = [
        Text(f"{'':6}{'last 10 s':>24}" + (f"{'whole run':>27}" if both else ""), "dim"),
        Text(f"{'ms':6}{heads}" + (f"   {heads}" if both else ""), "dim"),
    ]
    for name, now, then in zip(("TTFT", "TPOT"), lately, so_far, strict=True):
        line = Text.assemble((f"{name:6}", "dim"), ("".join(f"{milliseconds(value):>8}" for value in now), "bold"))
        lines.append(line.append("   " + "".join(f"{milliseconds(value):>8}" for value in then) if both else ""))
    return lines


def _arms(figures: Figures, width: int) -> list[Text]:
    """A line for each arm, over the whole run; none where there is one."""
    sides = figures.now.sides
    if len(sides) < 2:
        return []
    playing = figures.way.playing(figures.now)
    name_width = max(6, min(NAME, width - 50, max(map(len, sides))))
    heads = ("ok", "errors", "TTFT p50", "p95", "TPOT p50")
    lines = [Text(f"  {'arm':{name_width}}" + "".join(f"{head:>9}" for head in heads) + " ms", "dim")]
    for name, side in sides.items():
        times = (
            histogram.quantile_s(side.ttft, 0.5),
            histogram.quantile_s(side.ttft, 0.95),
            histogram.quantile_s(side.tpot, 0.5),
        )
        shown = Text(name)
        shown.truncate(name_width, overflow="ellipsis", pad=True)
        cells = [f"{side.ok:,}", f"{side.errors:,}", *map(milliseconds, times)]
        mark = Text("▸ " if name in playing else "  ", GOOD)
        lines.append(Text.assemble(mark, shown, "".join(f"{cell:>9}" for cell in cells)))
    return lines


def _sparks(figures: Figures, width: int) -> list[Text]:
    """What each of the last seconds was like, from 0 to the greatest of them."""
    known = {name: [value for value in values if value is not None] for name, values in figures.sparks.items()}
    most = {
        name: f" max {f'{milliseconds(max(of))} ms' if name.startswith('TTFT') else figure(max(of))}"
        for name, of in known.items()
        if of
    }
    room = max(10, min(SPARKS, width - 10 - max(map(len, most.values()), default=0)))
    return [
        Text.assemble((f"{name:10}", "dim"), (spark(figures.sparks[name], room), "cyan"), after)
        for name, after in most.items()
    ]
