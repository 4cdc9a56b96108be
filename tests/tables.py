"""
The generated parts of README and docs, between `<!-- name -->` and `<!-- /name -->`.

Run as a program it writes them anew.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from analysis.metrics import METRICS
from analysis.objectives import PRESETS
from loadtests import record

if TYPE_CHECKING:
    from collections.abc import Iterable

    from analysis.metrics import Metric
    from loadtests.record import Column

HOME: Final = Path(__file__).resolve().parent.parent
PAGES: Final = (HOME / "README.md", HOME / "docs" / "schema.md")
UNITS: Final = {"s": "s", "1/s": "1/s", "share": "share", "tokens": "tokens", "USD": "USD"}
BETTER: Final = {"lower": "↓", "higher": "↑", "neither": ""}


def metrics() -> str:
    """The table of all metrics."""
    head = ["| metric | in options | unit | formula |", "|---|---|---|---|"]
    return "\n".join([*head, *(_row(metric) for metric in METRICS)])


def _row(metric: Metric) -> str:
    unit = f"{UNITS[metric.unit]} {BETTER[metric.better]}".strip()
    return f"| {metric.label} | `{metric.words}` | {unit} | {_plain(metric.formula)} |"


def presets() -> str:
    """Every preset of objectives with what it promises."""
    rows = [f"| `{name}` | {_plain(', '.join(preset.objectives))} |" for name, preset in PRESETS.items()]
    return "\n".join(["| preset | objectives |", "|---|---|", *rows])


def requests() -> str:
    """The columns of requests.parquet."""
    return _columns(record.REQUEST_COLUMNS)


def client() -> str:
    """The columns of client.parquet."""
    return _columns(record.CLIENT_COLUMNS)


def server() -> str:
    """The columns of server.parquet."""
    return _columns(record.SERVER_COLUMNS)


def _columns(columns: Iterable[Column]) -> str:
    rows = [f"| `{one.name}` | {_type(one.type)} | {one.unit} | {_plain(one.meaning)} |" for one in columns]
    return "\n".join(["| column | type | unit | meaning |", "|---|---|---|---|", *rows])


def _type(kind: pa.DataType) -> str:
    """As people say it: a dictionary is words, a list says of what."""
    if kind == record.DICTIONARY:
        return "word"
    return f"list of {_type(kind.value_type)}" if pa.types.is_list(kind) else str(kind)


def words() -> str:
    """The closed lists that columns draw from."""
    lists = {"outcome": record.OUTCOMES, "error_kind": record.ERROR_KINDS, "flags": record.FLAGS}
    rows = [f"| `{name}` | {', '.join(f'`{word}`' for word in found)} |" for name, found in lists.items()]
    return "\n".join(["| column | words |", "|---|---|", *rows])


def _plain(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


PARTS: Final = {
    "metrics": metrics, "presets": presets, "requests": requests, "client": client, "server": server, "words": words,
}  # fmt: skip


def written(text: str) -> str:
    """A page with every generated part as it should be."""
    for name, part in PARTS.items():
        text = re.sub(
            rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", rf"\g<1>{_raw(part())}\n\g<2>", text, flags=re.DOTALL
        )
    return text


def _raw(text: str) -> str:
    """For the right side of a substitution."""
    return text.replace("\\", "\\\\")


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(written(page.read_text()))
