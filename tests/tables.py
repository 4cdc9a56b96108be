"""The README's generated parts, between `<!-- name -->` and `<!-- /name -->`; run as a program it writes them anew."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from analysis.metrics import METRICS
from analysis.objectives import PRESETS

if TYPE_CHECKING:
    from analysis.metrics import Metric

README: Final = Path(__file__).resolve().parent.parent / "README.md"
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


def _plain(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


PARTS: Final = {"metrics": metrics, "presets": presets}


def written(text: str) -> str:
    """The README with every generated part as it should be."""
    for name, part in PARTS.items():
        text = re.sub(
            rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", rf"\g<1>{_raw(part())}\n\g<2>", text, flags=re.DOTALL
        )
    return text


def _raw(text: str) -> str:
    """For the right side of a substitution."""
    return text.replace("\\", "\\\\")


if __name__ == "__main__":
    README.write_text(written(README.read_text()))
