"""What both pages, that of a sweep and that of a search, are made of: numbers on top, and links to runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadtests import record

if TYPE_CHECKING:
    from pathlib import Path

Big = dict[str, str]


def big(label: str, value: str, note: str = "") -> Big:
    """One of the numbers on top."""
    return {"label": label, "value": value, "note": note}


def link(path: Path, run: str) -> dict[str, str]:
    """To a run of the campaign: its report where there is one, else its folder."""
    page = path / run / record.REPORT
    return {"run": run, "to": f"{run}/{record.REPORT}" if page.is_file() else f"{run}/"}
