"""
What a Prometheus endpoint says: its text as series with values, bounded.

Left away are the buckets of histograms, whose sums and counts stay, and the moments at which series were created: they
are most of a page, and nothing here reads them. So is what is no number.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from prometheus_client import Metric

OPEN_METRICS: Final = "application/openmetrics-text"
MOST_SERIES: Final = 2000
"""Series that are kept of one answer; what is behind them is counted and not read."""

_AWAY: Final = re.compile(r"[\w:.]+(?:_bucket\{.*\ble=\"|_created(?:[ {]|$))")
_ESCAPES: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


class ExpositionError(ValueError):
    """A text that no Prometheus would read."""


class Series(NamedTuple):
    """One series: its name as it stands in the text, its labels as `key="value"`s in order of the keys, its value."""

    name: str
    labels: str
    value: float


def read(text: str, content_type: str = "", most: int = MOST_SERIES) -> tuple[list[Series], int]:
    """
    The series of an answer.

    Args:
        text: The body.
        content_type: OpenMetrics where it says so, else the classic text format.
        most: How many are kept, the first ones.

    Returns:
        The series, and how many more there were.

    Raises:
        ExpositionError: It is no such text.
    """
    try:
        families, left_out = _families(text, content_type, most)
        found = [one for family in families for one in _series(family)]
    except (ValueError, IndexError, KeyError, AttributeError, TypeError) as error:  # the parsers check no input
        raise ExpositionError(f"no Prometheus text: {str(error)[:100]}") from None
    if not found and text.strip():
        raise ExpositionError("no Prometheus text: no series in it")
    return found[:most], left_out + len(found[most:])


def _families(text: str, content_type: str, most: int) -> tuple[Iterable[Metric], int]:
    """Parsed as far as asked, and how many series were not."""
    if content_type.startswith(OPEN_METRICS):
        # Histograms without their buckets are none to this parser, so that all of it is read.
        from prometheus_client.openmetrics import parser as open_metrics  # noqa: PLC0415 - runs that don't scrape

        return open_metrics.text_string_to_metric_families(text), 0  # type: ignore[no-untyped-call]
    from prometheus_client import parser  # noqa: PLC0415 - the same

    lines, left_out = _bounded(text, most)
    return parser.text_fd_to_metric_families(lines), left_out  # type: ignore[arg-type]  # it wants the lines alone


def _bounded(text: str, most: int) -> tuple[list[str], int]:
    """The lines of the series to be kept, and how many there are behind them; nobody here asks for their types."""
    kept: list[str] = []
    count = 0
    for line in text.split("\n"):
        if line.strip() and line[0] != "#" and not _AWAY.match(line):
            count += 1
            if count <= most:
                kept.append(line)
    return kept, max(0, count - most)


def _series(family: Metric) -> Iterator[Series]:
    for sample in family.samples:
        name = sample.name
        if name.endswith("_created") or (name.endswith("_bucket") and "le" in sample.labels):
            continue
        if math.isfinite(sample.value):
            yield Series(name, labels_text(sample.labels), float(sample.value))


def labels_text(labels: dict[str, str]) -> str:
    """Labels as the text format writes them, in order of their keys."""
    return ",".join(f'{key}="{value.translate(_ESCAPES)}"' for key, value in sorted(labels.items()))
